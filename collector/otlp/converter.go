package otlp

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.opentelemetry.io/collector/confmap"
	"go.uber.org/zap"
)

// passing are the processors that only decide whether data may pass.
var passing = map[string]bool{"memory_limiter": true, "memorylimiter": true}

// exporterType is the component type of the exporter that knows of requests past pdata.
const exporterType = "agenttrail"

// NewConverterFactory returns the factory of a converter of configurations that decides for every receiver of this
// package whether its requests go past pdata, where the configuration leaves it open. It says in the log what it
// decided, and refuses a configuration that asks for what its pipelines do not allow.
func NewConverterFactory() confmap.ConverterFactory {
	return confmap.NewConverterFactory(func(set confmap.ConverterSettings) confmap.Converter {
		return &converter{logger: set.Logger}
	})
}

type converter struct{ logger *zap.Logger }

// Convert implements [confmap.Converter].
func (c *converter) Convert(_ context.Context, conf *confmap.Conf) error {
	all := conf.ToStringMap()
	receivers, _ := all["receivers"].(map[string]any)
	for _, id := range slices.Sorted(maps.Keys(receivers)) {
		if typeOf(id) != Type.String() {
			continue
		}
		settings, _ := receivers[id].(map[string]any)
		asked, _ := settings["direct"].(string)
		why := obstacle(all, id)
		// YAML reads a bare on and off as text, or as true and false where an override was read by an older rule.
		if b, ok := settings["direct"].(bool); ok {
			asked = map[bool]string{true: string(DirectOn), false: string(DirectOff)}[b]
		}
		decided := Direct(asked)
		switch {
		case decided == DirectOn && why != "":
			return fmt.Errorf("receivers::%s::direct: it is on, but %s: set it to off, or take that out", id, why)
		case decided == "" || decided == DirectAuto:
			decided = DirectOn
			if why != "" {
				decided = DirectOff
				c.logger.Info("Requests are decoded into pdata", zap.String("receiver", id), zap.String("because", why))
			}
		}
		if err := conf.Merge(confmap.NewFromStringMap(map[string]any{
			"receivers": map[string]any{id: map[string]any{"direct": string(decided)}},
		})); err != nil {
			return fmt.Errorf("set receivers::%s::direct: %w", id, err)
		}
	}
	return nil
}

// obstacle says why requests of a receiver cannot go past pdata, empty if they can.
func obstacle(conf map[string]any, receiver string) string {
	service, _ := conf["service"].(map[string]any)
	pipelines, _ := service["pipelines"].(map[string]any)
	used := false
	for _, id := range slices.Sorted(maps.Keys(pipelines)) {
		p, _ := pipelines[id].(map[string]any)
		if !slices.Contains(names(p["receivers"]), receiver) {
			continue
		}
		used = true
		for _, name := range names(p["processors"]) {
			if !passing[typeOf(name)] {
				return fmt.Sprintf("the processor %s in the pipeline %s reads what pdata has", name, id)
			}
		}
		for _, name := range names(p["exporters"]) {
			if typeOf(name) != exporterType {
				return fmt.Sprintf("%s at the end of the pipeline %s reads what pdata has", name, id)
			}
		}
	}
	if !used {
		return "it is in no pipeline"
	}
	return ""
}

func typeOf(id string) string {
	t, _, _ := strings.Cut(id, "/")
	return strings.TrimSpace(t)
}

func names(v any) []string {
	list, _ := v.([]any)
	ids := make([]string, 0, len(list))
	for _, e := range list {
		if id, ok := e.(string); ok {
			ids = append(ids, id)
		}
	}
	return ids
}
