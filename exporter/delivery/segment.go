package delivery

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/agenttrail/agenttrail/exporter/journal"
)

// segment is a closed segment of the journal on its way to ClickHouse.
type segment struct {
	w *Writer
	j *journal.Segment

	// What it holds of each table. They are set before it is fed and not changed then.
	tables []string
	totals map[string]extent
	// unreadable records keep its file from being removed.
	unreadable atomic.Bool

	mu      sync.Mutex
	records *held // nil if they are not in memory.
	left    int   // Tables that are not done.
	done    []string
	since   time.Time // When the first of them was done.

	progress sync.Mutex // Held while the progress is made durable.
	removed  bool

	reading sync.Mutex // Held while the file is read.
}

// extent is how much there is of something.
type extent struct{ rows, bytes int }

func newSegment(w *Writer, j *journal.Segment) *segment {
	return &segment{w: w, j: j, totals: map[string]extent{}}
}

func (s *segment) count(table string, rows, bytes int) {
	e, ok := s.totals[table]
	if !ok {
		s.tables = append(s.tables, table)
	}
	s.totals[table] = extent{e.rows + rows, e.bytes + bytes}
}

// token is the deduplication token of a range of records. It never changes its meaning: a range of a closed segment
// always has the same rows.
func (s *segment) token(table string, r journal.Range) string {
	token := s.j.Token(table)
	if r == s.all() {
		return token
	}
	return token + "/" + strconv.Itoa(r.From) + "-" + strconv.Itoa(r.To)
}

func (s *segment) all() journal.Range { return journal.Range{From: 0, To: s.j.Len()} }

// spill lets go of the rows in memory. They are read back from the file when they are needed.
func (s *segment) spill() {
	s.mu.Lock()
	records := s.records
	s.records = nil
	s.mu.Unlock()
	s.w.loader.forget(s)
	s.j.Spill()
	if records != nil {
		records.release()
	}
}

// hold keeps records in memory.
func (s *segment) hold(records *held) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records = records
}

// inMemory returns a share of the records, to be released; nil if they are not in memory.
func (s *segment) inMemory() *held {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.records == nil {
		return nil
	}
	return s.records.share()
}

// ranges returns the ranges of records that are sent as one block each. Every range with rows that are not stored is
// among them.
func (s *segment) ranges(ctx context.Context, table string) ([]journal.Range, error) {
	if split := s.j.Progress().Split[table]; len(split) > 0 {
		return split, nil
	}
	ranges, err := s.plan(table)
	if err != nil {
		return nil, err
	}
	if len(ranges) > 1 {
		return ranges, s.split(ctx, table, ranges)
	}
	return ranges, nil
}

// plan cuts the rows of a table into blocks. It is one block, unless a single request was too large for one.
//
// Only what ClickHouse itself would cut is cut of a recovered segment: the limits in the settings may have been others
// when it was written, and one that was sent may have been sent as a whole.
func (s *segment) plan(table string) ([]journal.Range, error) {
	limit := extent{s.w.set.MaxBlockRows, s.w.set.MaxBlockBytes}
	if s.j.Recovered() {
		limit = extent{LimitBlockRows - 1, LimitBlockBytes}
	}
	total := s.totals[table]
	if total.rows <= limit.rows && total.bytes <= limit.bytes {
		return []journal.Range{s.all()}, nil
	}
	extents, err := s.extents(table)
	if err != nil {
		return nil, err
	}
	var ranges []journal.Range
	r, sum := journal.Range{}, extent{}
	for i, e := range extents {
		if sum.rows > 0 && e.rows > 0 && (sum.rows+e.rows > limit.rows || sum.bytes+e.bytes > limit.bytes) {
			ranges = append(ranges, r)
			r, sum = journal.Range{From: i}, extent{}
		}
		r.To = i + 1
		sum = extent{sum.rows + e.rows, sum.bytes + e.bytes}
	}
	return append(ranges, r), nil
}

// extents returns what every record has of a table.
func (s *segment) extents(table string) ([]extent, error) {
	extents := make([]extent, s.j.Len())
	return extents, s.each(func(i int, name string, rows, bytes int) {
		if name == table {
			extents[i] = extent{rows, bytes}
		}
	})
}

// split makes it durable how the rows of a table are cut, before any of the pieces is sent: a later run must send the
// same pieces.
func (s *segment) split(ctx context.Context, table string, ranges []journal.Range) error {
	s.progress.Lock()
	defer s.progress.Unlock()
	p := s.j.Progress()
	if p.Split == nil {
		p.Split = map[string][]journal.Range{}
	}
	p.Split[table] = ranges
	if err := s.j.SetProgress(ctx, p); err != nil {
		return fmt.Errorf("keep how a block is split: %w", err)
	}
	return nil
}

// halve makes two ranges of one.
func (s *segment) halve(ctx context.Context, table string, r journal.Range) (left, right journal.Range, err error) {
	ranges := slices.Clone(s.j.Progress().Split[table])
	if len(ranges) == 0 {
		ranges = []journal.Range{s.all()}
	}
	i := slices.Index(ranges, r)
	if i < 0 {
		panic(fmt.Sprintf("BUG: %s has no range %v to be split", s.token(table, s.all()), r))
	}
	middle := r.From + (r.To-r.From)/2
	left, right = journal.Range{From: r.From, To: middle}, journal.Range{From: middle, To: r.To}
	return left, right, s.split(ctx, table, slices.Replace(ranges, i, i+1, left, right))
}

// finish notes that a table is done.
func (s *segment) finish(table string) {
	s.mu.Lock()
	s.done = append(s.done, table)
	s.left--
	last := s.left == 0
	if s.since.IsZero() {
		s.since = time.Now()
	}
	s.w.keeper.done(s, last)
	s.mu.Unlock()
	if last {
		s.spill()
	}
}
