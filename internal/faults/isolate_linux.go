package faults

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// ErrNoMounts says that this machine lets nobody make small file systems.
var ErrNoMounts = errors.New("no mount namespace: faults of disks are left out")

// envIsolated says that the mounts of this process are its own.
const envIsolated = "AGENTTRAIL_FAULTS_ISOLATED"

// Isolate starts the command that newCommand makes in a mount namespace of its own, so that it can make small file
// systems which vanish with it; where it is not root, within a user namespace. Where neither can be had, the command
// is started as it is, and the runner in it finds out.
func Isolate(newCommand func() *exec.Cmd) (*exec.Cmd, error) {
	attrs := []*syscall.SysProcAttr{
		{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWUSER, UidMappings: identity(os.Getuid()), GidMappings: identity(os.Getgid())},
		{},
	}
	if os.Geteuid() == 0 {
		attrs = append([]*syscall.SysProcAttr{{Cloneflags: syscall.CLONE_NEWNS}}, attrs...)
	}
	var errs error
	for _, attr := range attrs {
		cmd := newCommand()
		attr.Pdeathsig = syscall.SIGTERM
		if attr.Cloneflags != 0 {
			cmd.Env = append(cmd.Env, envIsolated+"=1")
		}
		cmd.SysProcAttr = attr
		err := cmd.Start()
		if err == nil {
			return cmd, nil
		}
		errs = errors.Join(errs, err)
	}
	return nil, fmt.Errorf("start the runner of faults: %w", errs)
}

// identity maps an account to root of the new namespace.
func identity(id int) []syscall.SysProcIDMap {
	return []syscall.SysProcIDMap{{ContainerID: 0, HostID: id, Size: 1}}
}

// volume is a file system in memory whose size can change.
type volume struct{ dir string }

// mountVolume makes a volume at dir, which must be there.
func mountVolume(dir string) (*volume, error) {
	if os.Getenv(envIsolated) == "" {
		return nil, ErrNoMounts
	}
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoMounts, err)
	}
	if err := syscall.Mount("faults", dir, "tmpfs", 0, volumeSize); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoMounts, err)
	}
	return &volume{dir: dir}, nil
}

const volumeSize = "size=4g,mode=0700"

// fill leaves room for that many bytes.
func (v *volume) fill(room int64) error {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(v.dir, &fs); err != nil {
		return fmt.Errorf("look at volume: %w", err)
	}
	used := int64(fs.Blocks-fs.Bfree) * fs.Bsize //nolint:gosec // Below 4 GiB.
	for range 20 {                               // More may be written meanwhile, and a volume does not get smaller than what it holds.
		err := syscall.Mount("faults", v.dir, "tmpfs", syscall.MS_REMOUNT, fmt.Sprintf("size=%d", max(used+room, fs.Bsize)))
		if err == nil {
			return nil
		}
		room += 64 << 10
	}
	return errors.New("make volume smaller: more is written all the time")
}

// free gives a volume its room back.
func (v *volume) free() error {
	if err := syscall.Mount("faults", v.dir, "tmpfs", syscall.MS_REMOUNT, "size=4g"); err != nil {
		return fmt.Errorf("give volume its room back: %w", err)
	}
	return nil
}
