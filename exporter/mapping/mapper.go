package mapping

import (
	"time"

	"github.com/agenttrail/agenttrail/exporter/record"
	"github.com/agenttrail/agenttrail/exporter/row"
	"github.com/agenttrail/agenttrail/schema/prices"
)

// Config bounds what one value may take. The zero value means the defaults.
type Config struct {
	// MaxAttributeBytes is the size to which attribute values and messages are cut, 64 KiB by default.
	MaxAttributeBytes int
	// MaxBodyBytes is the size to which HTTP bodies and the text of log records are cut, 256 KiB by default.
	MaxBodyBytes int
	// Prices gives model calls a cost whose emitters give none; nil leaves them without.
	Prices *prices.List
}

// The defaults of [Config].
const (
	DefaultMaxAttributeBytes = 64 << 10
	DefaultMaxBodyBytes      = 256 << 10
)

// Mapper maps requests to rows, one at a time; every worker needs its own. It keeps its memory from request to
// request.
type Mapper struct {
	cfg   Config
	stats Stats

	// The request at hand.
	received   int64  // ns since the epoch
	latest     uint64 // the latest time that is believed
	resources  []resourceFacts
	scopes     []Dialect
	nodes      []node
	order      []int32 // spans, parents before their children
	path       []int32 // scratch of the walk that finds the order
	runs       []run
	candidates []run // spans that may be runs
	excs       []exception
	errs       []row.Error
	depths     []int32 // of errs: how deep the span of each is
	ordinals   []ordinal
	metrics    []metricFacts

	v, ev, rv view // of the record, of a span event, of a resource or of another span
	shapes    shapes
	seen      hashTable // attribute keys of one record
	spanIndex hashTable // span ids of the request
	errIndex  hashTable // errs by trace, type and message
	ordIndex  hashTable // ordinals by content
	place     []int32   // scratch of repair
	idScratch []byte    // what an id or fingerprint is computed from

	prices   priceCache
	arena    record.Arena
	exec     row.Execution
	span     row.Span
	log      row.Log
	request  row.Request
	metric   row.Metric
	security row.SecurityEvent
}

// resourceFacts is what rows take from a resource.
type resourceFacts struct {
	attrs                record.Attrs
	service, environment string
	agentID, agentName   string
	agentVersion         string
	hash                 id128 // of the resource, for the ids of log records
}

// New returns a mapper.
func New(cfg Config) *Mapper {
	if cfg.MaxAttributeBytes <= 0 {
		cfg.MaxAttributeBytes = DefaultMaxAttributeBytes
	}
	if cfg.MaxBodyBytes <= 0 {
		cfg.MaxBodyBytes = DefaultMaxBodyBytes
	}
	// Below this a cut value would be little more than its marker.
	cfg.MaxAttributeBytes = max(cfg.MaxAttributeBytes, 64)
	cfg.MaxBodyBytes = max(cfg.MaxBodyBytes, 64)
	return &Mapper{cfg: cfg, prices: priceCache{list: cfg.Prices}}
}

func (m *Mapper) begin(received time.Time, resources []record.Resource, scopes []record.Scope) {
	m.stats = Stats{}
	m.received = received.UnixNano()
	m.latest = uint64(max(0, m.received)) + uint64(maxFuture)
	m.arena.Reset()
	m.resources = m.resources[:0]
	for i := range resources {
		m.resources = append(m.resources, m.readResource(&resources[i]))
	}
	m.scopes = m.scopes[:0]
	for i := range scopes {
		m.scopes = append(m.scopes, scopeDialect(scopes[i].Name))
	}
}

func (m *Mapper) readResource(r *record.Resource) resourceFacts {
	var f resourceFacts
	f.attrs = m.scan(&m.rv, r.Attrs)
	f.service, _ = m.text(&m.rv, serviceNames, DialectNone)
	f.environment, _ = m.text(&m.rv, environments, DialectNone)
	f.agentID, _ = m.text(&m.rv, namedAgents, DialectNone)
	f.agentName, _ = m.text(&m.rv, agentNames, DialectNone)
	f.agentVersion, _ = m.text(&m.rv, agentVersions, DialectNone)
	f.hash = m.hashResource(r)
	return f
}

// Traces maps the spans of a request and hands the rows to the sink.
func (m *Mapper) Traces(t *record.Traces, received time.Time, sink row.Sink) Stats {
	m.begin(received, t.Resources, t.Scopes)
	m.ordinals = m.ordinals[:0]
	m.ordIndex.reset(2 * len(t.Spans)) // A run and a request may have one each.
	m.readSpans(t)
	m.link(t)
	m.findRuns(t)
	m.sumUp(t)
	m.findErrors(t)
	for i := range t.Spans {
		if m.nodes[i].head {
			m.emitExecution(t, i, sink)
		}
		if m.nodes[i].request {
			m.load(&m.v, t.Spans[i].Attrs)
			m.emitRequest(t, i, sink)
		}
		m.emitSpan(t, i, sink)
	}
	m.emitErrors(sink)
	m.release()
	return m.stats
}

// release lets go of the request, so that its memory is not kept until the next one.
func (m *Mapper) release() {
	const keep = 1 << 16
	m.nodes = forget(m.nodes, keep)
	m.runs = forget(m.runs, keep)
	m.candidates = forget(m.candidates, keep)
	m.excs = forget(m.excs, keep)
	m.errs = forget(m.errs, keep)
	m.resources = forget(m.resources, keep)
	m.metrics = forget(m.metrics, keep)
	m.v.attrs, m.ev.attrs, m.rv.attrs = nil, nil, nil
	m.exec, m.span, m.log, m.request = row.Execution{}, row.Span{}, row.Log{}, row.Request{}
	m.metric, m.security = row.Metric{}, row.SecurityEvent{}
	if cap(m.idScratch) > 1<<20 {
		m.idScratch = nil
	}
}

func forget[T any](s []T, keep int) []T {
	if cap(s) > keep {
		return nil
	}
	clear(s)
	return s[:0]
}
