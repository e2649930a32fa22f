package journal

import (
	"bytes"
	"errors"
	"io/fs"
	"path/filepath"
)

const reserveBytes = 512 << 10

// keepReserve sees to it that there is a file that can be given up when the disk is full. Without it a disk that is
// full of segments could not be emptied, because to remove one its hashes are written first.
func (j *Journal) keepReserve() {
	name := filepath.Join(j.dir, reserveName)
	if f, err := j.fs.Open(name); err == nil {
		size, err := f.Size()
		_ = f.Close() // It was only read.
		if err == nil && size == reserveBytes {
			return
		}
	}
	// Not zeros: some file systems do not store these.
	if err := writeFile(j.fs, name, bytes.Repeat([]byte("agenttrail journal reserve\n"), reserveBytes/27+1)[:reserveBytes]); err != nil {
		_ = j.remove(name) // Next time.
	}
}

// withReserve calls fn, and if the disk is full once more without the reserve.
func (j *Journal) withReserve(fn func() error) error {
	err := fn()
	if err == nil || fault("", err).Reason != ReasonNoSpace {
		return err
	}
	if j.remove(filepath.Join(j.dir, reserveName)) != nil {
		return err
	}
	err = fn()
	signal(j.spare.wanted)
	return err
}

// remove removes a file; that it is not there is no error.
func (j *Journal) remove(name string) error {
	if err := j.fs.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
