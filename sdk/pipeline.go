package agenttrail

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/attribute"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// pipeline is what a Trail sends through: for each signal that it does not leave to the program a provider of its own.
type pipeline struct {
	loss    *losses
	spans   *spanPipe
	logs    *logPipe
	metrics *sdkmetric.MeterProvider
}

type spanPipe struct {
	provider *sdktrace.TracerProvider
	queue    *queue[sdktrace.ReadOnlySpan]
	exporter sdktrace.SpanExporter
}

type logPipe struct {
	provider *sdklog.LoggerProvider
	queue    *queue[sdklog.Record]
	exporter sdklog.Exporter
}

func openPipeline(ctx context.Context, cfg config) (p *pipeline, err error) {
	p = &pipeline{loss: newLosses(cfg.logger)}
	res, err := cfg.resource(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.shutdown(ctx))
		}
	}()
	if cfg.providers.Tracer == nil && cfg.exports[signalTraces] {
		if p.spans, err = openSpans(ctx, cfg, res, p.loss); err != nil {
			return p, err
		}
	}
	if cfg.providers.Logger == nil && cfg.exports[signalLogs] {
		if p.logs, err = openLogs(ctx, cfg, res, p.loss); err != nil {
			return p, err
		}
	}
	if cfg.providers.Meter == nil && cfg.exports[signalMetrics] {
		if p.metrics, err = openMetrics(ctx, cfg, res, p.loss); err != nil {
			return p, err
		}
	}
	return p, nil
}

func openSpans(ctx context.Context, cfg config, res *resource.Resource, loss *losses) (*spanPipe, error) {
	exporter, err := cfg.openSpanExporter(ctx)
	if err != nil {
		return nil, err
	}
	p := &spanPipe{exporter: exporter}
	p.queue = newQueue(cfg.spans, cfg.delivery(signalTraces), exporter.ExportSpans, func(n int, err error) { loss.add(lossSpans, n, err) })
	opts := []sdktrace.TracerProviderOption{sdktrace.WithResource(res), sdktrace.WithSpanProcessor(spanProcessor{p.queue})}
	if os.Getenv(envSampler) == "" {
		// Runs are rows and not samples, even below a caller that does not record its own spans.
		opts = append(opts, sdktrace.WithSampler(sdktrace.AlwaysSample()))
	}
	p.provider = sdktrace.NewTracerProvider(opts...)
	return p, nil
}

func openLogs(ctx context.Context, cfg config, res *resource.Resource, loss *losses) (*logPipe, error) {
	exporter, err := cfg.openLogExporter(ctx)
	if err != nil {
		return nil, err
	}
	p := &logPipe{exporter: exporter}
	p.queue = newQueue(cfg.logs, cfg.delivery(signalLogs), exporter.Export, func(n int, err error) { loss.add(lossLogs, n, err) })
	p.provider = sdklog.NewLoggerProvider(sdklog.WithResource(res), sdklog.WithProcessor(logProcessor{p.queue}))
	return p, nil
}

func openMetrics(ctx context.Context, cfg config, res *resource.Resource, loss *losses) (*sdkmetric.MeterProvider, error) {
	exporter, err := cfg.openMetricExporter(ctx)
	if err != nil {
		return nil, err
	}
	var opts []sdkmetric.PeriodicReaderOption
	if cfg.metricInterval > 0 {
		opts = append(opts, sdkmetric.WithInterval(cfg.metricInterval))
	}
	reader := sdkmetric.NewPeriodicReader(&metricExporter{Exporter: exporter, delivery: cfg.delivery(signalMetrics), loss: loss}, opts...)
	return sdkmetric.NewMeterProvider(sdkmetric.WithResource(res), sdkmetric.WithReader(reader)), nil
}

// resource describes the program: what the environment says, and over it what the options say.
func (c *config) resource(ctx context.Context) (*resource.Resource, error) {
	host, _ := os.Hostname() // Without a name there is none.
	own := []attribute.KeyValue{
		attribute.String("telemetry.distro.name", "agenttrail"),
		attribute.String("telemetry.distro.version", Version),
	}
	for _, kv := range []attribute.KeyValue{
		attribute.String("service.name", c.service),
		attribute.String("service.version", c.version),
		attribute.String("deployment.environment.name", c.environment),
	} {
		if kv.Value.AsString() != "" {
			own = append(own, kv)
		}
	}
	fallback := []attribute.KeyValue{
		attribute.String("service.name", "unknown_service:"+filepath.Base(cmp.Or(append(os.Args, "")[0], "go"))),
		attribute.String("service.instance.id", uuid.NewString()),
		attribute.Int("process.pid", os.Getpid()),
	}
	if host != "" {
		fallback = append(fallback, attribute.String("host.name", host))
	}
	res, err := resource.New(ctx, resource.WithAttributes(fallback...), resource.WithTelemetrySDK(), resource.WithFromEnv(),
		resource.WithAttributes(own...), resource.WithAttributes(c.attributes...))
	if err != nil {
		return nil, fmt.Errorf("describe the program: %w", err)
	}
	return res, nil
}

// flush waits for what was put into the queues before, and sends metrics.
func (p *pipeline) flush(ctx context.Context) error {
	return p.each(ctx, func(ctx context.Context, s spanPipe) error { return s.queue.flush(ctx) },
		func(ctx context.Context, l logPipe) error { return l.queue.flush(ctx) },
		(*sdkmetric.MeterProvider).ForceFlush)
}

// shutdown ends every signal within ctx.
func (p *pipeline) shutdown(ctx context.Context) error {
	err := p.each(ctx, func(ctx context.Context, s spanPipe) error {
		return errors.Join(s.queue.shutdown(ctx), ignoreContext(s.provider.Shutdown(ctx)), ignoreContext(s.exporter.Shutdown(ctx)))
	}, func(ctx context.Context, l logPipe) error {
		return errors.Join(l.queue.shutdown(ctx), ignoreContext(l.provider.Shutdown(ctx)), ignoreContext(l.exporter.Shutdown(ctx)))
	}, (*sdkmetric.MeterProvider).Shutdown)
	p.loss.close()
	return err
}

// ignoreContext leaves out that the time is up, which the queue said already.
func ignoreContext(err error) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// each does something with all signals at once.
func (p *pipeline) each(ctx context.Context, spans func(context.Context, spanPipe) error, logs func(context.Context, logPipe) error,
	metrics func(*sdkmetric.MeterProvider, context.Context) error,
) error {
	var errs [3]error
	var all sync.WaitGroup
	if p.spans != nil {
		all.Go(func() { errs[0] = spans(ctx, *p.spans) })
	}
	if p.logs != nil {
		all.Go(func() { errs[1] = logs(ctx, *p.logs) })
	}
	if p.metrics != nil {
		all.Go(func() { errs[2] = metrics(p.metrics, ctx) })
	}
	all.Wait()
	return errors.Join(errs[:]...)
}

// delivery says how a signal is sent, see deliver.
func (c *config) delivery(s signal) delivery {
	return delivery{grpc: c.protocolOf(s) == protocolGRPC, backoff: 100 * time.Millisecond, maxBackoff: 5 * time.Second}
}
