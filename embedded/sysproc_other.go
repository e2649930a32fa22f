//go:build unix && !linux

package embedded

import (
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// sysProcAttr gives the child a process group of its own, so that a Ctrl-C in the terminal reaches only the parent,
// and the privileges it is to have. This system sends no signal when a parent dies.
func sysProcAttr(priv privilege, _ syscall.Signal) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true}
	if priv.mode == privilegeAccount {
		attr.Credential = &syscall.Credential{Uid: uint32(priv.uid), Gid: uint32(priv.gid)} //nolint:gosec // Ids.
	}
	return attr
}

// processesIn returns the process that pidFile names, if its command line names dir.
func processesIn(dir, pidFile string) ([]int, error) {
	raw, err := os.ReadFile(pidFile) //nolint:gosec // Below the data folder.
	if err != nil {
		return nil, nil //nolint:nilerr // No file, no process.
	}
	line, _, _ := strings.Cut(string(raw), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || pid <= 1 || pid == os.Getpid() {
		return nil, nil //nolint:nilerr // An unfinished file is of a process that never was.
	}
	out, err := exec.Command("ps", "-p", strconv.Itoa(pid), "-o", "command=").Output() //nolint:gosec,noctx // A number.
	if err != nil || !strings.Contains(string(out), dir) {
		return nil, nil //nolint:nilerr // Gone, or given to somebody else.
	}
	return []int{pid}, nil
}

// alive tells whether a process exists.
func alive(pid int) bool { return !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

// forgetPidFile does nothing: only the process that the file names is known here, not what that has left behind, so
// Postgres is to judge.
func forgetPidFile(string) error { return nil }
