package hostmetrics

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/receiver"

	"github.com/agenttrail/agenttrail/collector/internal/periodic"
)

// Type is the name of the receiver in configurations.
var Type = component.MustNewType("agenttrail_host")

// ServiceName is the service.name of the metrics, and so their component in SystemMetrics.
const ServiceName = "agenttrail-host"

// Config is what users set.
type Config struct {
	Periodic periodic.Config `mapstructure:",squash"`
	// Paths are folders; the disks that hold them are looked at.
	Paths []string `mapstructure:"paths"`
}

// Validate implements [go.opentelemetry.io/collector/confmap.Validator].
func (c *Config) Validate() error {
	var err error
	for _, p := range c.Paths {
		if p == "" {
			err = errors.Join(err, errors.New("paths: must not be empty; write . for the current folder"))
		}
	}
	return err
}

// NewFactory returns the factory of the receiver.
func NewFactory() receiver.Factory {
	return receiver.NewFactory(Type,
		func() component.Config {
			return &Config{Periodic: periodic.Config{Enabled: true, CollectionInterval: 10 * time.Second}, Paths: []string{"."}}
		},
		receiver.WithMetrics(func(_ context.Context, set receiver.Settings, cfg component.Config, next consumer.Metrics) (receiver.Metrics, error) {
			c := cfg.(*Config)
			return periodic.New(set, c.Periodic, next, newCollector(c.Paths).collect)
		}, component.StabilityLevelBeta),
	)
}
