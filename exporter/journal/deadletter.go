package journal

import (
	"context"
	"time"
)

// DeadLetter is a block of rows that the database rejects for its content.
type DeadLetter struct {
	Table   string    `json:"table"`
	Token   string    `json:"token"` // The deduplication token it was sent with.
	Rows    int       `json:"rows"`
	Reason  string    `json:"reason"`  // In one word.
	Code    int       `json:"code"`    // The database's own; 0 if it has none.
	Message string    `json:"message"` // The database's own.
	Created time.Time `json:"created"` // (now)
	Native  []byte    `json:"-"`       // A plain block in the format Native.
}

// DeadLetterEntry is a dead letter in its folder, without its block.
type DeadLetterEntry struct {
	Name string // For ReadDeadLetter and RemoveDeadLetter.
	DeadLetter
	Bytes int64 // Of the block.
	Err   error // Why it cannot be read.
}

// DeadLetter makes a dead letter durable. One with the same token takes the place of the older one.
func (j *Journal) DeadLetter(ctx context.Context, d DeadLetter) error { panic("BUG: not written") }

// ListDeadLetters returns the dead letters in a journal's folder, oldest first. The journal may be open.
func ListDeadLetters(dir string) ([]DeadLetterEntry, error) { panic("BUG: not written") }

// ReadDeadLetter returns one with its block.
func ReadDeadLetter(dir, name string) (DeadLetter, error) { panic("BUG: not written") }

// RemoveDeadLetter removes one for good.
func RemoveDeadLetter(dir, name string) error { panic("BUG: not written") }
