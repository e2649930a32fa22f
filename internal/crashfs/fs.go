// Package crashfs is a file system in memory for tests of what survives a crash.
//
// Only what was synced is sure to survive [FS.Crash]: of the content of a file each sector that was not synced keeps
// its new bytes or its old ones, the size is the new one, the old one or between, and each change of a name that was
// not followed by SyncDir happened or did not. Faults can be injected: a full disk, a read-only one, errors of any
// operation. After an error of Sync the file's content counts as clean although it is not durable, as Linux has it.
//
// Handles and locks of before a crash are dead.
package crashfs

import (
	"errors"
	"io"
	iofs "io/fs"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/agenttrail/agenttrail/exporter/journal"
)

// Op is an operation that a fault can be injected into.
type Op string

// The operations.
const (
	OpCreate   Op = "create"
	OpOpen     Op = "open"
	OpRead     Op = "read"
	OpWrite    Op = "write"
	OpTruncate Op = "truncate"
	OpSync     Op = "sync"
	OpSyncDir  Op = "syncdir"
	OpRename   Op = "rename"
	OpRemove   Op = "remove"
)

// Skip is an error that a fault function returns so that the operation does nothing and says that it did.
var Skip = errors.New("skip") //nolint:staticcheck,revive // No error of an operation, as fs.SkipDir.

// FS implements [journal.FS].
type FS struct {
	mu       sync.Mutex
	names    map[string]*inode
	durable  map[string]*inode
	changes  []change // Of names, not durable.
	dirs     map[string]bool
	locks    map[string]bool
	epoch    int
	capacity int64 // Of all files in bytes; 0 is unlimited.
	readOnly bool
	fault    func(op Op, name string) error
	syncs    int
}

// change is one step: all of its names change or none.
type change struct {
	dir  string
	sets map[string]*inode // nil removes.
}

// New returns an empty file system.
func New() *FS {
	return &FS{names: map[string]*inode{}, durable: map[string]*inode{}, dirs: map[string]bool{}, locks: map[string]bool{}}
}

// SetCapacity limits the bytes of all files; 0 takes the limit away. A write that does not fit is done in part.
func (fs *FS) SetCapacity(bytes int64) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.capacity = bytes
}

// SetReadOnly makes every change fail.
func (fs *FS) SetReadOnly(on bool) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.readOnly = on
}

// SetFault sets a function that is asked before every operation; what it returns is what the operation returns. It is
// called one at a time. It may block, for an operation that is slow.
func (fs *FS) SetFault(fault func(op Op, name string) error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.fault = fault
}

// Syncs returns how often Sync was called.
func (fs *FS) Syncs() int {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return fs.syncs
}

// Used returns the bytes of all files.
func (fs *FS) Used() int64 {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return fs.used()
}

func (fs *FS) used() (n int64) {
	for _, in := range fs.names {
		n += int64(len(in.cache))
	}
	return n
}

// Crash is a loss of power: what was not synced is kept or forgotten as rng has it. Faults are over.
func (fs *FS) Crash(rng *rand.Rand) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.restart()
	for _, c := range fs.changes {
		if rng.IntN(2) == 0 {
			c.apply(fs.durable)
		}
	}
	fs.changes = nil
	fs.names = map[string]*inode{}
	for _, name := range sorted(fs.durable) {
		in := fs.durable[name]
		in.crash(rng)
		fs.names[name] = in
	}
}

// Kill is the death of the process: everything written is still there. Faults are over.
func (fs *FS) Kill() {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.restart()
}

func (fs *FS) restart() {
	fs.epoch++
	fs.locks = map[string]bool{}
	fs.fault, fs.readOnly, fs.capacity = nil, false, 0
}

// Copy returns a file system in the same state, without faults, handles and locks.
func (fs *FS) Copy() *FS {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	to := New()
	inodes := map[*inode]*inode{nil: nil}
	clone := func(in *inode) *inode {
		if _, ok := inodes[in]; !ok {
			inodes[in] = &inode{cache: slices.Clone(in.cache), disk: slices.Clone(in.disk), lost: maps.Clone(in.lost)}
		}
		return inodes[in]
	}
	for name, in := range fs.names {
		to.names[name] = clone(in)
	}
	for name, in := range fs.durable {
		to.durable[name] = clone(in)
	}
	for _, c := range fs.changes {
		sets := map[string]*inode{}
		for name, in := range c.sets {
			sets[name] = clone(in)
		}
		to.changes = append(to.changes, change{c.dir, sets})
	}
	maps.Copy(to.dirs, fs.dirs)
	return to
}

// Files returns the content of all files.
func (fs *FS) Files() map[string][]byte {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	files := map[string][]byte{}
	for name, in := range fs.names {
		files[name] = slices.Clone(in.cache)
	}
	return files
}

// From returns a file system that holds these files, durably.
func From(files map[string][]byte) *FS {
	fs := New()
	for name, content := range files {
		in := &inode{cache: slices.Clone(content), disk: slices.Clone(content)}
		fs.names[name], fs.durable[name] = in, in
		fs.dirs[filepath.Dir(name)] = true
	}
	return fs
}

// check asks for a fault; mu is held, and not while asking.
func (fs *FS) check(op Op, name string, epoch int) error {
	if fault := fs.fault; fault != nil {
		fs.mu.Unlock()
		err := fault(op, name)
		fs.mu.Lock()
		if err != nil {
			return &iofs.PathError{Op: string(op), Path: name, Err: err}
		}
	}
	if epoch != fs.epoch {
		return &iofs.PathError{Op: string(op), Path: name, Err: iofs.ErrClosed}
	}
	if fs.readOnly && op != OpOpen && op != OpRead && op != OpSync && op != OpSyncDir {
		return &iofs.PathError{Op: string(op), Path: name, Err: syscall.EROFS}
	}
	return nil
}

// MkdirAll implements [journal.FS]. Folders are durable at once.
func (fs *FS) MkdirAll(dir string) error {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.dirs[dir] = true
	return nil
}

// Create implements [journal.FS].
func (fs *FS) Create(name string) (journal.File, error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if err := fs.check(OpCreate, name, fs.epoch); err != nil {
		return nil, err
	}
	in := fs.names[name]
	if in == nil {
		in = &inode{}
		fs.change(filepath.Dir(name), map[string]*inode{name: in})
	}
	in.cache = nil
	return &file{fs: fs, in: in, name: name, epoch: fs.epoch, writable: true}, nil
}

// Open implements [journal.FS].
func (fs *FS) Open(name string) (journal.File, error) { return fs.open(name, false) }

// OpenWrite implements [journal.FS].
func (fs *FS) OpenWrite(name string) (journal.File, error) { return fs.open(name, true) }

func (fs *FS) open(name string, writable bool) (journal.File, error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if err := fs.check(OpOpen, name, fs.epoch); err != nil {
		return nil, err
	}
	in := fs.names[name]
	if in == nil {
		return nil, &iofs.PathError{Op: "open", Path: name, Err: iofs.ErrNotExist}
	}
	return &file{fs: fs, in: in, name: name, epoch: fs.epoch, writable: writable}, nil
}

func (fs *FS) change(dir string, sets map[string]*inode) {
	c := change{dir, sets}
	c.apply(fs.names)
	fs.changes = append(fs.changes, c)
}

func (c change) apply(names map[string]*inode) {
	for name, in := range c.sets {
		if in == nil {
			delete(names, name)
		} else {
			names[name] = in
		}
	}
}

// Rename implements [journal.FS]; both names are in one folder.
func (fs *FS) Rename(from, to string) error {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if err := fs.check(OpRename, from, fs.epoch); err != nil {
		return err
	}
	in := fs.names[from]
	if in == nil {
		return &iofs.PathError{Op: "rename", Path: from, Err: iofs.ErrNotExist}
	}
	fs.change(filepath.Dir(to), map[string]*inode{from: nil, to: in})
	return nil
}

// Remove implements [journal.FS].
func (fs *FS) Remove(name string) error {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if err := fs.check(OpRemove, name, fs.epoch); err != nil {
		return err
	}
	if fs.names[name] == nil {
		return &iofs.PathError{Op: "remove", Path: name, Err: iofs.ErrNotExist}
	}
	fs.change(filepath.Dir(name), map[string]*inode{name: nil})
	return nil
}

// ReadDir implements [journal.FS].
func (fs *FS) ReadDir(dir string) ([]string, error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if !fs.dirs[dir] {
		return nil, &iofs.PathError{Op: "readdir", Path: dir, Err: iofs.ErrNotExist}
	}
	var names []string
	for _, name := range sorted(fs.names) {
		if rest, ok := strings.CutPrefix(name, dir+"/"); ok && !strings.Contains(rest, "/") {
			names = append(names, rest)
		}
	}
	return names, nil
}

// SyncDir implements [journal.FS].
func (fs *FS) SyncDir(dir string) error {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if err := fs.check(OpSyncDir, dir, fs.epoch); err != nil {
		return err
	}
	rest := fs.changes[:0:0]
	for _, c := range fs.changes {
		if c.dir == dir {
			c.apply(fs.durable)
		} else {
			rest = append(rest, c)
		}
	}
	fs.changes = rest
	return nil
}

// Lock implements [journal.FS].
func (fs *FS) Lock(name string) (io.Closer, error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.locks[name] {
		return nil, journal.ErrLocked
	}
	fs.locks[name] = true
	return &lock{fs, name, fs.epoch}, nil
}

type lock struct {
	fs    *FS
	name  string
	epoch int
}

// Close ends the lock.
func (l *lock) Close() error {
	l.fs.mu.Lock()
	defer l.fs.mu.Unlock()
	if l.epoch != l.fs.epoch {
		return errors.New("the lock ended with the crash")
	}
	delete(l.fs.locks, l.name)
	return nil
}

func sorted(m map[string]*inode) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
