package engine

import "syscall"

// npmAttr gives npm a process group of its own, which dies with us.
func npmAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
