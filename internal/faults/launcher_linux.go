package faults

import (
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// launcher starts processes from a thread of its own, whose restrictions they inherit: they end with the runner, they
// cannot overrule the modes of files even as root, and some of their system calls are watched.
type launcher struct {
	calls   chan func()
	ownTime bool  // Whether processes ask the kernel for the time, so that the question can be watched.
	why     error // Why the kernel refuses to watch, nil when it does not.
}

// newLauncher makes a launcher whose processes ask decide about some system calls.
func newLauncher(calls []watched, decide func(*question) reply) (*launcher, error) {
	l := &launcher{calls: make(chan func())}
	ready := make(chan error)
	go func() {
		// Never unlocked: the thread ends with the goroutine, and no other goroutine gets to run on it.
		runtime.LockOSThread()
		ready <- l.restrict(calls, decide)
		for call := range l.calls {
			call()
		}
	}()
	return l, <-ready
}

// start starts cmd from the launcher's thread.
func (l *launcher) start(cmd *exec.Cmd) error {
	started := make(chan error)
	l.calls <- func() {
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Ptrace: l.ownTime}
		err := cmd.Start()
		if err == nil && l.ownTime {
			err = hideVDSO(cmd.Process.Pid)
		}
		started <- err
	}
	return <-started
}

func (l *launcher) restrict(calls []watched, decide func(*question) reply) error {
	for _, capability := range []uintptr{unix.CAP_DAC_OVERRIDE, unix.CAP_DAC_READ_SEARCH} {
		// Who has none of it, and no right to give it up, is an ordinary user.
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, capability, 0, 0, 0); err != nil && !errors.Is(err, unix.EPERM) {
			return fmt.Errorf("give up the right to overrule modes: %w", err)
		}
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("give up new privileges: %w", err)
	}
	l.why = watch(calls, decide)
	return nil
}

// install adds a filter to the calling thread that asks about the system calls of the program, and returns the file
// to read the questions from.
func install(program []unix.SockFilter) (int, error) {
	const killableWait = 1 << 5                                            // SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]} //nolint:gosec // A handful.
	fd, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
		unix.SECCOMP_FILTER_FLAG_NEW_LISTENER|killableWait, uintptr(unsafe.Pointer(&prog)))
	runtime.KeepAlive(program)
	if errno != 0 {
		return 0, fmt.Errorf("install system call filter: %w", errno)
	}
	unix.CloseOnExec(int(fd))
	return int(fd), nil
}
