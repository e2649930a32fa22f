package otlp

import (
	"fmt"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
)

// Direct says whether requests go past pdata.
type Direct string

// The values of Direct.
const (
	// DirectAuto leaves it to package choice, which makes it one of the others. Without that it is no.
	DirectAuto Direct = "auto"
	// DirectOn is yes. Package choice refuses a configuration whose pipelines do not allow it.
	DirectOn Direct = "on"
	// DirectOff is no.
	DirectOff Direct = "off"
)

// Config is what users set.
type Config struct {
	// Config is that of the standard receiver.
	otlpreceiver.Config `mapstructure:",squash"`
	// Direct says whether protobuf requests go to the exporter without being decoded into pdata.
	Direct Direct `mapstructure:"direct"`

	// prevent unkeyed literal initialization
	_ struct{}
}

func createDefaultConfig() component.Config {
	standard := otlpreceiver.NewFactory().CreateDefaultConfig().(*otlpreceiver.Config)
	return &Config{Config: *standard, Direct: DirectAuto}
}

// Validate implements [go.opentelemetry.io/collector/confmap.Validator].
func (c *Config) Validate() error {
	switch c.Direct {
	case DirectAuto, DirectOn, DirectOff:
		return nil
	default:
		return fmt.Errorf("direct: %q is not known: use auto, on or off", c.Direct)
	}
}
