package journal

import (
	"context"
	"time"
)

// Journal is a folder of segments. Its methods may be called from several goroutines.
type Journal struct{}

// Recovery is what [Open] found.
type Recovery struct {
	Segments []*Segment // To be delivered, oldest first.
	Records  int        // In them.
	Bytes    int64      // Of their files.
	Torn     int        // Files that end in what a crash left of requests that were not acknowledged.
	Damages  []Damage
}

// Open locks the folder and reads what is in it.
func Open(ctx context.Context, s Settings) (*Journal, error) { panic("BUG: not written") }

// Recovery returns what Open found.
func (j *Journal) Recovery() Recovery { panic("BUG: not written") }

// Append writes the records of one request. It returns nil when they are durable.
//
// A request whose hash is durable already is a duplicate: nothing is written. If the same hash is on its way, Append
// waits for it. If ctx is done first, the request may become durable all the same; sent again it is a duplicate.
// Every other error is an [*Error]. After an error, and of a duplicate, the Values are the caller's again.
func (j *Journal) Append(ctx context.Context, recs ...*Record) (duplicate bool, err error) {
	panic("BUG: not written")
}

// Known reports whether a request is durable already.
func (j *Journal) Known(h Hash) bool { panic("BUG: not written") }

// OpenStats returns the records of the open segment, their bytes on disk, and when the first of them became durable.
func (j *Journal) OpenStats() (records int, bytes int64, since time.Time) { panic("BUG: not written") }

// Changed returns a channel that has a value when the open segment grew.
func (j *Journal) Changed() <-chan struct{} { panic("BUG: not written") }

// Rotate closes the open segment and returns it; nil if it is empty.
func (j *Journal) Rotate(ctx context.Context) (*Segment, error) { panic("BUG: not written") }

// Backlog returns the bytes of all segments that are not removed, when the oldest was begun, and how many there are.
func (j *Journal) Backlog() (bytes int64, oldest time.Time, segments int) { panic("BUG: not written") }

// Close commits what waits and releases the folder. What is in segments stays there for the next run.
func (j *Journal) Close(ctx context.Context) error { panic("BUG: not written") }

// Segment is a closed segment.
type Segment struct {
	Number uint64   // Unique in the folder among segments that exist.
	Run    [16]byte // Random, of the run that wrote it.
}

// Token returns the deduplication token of the segment's rows of a table.
func (s *Segment) Token(table string) string { panic("BUG: not written") }

// Layout returns what [Settings.Layout] was when the segment was written.
func (s *Segment) Layout() []byte { panic("BUG: not written") }

// Records returns the records by their index, without their Data.
func (s *Segment) Records() []*Record { panic("BUG: not written") }

// Recovered reports whether an earlier run wrote the segment.
func (s *Segment) Recovered() bool { panic("BUG: not written") }

// Bytes returns the size of the file.
func (s *Segment) Bytes() int64 { panic("BUG: not written") }

// Created returns when the segment's first record became durable, of a recovered one when the file was made.
func (s *Segment) Created() time.Time { panic("BUG: not written") }

// Each reads the records back, in order, with their index. Records that cannot be read are skipped, those found
// damaged only now are reported. data is valid during the call.
func (s *Segment) Each(fn func(i int, data []byte) error) error { panic("BUG: not written") }

// Spill forgets the Values of the records.
func (s *Segment) Spill() { panic("BUG: not written") }

// Progress returns what SetProgress was told last, also by an earlier run.
func (s *Segment) Progress() Progress { panic("BUG: not written") }

// SetProgress makes the progress durable.
func (s *Segment) SetProgress(ctx context.Context, p Progress) error { panic("BUG: not written") }

// Remove forgets the segment: all of it is stored. Its hashes stay known. It may be called again after an error.
func (s *Segment) Remove(ctx context.Context) error { panic("BUG: not written") }
