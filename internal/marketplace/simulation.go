package marketplace

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Config says where the simulation sends its telemetry and how much of it there is.
type Config struct {
	OTLPEndpoint  string // host:port of OTLP over gRPC.
	ClickHouseURL string // http://user:password@host:port.
	Database      string // ClickHouse database.
	LedgerURL     string // http://host:port.
	LedgerKey     string // Secret of an API key with the scope admin.
	OutboxDir     string // Folder for runs that could not be settled yet.

	Runs    int           // Runs of history to fill in.
	History time.Duration // How far back history goes.
	Rate    float64       // Live runs started each second.
	Seed    uint64        // Runs with one seed draw the same history.
	Users   int           // People in the marketplace.

	Progress io.Writer // Gets the progress.
	Live     bool      // Progress is a terminal: draw one line over and over.
}

// Simulation is a marketplace that is connected to the stores and the ledger.
type Simulation struct {
	cfg         Config
	planner     *planner
	api, agents *service
	historian   *historian
	desk        *desk
	market      *market
	furnished   chan error // Has how furnishing went.
	leave       func()     // Ends furnishing.
	click       driver.Conn
	probe       *probe
	progress    *progress
	before      uint64 // Executions that were stored before we began.
	emitted     uint64
}

// New connects to the stores and to the ledger, and begins to make the marketplace's users and agents there.
func New(ctx context.Context, cfg Config) (sim *Simulation, err error) {
	agents, users := catalog(), people(cfg.Users)
	opts, err := clickhouse.ParseDSN(cfg.ClickHouseURL)
	if err != nil {
		return nil, fmt.Errorf("read clickhouse address: %w", err)
	}
	opts.Auth.Database = cfg.Database
	s := &Simulation{cfg: cfg, planner: newPlanner(cfg.Seed, agents, users), progress: newProgress(cfg.Progress, cfg.Live), furnished: make(chan error, 1)}
	defer func() {
		if err != nil {
			closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
			defer cancel()
			err = errors.Join(err, s.Close(closing))
		}
	}()
	if s.click, err = clickhouse.Open(opts); err != nil {
		return nil, fmt.Errorf("open clickhouse: %w", err)
	}
	s.probe = newProbe(s.click)
	if err := s.click.QueryRow(ctx, "SELECT count() FROM AgentExecution").Scan(&s.before); err != nil {
		return nil, fmt.Errorf("count executions: %w", err)
	}
	if s.api, err = newService(ctx, "marketplace-api", cfg.OTLPEndpoint); err != nil {
		return nil, err
	}
	if s.agents, err = newService(ctx, "agent-runtime", cfg.OTLPEndpoint); err != nil {
		return nil, err
	}
	s.historian = newHistorian(s.api, s.agents)
	if s.desk, err = openDesk(ctx, &cfg); err != nil {
		return nil, err
	}
	s.market = newMarket(s.api, s.agents, s.desk, users, agents, cfg.Seed, s.probe.watch)
	furnishing, leave := context.WithCancel(ctx)
	s.leave = leave
	go func() { s.furnished <- s.desk.furnish(furnishing, &cfg, users, agents) }() // Beside the history, which needs none of it.
	return s, nil
}

// Furnished waits until the marketplace's users and agents are in the ledger, or until ctx ends.
func (s *Simulation) Furnished(ctx context.Context) error {
	select {
	case err := <-s.furnished:
		s.furnished <- err // For who asks next.
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("furnish the marketplace: %w", err)
		}
	case <-ctx.Done():
	}
	return nil
}

// drainTime is how long runs may go on when the marketplace closes, before they are interrupted.
const drainTime = 2 * time.Second

// Finish closes the marketplace: no user comes any more, runs that are under way end or are interrupted, and all of them are
// settled, sent, and waited for as long as for any other.
func (s *Simulation) Finish(ctx context.Context) error {
	err := errors.Join(s.market.close(ctx, drainTime), s.flush(ctx))
	s.probe.settle(ctx)
	return err
}

// Close sends what is still buffered and disconnects.
func (s *Simulation) Close(ctx context.Context) error {
	s.progress.done()
	var errs []error
	if s.market != nil {
		s.leave()
		<-s.furnished // It uses the keys that are revoked now.
		errs = append(errs, s.market.close(ctx, 0))
	}
	if s.desk != nil {
		errs = append(errs, s.desk.close(ctx))
	}
	for _, service := range []*service{s.api, s.agents} {
		if service != nil {
			errs = append(errs, service.Shutdown(ctx), service.lost())
		}
	}
	if s.click != nil {
		s.probe.close()
		errs = append(errs, s.click.Close())
	}
	return errors.Join(errs...)
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
	s.historian.emit(context.WithoutCancel(ctx), r)
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
	if err := errors.Join(s.api.flush(ctx), s.agents.flush(ctx)); err != nil && ctx.Err() == nil {
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

// RunLive lets users ask for runs at the configured rate until ctx ends, and measures how long it takes until a run that has
// ended can be selected. Runs that are under way go on; see Finish.
func (s *Simulation) RunLive(ctx context.Context) error {
	if err := s.Furnished(ctx); err != nil || ctx.Err() != nil {
		return err
	}
	if err := s.market.open(ctx); err != nil {
		return err
	}
	s.probe.start(ctx)
	next := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		for now := time.Now(); !next.After(now); {
			s.market.arrive(ctx, s.planner.plan(next.UTC()))
			next = next.Add(time.Duration(s.planner.rng.ExpFloat64() / s.cfg.Rate * float64(time.Second)))
		}
		timer.Reset(max(min(time.Until(next), 100*time.Millisecond), time.Millisecond))
		under := s.market.underWay.Load()
		if stats := s.probe.latency(); stats.count > 0 {
			s.progress.print("live: %d runs going on, %d ended, selectable %d ms after their end (median), p99 %d ms", under, stats.count, stats.p50.Milliseconds(), stats.p99.Milliseconds())
		} else {
			s.progress.print("live: %d runs going on", under)
		}
	}
}

func hours(d time.Duration) string { return fmt.Sprintf("%.0f h", d.Hours()) }
