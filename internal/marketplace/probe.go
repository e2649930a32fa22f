package marketplace

import (
	"context"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// probe measures the time from the end of a run to the moment when its row can be selected, by asking for it over
// and over. The answer includes the wait of the emitter's batch, the collector, the insert and the asking itself.
type probe struct {
	click driver.Conn

	mu      sync.Mutex
	waiting map[string]time.Time // End of the run by its id.
	seen    []time.Duration
	stop    func() // nil until it asks.
}

const (
	probeInterval = 25 * time.Millisecond
	probeBatch    = 500
	overdueAfter  = 5 * time.Second
)

func newProbe(click driver.Conn) *probe {
	return &probe{click: click, waiting: map[string]time.Time{}}
}

func (p *probe) watch(id string, end time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting[id] = end
}

// start begins to ask. It goes on until close, also while nothing is emitted any more: the last runs become selectable then.
func (p *probe) start(ctx context.Context) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stop != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var asking sync.WaitGroup
	asking.Go(func() { p.run(ctx) })
	p.stop = func() { cancel(); asking.Wait() }
}

// close ends the asking.
func (p *probe) close() {
	p.mu.Lock()
	stop := p.stop
	p.mu.Unlock()
	if stop != nil {
		stop()
	}
}

// settle waits until all runs that have ended are selectable, but not for long.
func (p *probe) settle(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, overdueAfter)
	defer cancel()
	tick := time.NewTicker(probeInterval)
	defer tick.Stop()
	for {
		p.mu.Lock()
		waits := p.stop != nil && len(p.waiting) > 0
		p.mu.Unlock()
		if !waits {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (p *probe) run(ctx context.Context) {
	tick := time.NewTicker(probeInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			p.ask(ctx)
		}
	}
}

func (p *probe) ask(ctx context.Context) {
	p.mu.Lock()
	ids, oldest := make([]string, 0, len(p.waiting)), time.Now()
	for id, end := range p.waiting {
		if len(ids) == probeBatch {
			break
		}
		ids = append(ids, id)
		if end.Before(oldest) {
			oldest = end
		}
	}
	p.mu.Unlock()
	if len(ids) == 0 {
		return
	}
	rows, err := p.click.Query(ctx, "SELECT id FROM AgentExecution WHERE startedAt > ? AND id IN (?)", oldest.Add(-time.Minute), ids)
	if err != nil {
		return // The next tick asks again; a run that is never seen shows as waiting.
	}
	defer rows.Close()
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	for rows.Next() {
		var id string
		if rows.Scan(&id) != nil {
			return
		}
		if end, ok := p.waiting[id]; ok {
			p.seen = append(p.seen, now.Sub(end))
			delete(p.waiting, id)
		}
	}
}

// latencyStats sums up the probe's measurements.
type latencyStats struct {
	count         int
	overdue       int // Ended longer than overdueAfter ago and not selectable yet.
	p50, p99, max time.Duration
}

// overdue counts the runs that are. mu is held.
func (p *probe) overdue() (n int) {
	for _, end := range p.waiting {
		if time.Since(end) > overdueAfter {
			n++
		}
	}
	return n
}

func (p *probe) latency() latencyStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	stats := latencyStats{count: len(p.seen), overdue: p.overdue()}
	if len(p.seen) == 0 {
		return stats
	}
	sorted := slices.Clone(p.seen)
	slices.Sort(sorted)
	rank := func(q float64) time.Duration { return sorted[int(math.Ceil(q*float64(len(sorted))))-1] }
	stats.p50, stats.p99, stats.max = rank(0.5), rank(0.99), sorted[len(sorted)-1]
	return stats
}
