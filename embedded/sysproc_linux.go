package embedded

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// sysProcAttr gives the child a process group of its own, so that a Ctrl-C in the terminal reaches only the parent, a
// signal for the parent's death, and the privileges it is to have.
func sysProcAttr(priv privilege, onDeath syscall.Signal) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: onDeath}
	switch priv.mode {
	case privilegeNamespace:
		// In its own user namespace the child is an unprivileged account; outside it still owns root's files.
		attr.Cloneflags = syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: priv.uid, HostID: os.Geteuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: priv.gid, HostID: os.Getegid(), Size: 1}}
		attr.Credential = &syscall.Credential{Uid: uint32(priv.uid), Gid: uint32(priv.gid), NoSetGroups: true} //nolint:gosec // Ids.
	case privilegeAccount:
		attr.Credential = &syscall.Credential{Uid: uint32(priv.uid), Gid: uint32(priv.gid)} //nolint:gosec // Ids.
	case privilegeSame:
	}
	return attr
}

// processesIn returns the processes whose working folder is dir. Children of ours work in the folder of their data,
// which nobody else does, so a process id that was given out again cannot mislead us.
func processesIn(dir, _ string) ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		if cwd, err := workingFolder(pid); err != nil || cwd != dir {
			continue // gone, or somebody else's
		}
		// Only a database engine: not a shell that somebody has opened there. A process that is about to be gone
		// has no program any more, but may still hold its listener and its locks.
		exe, err := os.Readlink(procPath(pid, "exe"))
		if dying := errors.Is(err, os.ErrNotExist); !dying && (err != nil || !isEngineProgram(exe)) {
			continue
		}
		pids = append(pids, pid)
	}
	return pids, nil
}

// forgetPidFile removes the note of a Postgres of which processesIn has found nothing any more. Postgres itself only
// looks whether the process id is in use. In a container it often is: by a process that nobody asks for its end, or,
// after a restart of the container, by any other process.
func forgetPidFile(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove stale process id: %w", err)
	}
	return nil
}

// workingFolder returns the working folder of a process. While a process ends, its first thread may be gone and
// others still hold its files.
func workingFolder(pid int) (string, error) {
	cwd, err := os.Readlink(procPath(pid, "cwd"))
	if !errors.Is(err, os.ErrNotExist) {
		return cwd, err
	}
	for _, tid := range threads(pid) {
		if cwd, err := os.Readlink(procPath(pid, "task", tid, "cwd")); err == nil {
			return cwd, nil
		}
	}
	return "", err
}

// alive tells whether a process exists that has not ended yet; one that has ended may wait for its parent to ask.
func alive(pid int) bool {
	for _, tid := range threads(pid) {
		raw, err := os.ReadFile(procPath(pid, "task", tid, "stat"))
		if err != nil {
			continue
		}
		// The state follows the program name, which is in parentheses and may hold anything.
		i := bytes.LastIndexByte(raw, ')')
		if i >= 0 && i+2 < len(raw) && raw[i+2] != 'Z' && raw[i+2] != 'X' {
			return true
		}
	}
	return false
}

// threads returns the ids of the threads of a process, none if it is gone.
func threads(pid int) []string {
	entries, err := os.ReadDir(procPath(pid, "task"))
	if err != nil {
		return nil
	}
	ids := make([]string, 0, len(entries))
	for _, e := range entries {
		ids = append(ids, e.Name())
	}
	return ids
}

func procPath(pid int, elem ...string) string {
	return filepath.Join(append([]string{"/proc", strconv.Itoa(pid)}, elem...)...)
}
