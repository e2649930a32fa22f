package marketplace

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/log"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Spans and log records wait this long for company, and this many go together; every request waits for the answer to the
// one before.
const (
	exportInterval = 200 * time.Millisecond
	exportBatch    = 2048
)

// service is one instrumented program with its own resource.
type service struct {
	tracer   trace.Tracer
	logger   log.Logger
	traces   *sdktrace.TracerProvider
	logs     *sdklog.LoggerProvider
	failures *exportFailures
}

func newService(ctx context.Context, name, endpoint string, failures *exportFailures) (*service, error) {
	spans, err := otlptracegrpc.New(ctx, otlptracegrpc.WithEndpoint(endpoint), otlptracegrpc.WithInsecure(), otlptracegrpc.WithCompressor("gzip"))
	if err != nil {
		return nil, fmt.Errorf("open trace exporter: %w", err)
	}
	records, err := otlploggrpc.New(ctx, otlploggrpc.WithEndpoint(endpoint), otlploggrpc.WithInsecure(), otlploggrpc.WithCompressor("gzip"))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open log exporter: %w", err), spans.Shutdown(ctx))
	}
	res := resource.NewSchemaless(
		attribute.String("service.name", name),
		attribute.String("service.version", "3.2.0"),
		attribute.String("service.instance.id", name+"-0"),
		attribute.String("deployment.environment.name", "demo"),
	)
	s := &service{failures: failures}
	s.traces = sdktrace.NewTracerProvider(sdktrace.WithResource(res), sdktrace.WithBatcher(
		spanCounter{spans, failures}, sdktrace.WithBlocking(), sdktrace.WithBatchTimeout(exportInterval),
		sdktrace.WithMaxQueueSize(4*exportBatch), sdktrace.WithMaxExportBatchSize(exportBatch)))
	s.logs = sdklog.NewLoggerProvider(sdklog.WithResource(res), sdklog.WithProcessor(newBlockingLogs(context.WithoutCancel(ctx), records, failures)))
	scope := "marketplace.example/" + name
	s.tracer = s.traces.Tracer(scope, trace.WithInstrumentationVersion("3.2.0"))
	s.logger = s.logs.Logger(scope)
	return s, nil
}

func (s *service) flush(ctx context.Context) error {
	return errors.Join(s.traces.ForceFlush(ctx), s.logs.ForceFlush(ctx))
}

func (s *service) shutdown(ctx context.Context) error {
	return errors.Join(s.traces.Shutdown(ctx), s.logs.Shutdown(ctx))
}

// exportFailures counts what the exporters gave up on, so that the simulation can say so.
type exportFailures struct {
	count atomic.Int64
	last  atomic.Pointer[error]
}

func (f *exportFailures) add(n int, err error) {
	if err != nil {
		f.count.Add(int64(n))
		f.last.Store(&err)
	}
}

func (f *exportFailures) err() error {
	if n := f.count.Load(); n > 0 {
		return fmt.Errorf("%d spans or log records were not accepted, the last time because: %w", n, *f.last.Load())
	}
	return nil
}

type spanCounter struct {
	sdktrace.SpanExporter
	failures *exportFailures
}

func (c spanCounter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := c.SpanExporter.ExportSpans(ctx, spans)
	c.failures.add(len(spans), err)
	return nil
}

// blockingLogs is a batching log processor that makes its callers wait when the exporter is slow. The SDK's own drops
// records then, and a simulation that fills in a day within seconds would lose most of it.
type blockingLogs struct {
	exporter sdklog.Exporter
	failures *exportFailures

	mu      sync.Mutex
	pending []sdklog.Record

	stop    chan struct{}
	stopped sync.WaitGroup
	once    sync.Once
}

func newBlockingLogs(ctx context.Context, exporter sdklog.Exporter, failures *exportFailures) *blockingLogs {
	p := &blockingLogs{exporter: exporter, failures: failures, stop: make(chan struct{})}
	p.stopped.Go(func() {
		tick := time.NewTicker(exportInterval)
		defer tick.Stop()
		for {
			select {
			case <-p.stop:
				return
			case <-tick.C:
				_ = p.ForceFlush(ctx) // What fails is counted.
			}
		}
	})
	return p
}

func (p *blockingLogs) Enabled(context.Context, sdklog.EnabledParameters) bool { return true }

func (p *blockingLogs) OnEmit(ctx context.Context, r *sdklog.Record) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pending = append(p.pending, r.Clone())
	if len(p.pending) >= exportBatch {
		p.export(ctx)
	}
	return nil
}

func (p *blockingLogs) ForceFlush(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.export(ctx)
	return nil
}

func (p *blockingLogs) export(ctx context.Context) {
	if len(p.pending) == 0 {
		return
	}
	p.failures.add(len(p.pending), p.exporter.Export(context.WithoutCancel(ctx), p.pending))
	p.pending = p.pending[:0]
}

func (p *blockingLogs) Shutdown(ctx context.Context) (err error) {
	p.once.Do(func() {
		close(p.stop)
		p.stopped.Wait()
		err = errors.Join(p.ForceFlush(ctx), p.exporter.Shutdown(ctx))
	})
	return err
}

var _ sdklog.Processor = (*blockingLogs)(nil)
