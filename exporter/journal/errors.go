package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
)

// Reason says in one word why something did not become durable.
type Reason string

// The reasons. With all of them a later attempt may succeed; with ReasonClosed, in the next run.
const (
	ReasonFull     Reason = "full"      // Settings.MaxBytes is reached.
	ReasonNoSpace  Reason = "no_space"  // The disk or the quota is full.
	ReasonReadOnly Reason = "read_only" // The folder cannot be written to.
	ReasonIO       Reason = "io"        // Any other error of the disk.
	ReasonClosed   Reason = "closed"    // The journal is closed.
)

// Error is why something did not become durable. Its text ends with what to do.
type Error struct {
	Reason Reason
	Err    error
}

// Error implements error.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

var (
	// ErrLocked is returned by [Open] if another process, or this one, has the folder open.
	ErrLocked = errors.New("journal is in use")
	// ErrNewer is returned by [Open] if a file was written by a newer version. The file is left alone.
	ErrNewer = errors.New("journal was written by a newer version")

	errClosed = &Error{ReasonClosed, errors.New("journal is closed: send the request again")}
)

// fault makes an [Error] of what the file system said.
func fault(verb string, err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	reason, advice := ReasonIO, "see the system's log for errors of the disk"
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		reason, advice = ReasonNoSpace, "make room on the disk"
	case errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission):
		reason, advice = ReasonReadOnly, "make the folder writable for this user"
	}
	if p, ok := errors.AsType[*fs.PathError](err); ok { // An open file keeps the name that it was made under.
		err = fmt.Errorf("%s %s: %w", p.Op, strings.TrimSuffix(p.Path, tmpSuffix), p.Err)
	}
	return &Error{reason, fmt.Errorf("%s: %w: %s", verb, err, advice)}
}

// Damage is a stretch of a file that cannot be read although it was once written in full.
type Damage struct {
	File   string // With its folder.
	Offset int64  // Where it begins, in bytes.
	Bytes  int64  // How long it is.
	Reason string
}

// String says where the damage is and what it is.
func (d Damage) String() string {
	return fmt.Sprintf("%s, %d bytes at offset %d: %s", d.File, d.Bytes, d.Offset, d.Reason)
}
