package journal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/agenttrail/agenttrail/internal/recycle"
)

const (
	segmentSuffix  = ".seg"
	progressSuffix = ".progress"
	tmpSuffix      = ".tmp"
	windowPrefix   = "window-"
	windowSuffix   = ".log"
	lockName       = "LOCK"
	reserveName    = "reserve"
	damagedDir     = "damaged"
	deadLetterDir  = "deadletter"
)

// Journal is a folder of segments. Its methods may be called from several goroutines.
//
// Locks are taken in this order: commit, spare.mu, a segment's, mu.
type Journal struct {
	s        Settings
	fs       FS
	dir      string
	run      [16]byte
	lock     io.Closer
	recovery Recovery
	number   atomic.Uint64 // Last one given out.
	behind   atomic.Bool   // Much is waiting.

	commit sync.Mutex // Held while the active file is written.
	active *active    // nil until it is needed.
	broken *breakage  // Why the active file cannot be written any more.
	last   closedFile
	group  []byte     // Reused.
	pieces [][]byte   // Reused.
	batch  []*request // Reused.

	read     recycle.Large // For readMemory.
	requests sync.Pool     // Of *request. Not of all journals: a channel stays in the bubble of its test.

	spare spare
	log   windowLog

	mu       sync.Mutex
	queue    []*request
	queued   int64
	inflight map[Hash]*request
	window   *window
	segments map[uint64]*Segment // Closed and not removed.
	bytes    int64               // Of their files and the active one.
	open     openStats
	unneeded []string // Files that could not be removed.
	closed   bool

	changed chan struct{}
	wake    chan struct{}
	stop    chan struct{}
	done    sync.WaitGroup
}

type openStats struct {
	records int
	bytes   int64
	since   time.Time
}

// Known reports whether a request is durable already.
func (j *Journal) Known(h Hash) bool {
	if h == (Hash{}) {
		return false
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.window.has(h, j.now())
}

// OpenStats returns the records of the open segment, their bytes on disk, and when the first of them became durable.
func (j *Journal) OpenStats() (records int, bytes int64, since time.Time) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.open.records, j.open.bytes, j.open.since
}

// Changed returns a channel that has a value when the open segment grew.
func (j *Journal) Changed() <-chan struct{} { return j.changed }

// Backlog returns the bytes of all segments that are not removed, when the oldest was begun (zero if there is none),
// and how many there are.
func (j *Journal) Backlog() (bytes int64, oldest time.Time, segments int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	var number uint64
	for n, s := range j.segments {
		if number == 0 || n < number {
			number, oldest = n, s.created
		}
	}
	segments = len(j.segments)
	if j.open.records > 0 {
		segments++
		if number == 0 {
			oldest = j.open.since
		}
	}
	return j.bytes, oldest, segments
}

// Close commits what waits and releases the folder. What is in segments stays there for the next run. It may be
// called again.
func (j *Journal) Close(ctx context.Context) error {
	j.mu.Lock()
	if !j.closed {
		j.closed = true
		close(j.stop)
	}
	j.mu.Unlock()
	over := make(chan error, 1)
	go func() {
		j.done.Wait()
		over <- j.closeFiles()
	}()
	select {
	case err := <-over:
		return err
	case <-ctx.Done():
		return fmt.Errorf("close journal %s: %w", j.dir, context.Cause(ctx))
	}
}

// closeFiles is called when the goroutines are gone.
func (j *Journal) closeFiles() error {
	j.commit.Lock()
	defer j.commit.Unlock()
	if j.lock == nil {
		return nil
	}
	var errs []error
	if j.active != nil {
		if j.broken == nil {
			j.active.closeMark(j.now())
		}
		errs = append(errs, j.active.finish())
		if j.active.seg.count == 0 {
			errs = append(errs, j.fs.Remove(j.segmentName(j.active.seg.Number)))
		}
		j.active = nil
	}
	j.mu.Lock()
	unneeded := j.unneeded
	j.unneeded = nil
	j.mu.Unlock()
	for _, name := range unneeded {
		j.clean(name)
	}
	errs = append(errs, j.spare.close(j), j.log.close(j), j.lock.Close())
	j.lock = nil
	if err := errors.Join(errs...); err != nil {
		return fault("close journal", err)
	}
	return nil
}

func (j *Journal) isClosed() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.closed
}

// unlink removes the files of a segment.
func (j *Journal) unlink(s *Segment) error {
	if j.isClosed() {
		return errClosed
	}
	if err := j.remove(j.segmentName(s.Number)); err != nil {
		return err
	}
	if err := j.fs.SyncDir(j.dir); err != nil {
		return err
	}
	// After the segment: without its progress a segment would be sent again.
	if err := j.remove(j.progressName(s.Number)); err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if _, ok := j.segments[s.Number]; ok {
		delete(j.segments, s.Number)
		j.grow(-s.size)
	}
	return nil
}

// remember makes hashes durable apart from their segment.
func (j *Journal) remember(hashes []Hash) error {
	if j.isClosed() {
		return errClosed
	}
	return j.withReserve(func() error { return j.log.append(j, hashes) })
}

func (j *Journal) damaged(name string, damages []Damage) {
	for _, d := range damages {
		j.s.Logger.Error("a file of the journal is damaged; what can be read of it is delivered. A copy is in "+
			filepath.Join(j.dir, damagedDir)+". Check the disk.",
			zap.String("file", d.File), zap.Int64("offset", d.Offset), zap.Int64("bytes", d.Bytes), zap.String("reason", d.Reason))
		j.s.Observer.Damaged(d)
	}
	if err := copyDamaged(j.fs, j.dir, name); err != nil {
		j.s.Logger.Warn("the damaged file cannot be copied", zap.String("file", name), zap.Error(err))
	}
}

// now is a time with a monotonic clock.
func (j *Journal) now() time.Time { return time.Now() }

func (j *Journal) segmentName(n uint64) string  { return j.name(n, segmentSuffix) }
func (j *Journal) progressName(n uint64) string { return j.name(n, progressSuffix) }

func (j *Journal) name(n uint64, suffix string) string {
	return filepath.Join(j.dir, fileName(n, suffix))
}

func fileName(n uint64, suffix string) string {
	return fmt.Sprintf("%016x%s", n, suffix)
}
