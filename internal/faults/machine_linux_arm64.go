package faults

import "golang.org/x/sys/unix"

// renameCalls are all calls that rename.
var renameCalls = []watched{{number: unix.SYS_RENAMEAT}, {number: unix.SYS_RENAMEAT2}}

func stackOf(r *unix.PtraceRegs) uintptr { return uintptr(r.Sp) }
