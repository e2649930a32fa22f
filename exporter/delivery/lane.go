package delivery

import (
	"sync"

	"github.com/agenttrail/agenttrail/exporter/column"
)

// lanes has one queue per table, so that a table that takes no rows holds up only itself.
type lanes struct {
	w       *Writer
	changed chan struct{} // Has a value when a block is done.

	mu     sync.Mutex
	lanes  map[string]*lane
	closed bool
	work   sync.WaitGroup
}

// lane is the blocks of one table, in order. Settings.Senders of them are in flight.
type lane struct {
	all   *lanes
	table string

	arrived *sync.Cond // A block was queued, or the lanes are closed. Its lock is that of all lanes.
	waiting []*segment
	busy    int
}

func newLanes(w *Writer) *lanes {
	return &lanes{w: w, changed: make(chan struct{}, 1), lanes: map[string]*lane{}}
}

// push queues the rows of a segment in a table.
func (l *lanes) push(table string, s *segment) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	ln := l.lanes[table]
	if ln == nil {
		ln = &lane{all: l, table: table, arrived: sync.NewCond(&l.mu)}
		l.lanes[table] = ln
		for range l.w.set.Senders {
			l.work.Go(ln.send)
		}
	}
	ln.waiting = append(ln.waiting, s)
	ln.arrived.Signal()
}

// send is the loop of a sender.
func (ln *lane) send() {
	l := ln.all
	for {
		l.mu.Lock()
		for len(ln.waiting) == 0 && !l.closed {
			ln.arrived.Wait()
		}
		if l.closed {
			l.mu.Unlock()
			return
		}
		s := ln.waiting[0]
		ln.waiting[0] = nil
		ln.waiting = ln.waiting[1:]
		ln.busy++
		l.mu.Unlock()

		err := s.store(l.w.life, ln.table)

		l.mu.Lock()
		ln.busy--
		l.mu.Unlock()
		if err == nil {
			s.finish(ln.table)
		}
		signal(l.changed)
	}
}

// close lets the senders end. Blocks that wait are not sent.
func (l *lanes) close() {
	l.mu.Lock()
	l.closed = true
	for _, ln := range l.lanes {
		ln.arrived.Broadcast()
	}
	l.mu.Unlock()
	l.work.Wait()
}

// idle reports whether all tables in has that take rows have fewer than n blocks to be stored, so that another block
// would not wait. broken reports whether there is one among them that takes no rows.
func (l *lanes) idle(has [column.TableCount]bool, n int) (idle, broken bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for t := range column.TableCount {
		switch ln := l.lanes[t.String()]; {
		case !has[t]:
		case l.w.health.failing(t.String()):
			broken = true
		case ln != nil && len(ln.waiting)+ln.busy >= n:
			return false, false
		default:
			idle = true
		}
	}
	return idle, broken
}

// left returns the tables with blocks that are not stored.
func (l *lanes) left() (tables []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for table, ln := range l.lanes {
		if len(ln.waiting)+ln.busy > 0 {
			tables = append(tables, table)
		}
	}
	return tables
}

// inFlight returns how many blocks are on their way.
func (l *lanes) inFlight() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, ln := range l.lanes {
		n += ln.busy
	}
	return n
}

// count returns how many blocks are not stored.
func (l *lanes) count() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, ln := range l.lanes {
		n += len(ln.waiting) + ln.busy
	}
	return n
}
