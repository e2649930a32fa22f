//go:build linux && (amd64 || arm64) && !static

package chdb

import (
	"debug/elf"
	"errors"
	"fmt"
	"unsafe"

	"github.com/ebitengine/purego"
	"golang.org/x/sys/unix"
)

// The engine goes on when a write to a file fails: WriteBufferFromFileDescriptor::nextImpl of libchdb leaves its loop
// where ClickHouse throws. On a full disk it would answer that rows are stored whose files are empty, and replace parts
// by merged ones that hold nothing. So the write that it calls is replaced by one that ends the process instead, with a
// message on standard error. Nothing was answered then; at the next start the engine drops what is not complete.

// stopMessage is what the end of the process says. Its exit code is 74, EX_IOERR of sysexits.h.
//
//nolint:unused // The assembly writes it.
var stopMessage = []byte("ClickHouse engine: the data cannot be written, because the disk is full or broken. " +
	"The engine stops before it answers that it stored what it did not; free disk space, or look after the disk. Nothing acknowledged is lost.\n")

var (
	// libcWrite is the write of the C library.
	libcWrite uintptr //nolint:unused // The assembly calls it.
	// writeOrStopAddr is the entry of the write that takes its place; it has the C calling convention.
	writeOrStopAddr uintptr
)

// relocation types that hold the address of a function of another library: for calls, for taking the address, and
// within data.
var functionRelocations = map[elf.Machine]map[uint32]bool{
	elf.EM_X86_64:  {uint32(elf.R_X86_64_JMP_SLOT): true, uint32(elf.R_X86_64_GLOB_DAT): true, uint32(elf.R_X86_64_64): true},
	elf.EM_AARCH64: {uint32(elf.R_AARCH64_JUMP_SLOT): true, uint32(elf.R_AARCH64_GLOB_DAT): true, uint32(elf.R_AARCH64_ABS64): true},
}

// stopOnFailedWrites makes the loaded library call writeOrStop wherever it calls write.
func stopOnFailedWrites(handle uintptr, path string) error {
	f, err := elf.Open(path)
	if err != nil {
		return fmt.Errorf("read ClickHouse engine: %w", err)
	}
	defer f.Close()
	symbols, err := f.DynamicSymbols()
	if err != nil {
		return fmt.Errorf("read symbols of ClickHouse engine: %w", err)
	}
	const known = "chdb_connect"
	var write uint32
	var offset uint64
	for i, s := range symbols {
		switch s.Name {
		case "write":
			write = uint32(i + 1) // The list leaves out the first symbol, which is none.
		case known:
			offset = s.Value
		}
	}
	at, err := purego.Dlsym(handle, known)
	if err != nil || write == 0 || offset == 0 {
		return fmt.Errorf("find write in ClickHouse engine %s: not there; use the engine that `agenttrail engines` installs", path)
	}
	base := at - uintptr(offset)
	slots, err := slotsOf(f, base, write)
	if err != nil {
		return err
	}
	for _, slot := range slots {
		if err := replace(f, base, slot); err != nil {
			return err
		}
	}
	return nil
}

// slotsOf returns the addresses, as the file counts them, of all places that hold the address of a symbol.
func slotsOf(f *elf.File, base uintptr, symbol uint32) ([]uint64, error) {
	types := functionRelocations[f.Machine]
	var slots []uint64
	// The relocations of calls, and those of data after the relative ones, which name no symbol.
	for _, tags := range [][3]elf.DynTag{{elf.DT_JMPREL, elf.DT_PLTRELSZ, 0}, {elf.DT_RELA, elf.DT_RELASZ, elf.DT_RELACOUNT}} { //nolint:misspell // The names of ELF.
		var values [3]uint64
		for i, tag := range tags {
			if got, err := f.DynValue(tag); err != nil {
				return nil, fmt.Errorf("read relocations of ClickHouse engine: %w", err)
			} else if tag != 0 && len(got) > 0 {
				values[i] = got[0]
			}
		}
		const size = uint64(unsafe.Sizeof(elf.Rela64{}))
		n := values[1] / size
		if values[0] == 0 || n < values[2] {
			continue
		}
		for _, r := range unsafe.Slice((*elf.Rela64)(pointer(base+uintptr(values[0]))), n)[values[2]:] {
			if elf.R_SYM64(r.Info) == symbol && types[elf.R_TYPE64(r.Info)] {
				slots = append(slots, r.Off)
			}
		}
	}
	if len(slots) == 0 {
		return nil, errors.New("find calls of write in ClickHouse engine: there are none; use the engine that `agenttrail engines` installs")
	}
	return slots, nil
}

// replace writes the address of writeOrStop to a slot.
func replace(f *elf.File, base uintptr, slot uint64) error {
	page := uint64(unix.Getpagesize()) //nolint:gosec // Positive.
	first := slot &^ (page - 1)
	memory := unsafe.Slice((*byte)(pointer(base+uintptr(first))), page)
	if err := unix.Mprotect(memory, unix.PROT_READ|unix.PROT_WRITE); err != nil {
		return fmt.Errorf("change ClickHouse engine: %w", err)
	}
	place := (*uintptr)(pointer(base + uintptr(slot)))
	libcWrite = *place
	*place = writeOrStopAddr
	for _, p := range f.Progs {
		// What the loader made read-only after relocation becomes so again.
		if p.Type == elf.PT_GNU_RELRO && first >= p.Vaddr && first < p.Vaddr+p.Memsz {
			if err := unix.Mprotect(memory, unix.PROT_READ); err != nil {
				return fmt.Errorf("change ClickHouse engine: %w", err)
			}
		}
	}
	return nil
}

// pointer makes a pointer of an address outside of Go's memory.
func pointer(addr uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&addr)) }
