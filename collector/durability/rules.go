package durability

import "strings"

// verdict is what a rule says about a component.
type verdict int

const (
	fine     verdict = iota
	doubtful         // Warned about.
	refused
)

// rule judges a component by its settings; the zero rule finds everything fine.
type rule func(conf map[string]any) (verdict, string)

func (r rule) apply(conf map[string]any) (verdict, string) {
	if r == nil {
		return fine, ""
	}
	return r(conf)
}

func always(v verdict, text string) rule {
	return func(map[string]any) (verdict, string) { return v, text }
}

// processors are those of OpenTelemetry's collector and its contrib repository that answer before the next component
// has: each hands data to a goroutine or a timer of its own. All others there return what the next component returns.
var processors = map[string]rule{
	"batch": always(refused, "acknowledges requests while they are in its memory, and loses them when the process dies or the exporter refuses them: "+
		"remove it, the exporter itself puts requests together into large inserts"),
	"groupbytrace": always(refused, "acknowledges spans while it keeps them in memory to wait for the rest of their trace, and loses them when the process dies: "+
		"remove it, rows find together by their trace id; or group in a collector in front of this one"),
	"tailsampling": always(refused, "acknowledges spans while it keeps them in memory until it decides, and loses them when the process dies: "+
		"sample in a collector in front of this one, so that what arrives here is meant to be kept"),
	"interval": always(refused, "acknowledges points while it keeps them in memory until the interval ends, and loses them when the process dies: "+
		"set a longer export interval where the metrics are made, or aggregate in a collector in front of this one"),
	"logdedup": always(refused, "acknowledges log records while it counts them in memory until the interval ends, and loses them when the process dies: "+
		"remove it, or use it in a collector in front of this one"),
	"logstransform": always(refused, "acknowledges log records before the exporter has them, and loses them when the process dies or the exporter refuses them: "+
		"use the transform processor instead"),
}

// aggregates are connectors that keep figures in memory and pass those on now and then.
var aggregates = map[string]bool{"spanmetrics": true, "servicegraph": true, "datadog": true}

var connectors = map[string]rule{
	"spanmetrics":  always(doubtful, adviceAggregate),
	"servicegraph": always(doubtful, adviceAggregate),
	"datadog":      always(doubtful, adviceAggregate),
}

const adviceAggregate = "keeps figures in memory, and those since it passed them on last are lost when the process dies: " +
	"take figures that must be right from AgentMetrics or from the rows themselves"

// receivers are those that take note of what they have read apart from what became of it.
var receivers = map[string]rule{
	"kafka": func(conf map[string]any) (verdict, string) {
		if isTrue(section(conf, "message_marking")["after"]) {
			return fine, ""
		}
		return doubtful, "marks messages as read before they are safe: set message_marking::after to true, and leave message_marking::on_error false"
	},
	"filelog":         files,
	"journald":        files,
	"windowseventlog": files,
}

// files judges receivers that read on from a position.
func files(conf map[string]any) (verdict, string) {
	var missing []string
	if !isTrue(section(conf, "retry_on_failure")["enabled"]) {
		missing = append(missing, "drops what the exporter refuses for the moment: set retry_on_failure::enabled to true, with max_elapsed_time 0")
	}
	if id, _ := conf["storage"].(string); id == "" {
		missing = append(missing, "forgets how far it has read when the process ends: set storage to a file_storage extension")
	}
	if len(missing) == 0 {
		return fine, ""
	}
	return doubtful, strings.Join(missing, "; and it ")
}

// queue judges a component that has an exporter's queue, as connectors may.
func queue(conf map[string]any) (verdict, string) {
	q, ok := conf["sending_queue"].(map[string]any)
	if enabled, said := q["enabled"]; !ok || said && !isTrue(enabled) {
		return fine, ""
	}
	if id, _ := q["storage"].(string); id == "" {
		return refused, "has a sending_queue in memory, which acknowledges requests and loses them when the process dies: " +
			"set sending_queue::enabled to false, the exporter has a journal on disk"
	}
	return doubtful, "has a sending_queue of its own: its storage must have fsync set, and it may still drop requests when it gives up retrying: " +
		"set sending_queue::enabled to false, the exporter has a journal on disk"
}

// unknownBatcher judges processors of others by their name.
func unknownBatcher(typ string) (verdict, string) {
	if strings.Contains(typ, "batch") {
		return doubtful, "puts requests together by its name: if it answers before the exporter has, it loses requests when the process dies: " +
			"remove it, the exporter itself puts requests together into large inserts"
	}
	return fine, ""
}

// isTrue reads a switch that may have come from the environment as text.
func isTrue(v any) bool {
	switch v := v.(type) {
	case bool:
		return v
	case string:
		return strings.EqualFold(v, "true")
	}
	return false
}
