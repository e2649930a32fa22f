package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// render writes one signal of a recording as lines that are the same for every run. It returns false when the
// recording does not have the signal.
func render(dir, name, signal string) ([]string, bool, error) {
	requests, err := read(dir, name, signal)
	if err != nil || len(requests) == 0 {
		return nil, false, err
	}
	switch signal {
	case "expect":
		return fields(requests[0]), true, nil
	case "traces":
		lines, _ := renderTraces(requests)
		return lines, true, nil
	case "logs":
		traces, err := read(dir, name, "traces")
		if err != nil {
			return nil, false, err
		}
		_, ids := renderTraces(traces)
		return renderLogs(requests, ids), true, nil
	default:
		return renderMetrics(requests), true, nil
	}
}

// read decodes <name>.<signal>.json, <name>.<signal>.2.json and so on.
func read(dir, name, signal string) ([]object, error) {
	files, err := filepath.Glob(filepath.Join(dir, name+"."+signal+"*.json"))
	if err != nil {
		return nil, fmt.Errorf("list requests: %w", err)
	}
	var out []object
	for _, f := range files {
		raw, err := os.Open(f) //nolint:gosec // In the folder that the caller names.
		if err != nil {
			return nil, fmt.Errorf("read recording: %w", err)
		}
		var o object
		dec := json.NewDecoder(raw)
		dec.UseNumber()
		err = dec.Decode(&o)
		_ = raw.Close()
		if err != nil {
			return nil, fmt.Errorf("read recording %s: %w", f, err)
		}
		out = append(out, o)
	}
	return out, nil
}

// fields writes the members of an object, one a line.
func fields(o object) []string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(o)) {
		if list, ok := o[k].([]any); ok {
			for i, v := range list {
				out = append(out, fmt.Sprintf("%s[%d]: %s", k, i, plain(k, v)))
			}
			continue
		}
		out = append(out, k+": "+plain(k, o[k]))
	}
	return out
}

// rest writes the members of an object that are not named, for what this program does not know yet.
func rest(o object, known ...string) []string {
	left := maps.Clone(o)
	for _, k := range known {
		delete(left, k)
	}
	return fields(left)
}

// each calls f for each leaf of the requests of a signal, with its resource and its scope as lines.
func each(requests []object, kind, leaves string, f func(request int, resource, scope []string, leaf object)) {
	for i, q := range requests {
		for _, r := range items(q, "resource"+kind) {
			ro, _ := r.(object)
			resource := attributes(items(ro["resource"], "attributes"))
			for _, s := range items(ro, "scope"+kind) {
				so, _ := s.(object)
				scopeOf, _ := so["scope"].(object)
				scope := append(rest(scopeOf, "attributes"), attributes(items(scopeOf, "attributes"))...)
				for _, leaf := range items(so, leaves) {
					if o, ok := leaf.(object); ok {
						f(i, resource, scope, o)
					}
				}
			}
		}
	}
}

// ids names trace and span ids.
type ids map[string]string

func (n ids) of(v any) string {
	id, _ := v.(string)
	switch {
	case id == "":
		return "none"
	case n[id] == "":
		return "elsewhere"
	}
	return n[id]
}

// heads collects what records have in common, resources and scopes, and numbers them when there are several.
type heads map[string]bool

func (h heads) add(what string, lines []string) {
	h[what+" {"+strings.Join(lines, ", ")+"}"] = true
}

func (h heads) lines() []string { return slices.Sorted(maps.Keys(h)) }

func indented(lines []string) []string {
	out := make([]string, len(lines))
	for i, l := range lines {
		out[i] = "  " + l
	}
	return out
}

func renderLogs(requests []object, names ids) []string {
	h := heads{}
	var blocks []string
	each(requests, "Logs", "logRecords", func(_ int, resource, scope []string, o object) {
		h.add("resource", resource)
		lines := []string{"record " + value("body", o["body"]), "scope " + strings.Join(scope, ", ")}
		lines = append(lines, "in "+names.of(o["traceId"])+" "+names.of(o["spanId"]))
		lines = append(lines, rest(o, "body", "attributes", "timeUnixNano", "observedTimeUnixNano", "traceId", "spanId")...)
		lines = append(lines, attributes(items(o, "attributes"))...)
		blocks = append(blocks, strings.Join(append(lines[:1:1], indented(lines[1:])...), "\n"))
	})
	return append(h.lines(), split(blocks)...)
}

// split sorts blocks of lines and returns their lines.
func split(blocks []string) []string {
	slices.Sort(blocks)
	var out []string
	for _, b := range blocks {
		out = append(out, strings.Split(b, "\n")...)
	}
	return out
}

// timeUnits are the units of metrics whose values differ from run to run.
var timeUnits = []string{"s", "ms", "us", "ns"}

func renderMetrics(requests []object) []string {
	h := heads{}
	var blocks []string
	each(requests, "Metrics", "metrics", func(_ int, resource, scope []string, o object) {
		h.add("resource", resource)
		lines := []string{fmt.Sprint("metric ", o["name"]), "  scope " + strings.Join(scope, ", ")}
		for _, kind := range []string{"sum", "gauge", "histogram", "exponentialHistogram", "summary"} {
			data, ok := o[kind].(object)
			if !ok {
				continue
			}
			lines = append(lines, "  "+kind+" "+strings.Join(rest(data, "dataPoints"), ", "))
			lines = append(lines, renderPoints(items(data, "dataPoints"), slices.Contains(timeUnits, fmt.Sprint(o["unit"])))...)
		}
		lines = append(lines, indented(rest(o, "name", "sum", "gauge", "histogram", "exponentialHistogram", "summary"))...)
		blocks = append(blocks, strings.Join(lines, "\n"))
	})
	return append(h.lines(), split(blocks)...)
}

func renderPoints(points []any, ofTime bool) []string {
	drop := []string{"attributes", "startTimeUnixNano", "timeUnixNano", "exemplars"}
	if ofTime {
		drop = append(drop, "sum", "min", "max", "bucketCounts", "asDouble", "asInt", "positive", "negative", "scale", "zeroCount", "quantileValues")
	}
	var out []string
	for _, p := range points {
		if o, ok := p.(object); ok {
			out = append(out, "    point {"+strings.Join(attributes(items(o, "attributes")), ", ")+"} "+strings.Join(rest(o, drop...), ", "))
		}
	}
	slices.Sort(out)
	return out
}
