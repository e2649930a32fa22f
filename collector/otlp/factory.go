package otlp

import (
	"context"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
)

// Type is the name of the receiver in configurations, the standard one's.
var Type = component.MustNewType("otlp")

// NewFactory returns the factory of the receiver.
func NewFactory() receiver.Factory {
	f := &factory{standard: otlpreceiver.NewFactory(), receivers: map[*Config]*otlpReceiver{}, observed: map[*Config]bool{}}
	return receiver.NewFactory(Type, createDefaultConfig,
		receiver.WithTraces(f.createTraces, component.StabilityLevelStable),
		receiver.WithLogs(f.createLogs, component.StabilityLevelStable),
		receiver.WithMetrics(f.createMetrics, component.StabilityLevelStable),
	)
}

// factory makes one receiver per configuration: all signals arrive at the same ports.
type factory struct {
	standard receiver.Factory

	mu        sync.Mutex
	receivers map[*Config]*otlpReceiver
	observed  map[*Config]bool // Of the standard receivers: their certificates are reported.
}

// observe reports the certificates of a standard receiver, as long as its metrics are there.
func (f *factory) observe(set receiver.Settings, cfg *Config) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.observed[cfg] {
		return nil
	}
	f.observed[cfg] = true
	_, err := observeCertificates(set, cfg)
	return err
}

func (f *factory) receiver(set receiver.Settings, cfg *Config) (*otlpReceiver, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r := f.receivers[cfg]; r != nil {
		return r, nil
	}
	r, err := newReceiver(set, cfg, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.receivers, cfg)
	})
	if err != nil {
		return nil, err
	}
	f.receivers[cfg] = r
	return r, nil
}

func (f *factory) createTraces(ctx context.Context, set receiver.Settings, config component.Config, next consumer.Traces) (receiver.Traces, error) {
	cfg := config.(*Config)
	if cfg.Direct != DirectOn {
		if err := f.observe(set, cfg); err != nil {
			return nil, err
		}
		return f.standard.CreateTraces(ctx, set, &cfg.Config, next)
	}
	r, err := f.receiver(set, cfg)
	if err != nil {
		return nil, err
	}
	r.traces = traces{next}
	return r, nil
}

func (f *factory) createLogs(ctx context.Context, set receiver.Settings, config component.Config, next consumer.Logs) (receiver.Logs, error) {
	cfg := config.(*Config)
	if cfg.Direct != DirectOn {
		if err := f.observe(set, cfg); err != nil {
			return nil, err
		}
		return f.standard.CreateLogs(ctx, set, &cfg.Config, next)
	}
	r, err := f.receiver(set, cfg)
	if err != nil {
		return nil, err
	}
	r.logs = logs{next}
	return r, nil
}

func (f *factory) createMetrics(ctx context.Context, set receiver.Settings, config component.Config, next consumer.Metrics) (receiver.Metrics, error) {
	cfg := config.(*Config)
	if cfg.Direct != DirectOn {
		if err := f.observe(set, cfg); err != nil {
			return nil, err
		}
		return f.standard.CreateMetrics(ctx, set, &cfg.Config, next)
	}
	r, err := f.receiver(set, cfg)
	if err != nil {
		return nil, err
	}
	r.metrics = metrics{next}
	return r, nil
}
