package journal

import (
	"os"
	"syscall"

	sys "golang.org/x/sys/unix"
)

// datasync leaves the times of the file alone, which saves a write.
func datasync(f *os.File) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var syncErr error
	if err := conn.Control(func(fd uintptr) {
		for {
			if syncErr = syscall.Fdatasync(int(fd)); syncErr != syscall.EINTR {
				return
			}
		}
	}); err != nil {
		return err
	}
	if syncErr != nil {
		return &os.PathError{Op: "fdatasync", Path: f.Name(), Err: syncErr}
	}
	return nil
}

// maxPieces is how many pieces the system takes at once (IOV_MAX).
const maxPieces = 1024

// WritePiecesAt implements piecesWriter.
func (f osFile) WritePiecesAt(pieces [][]byte, off int64) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var writeErr error
	if err := conn.Control(func(fd uintptr) {
		writeErr = writePieces(pieces, off, func(some [][]byte, off int64) (int, error) { return sys.Pwritev(int(fd), some, off) })
	}); err != nil {
		return err
	}
	if writeErr != nil {
		return &os.PathError{Op: "pwritev", Path: f.Name(), Err: writeErr}
	}
	return nil
}

// writePieces writes pieces by a function that may write less than it is given, as pwritev does. The pieces are
// changed.
func writePieces(pieces [][]byte, off int64, write func(some [][]byte, off int64) (int, error)) error {
	for len(pieces) > 0 {
		if len(pieces[0]) == 0 {
			pieces = pieces[1:]
			continue
		}
		n, err := write(pieces[:min(len(pieces), maxPieces)], off)
		switch {
		case err == syscall.EINTR: //nolint:errorlint // It is never wrapped.
			continue
		case err != nil:
			return err
		case n <= 0:
			return syscall.EIO
		}
		off += int64(n)
		for n > 0 && n >= len(pieces[0]) {
			n -= len(pieces[0])
			pieces = pieces[1:]
		}
		if n > 0 {
			pieces[0] = pieces[0][n:]
		}
	}
	return nil
}
