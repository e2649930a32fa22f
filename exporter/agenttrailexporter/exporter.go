package agenttrailexporter

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/exporter"
	"go.uber.org/zap"

	"github.com/agenttrail/agenttrail/exporter/delivery"
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
	e := &agentExporter{cfg: cfg, set: set, logger: set.Logger, forget: forget}
	e.workers.New = func() any { return &worker{mapper: mapping.New(cfg.mapping(e.prices))} }
	return e
}

// start opens the writer for the first user.
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
	writer, err := delivery.NewWriter(settings) //nolint:contextcheck // It outlives the start.
	if err != nil {
		tel.shutdown()
		return fmt.Errorf("open writer: %w", err)
	}
	if err := tel.observeQueue(writer.QueueBytes); err != nil {
		tel.shutdown()
		return err
	}
	e.telemetry, e.writer, e.users = tel, writer, 1
	checkCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
	e.stop = stop
	e.check.Go(func() { e.checkSchema(checkCtx, host) })
	return nil
}

// shutdown stores what was handed over when the last user leaves.
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
// start later than the collector, and a migration may still run; requests are answered accordingly in the meantime.
func (e *agentExporter) checkSchema(ctx context.Context, host component.Host) {
	const longest = 30 * time.Second
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
			return
		}
		e.logger.Warn("ClickHouse is not ready; requests are refused until it is, and clients try again", zap.Error(err))
		if !failed {
			componentstatus.ReportStatus(host, componentstatus.NewRecoverableErrorEvent(err))
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		pause = min(2*pause, longest)
	}
}

// push stores the rows that fill makes of one request.
func (e *agentExporter) push(ctx context.Context, fill func(*worker, *delivery.Batch) mapping.Stats) error {
	batch, err := e.writer.Begin(ctx)
	if err != nil {
		return answer(err)
	}
	defer batch.Discard()
	stats, err := e.fill(batch, fill) //nolint:contextcheck // Metrics need none.
	if err != nil {
		return answer(err)
	}
	e.telemetry.adjusted(ctx, &stats)
	if err := batch.Commit(ctx); err != nil {
		return answer(err)
	}
	e.telemetry.stored(ctx)
	return nil
}

// fill runs the mapping. A request that makes it panic is refused for good: its client would send it again, and a
// collector that dies takes all others along.
func (e *agentExporter) fill(batch *delivery.Batch, fill func(*worker, *delivery.Batch) mapping.Stats) (stats mapping.Stats, err error) {
	defer func() {
		if r := recover(); r != nil {
			e.logger.Error("BUG: a request cannot be mapped; please report it", zap.Any("panic", r), zap.ByteString("stack", debug.Stack()))
			e.telemetry.Refused(delivery.ReasonPanic)
			err = &delivery.Error{Reason: delivery.ReasonPanic, Err: fmt.Errorf("BUG: map request: %v", r)}
		}
	}()
	w := e.workers.Get().(*worker)
	stats = fill(w, batch)
	e.workers.Put(w) // Not after a panic, which may have left anything in it.
	return stats, nil
}
