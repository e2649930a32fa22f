package faults

import (
	"errors"
	"os"
	"sync"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// question is what the kernel asks about a system call: struct seccomp_notif of linux/seccomp.h.
type question struct {
	id    uint64
	pid   uint32
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
	errno int32
	flags uint32
}

const (
	seccompRecv     = 0xc0502100 // SECCOMP_IOCTL_NOTIF_RECV
	seccompSend     = 0xc0182101 // SECCOMP_IOCTL_NOTIF_SEND
	seccompContinue = 1          // SECCOMP_USER_NOTIF_FLAG_CONTINUE
)

// watch decides about every flush to disk that the launcher's processes ask for.
type watch struct {
	fd int

	mu    sync.Mutex
	delay time.Duration // Before each flush.
	errno unix.Errno    // With which flushes fail; 0 lets them through.
	asked int
}

func newWatch() (*watch, error) {
	const offsetOfNumber = 0
	program := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offsetOfNumber},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_FSYNC, Jt: 2},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_FDATASYNC, Jt: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_USER_NOTIF},
	}
	fd, err := install(program)
	if err != nil {
		return nil, err
	}
	w := &watch{fd: fd}
	go w.serve()
	return w, nil
}

// set changes what happens to flushes from now on.
func (w *watch) set(delay time.Duration, errno unix.Errno) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.delay, w.errno = delay, errno
}

// flushes is how many flushes there were so far.
func (w *watch) flushes() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.asked
}

func (w *watch) serve() {
	for {
		var q question
		err := w.ioctl(seccompRecv, unsafe.Pointer(&q))
		switch {
		case err == nil:
			go w.answer(q)
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.ENOENT): // The latter: the caller was killed meanwhile.
		default:
			return
		}
	}
}

func (w *watch) answer(q question) {
	w.mu.Lock()
	w.asked++
	delay, errno := w.delay, w.errno
	w.mu.Unlock()
	time.Sleep(delay)
	r := reply{id: q.id, flags: seccompContinue}
	if errno != 0 {
		r = reply{id: q.id, errno: -int32(errno)} //nolint:gosec // Small.
	}
	_ = w.ioctl(seccompSend, unsafe.Pointer(&r)) // Fails when the caller was killed meanwhile.
}

func (w *watch) ioctl(request uintptr, arg unsafe.Pointer) error {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(w.fd), request, uintptr(arg))
	if errno != 0 {
		return os.NewSyscallError("ioctl", errno)
	}
	return nil
}
