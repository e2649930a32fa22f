// Package durability finds out whether a collector's configuration keeps the promise of the agenttrail exporter: what
// was acknowledged is not lost. The exporter acknowledges a request when its rows are in the journal; a component in
// front of it that acknowledges earlier breaks that, and the exporter cannot see what is in front of it.
//
// It is a converter of configurations that changes nothing, so that it also works in a distribution that the
// OpenTelemetry Collector Builder makes: name it under converters in the builder's manifest.
package durability

import (
	"context"
	"strings"

	"go.opentelemetry.io/collector/confmap"
	"go.uber.org/zap"
)

// Error is a configuration that would lose what was acknowledged.
type Error struct {
	// Problems say which component, why, and what to do instead.
	Problems []string
}

// Error implements error.
func (e *Error) Error() string {
	return "this configuration would lose what clients were told is safe: " + strings.Join(e.Problems, "; ")
}

// NewFactory returns the factory of a converter that refuses configurations that break the promise, with an [*Error],
// and logs warnings about doubtful ones.
func NewFactory() confmap.ConverterFactory {
	return NewFactoryFunc(nil)
}

// NewFactoryFunc is [NewFactory] with a function that is given the warnings of each configuration that is read, in
// addition to the log. A collector that only checks its configuration writes no log.
func NewFactoryFunc(warned func(warnings []string)) confmap.ConverterFactory {
	return confmap.NewConverterFactory(func(set confmap.ConverterSettings) confmap.Converter {
		return &converter{logger: set.Logger, warned: warned}
	})
}

type converter struct {
	logger *zap.Logger
	warned func([]string)
}

// Convert implements [confmap.Converter].
func (c *converter) Convert(_ context.Context, conf *confmap.Conf) error {
	problems, warnings := Check(conf.ToStringMap())
	if c.warned != nil {
		c.warned(warnings)
	}
	for _, w := range warnings {
		c.logger.Warn("This configuration may lose what was acknowledged", zap.String("component", w))
	}
	if len(problems) > 0 {
		return &Error{Problems: problems}
	}
	return nil
}
