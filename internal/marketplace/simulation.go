package marketplace

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/jackc/pgx/v5"
)

// Config says where the simulation sends its telemetry and how much of it there is.
type Config struct {
	OTLPEndpoint  string // host:port of OTLP over gRPC.
	ClickHouseURL string // http://user:password@host:port.
	Database      string // ClickHouse database.
	PostgresURL   string // postgres:// address of the ledger's database.

	Runs    int           // Runs of history to fill in.
	History time.Duration // How far back history goes.
	Rate    float64       // Live runs started each second.
	Seed    uint64        // Runs with one seed draw the same history.
	Users   int           // People in the marketplace.

	Progress io.Writer // Gets the progress.
	Live     bool      // Progress is a terminal: draw one line over and over.
}

// Simulation is a marketplace that is connected to the stores.
type Simulation struct {
	cfg      Config
	planner  *planner
	emitter  *emitter
	click    driver.Conn
	probe    *probe
	progress *progress
	before   uint64 // Executions that were stored before we began.
	emitted  uint64
}

// New connects to the stores and writes the marketplace's users and agents into the ledger's database.
func New(ctx context.Context, cfg Config) (sim *Simulation, err error) {
	agents, users := catalog(), people(cfg.Users)
	pg, err := pgx.Connect(ctx, cfg.PostgresURL)
	if err != nil {
		return nil, fmt.Errorf("connect to postgres: %w", err)
	}
	defer func() { err = errors.Join(err, pg.Close(ctx)) }()
	if err := register(ctx, pg, users, agents); err != nil {
		return nil, err
	}
	opts, err := clickhouse.ParseDSN(cfg.ClickHouseURL)
	if err != nil {
		return nil, fmt.Errorf("read clickhouse address: %w", err)
	}
	opts.Auth.Database = cfg.Database
	click, err := clickhouse.Open(opts)
	if err != nil {
		return nil, fmt.Errorf("open clickhouse: %w", err)
	}
	s := &Simulation{
		cfg: cfg, planner: newPlanner(cfg.Seed, agents, users), click: click,
		probe: newProbe(click), progress: newProgress(cfg.Progress, cfg.Live),
	}
	if err := click.QueryRow(ctx, "SELECT count() FROM AgentExecution").Scan(&s.before); err != nil {
		return nil, errors.Join(fmt.Errorf("count executions: %w", err), click.Close())
	}
	api, err := newService(ctx, "marketplace-api", cfg.OTLPEndpoint)
	if err != nil {
		return nil, errors.Join(err, click.Close())
	}
	runtime, err := newService(ctx, "agent-runtime", cfg.OTLPEndpoint)
	if err != nil {
		return nil, errors.Join(err, api.Shutdown(ctx), click.Close())
	}
	s.emitter = &emitter{api: api, runtime: runtime}
	return s, nil
}

// Close sends what is still buffered and disconnects.
func (s *Simulation) Close(ctx context.Context) error {
	s.progress.done()
	api, runtime := s.emitter.api, s.emitter.runtime
	return errors.Join(api.Shutdown(ctx), runtime.Shutdown(ctx), api.lost(), runtime.lost(), s.click.Close())
}

// flushEvery is how many runs of the history fit into the buffers: the SDK makes nobody wait, and drops what does not fit.
const flushEvery = 2000

// lateEvery says which runs of the history are late: as those of clients that were offline, they are sent after all others
// and in no order.
const lateEvery = 30

// Backfill sends the history and returns when all of it can be selected, or when ctx ends.
func (s *Simulation) Backfill(ctx context.Context) error {
	now := time.Now().UTC()
	arrivals := make([]time.Time, s.cfg.Runs)
	for i := range arrivals {
		arrivals[i] = s.planner.arrival(now.Add(-s.cfg.History), now)
	}
	slices.SortFunc(arrivals, time.Time.Compare)
	began, sent := time.Now(), 0
	send := func(r *run) error {
		s.emit(ctx, r)
		if sent++; sent%flushEvery == 0 {
			if err := s.flush(ctx); err != nil {
				return err
			}
		}
		s.progress.print("filling in the last %s: %3d %%, %d runs, %.0f runs/s", hours(s.cfg.History), 100*sent/len(arrivals), sent, float64(sent)/time.Since(began).Seconds())
		return nil
	}
	var late []*run
	for i, at := range arrivals {
		if ctx.Err() != nil {
			break
		}
		r := s.planner.plan(at)
		switch {
		case r.end().After(now):
		case i%lateEvery == lateEvery-1:
			late = append(late, r)
		default:
			if err := send(r); err != nil {
				return err
			}
		}
	}
	s.planner.rng.Shuffle(len(late), func(i, j int) { late[i], late[j] = late[j], late[i] })
	for _, r := range late {
		if ctx.Err() != nil {
			break
		}
		if err := send(r); err != nil {
			return err
		}
	}
	if err := s.flush(ctx); err != nil {
		return err
	}
	return s.awaitStored(ctx)
}

// emit sends a run and counts the rows of AgentExecution that must come of it.
func (s *Simulation) emit(ctx context.Context, r *run) {
	s.emitter.emit(context.WithoutCancel(ctx), r)
	s.emitted += countRuns(r)
}

func countRuns(r *run) uint64 {
	n := uint64(1)
	for i := range r.steps {
		if c := r.steps[i].child; c != nil {
			n += countRuns(c)
		}
	}
	return n
}

func (s *Simulation) flush(ctx context.Context) error {
	if err := errors.Join(s.emitter.api.flush(ctx), s.emitter.runtime.flush(ctx)); err != nil && ctx.Err() == nil {
		return fmt.Errorf("flush telemetry: %w", err)
	}
	return nil
}

// awaitStored waits until every run that was sent can be selected.
func (s *Simulation) awaitStored(ctx context.Context) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		var n uint64
		if err := s.click.QueryRow(ctx, "SELECT count() FROM AgentExecution").Scan(&n); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("count executions: %w", err)
		}
		if n-s.before >= s.emitted {
			return nil
		}
		s.progress.print("waiting for %d of %d runs to be stored", s.emitted-(n-s.before), s.emitted)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// RunLive starts runs at the configured rate until ctx ends, sends each when it has ended, and measures how long it
// takes until it can be selected.
func (s *Simulation) RunLive(ctx context.Context) error {
	var probing sync.WaitGroup
	probeCtx, stopProbe := context.WithCancel(ctx)
	probing.Go(func() { s.probe.run(probeCtx) })
	defer func() { stopProbe(); probing.Wait() }()

	var running runHeap
	next := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return s.flush(context.WithoutCancel(ctx))
		case <-timer.C:
		}
		now := time.Now().UTC()
		for !next.After(now) {
			heap.Push(&running, s.planner.plan(next.UTC()))
			next = next.Add(time.Duration(s.planner.rng.ExpFloat64() / s.cfg.Rate * float64(time.Second)))
		}
		for len(running) > 0 && !running[0].end().Add(5*time.Millisecond).After(now) {
			r := heap.Pop(&running).(*run)
			s.emit(ctx, r)
			s.probe.watch(r.id, r.end())
		}
		wake := next
		if len(running) > 0 && running[0].end().Before(wake) {
			wake = running[0].end().Add(5 * time.Millisecond)
		}
		timer.Reset(max(time.Until(wake), time.Millisecond))
		if stats := s.probe.latency(); stats.count > 0 {
			s.progress.print("live: %d runs going on, %d ended, selectable %d ms after their end (median), p99 %d ms", len(running), stats.count, stats.p50.Milliseconds(), stats.p99.Milliseconds())
		} else {
			s.progress.print("live: %d runs going on", len(running))
		}
	}
}

// runHeap orders running runs by their end.
type runHeap []*run

func (h runHeap) Len() int           { return len(h) }
func (h runHeap) Less(i, j int) bool { return h[i].end().Before(h[j].end()) }
func (h runHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *runHeap) Push(x any)        { *h = append(*h, x.(*run)) }
func (h *runHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

func hours(d time.Duration) string { return fmt.Sprintf("%.0f h", d.Hours()) }
