package agenttrail

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"go.opentelemetry.io/otel/log"
	lognoop "go.opentelemetry.io/otel/log/noop"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"
)

// Version is the version of this package, as telemetry.distro.version and as version of the instrumentation scope.
const Version = "0.1.0"

// scopeName is the instrumentation scope of what this package records.
const scopeName = "github.com/agenttrail/agenttrail/sdk"

// shutdownLimit bounds Flush and Shutdown when their context has no deadline.
const shutdownLimit = 10 * time.Second

// Trail records and sends telemetry. A program may have several, for example one for each tenant; they share nothing.
// All methods may be called from many goroutines, also after Shutdown, when they record nothing.
type Trail struct {
	tracers trace.TracerProvider
	loggers log.LoggerProvider
	meters  metric.MeterProvider

	tracer   trace.Tracer
	logger   log.Logger
	logLevel slog.Level
	root     scope // Scope of a context that has only the Trail.
	late     bool  // Nobody looks at the attributes of a span before its end.

	pipeline *pipeline
	once     sync.Once
	stopped  error
}

// Init starts to send telemetry as the options and the OTEL_* variables say; what the options say wins. Without either
// it sends OTLP over HTTP to http://localhost:4318. It opens no connection and does not wait for the collector; errors are
// about settings that cannot be right.
//
// It reads OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, OTEL_SDK_DISABLED, OTEL_TRACES_SAMPLER, the limits of
// attributes, OTEL_EXPORTER_OTLP_* (also by signal), OTEL_TRACES_EXPORTER and its like (otlp or none), OTEL_BSP_* and
// OTEL_BLRP_* (schedule delay, queue size, batch size), and OTEL_METRIC_EXPORT_INTERVAL. The global providers and
// propagator of OpenTelemetry stay as they are, see [WithGlobals].
func Init(ctx context.Context, opts ...Option) (*Trail, error) {
	cfg, err := newConfig(opts)
	if err != nil {
		return nil, fmt.Errorf("start agenttrail: %w", err)
	}
	t := &Trail{tracers: cfg.providers.Tracer, loggers: cfg.providers.Logger, meters: cfg.providers.Meter, logLevel: cfg.logLevel}
	if t.pipeline, err = openPipeline(ctx, cfg); err != nil {
		return nil, fmt.Errorf("start agenttrail: %w", err)
	}
	if p := t.pipeline.spans; t.tracers == nil && p != nil {
		t.tracers, t.late = p.provider, os.Getenv(envSampler) == ""
	}
	if p := t.pipeline.logs; t.loggers == nil && p != nil {
		t.loggers = p.provider
	}
	if p := t.pipeline.metrics; t.meters == nil && p != nil {
		t.meters = p
	}
	if t.tracers == nil {
		t.tracers = tracenoop.NewTracerProvider()
	}
	if t.loggers == nil {
		t.loggers = lognoop.NewLoggerProvider()
	}
	if t.meters == nil {
		t.meters = metricnoop.NewMeterProvider()
	}
	t.tracer = t.tracers.Tracer(scopeName, trace.WithInstrumentationVersion(Version))
	t.logger = t.loggers.Logger(scopeName, log.WithInstrumentationVersion(Version))
	t.root = scope{trail: t}
	if err := t.observeLoss(); err != nil {
		return nil, errors.Join(fmt.Errorf("start agenttrail: %w", err), t.Shutdown(ctx))
	}
	if cfg.globals {
		t.setGlobals()
	}
	return t, nil
}

// TracerProvider is for other instrumentation, so that its spans go where those of the Trail go.
func (t *Trail) TracerProvider() trace.TracerProvider { return t.tracers }

// LoggerProvider is for other instrumentation, so that its records go where those of the Trail go.
func (t *Trail) LoggerProvider() log.LoggerProvider { return t.loggers }

// MeterProvider makes the instruments of the program; their points become rows of SystemMetrics.
func (t *Trail) MeterProvider() metric.MeterProvider { return t.meters }

// Context returns a context in which [Log], [RecordSecurity] and steps use the Trail outside of any run.
func (t *Trail) Context(ctx context.Context) context.Context {
	if s := scopeFrom(ctx); s.trail != nil {
		copied := *s
		copied.trail = t
		return withScope(ctx, &copied)
	}
	if s := scopeFrom(ctx); s.identity != (Identity{}) {
		copied := *s
		copied.trail = t
		return withScope(ctx, &copied)
	}
	return withScope(ctx, &t.root)
}

// Flush sends what ended before the call and returns when the collector took it or refused it for good. When ctx ends
// before, it returns an error that wraps that of ctx, and sending goes on. Without a deadline it waits for at most 10 s.
func (t *Trail) Flush(ctx context.Context) error {
	ctx, cancel := limited(ctx)
	defer cancel()
	if err := t.pipeline.flush(ctx); err != nil {
		return fmt.Errorf("flush telemetry: %w", err)
	}
	return nil
}

// Shutdown sends what is still there and stops. When ctx ends before, the rest is lost and counted, and the error wraps
// that of ctx. Without a deadline it waits for at most 10 s. Providers given by [WithProviders] stay as they are. A second
// call does nothing.
func (t *Trail) Shutdown(ctx context.Context) error {
	t.once.Do(func() {
		ctx, cancel := limited(ctx)
		defer cancel()
		if err := t.pipeline.shutdown(ctx); err != nil {
			t.stopped = fmt.Errorf("stop telemetry: %w", err)
		}
	})
	return t.stopped
}

// Lost is how much could not be delivered so far.
func (t *Trail) Lost() Loss { return t.pipeline.loss.total() }

// limited returns a context that ends some day.
func limited(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, shutdownLimit)
}

// defaultLogger says what operators must know where the program gives no logger.
func defaultLogger(l *slog.Logger) *slog.Logger {
	return cmp.Or(l, slog.New(slog.NewTextHandler(os.Stderr, nil)))
}
