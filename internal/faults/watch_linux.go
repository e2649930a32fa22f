package faults

import (
	"errors"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// question is what the kernel asks about a system call: struct seccomp_notif of linux/seccomp.h.
type question struct {
	id    uint64
	pid   uint32 // Of the thread.
	flags uint32
	nr    int32
	arch  uint32
	ip    uint64
	args  [6]uint64
}

// reply is what becomes of the call: struct seccomp_notif_resp.
type reply struct {
	id    uint64
	val   int64
	errno int32 // Negative.
	flags uint32
}

const (
	seccompRecv     = 0xc0502100 // SECCOMP_IOCTL_NOTIF_RECV
	seccompSend     = 0xc0182101 // SECCOMP_IOCTL_NOTIF_SEND
	seccompContinue = 1          // SECCOMP_USER_NOTIF_FLAG_CONTINUE
)

// proceed lets the call happen as if nobody had asked.
var proceed = reply{flags: seccompContinue}

// watched is a system call to ask about, if its first argument is below a limit.
type watched struct {
	number uint32
	below  uint32 // 0 asks whatever the argument.
}

// filter is the program that asks about the calls and lets all others pass.
func filter(calls []watched) []unix.SockFilter {
	const offsetOfNumber, offsetOfFirstArgument = 0, 16 // In struct seccomp_data; the lower half on a little-endian machine.
	load := func(offset uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
	}
	answer := func(action uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: action}
	}
	program := []unix.SockFilter{load(offsetOfNumber)}
	for _, c := range calls {
		body := []unix.SockFilter{answer(unix.SECCOMP_RET_USER_NOTIF)}
		if c.below > 0 {
			body = []unix.SockFilter{
				load(offsetOfFirstArgument),
				{Code: unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K, K: c.below, Jt: 1},
				answer(unix.SECCOMP_RET_USER_NOTIF),
				answer(unix.SECCOMP_RET_ALLOW),
			}
		}
		program = append(program, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: c.number, Jf: uint8(len(body))}) //nolint:gosec // Four at most.
		program = append(program, body...)
	}
	return append(program, answer(unix.SECCOMP_RET_ALLOW))
}

// watch asks decide about the calls of all processes that the calling thread will start.
func watch(calls []watched, decide func(*question) reply) error {
	fd, err := install(filter(calls))
	if err != nil {
		return err
	}
	go func() {
		for {
			var q question
			err := ioctl(fd, seccompRecv, unsafe.Pointer(&q))
			switch {
			case err == nil:
				go func() {
					r := decide(&q)
					r.id = q.id
					_ = ioctl(fd, seccompSend, unsafe.Pointer(&r)) // Fails when the caller was killed meanwhile.
				}()
			case errors.Is(err, unix.EINTR), errors.Is(err, unix.ENOENT): // The latter: as above.
			default:
				return
			}
		}
	}()
	return nil
}

func ioctl(fd int, request uintptr, arg unsafe.Pointer) error {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(arg))
	if errno != 0 {
		return os.NewSyscallError("ioctl", errno)
	}
	return nil
}
