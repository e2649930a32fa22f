package faults

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// flushes decides about every flush to disk of the collector.
type flushes struct {
	mu    sync.Mutex
	delay time.Duration // Before each flush.
	errno unix.Errno    // With which flushes fail; 0 lets them through.
	asked int
}

var flushCalls = []watched{{number: unix.SYS_FSYNC}, {number: unix.SYS_FDATASYNC}}

func (f *flushes) decide(*question) reply {
	f.mu.Lock()
	f.asked++
	delay, errno := f.delay, f.errno
	f.mu.Unlock()
	time.Sleep(delay)
	if errno != 0 {
		return reply{errno: -int32(errno)} //nolint:gosec // Small.
	}
	return proceed
}

// set changes what happens to flushes from now on.
func (f *flushes) set(delay time.Duration, errno unix.Errno) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.delay, f.errno = delay, errno
}

// count is how many flushes there were so far.
func (f *flushes) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked
}

// renames decides about every rename of the engine. It gives a part its name, and so makes it count, by a rename.
type renames struct {
	mu   sync.Mutex
	left int // Renames until the fatal one, which does not happen; 0 when none is.
	kill func()
}

func (n *renames) decide(*question) reply {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.left > 0 {
		if n.left--; n.left == 0 {
			n.kill()
			time.Sleep(time.Second) // It is dead long before.
		}
	}
	return proceed
}

// arm makes a rename fatal: the first, second and so on from now.
func (n *renames) arm(which int, kill func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.left, n.kill = which, kill
}
