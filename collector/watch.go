package collector

import (
	"context"
	"log/slog"
	"sync"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Addrs is where a collector listens, host:port each, empty if it does not.
type Addrs struct {
	GRPC    string // OTLP over gRPC
	HTTP    string // OTLP over HTTP
	Metrics string // The collector's own Prometheus metrics
	Health  string // The health check; known only if [Settings] named it
}

// watch learns where the collector listens. The OTLP receiver tells its ports in its log and nowhere else.
type watch struct {
	logger *slog.Logger // Takes the logs, if set.

	mu     sync.Mutex
	at     Addrs
	reader *sdkmetric.ManualReader // Reads the collector's own metrics; nil if it has none.
}

func (w *watch) setReader(r *sdkmetric.ManualReader) {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reader = r
}

// gather reads the collector's own metrics, for the receiver of them.
func (w *watch) gather(ctx context.Context, to *metricdata.ResourceMetrics) error {
	if w == nil {
		return nil
	}
	w.mu.Lock()
	r := w.reader
	w.mu.Unlock()
	if r == nil { // Telemetry is switched off.
		return nil
	}
	return r.Collect(ctx, to)
}

func (w *watch) addrs() Addrs {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.at
}

func (w *watch) set(change func(*Addrs)) {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	change(&w.at)
}

func (w *watch) loggingOptions() []zap.Option {
	return []zap.Option{zap.WrapCore(func(core zapcore.Core) zapcore.Core {
		if w.logger != nil {
			core = &slogCore{handler: w.logger.Handler()}
		}
		return &watchCore{Core: core, watch: w}
	})}
}

// watchCore reads the log entries in which the receiver says where it listens, at any level of the log.
type watchCore struct {
	zapcore.Core
	watch *watch
}

// Enabled implements [zapcore.Core].
func (c *watchCore) Enabled(level zapcore.Level) bool {
	return level == zapcore.InfoLevel || c.Core.Enabled(level)
}

// With implements [zapcore.Core].
func (c *watchCore) With(fields []zapcore.Field) zapcore.Core {
	return &watchCore{Core: c.Core.With(fields), watch: c.watch}
}

// Check implements [zapcore.Core].
func (c *watchCore) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if e.Message == grpcStarted || e.Message == httpStarted {
		ce = ce.AddCore(e, addrCore{c.watch})
	}
	return c.Core.Check(e, ce)
}

const (
	grpcStarted = "Starting GRPC server"
	httpStarted = "Starting HTTP server"
)

// addrCore takes the address out of an entry.
type addrCore struct{ watch *watch }

func (addrCore) Enabled(zapcore.Level) bool                                            { return true }
func (c addrCore) With([]zapcore.Field) zapcore.Core                                   { return c }
func (addrCore) Check(_ zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry { return ce }
func (addrCore) Sync() error                                                           { return nil }

func (c addrCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	for _, f := range fields {
		if f.Key != "endpoint" {
			continue
		}
		c.watch.set(func(a *Addrs) {
			if e.Message == grpcStarted {
				a.GRPC = f.String
			} else {
				a.HTTP = f.String
			}
		})
	}
	return nil
}
