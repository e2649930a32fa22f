package engine

import (
	"debug/elf"
	"debug/macho"
	"errors"
	"fmt"
	"os"
)

// Sizes in bytes below which a file cannot be the engine; the real ones are several times larger.
const (
	minLibrarySize  = 100 << 20
	minPostgresSize = 2 << 20
	minToolSize     = 20 << 10
)

// checkBinary tells whether the file at path is a whole binary for the platform. It reads headers only, so that it is
// cheap enough for every start; a file that a full disk or a broken download cut short ends before its last segment.
func checkBinary(path string, p Platform, minSize int64) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open engine file: %w", err)
	}
	defer file.Close()
	fi, err := file.Stat()
	if err != nil {
		return fmt.Errorf("stat engine file: %w", err)
	}
	if !fi.Mode().IsRegular() {
		return fmt.Errorf("%s is not a regular file", path)
	}
	var end int64
	switch p.OS {
	case "linux":
		end, err = elfEnd(file, p.CPU)
	case "darwin":
		end, err = machoEnd(file, p.CPU)
	default:
		err = errors.New("unknown binary format")
	}
	if err != nil {
		return fmt.Errorf("%s is not a program file for %s: %w", path, p, err)
	}
	if fi.Size() < minSize || fi.Size() < end {
		return fmt.Errorf("%s is cut short: it has %d bytes and should have at least %d", path, fi.Size(), max(minSize, end))
	}
	return nil
}

func elfEnd(file *os.File, cpu string) (int64, error) {
	f, err := elf.NewFile(file)
	if err != nil {
		return 0, err
	}
	want := map[string]elf.Machine{"x64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[cpu]
	if f.Machine != want {
		return 0, fmt.Errorf("made for %s, not for %s", f.Machine, want)
	}
	var end uint64
	for _, s := range f.Progs {
		end = max(end, s.Off+s.Filesz)
	}
	return int64(end), nil
}

func machoEnd(file *os.File, cpu string) (int64, error) {
	want := map[string]macho.Cpu{"x64": macho.CpuAmd64, "arm64": macho.CpuArm64}[cpu]
	fat, err := macho.NewFatFile(file)
	if err == nil {
		for _, a := range fat.Arches {
			if a.Cpu == want {
				return int64(a.Offset) + int64(a.Size), nil
			}
		}
		return 0, fmt.Errorf("holds no code for %s", want)
	}
	f, err := macho.NewFile(file)
	if err != nil {
		return 0, err
	}
	if f.Cpu != want {
		return 0, fmt.Errorf("made for %s, not for %s", f.Cpu, want)
	}
	var end uint64
	for _, l := range f.Loads {
		if s, ok := l.(*macho.Segment); ok {
			end = max(end, s.Offset+s.Filesz)
		}
	}
	return int64(end), nil
}
