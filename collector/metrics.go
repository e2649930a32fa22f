package collector

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/otlptranslator"
	"go.opentelemetry.io/collector/config/configtelemetry"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/service/telemetry"
	otelconf "go.opentelemetry.io/contrib/otelconf/v0.3.0"
	"go.opentelemetry.io/otel/attribute"
	otelprom "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/sdk/instrumentation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.uber.org/zap"
)

// meterProvider is a meter provider with the servers that its metrics are read from.
type meterProvider struct {
	metric.MeterProvider
	sdk     *sdkmetric.MeterProvider
	servers []*http.Server
	serving *sync.WaitGroup
}

// Shutdown implements [telemetry.MeterProvider].
func (p *meterProvider) Shutdown(ctx context.Context) error {
	var errs []error
	for _, s := range p.servers {
		errs = append(errs, s.Shutdown(ctx))
	}
	if p.serving != nil {
		p.serving.Wait()
	}
	if p.sdk != nil {
		errs = append(errs, p.sdk.Shutdown(ctx))
	}
	return errors.Join(errs...)
}

func createMeterProvider(ctx context.Context, set telemetry.MeterSettings, cfg *telemetryConfig, w *watch) (telemetry.MeterProvider, error) {
	if cfg.Metrics.Level == configtelemetry.LevelNone {
		w.setReader(nil)
		return &meterProvider{MeterProvider: noop.NewMeterProvider()}, nil
	}
	opts := []sdkmetric.Option{sdkmetric.WithResource(sdkResource(set.Resource))}
	if set.DefaultViews != nil {
		for _, v := range set.DefaultViews(cfg.Metrics.Level) {
			opts = append(opts, sdkmetric.WithView(sdkView(v)))
		}
	}
	p := &meterProvider{serving: &sync.WaitGroup{}}
	for _, r := range cfg.Metrics.Readers {
		reader, err := p.serve(ctx, r.Pull.Exporter.Prometheus, set.Logger, w)
		if err != nil {
			return nil, errors.Join(err, p.Shutdown(ctx))
		}
		opts = append(opts, sdkmetric.WithReader(reader))
	}
	reader := sdkmetric.NewManualReader()
	p.sdk = sdkmetric.NewMeterProvider(append(opts, sdkmetric.WithReader(reader))...)
	w.setReader(reader)
	p.MeterProvider = p.sdk
	return p, nil
}

// serve opens the port for one Prometheus reader.
func (p *meterProvider) serve(ctx context.Context, cfg *prometheusConfig, logger *zap.Logger, w *watch) (sdkmetric.Reader, error) {
	registry := prometheus.NewRegistry()
	reader, err := otelprom.New(append(prometheusOptions(cfg), otelprom.WithRegisterer(registry))...)
	if err != nil {
		return nil, fmt.Errorf("make prometheus reader: %w", err)
	}
	address := net.JoinHostPort(strings.Trim(cfg.Host, "[]"), strconv.Itoa(cfg.Port))
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listen for the collector's own metrics (service::telemetry::metrics::readers): %w", err), reader.Shutdown(ctx))
	}
	w.set(func(a *Addrs) { a.Metrics = listener.Addr().String() })
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{Registry: registry}))
	server := &http.Server{Handler: mux, ReadTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	p.servers = append(p.servers, server)
	p.serving.Go(func() {
		if err := server.Serve(listener); err != nil && !errors.Is(err, http.ErrServerClosed) {
			logger.Error("The server of the collector's own metrics ended", zap.Error(err))
		}
	})
	return reader, nil
}

// prometheusOptions names metrics as the standard collector does.
func prometheusOptions(cfg *prometheusConfig) []otelprom.Option {
	var opts []otelprom.Option
	if trueUnlessSet(cfg.WithoutScopeInfo) {
		opts = append(opts, otelprom.WithoutScopeInfo())
	}
	if trueUnlessSet(cfg.WithoutTypeSuffix) && trueUnlessSet(cfg.WithoutUnits) {
		opts = append(opts, otelprom.WithTranslationStrategy(otlptranslator.NoTranslation))
	} else {
		opts = append(opts, otelprom.WithTranslationStrategy(otlptranslator.NoUTF8EscapingWithSuffixes))
	}
	if l := cfg.WithResourceConstantLabels; l != nil {
		opts = append(opts, otelprom.WithResourceAsConstantLabels(func(kv attribute.KeyValue) bool {
			key := string(kv.Key)
			return (len(l.Included) == 0 || matchAny(l.Included, key)) && !matchAny(l.Excluded, key)
		}))
	}
	return opts
}

func trueUnlessSet(b *bool) bool { return b == nil || *b }

func matchAny(patterns []string, key string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		prefix, wild := strings.CutSuffix(p, "*")
		return p == key || wild && strings.HasPrefix(key, prefix)
	})
}

func sdkResource(res *pcommon.Resource) *resource.Resource {
	if res == nil {
		return resource.Empty()
	}
	var kvs []attribute.KeyValue
	for k, v := range res.Attributes().All() {
		kvs = append(kvs, attribute.String(k, v.AsString()))
	}
	return resource.NewSchemaless(kvs...)
}

// sdkView turns one of the views with which the service hides metrics of little use into one of the SDK. They drop
// metrics or attributes and do nothing else.
func sdkView(v otelconf.View) sdkmetric.View {
	var criteria sdkmetric.Instrument
	if s := v.Selector; s != nil {
		criteria = sdkmetric.Instrument{Name: deref(s.InstrumentName), Scope: instrumentation.Scope{Name: deref(s.MeterName)}}
	}
	var stream sdkmetric.Stream
	if s := v.Stream; s != nil {
		if s.Aggregation != nil && s.Aggregation.Drop != nil {
			stream.Aggregation = sdkmetric.AggregationDrop{}
		}
		if s.AttributeKeys != nil {
			excluded := s.AttributeKeys.Excluded
			stream.AttributeFilter = func(kv attribute.KeyValue) bool { return !slices.Contains(excluded, string(kv.Key)) }
		}
	}
	return sdkmetric.NewView(criteria, stream)
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
