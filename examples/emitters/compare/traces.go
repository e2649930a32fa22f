package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// span is a span in the tree of its trace.
type span struct {
	raw      object
	request  int
	parent   string // what is said of it: none, known, or elsewhere
	content  []string
	children []*span
	key      string // content of the span and of all below it: by this it is sorted
}

// renderTraces writes spans as trees, siblings sorted by what they tell, and returns the names that their ids have in
// it: t1 is the first trace, s1 the first span.
func renderTraces(requests []object) ([]string, ids) {
	h := heads{}
	byID := map[string]*span{}
	var spans []*span
	each(requests, "Spans", "spans", func(request int, resource, scope []string, o object) {
		h.add("resource", resource)
		s := &span{raw: o, request: request, content: spanContent(o, scope)}
		spans = append(spans, s)
		byID[spanKey(o, "spanId")] = s
	})
	traces := map[string][]*span{}
	for _, s := range spans {
		up, ok := byID[spanKey(s.raw, "parentSpanId")]
		switch {
		case ok && up != s:
			s.parent = "known"
			up.children = append(up.children, s)
			continue
		case fmt.Sprint(s.raw["parentSpanId"]) == "" || s.raw["parentSpanId"] == nil:
			s.parent = "none"
		default:
			s.parent = "elsewhere"
		}
		id := fmt.Sprint(s.raw["traceId"])
		traces[id] = append(traces[id], s)
	}
	order := sortTraces(traces)
	names, n := ids{}, 0
	for i, id := range order {
		names[id] = fmt.Sprintf("t%d", i+1)
		for _, s := range traces[id] {
			n = nameSpans(s, names, n)
		}
	}
	var lines []string
	for _, id := range order { // All have their names now, which links need.
		lines = append(lines, "trace "+names[id])
		for _, s := range traces[id] {
			lines = append(lines, spanLines(s, names, "  ")...)
		}
	}
	return slices.Concat(h.lines(), requestLines(spans, len(requests), names), lines), names
}

func spanKey(o object, member string) string {
	return fmt.Sprint(o["traceId"], "/", o[member])
}

// sortTraces sorts the spans of each trace and returns the ids of the traces, by what they tell.
func sortTraces(traces map[string][]*span) []string {
	keys := map[string]string{}
	for id, roots := range traces {
		keys[id] = sortSpans(roots)
	}
	return slices.SortedFunc(maps.Keys(traces), func(a, b string) int { return strings.Compare(keys[a], keys[b]) })
}

func sortSpans(list []*span) string {
	var all strings.Builder
	for _, s := range list {
		s.key = s.parent + "\n" + strings.Join(s.content, "\n") + "\n" + sortSpans(s.children)
	}
	slices.SortStableFunc(list, func(a, b *span) int { return strings.Compare(a.key, b.key) })
	for _, s := range list {
		all.WriteString(s.key)
	}
	return all.String()
}

// compareNames compares names such as t9 and t10.
func compareNames(a, b string) int {
	if len(a) != len(b) {
		return len(a) - len(b)
	}
	return strings.Compare(a, b)
}

// nameSpans names a span and all below it, after the n that have a name, and returns how many have one then.
func nameSpans(s *span, names ids, n int) int {
	n++
	names[fmt.Sprint(s.raw["spanId"])] = fmt.Sprintf("s%d", n)
	for _, c := range s.children {
		n = nameSpans(c, names, n)
	}
	return n
}

// spanContent writes what a span tells, but for ids and times.
func spanContent(o object, scope []string) []string {
	out := []string{fmt.Sprintf("span %s", normalText("name", fmt.Sprint(o["name"]))), "scope " + strings.Join(scope, ", ")}
	out = append(out, rest(o, "name", "traceId", "spanId", "parentSpanId", "startTimeUnixNano", "endTimeUnixNano", "attributes", "events", "links")...)
	out = append(out, attributes(items(o, "attributes"))...)
	for _, e := range items(o, "events") {
		if event, ok := e.(object); ok {
			out = append(out, "event "+fmt.Sprint(event["name"]))
			out = append(out, indented(attributes(items(event, "attributes")))...)
			out = append(out, indented(rest(event, "name", "attributes", "timeUnixNano"))...)
		}
	}
	return out
}

func spanLines(s *span, names ids, indent string) []string {
	out := []string{indent + s.content[0] + " " + names.of(s.raw["spanId"])}
	if s.parent == "elsewhere" {
		out[0] += ", parent elsewhere"
	}
	for _, l := range s.content[1:] {
		out = append(out, indent+"  "+l)
	}
	for _, l := range items(s.raw, "links") {
		if link, ok := l.(object); ok {
			out = append(out, indent+"  link "+names.of(link["traceId"])+" "+names.of(link["spanId"])+" "+
				strings.Join(attributes(items(link, "attributes")), ", "))
		}
	}
	for _, c := range s.children {
		out = append(out, spanLines(c, names, indent+"    ")...)
	}
	return out
}

// requestLines says which spans came together.
func requestLines(spans []*span, requests int, names ids) []string {
	if requests < 2 {
		return nil
	}
	lists := make([][]string, requests)
	for _, s := range spans {
		lists[s.request] = append(lists[s.request], names.of(s.raw["spanId"]))
	}
	out := make([]string, requests)
	for i, l := range lists {
		slices.SortFunc(l, compareNames)
		out[i] = "request with " + strings.Join(l, " ")
	}
	slices.SortFunc(out, compareNames)
	return out
}
