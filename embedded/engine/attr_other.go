//go:build !linux

package engine

import "syscall"

// npmAttr gives npm a process group of its own.
func npmAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
