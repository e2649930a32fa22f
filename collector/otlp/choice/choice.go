// Package choice is a converter of configurations that decides for every receiver of package otlp whether its requests go
// past pdata, where the configuration leaves it open: when everything in its pipelines works without. It says in the log
// why they do not, and refuses a configuration that asks for what its pipelines do not allow.
//
// It has a package of its own because the OpenTelemetry Collector Builder asks one package for one factory: name it under
// converters in the builder's manifest.
package choice

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.uber.org/zap"

	"github.com/agenttrail/agenttrail/collector/otlp"
)

// passing are the processors that only decide whether data may pass.
var passing = map[string]bool{"memory_limiter": true, "memorylimiter": true}

// exporterType is the component type of the exporter that knows of requests past pdata.
const exporterType = "agenttrail"

// NewFactory returns the factory of the converter. What is malformed is left to the collector, which reads the
// configuration after this.
func NewFactory() confmap.ConverterFactory {
	return confmap.NewConverterFactory(func(set confmap.ConverterSettings) confmap.Converter {
		return &converter{logger: set.Logger}
	})
}

type converter struct{ logger *zap.Logger }

// Convert implements [confmap.Converter].
func (c *converter) Convert(_ context.Context, conf *confmap.Conf) error {
	all := conf.ToStringMap()
	receivers := section(all, "receivers")
	pipelines := section(section(all, "service"), "pipelines")
	for _, key := range slices.Sorted(maps.Keys(receivers)) {
		id, ok := parse(key)
		if !ok || id.Type() != otlp.Type {
			continue
		}
		used, why := obstacle(pipelines, id)
		if !used {
			continue // It is not made.
		}
		decided := otlp.DirectOn
		switch asked := section(receivers, key)["direct"]; asked {
		case string(otlp.DirectOn):
			if why != "" {
				return fmt.Errorf("receivers::%s::direct is on, but %s: set it to auto or off, or take that out", key, why)
			}
		case nil, string(otlp.DirectAuto):
			if why != "" {
				decided = otlp.DirectOff
				c.logger.Info("Requests are decoded into pdata", zap.String("receiver", key), zap.String("because", why))
			}
		default:
			continue // Off, or something that there is not.
		}
		if err := conf.Merge(confmap.NewFromStringMap(map[string]any{
			"receivers": map[string]any{key: map[string]any{"direct": string(decided)}},
		})); err != nil {
			return fmt.Errorf("set receivers::%s::direct: %w", key, err)
		}
	}
	return nil
}

// obstacle says why requests of a receiver cannot go past pdata, empty if they can, and whether any pipeline has it.
func obstacle(pipelines map[string]any, receiver component.ID) (used bool, why string) {
	for _, key := range slices.Sorted(maps.Keys(pipelines)) {
		p := section(pipelines, key)
		if !slices.Contains(ids(p["receivers"]), receiver) {
			continue
		}
		used = true
		for _, id := range ids(p["processors"]) {
			if !passing[id.Type().String()] {
				return true, fmt.Sprintf("the processor %s in the pipeline %s works on pdata", id, key)
			}
		}
		for _, id := range ids(p["exporters"]) {
			if id.Type().String() != exporterType {
				return true, fmt.Sprintf("%s at the end of the pipeline %s works on pdata", id, key)
			}
		}
	}
	return used, ""
}

// section gives a map inside a map, nil if it is not there or something else.
func section(m map[string]any, key string) map[string]any {
	s, _ := m[key].(map[string]any)
	return s
}

// ids gives a list of components.
func ids(v any) []component.ID {
	names, _ := v.([]any)
	list := make([]component.ID, 0, len(names))
	for _, name := range names {
		if id, ok := parse(name); ok {
			list = append(list, id)
		}
	}
	return list
}

// parse reads the id of a component, as the collector does.
func parse(name any) (id component.ID, ok bool) {
	text, ok := name.(string)
	return id, ok && id.UnmarshalText([]byte(text)) == nil
}
