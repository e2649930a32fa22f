package durability

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// exporterType is the component type of the exporter whose promise is kept.
const exporterType = "agenttrail"

// Check looks at everything that leads to an agenttrail exporter, also through connectors, in a resolved
// configuration. problems lose what was acknowledged, warnings are doubtful; each says which component, why, and what
// to do. What is malformed is left to the collector, which reads the configuration after this.
func Check(conf map[string]any) (problems, warnings []string) {
	c := checker{conf: conf, connectors: section(conf, "connectors"), found: map[string]*finding{}}
	c.walk(readPipelines(conf))
	for _, key := range slices.Sorted(maps.Keys(c.found)) {
		f := c.found[key]
		if f.refused {
			problems = append(problems, f.String())
		} else {
			warnings = append(warnings, f.String())
		}
	}
	return problems, warnings
}

// pipeline is one of service::pipelines.
type pipeline struct {
	id                               string
	receivers, processors, exporters []string
}

func readPipelines(conf map[string]any) []pipeline {
	all := section(section(conf, "service"), "pipelines")
	pipelines := make([]pipeline, 0, len(all))
	for _, id := range slices.Sorted(maps.Keys(all)) {
		p := section(all, id)
		pipelines = append(pipelines, pipeline{
			id: id, receivers: names(p["receivers"]), processors: names(p["processors"]), exporters: names(p["exporters"]),
		})
	}
	return pipelines
}

// finding is what is wrong with one component, in all pipelines that have it.
type finding struct {
	kind, id, text string
	refused        bool
	pipelines      []string
}

func (f *finding) String() string {
	word := "pipeline"
	if len(f.pipelines) > 1 {
		word = "pipelines"
	}
	return fmt.Sprintf("%s %s in the %s %s %s", f.kind, f.id, word, strings.Join(f.pipelines, ", "), f.text)
}

type checker struct {
	conf       map[string]any
	connectors map[string]any
	found      map[string]*finding
}

// walk visits the pipelines against the flow of data, from the exporters to where requests are acknowledged.
func (c *checker) walk(pipelines []pipeline) {
	var next []pipeline
	seen := map[string]bool{}
	visit := func(p pipeline) {
		if !seen[p.id] {
			seen[p.id] = true
			next = append(next, p)
		}
	}
	for _, p := range pipelines {
		if slices.ContainsFunc(p.exporters, func(id string) bool { return typeOf(id) == exporterType }) {
			visit(p)
		}
	}
	for len(next) > 0 {
		p := next[0]
		next = next[1:]
		for _, id := range p.processors {
			c.judge("processor", id, p.id, processors)
		}
		for _, id := range p.receivers {
			if _, ok := c.connectors[id]; !ok {
				c.judge("receiver", id, p.id, receivers)
				continue
			}
			c.judge("connector", id, p.id, connectors)
			if aggregates[typeOf(id)] {
				continue // It answers for itself; what is before it does not arrive here.
			}
			for _, q := range pipelines {
				if slices.Contains(q.exporters, id) {
					visit(q)
				}
			}
		}
	}
}

// judge applies the rules to one component of one pipeline.
func (c *checker) judge(kind, id, pipeline string, rules map[string]rule) {
	conf := section(section(c.conf, kind+"s"), id)
	verdict, text := rules[typeOf(id)].apply(conf)
	if verdict == fine {
		verdict, text = queue(conf)
	}
	if verdict == fine && kind == "processor" {
		verdict, text = unknownBatcher(typeOf(id))
	}
	if verdict == fine {
		return
	}
	key := kind + " " + id
	if c.found[key] == nil {
		c.found[key] = &finding{kind: kind, id: id, text: text, refused: verdict == refused}
	}
	if f := c.found[key]; !slices.Contains(f.pipelines, pipeline) {
		f.pipelines = append(f.pipelines, pipeline)
		slices.Sort(f.pipelines)
	}
}

// typeOf gives the type in a component's id, such as batch of batch/2. Types are being renamed to have underscores
// between words, and the old names go on to work, so underscores do not count.
func typeOf(id string) string {
	t, _, _ := strings.Cut(id, "/")
	return strings.ReplaceAll(strings.TrimSpace(t), "_", "")
}

// section gives a map inside a map, nil if it is not there or something else.
func section(m map[string]any, key string) map[string]any {
	s, _ := m[key].(map[string]any)
	return s
}

// names gives a list of component ids.
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
