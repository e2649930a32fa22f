package agenttrailexporter

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/exporter"
	"go.uber.org/zap"

	"github.com/agenttrail/agenttrail/exporter/delivery"
	"github.com/agenttrail/agenttrail/exporter/direct"
	"github.com/agenttrail/agenttrail/exporter/journal"
	"github.com/agenttrail/agenttrail/exporter/mapping"
	"github.com/agenttrail/agenttrail/exporter/record"
	"github.com/agenttrail/agenttrail/schema/prices"
)

// agentExporter maps requests to rows and hands them to the writer.
type agentExporter struct {
	cfg       *Config
	set       exporter.Settings
	logger    *zap.Logger
	forget    func()
	workers   sync.Pool // *worker
	prices    *prices.List
	now       func() time.Time
	agents    *agentLabels
	telemetry *telemetry
	writer    *delivery.Writer

	mu    sync.Mutex
	users int
	stop  context.CancelFunc // Ends the start-up check.
	check sync.WaitGroup
}

// worker is what the mapping of one request needs. It is reused.
type worker struct {
	mapper  *mapping.Mapper
	traces  record.Traces
	logs    record.Logs
	metrics record.Metrics
}

func newExporter(set exporter.Settings, cfg *Config, forget func()) *agentExporter {
	e := &agentExporter{cfg: cfg, set: set, logger: set.Logger, forget: forget, now: time.Now, agents: newAgentLabels(cfg.MaxAgentSeries)}
	e.workers.New = func() any { return &worker{mapper: mapping.New(cfg.mapping(e.prices))} }
	return e
}

// start opens the writer, and with it the journal, for the first user.
func (e *agentExporter) start(ctx context.Context, host component.Host) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.users > 0 {
		e.users++
		return nil
	}
	list, err := e.cfg.prices()
	if err != nil {
		return err
	}
	e.prices = list
	client := e.cfg.ClientConfig
	client.Compression = "" // Blocks are compressed in ClickHouse's frames, not by HTTP.
	client.Timeout = 0      // The writer has one per attempt.
	httpClient, err := client.ToClient(ctx, host.GetExtensions(), e.set.TelemetrySettings)
	if err != nil {
		return fmt.Errorf("make HTTP client: %w", err)
	}
	tel, err := newTelemetry(e.set.TelemetrySettings)
	if err != nil {
		return err
	}
	settings := e.cfg.settings()
	settings.Client, settings.Logger, settings.Observer = httpClient, e.logger, tel
	writer, err := delivery.NewWriter(ctx, settings)
	if err != nil {
		tel.shutdown()
		return fmt.Errorf("open writer: %w", err)
	}
	if err := tel.observe(writer, settings.Journal); err != nil {
		tel.shutdown()
		return errors.Join(err, writer.Shutdown(ctx))
	}
	tel.begin() //nolint:contextcheck // Metrics need none.
	e.telemetry, e.writer, e.users = tel, writer, 1
	checkCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
	e.stop = stop
	e.check.Go(func() { e.checkSchema(checkCtx, host) })
	return nil
}

// shutdown stores what is in the journal when the last user leaves, or leaves it there.
func (e *agentExporter) shutdown(ctx context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.users--
	if e.users > 0 {
		return nil
	}
	defer e.forget()
	defer e.telemetry.shutdown()
	e.stop()
	e.check.Wait()
	return e.writer.Shutdown(ctx)
}

// checkSchema tells an operator early when the tables are not there. It goes on until they are, because ClickHouse may
// start later than the collector, and a migration may still run; rows wait in the journal in the meantime. From then on it
// asks now and then for how long tables keep rows.
func (e *agentExporter) checkSchema(ctx context.Context, host component.Host) {
	const longest, between = 30 * time.Second, 5 * time.Minute
	pause := 500 * time.Millisecond
	for failed := false; ; failed = true {
		err := e.writer.CheckSchema(ctx)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			if failed {
				e.logger.Info("ClickHouse is ready")
				componentstatus.ReportStatus(host, componentstatus.NewEvent(componentstatus.StatusOK))
			}
			break
		}
		if !failed {
			e.logger.Warn("ClickHouse is not ready; rows are kept in the journal until it is", zap.Error(err))
			componentstatus.ReportStatus(host, componentstatus.NewRecoverableErrorEvent(err))
		}
		if !wait(ctx, pause) {
			return
		}
		pause = min(2*pause, longest)
	}
	for {
		if err := e.writer.ReadRetention(ctx); err != nil && ctx.Err() == nil {
			e.logger.Info("It is not known whether rows come too late to be kept", zap.Error(err))
		}
		if !wait(ctx, between) {
			return
		}
	}
}

// wait reports whether the time passed before ctx was done.
func wait(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// take returns the bytes that an empty request stands for, to be released, and nil if a request stands for itself: when
// it is not empty, somebody on the way has made data of its own, and that is what to store.
func take(ctx context.Context, signal direct.Signal, empty bool) *direct.Request {
	if !empty {
		return nil
	}
	return direct.Take(ctx, signal)
}

// request is what a signal does with one request.
type request struct {
	// size is about how many bytes the request takes in memory.
	size int64
	// read fills the worker's view of the request and returns its hash. An error says that it is malformed.
	read func(*worker) (journal.Hash, error)
	// rows makes rows of the view.
	rows func(*worker, *delivery.Batch) mapping.Stats
	// done empties the view.
	done func(*worker)
	// stored is called when the rows are durable, and not when they were before. It may be nil.
	stored func()
}

// push makes the rows of one request durable.
func (e *agentExporter) push(ctx context.Context, r request) error {
	batch, err := e.writer.Begin(ctx, r.size)
	if err != nil {
		return answer(err)
	}
	defer batch.Discard()
	stats, err := e.fill(batch, r) //nolint:contextcheck // Metrics need none.
	if err != nil {
		return answer(err)
	}
	if err := batch.Commit(ctx); err != nil {
		return answer(err)
	}
	e.telemetry.adjusted(ctx, &stats)
	if r.stored != nil {
		r.stored()
	}
	return nil
}

// fill runs the mapping, unless the request is durable already. A request that makes it panic is refused for good: its
// client would send it again, and a collector that dies takes all others along.
func (e *agentExporter) fill(batch *delivery.Batch, r request) (stats mapping.Stats, err error) {
	defer func() {
		if r := recover(); r != nil {
			e.logger.Error("BUG: a request cannot be mapped; please report it", zap.Any("panic", r), zap.ByteString("stack", debug.Stack()))
			e.telemetry.Refused(delivery.ReasonPanic)
			err = &delivery.Error{Reason: delivery.ReasonPanic, Err: fmt.Errorf("BUG: map request: %v", r)}
		}
	}()
	w := e.workers.Get().(*worker)
	hash, err := r.read(w)
	if err != nil {
		e.telemetry.Refused(delivery.ReasonMalformed)
		err = &delivery.Error{Reason: delivery.ReasonMalformed, Err: err}
	} else if !batch.SetHash(hash) {
		stats = r.rows(w, batch)
	}
	r.done(w)
	e.workers.Put(w) // Not after a panic, which may have left anything in it.
	return stats, err
}
