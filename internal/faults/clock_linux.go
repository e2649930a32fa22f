package faults

import (
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// clock is the wall clock of the collector. The monotonic clock of a machine does not jump, and neither does this one's.
type clock struct {
	mu     sync.Mutex
	offset time.Duration
	asked  int
}

// clockCalls are reads of CLOCK_REALTIME, which is number 0.
var clockCalls = []watched{{number: unix.SYS_CLOCK_GETTIME, below: 1}}

func (c *clock) decide(q *question) reply {
	c.mu.Lock()
	c.asked++
	now := time.Now().Add(c.offset)
	c.mu.Unlock()
	var ts [16]byte                                                 // struct timespec
	binary.NativeEndian.PutUint64(ts[:], uint64(now.Unix()))        //nolint:gosec // After the epoch.
	binary.NativeEndian.PutUint64(ts[8:], uint64(now.Nanosecond())) //nolint:gosec // Not negative.
	local := []unix.Iovec{{Base: &ts[0], Len: uint64(len(ts))}}
	remote := []unix.RemoteIovec{{Base: uintptr(q.args[1]), Len: len(ts)}}
	if _, err := unix.ProcessVMWritev(int(q.pid), local, remote, 0); err != nil {
		return proceed
	}
	return reply{}
}

// jump sets how far the clock is off.
func (c *clock) jump(offset time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset = offset
}

// count is how often the time was read so far.
func (c *clock) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asked
}

// hideVDSO makes a process that was just started under ptrace ask the kernel for the time: a program finds the code
// that reads the clock without a system call by an entry of the auxiliary vector on its stack, which is made one to
// ignore.
func hideVDSO(pid int) error {
	var status unix.WaitStatus
	if _, err := unix.Wait4(pid, &status, 0, nil); err != nil {
		return fmt.Errorf("wait for the start of process: %w", err)
	}
	var regs unix.PtraceRegs
	if err := unix.PtraceGetRegs(pid, &regs); err != nil {
		return fmt.Errorf("look at process: %w", err)
	}
	const word = 8
	at := stackOf(&regs) + word // After the number of arguments.
	peek := func(addr uintptr) (uint64, error) {
		var b [word]byte
		if _, err := unix.PtracePeekData(pid, addr, b[:]); err != nil {
			return 0, fmt.Errorf("look at stack of process: %w", err)
		}
		return binary.NativeEndian.Uint64(b[:]), nil
	}
	for range 2 { // Arguments and environment, each up to a zero.
		for {
			v, err := peek(at)
			if err != nil {
				return err
			}
			if at += word; v == 0 {
				break
			}
		}
	}
	const null, ignore, vdso = 0, 1, 33 // AT_NULL, AT_IGNORE, AT_SYSINFO_EHDR of elf.h
	for ; ; at += 2 * word {
		switch v, err := peek(at); {
		case err != nil:
			return err
		case v == vdso:
			var b [word]byte
			binary.NativeEndian.PutUint64(b[:], ignore)
			if _, err := unix.PtracePokeData(pid, at, b[:]); err != nil {
				return fmt.Errorf("change stack of process: %w", err)
			}
		case v == null:
			if err := unix.PtraceDetach(pid); err != nil {
				return fmt.Errorf("let process run: %w", err)
			}
			return nil
		}
	}
}
