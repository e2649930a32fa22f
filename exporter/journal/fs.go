package journal

import "io"

// FS is a file system as the journal uses it. Names are full paths.
type FS interface {
	MkdirAll(dir string) error
	// Create makes an empty file, in place of one that exists, for reading and writing.
	Create(name string) (File, error)
	// Open opens a file for reading; [File.Sync] works on it.
	Open(name string) (File, error)
	// OpenWrite opens a file for reading and writing.
	OpenWrite(name string) (File, error)
	Rename(from, to string) error
	Remove(name string) error
	// ReadDir returns the names in a folder, sorted.
	ReadDir(dir string) ([]string, error)
	// SyncDir makes the names in a folder durable.
	SyncDir(dir string) error
	// Lock takes a lock that ends with Close or with the process. If somebody has it, the error is [ErrLocked].
	Lock(name string) (io.Closer, error)
}

// File is an open file.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Size() (int64, error)
	Truncate(size int64) error
	// Sync makes the content durable, and the size (fdatasync). After an error nothing is known of what was written
	// since the last Sync.
	Sync() error
}

// piecesWriter is what a [File] may have to write bytes that are not in one piece without copying them together.
type piecesWriter interface {
	// WritePiecesAt writes the pieces one behind the other.
	WritePiecesAt(pieces [][]byte, off int64) error
}
