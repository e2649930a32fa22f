package delivery

import (
	"fmt"
	"sync"
	"time"

	"github.com/agenttrail/agenttrail/exporter/column"
)

// open bounds the journal's open segment, so that each table of it fits into one block. It counts the parts that may
// be in it: those on their way count from the start, since nobody knows which segment they will be in.
type open struct {
	maxRows, maxSize int
	maxBytes         int64
	changed          chan struct{} // Has a value when isFull may have become true.

	mu          sync.Mutex
	waiting     int // Requests that do not fit.
	flying      int // Requests that are not durable yet.
	parts       int
	rows, sizes [column.TableCount]int
	bytes       int64
	left        chan struct{} // Closed and replaced when parts leave.
}

func newOpen(s *Settings) *open {
	return &open{
		maxRows: s.MaxBlockRows, maxSize: s.MaxBlockBytes, maxBytes: s.segmentBytes(),
		changed: make(chan struct{}, 1), left: make(chan struct{}),
	}
}

// admit waits until the parts fit. Parts that fit into no segment are let in alone; see [segment.plan].
func (o *open) admit(parts []*part, wait time.Duration) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	var timer *time.Timer
	for o.parts > 0 && (o.reached() || !o.fits(parts)) {
		if timer == nil {
			timer = time.NewTimer(wait)
			defer timer.Stop()
			o.waiting++
			defer func() { o.waiting-- }()
		}
		signal(o.changed)
		left := o.left
		o.mu.Unlock()
		late := false
		select {
		case <-left:
		case <-timer.C:
			late = true
		}
		o.mu.Lock()
		if late {
			return comeBack(ReasonUnavailable, fmt.Errorf("wait for a new segment of the journal: there was none within %s: see whether its disk is slow or full", wait))
		}
	}
	for _, p := range parts {
		o.count(p, 1)
	}
	o.flying++
	return nil
}

// landed notes that a request that was admitted became durable or failed.
func (o *open) landed() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.flying--
	if o.full() {
		signal(o.changed)
	}
}

// isFull reports whether the segment should be closed for its size. Nothing more fits then, and nothing is on its way
// that belongs to it.
func (o *open) isFull() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.full()
}

func (o *open) full() bool { return o.flying == 0 && (o.waiting > 0 || o.reached()) }

func (o *open) reached() bool {
	for t := range column.TableCount {
		if o.rows[t] >= o.maxRows || o.sizes[t] >= o.maxSize {
			return true
		}
	}
	return o.bytes >= o.maxBytes
}

func (o *open) fits(parts []*part) bool {
	rows, sizes, bytes := o.rows, o.sizes, o.bytes
	for _, p := range parts {
		bytes += p.bytes
		for t := range column.TableCount {
			rows[t] += p.rows[t]
			sizes[t] += p.sizes[t]
		}
	}
	for t := range column.TableCount {
		if rows[t] > o.maxRows || sizes[t] > o.maxSize {
			return false
		}
	}
	return bytes <= o.maxBytes
}

func (o *open) count(p *part, sign int) {
	o.parts += sign
	o.bytes += int64(sign) * p.bytes
	for t := range column.TableCount {
		o.rows[t] += sign * p.rows[t]
		o.sizes[t] += sign * p.sizes[t]
	}
}

// leave forgets parts that are in a closed segment, or in none.
func (o *open) leave(parts []*part) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, p := range parts {
		if p != nil {
			o.count(p, -1)
		}
	}
	close(o.left)
	o.left = make(chan struct{})
}

// tables returns which tables have rows in the open segment.
func (o *open) tables() (has [column.TableCount]bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for t := range column.TableCount {
		has[t] = o.rows[t] > 0
	}
	return has
}

// signal wakes who waits for ch.
func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}
