package journal

import (
	"time"

	"go.uber.org/zap"
)

// Compression is how the data of records is compressed.
type Compression string

// The kinds of compression.
const (
	CompressionNone Compression = "none"
	CompressionLZ4  Compression = "lz4" // Blocks of LZ4; data that does not shrink is kept as it is.
	// CompressionAuto is none until more than 1/8 of MaxBytes waits, and LZ4 then: what is removed in a moment is not
	// worth the work, and in an outage more fits.
	CompressionAuto Compression = "auto"
)

// Settings is what a [Journal] needs to know. Zero fields take the value in parentheses.
type Settings struct {
	Dir string // The folder; it is made if it does not exist.
	FS  FS     // ([OS])

	Layout         []byte        // Kept in the header of every segment, for who reads the records ([Segment.Layout]).
	Compression    Compression   // (none)
	MaxBytes       int64         // Of all segments together (10 GiB).
	Window         time.Duration // How long a hash is known after it became durable (10 min).
	WindowRequests int           // Hashes that are known at most, about (500,000).

	Logger   *zap.Logger // (none)
	Observer Observer    // (none)

	retry time.Duration // Before the first attempt to repair (50 ms); it doubles every time, up to retryMax.
}

func (s Settings) withDefaults() Settings {
	if s.FS == nil {
		s.FS = OS{}
	}
	if s.Compression == "" {
		s.Compression = CompressionNone
	}
	if s.MaxBytes <= 0 {
		s.MaxBytes = 10 << 30
	}
	if s.Window <= 0 {
		s.Window = 10 * time.Minute
	}
	if s.WindowRequests <= 0 {
		s.WindowRequests = 500_000
	}
	if s.retry == 0 {
		s.retry = retryInitial
	}
	if s.Logger == nil {
		s.Logger = zap.NewNop()
	}
	if s.Observer == nil {
		s.Observer = noObserver{}
	}
	return s
}

// Observer is told what a [Journal] does, for metrics. Its methods are called from several goroutines and must not
// call the journal.
type Observer interface {
	// Committed is called for every group of requests that became durable, with its bytes on disk and the time that
	// fdatasync took.
	Committed(requests, bytes int, fsync time.Duration)
	// Failed is called for every group of requests that did not become durable.
	Failed(requests int, reason Reason)
	// Duplicate is called for every request that was durable already.
	Duplicate()
	// Damaged is called for everything that [Open] and [Segment.Each] cannot read.
	Damaged(d Damage)
}

type noObserver struct{}

func (noObserver) Committed(int, int, time.Duration) {}
func (noObserver) Failed(int, Reason)                {}
func (noObserver) Duplicate()                        {}
func (noObserver) Damaged(Damage)                    {}
