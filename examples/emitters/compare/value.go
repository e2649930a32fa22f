package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// object is a JSON object as it was decoded, numbers as json.Number.
type object = map[string]any

// Names of values that differ from run to run.
var (
	timeName = regexp.MustCompile(`(?i)(duration|latency|elapsed|uptime|time_(to|per)_|time_?stamp|per_?second|msTo|(_|^)ms$|time$|_at$|created$)|[a-z](Ms|At)$`)
	portName = regexp.MustCompile(`(^|[._])port$`)
	nodeName = regexp.MustCompile(`^process\.runtime\.`)
)

// What differs from run to run inside of a text, and what stands for it.
var variable = []struct {
	pattern *regexp.Regexp
	instead string
}{
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)?`), "<time>"},
	{regexp.MustCompile(`[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}`), "<id>"},
	{regexp.MustCompile(`\b([0-9a-f]{32}|[0-9a-f]{24}|[0-9a-f]{16})\b`), "<id>"},
	{regexp.MustCompile(`\b(aitxt|aiobj)-[0-9A-Za-z]{24}\b`), "$1-<id>"}, // ai v6, v7
	{regexp.MustCompile(`\bt=\d{10,19}\b`), "t=<time>"},                  // X-Request-Start
	{regexp.MustCompile(`\b(127\.0\.0\.1|localhost|\[::1\]):\d+`), "$1:<port>"},
	{regexp.MustCompile(`\b(?i:node(?:\.js)?)([ /])v?\d+(?:\.\d+)*`), "node$1<version>"},
}

const stackStart = "\n    at "

// normalText takes out of a text what differs from run to run. A text that is JSON is normalized value by value.
func normalText(name, s string) string {
	if timeName.MatchString(lastPart(name)) {
		if _, err := strconv.ParseFloat(s, 64); err == nil {
			return "<number>"
		}
	}
	if nodeName.MatchString(name) {
		return "<node>"
	}
	if len(s) > 1 && (s[0] == '{' || s[0] == '[') {
		var v any
		dec := json.NewDecoder(strings.NewReader(s))
		dec.UseNumber()
		if err := dec.Decode(&v); err == nil && !dec.More() {
			return plain(name, v)
		}
	}
	if head, _, ok := strings.Cut(s, stackStart); ok {
		s = head + " <stack>"
	}
	for _, v := range variable {
		s = v.pattern.ReplaceAllString(s, v.instead)
	}
	return s
}

func lastPart(name string) string {
	return name[strings.LastIndexByte(name, '.')+1:]
}

func normalNumber(name, n string) string {
	if timeName.MatchString(lastPart(name)) || portName.MatchString(name) {
		return "<number>"
	}
	return n
}

// plain writes a JSON value, members sorted, without what differs from run to run.
func plain(name string, v any) string {
	switch x := v.(type) {
	case string:
		return strconv.Quote(normalText(name, x))
	case json.Number:
		return normalNumber(name, x.String())
	case []any:
		parts := make([]string, len(x))
		for i, e := range x {
			parts[i] = plain(name, e)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case object:
		var parts []string
		for _, k := range slices.Sorted(maps.Keys(x)) {
			parts = append(parts, k+": "+plain(k, x[k]))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	default:
		return fmt.Sprint(x)
	}
}

// value writes an attribute's value, which OTLP/JSON wraps into an object that names its type.
func value(name string, v any) string {
	wrapped, ok := v.(object)
	if !ok || len(wrapped) == 0 {
		return "<empty>"
	}
	for kind, x := range wrapped {
		switch kind {
		case "stringValue":
			return strconv.Quote(normalText(name, fmt.Sprint(x)))
		case "intValue":
			return "int " + normalNumber(name, fmt.Sprint(x))
		case "doubleValue":
			return "double " + normalNumber(name, fmt.Sprint(x))
		case "arrayValue":
			var parts []string
			for _, e := range items(x, "values") {
				parts = append(parts, value(name, e))
			}
			return "[" + strings.Join(parts, ", ") + "]"
		case "kvlistValue":
			return "{" + strings.Join(attributes(items(x, "values")), ", ") + "}"
		default:
			return kind + " " + plain(name, x)
		}
	}
	return ""
}

// attributes writes a list of attributes, sorted by key.
func attributes(list []any) []string {
	var out []string
	for _, a := range list {
		if kv, ok := a.(object); ok {
			key := fmt.Sprint(kv["key"])
			out = append(out, key+" = "+value(key, kv["value"]))
		}
	}
	slices.Sort(out)
	return out
}

// items returns the list that is a member of an object.
func items(v any, member string) []any {
	o, _ := v.(object)
	list, _ := o[member].([]any)
	return list
}
