package agenttrail

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"
)

// Option sets something of [Init].
type Option func(*config)

type config struct {
	service, version, environment string
	attributes                    []attribute.KeyValue
	endpoint                      string
	headers                       map[string]string
	protocol                      string
	providers                     Providers
	globals                       bool
	logger                        *slog.Logger
	logLevel                      slog.Level
	spans, logs                   batching
	metricInterval                time.Duration // 0 leaves it to OTEL_METRIC_EXPORT_INTERVAL.
	timeout                       time.Duration
	exports                       map[signal]bool
}

// Providers are those of the program that the Trail is a guest of. For the signals whose provider is nil the Trail sends
// for itself.
type Providers struct {
	Tracer trace.TracerProvider
	Logger log.LoggerProvider
	Meter  metric.MeterProvider
}

// WithService sets service.name and service.version of the resource: the columns serviceName and component.
func WithService(name, version string) Option {
	return func(c *config) { c.service, c.version = name, version }
}

// WithEnvironment sets deployment.environment.name of the resource: the column environment.
func WithEnvironment(name string) Option {
	return func(c *config) { c.environment = name }
}

// WithResource adds attributes to the resource.
func WithResource(attrs ...attribute.KeyValue) Option {
	return func(c *config) { c.attributes = append(c.attributes, attrs...) }
}

// WithEndpoint sets where OTLP goes, such as http://collector:4318, or http://collector:4317 with the protocol grpc. The
// paths of the signals are added. https means TLS.
func WithEndpoint(address string) Option {
	return func(c *config) { c.endpoint = address }
}

// WithHeaders sets headers that go with all that is sent, for example a key of a gateway.
func WithHeaders(headers map[string]string) Option {
	return func(c *config) { c.headers = headers }
}

// WithProtocol sets how OTLP is sent: http/protobuf, which is the default, or grpc.
func WithProtocol(name string) Option {
	return func(c *config) { c.protocol = name }
}

// WithProviders records through providers that the program has already, and leaves flushing and stopping them to it.
func WithProviders(p Providers) Option {
	return func(c *config) { c.providers = p }
}

// WithGlobals makes the providers and the propagator of the Trail OpenTelemetry's global ones, which other
// instrumentation uses by itself.
func WithGlobals() Option {
	return func(c *config) { c.globals = true }
}

// WithLogger sets where the Trail says that telemetry is being lost; standard error when it is not set. It must not
// lead back into the Trail.
func WithLogger(l *slog.Logger) Option {
	return func(c *config) { c.logger = l }
}

// WithLogLevel sets the lowest level that [Trail.Handler] and [Log] record; slog.LevelInfo when it is not set.
func WithLogLevel(level slog.Level) Option {
	return func(c *config) { c.logLevel = level }
}

// WithInterval sets for how long ended spans and log records wait for company before they are sent; 500 ms when it is
// not set. Metrics keep OTEL_METRIC_EXPORT_INTERVAL.
func WithInterval(d time.Duration) Option {
	return func(c *config) { c.spans.delay, c.logs.delay = d, d }
}

// WithMetricInterval sets how often metrics are sent; a minute when neither it nor OTEL_METRIC_EXPORT_INTERVAL is set.
func WithMetricInterval(d time.Duration) Option {
	return func(c *config) { c.metricInterval = d }
}

// WithBuffer sets how much waits in memory while the collector does not take it, for spans and for log records each: at
// most count of them, and about so many bytes. The defaults are 16,384 and 32 MiB.
func WithBuffer(count int, bytes int64) Option {
	return func(c *config) {
		c.spans.maxCount, c.logs.maxCount = count, count
		c.spans.maxBytes, c.logs.maxBytes = bytes, bytes
	}
}

func newConfig(opts []Option) (config, error) {
	cfg := config{logLevel: slog.LevelInfo, spans: defaultBatching, logs: defaultBatching}
	if err := cfg.readEnvironment(); err != nil {
		return cfg, err
	}
	for _, o := range opts {
		o(&cfg)
	}
	cfg.logger = defaultLogger(cfg.logger)
	return cfg, cfg.validate()
}

func (c *config) validate() error {
	var errs []error
	if c.endpoint != "" {
		if u, err := url.Parse(c.endpoint); err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
			errs = append(errs, fmt.Errorf("endpoint %q: write it as http://host:port or https://host:port", c.endpoint))
		}
	}
	for name, b := range map[string]batching{"spans": c.spans, "log records": c.logs} {
		if b.maxCount < 1 || b.maxBytes < 1 || b.batch < 1 || b.delay <= 0 {
			errs = append(errs, fmt.Errorf("buffer of %s: counts, bytes and the interval must be above zero", name))
		}
	}
	for _, s := range signals {
		if p := c.protocolOf(s); p != protocolHTTP && p != protocolGRPC {
			errs = append(errs, fmt.Errorf("protocol %q of %s: it must be %s or %s", p, s, protocolHTTP, protocolGRPC))
		}
	}
	return errors.Join(errs...)
}
