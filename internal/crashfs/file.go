package crashfs

import (
	"bytes"
	"errors"
	"io"
	iofs "io/fs"
	"math/rand/v2"
	"slices"
	"syscall"
)

// Sector is what is written as a whole or not at all, in bytes.
const Sector = 512

type inode struct {
	cache []byte // What is read.
	disk  []byte // What is durable.
	// What a Sync that failed left: the sectors of disk differ from cache, but Sync takes them for clean.
	lost map[int]bool
}

// sync makes the content durable, but for sectors that were lost and not written since.
func (in *inode) sync() {
	disk := slices.Clone(in.cache)
	for s := range in.lost {
		lo, hi := s*Sector, min((s+1)*Sector, len(disk))
		if lo >= hi {
			continue
		}
		clear(disk[lo:hi])
		if lo < len(in.disk) {
			copy(disk[lo:hi], in.disk[lo:])
		}
	}
	in.disk = disk
}

// lose marks what is not durable as clean.
func (in *inode) lose() {
	if in.lost == nil {
		in.lost = map[int]bool{}
	}
	for s := 0; s*Sector < len(in.cache); s++ {
		if !bytes.Equal(part(in.cache, s), part(in.disk, s)) {
			in.lost[s] = true
		}
	}
}

func (in *inode) wrote(off, n int64) {
	for s := off / Sector; s*Sector < off+n; s++ {
		delete(in.lost, int(s))
	}
}

// crash keeps or forgets what is not durable.
func (in *inode) crash(rng *rand.Rand) {
	size := len(in.cache)
	if old := len(in.disk); size > old {
		size = old + rng.IntN(size-old+1)
	} else if rng.IntN(2) == 0 {
		size = old
	}
	keep := rng.IntN(3) // None, all, or each as it comes.
	content := make([]byte, size)
	for s := 0; s*Sector < size; s++ {
		from := in.disk
		if !in.lost[s] && (keep == 1 || keep == 2 && rng.IntN(2) == 0) {
			from = in.cache
		}
		copy(content[s*Sector:min((s+1)*Sector, size)], part(from, s))
	}
	in.cache, in.disk, in.lost = content, slices.Clone(content), nil
}

func part(b []byte, s int) []byte {
	if s*Sector >= len(b) {
		return nil
	}
	return b[s*Sector : min((s+1)*Sector, len(b))]
}

type file struct {
	fs       *FS
	in       *inode
	name     string
	epoch    int
	writable bool
	closed   bool
}

func (f *file) check(op Op) error {
	if f.closed {
		return &iofs.PathError{Op: string(op), Path: f.name, Err: iofs.ErrClosed}
	}
	return f.fs.check(op, f.name, f.epoch)
}

// ReadAt implements [io.ReaderAt].
func (f *file) ReadAt(b []byte, off int64) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.check(OpRead); err != nil {
		return 0, err
	}
	if off >= int64(len(f.in.cache)) {
		return 0, io.EOF
	}
	n := copy(b, f.in.cache[off:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// WriteAt implements [io.WriterAt].
func (f *file) WriteAt(b []byte, off int64) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.check(OpWrite); err != nil {
		return 0, err
	}
	if !f.writable {
		return 0, &iofs.PathError{Op: "write", Path: f.name, Err: syscall.EBADF}
	}
	n := int64(len(b))
	if c := f.fs.capacity; c > 0 {
		free := max(c-f.fs.used(), 0) + max(int64(len(f.in.cache))-off, 0)
		n = min(n, free)
	}
	if grown := off + n; grown > int64(len(f.in.cache)) {
		f.in.cache = append(f.in.cache, make([]byte, grown-int64(len(f.in.cache)))...)
	}
	copy(f.in.cache[off:], b[:n])
	f.in.wrote(off, n)
	if n < int64(len(b)) {
		return int(n), &iofs.PathError{Op: "write", Path: f.name, Err: syscall.ENOSPC}
	}
	return int(n), nil
}

// Truncate implements [journal.File].
func (f *file) Truncate(size int64) error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.check(OpTruncate); err != nil {
		return err
	}
	f.in.cache = f.in.cache[:size:size]
	return nil
}

// Size implements [journal.File].
func (f *file) Size() (int64, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	return int64(len(f.in.cache)), nil
}

// Sync implements [journal.File].
func (f *file) Sync() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	f.fs.syncs++
	if err := f.check(OpSync); errors.Is(err, Skip) {
		return nil
	} else if err != nil {
		if f.epoch == f.fs.epoch {
			f.in.lose()
		}
		return err
	}
	f.in.sync()
	return nil
}

// Close implements [io.Closer].
func (f *file) Close() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	f.closed = true
	return nil
}
