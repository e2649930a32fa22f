package main

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	collectorlogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	collectortraces "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	resource "go.opentelemetry.io/proto/otlp/resource/v1"
	traces "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// logsPerRun is how many log records a run emits, beside its spans.
const logsPerRun = 4

// The runs of one request begin within a few seconds of each other, as in what an SDK sends every 5 s; and requests
// follow each other as those of a busy installation do, about 10,000 spans per second.
const (
	requestSpread  = 10e9 // ns
	requestSpacing = 50e6 // ns
)

// shape is how a mix is cut into requests.
type shape struct {
	runsPerRequest int
	steps          int  // Per run: calls of models and, every other time, of tools.
	templates      int  // Different requests; all others differ from these only in ids and times.
	history        bool // Whether calls of models repeat the conversation so far.
}

// spansPerRun is how many spans a run emits: the request that started it, the run itself and its steps.
func (s shape) spansPerRun() int { return 2 + s.steps }

// template is an encoded request and where its ids and times are, so that a copy of it can be made unlike all others
// without encoding it again.
type template struct {
	wire  []byte
	ids   []int // Offsets of 16 raw bytes: trace ids.
	texts []int // Offsets of 32 hex digits: ids of runs as text.
	times []int // Offsets of times: fixed64, ns.
	rows  int   // Spans or log records.
}

// mix is the traffic of one signal pair: the same runs as spans and as log records.
type mix struct {
	traces, logs []template
}

// write writes the requests into a folder, as name.traces.pb and name.logs.pb.
func (m *mix) write(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for i := range m.traces {
		for suffix, t := range map[string]*template{"traces": &m.traces[i], "logs": &m.logs[i]} {
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%05d.%s.pb", i, suffix)), t.wire, 0o600); err != nil {
				return err
			}
		}
	}
	return nil
}

// stamp writes a copy of t into dst whose ids belong to run number n and whose times lie by after the first.
func (t *template) stamp(dst []byte, n uint64, by int64) []byte {
	dst = append(dst[:0], t.wire...)
	for _, at := range t.ids {
		id := binary.BigEndian.Uint64(dst[at:]) + n*0x9E3779B97F4A7C15
		binary.BigEndian.PutUint64(dst[at:], id)
	}
	var raw [8]byte
	for _, at := range t.texts {
		_, _ = hex.Decode(raw[:], dst[at:at+16])
		binary.BigEndian.PutUint64(raw[:], binary.BigEndian.Uint64(raw[:])+n*0x9E3779B97F4A7C15)
		hex.Encode(dst[at:at+16], raw[:])
	}
	for _, at := range t.times {
		binary.LittleEndian.PutUint64(dst[at:], binary.LittleEndian.Uint64(dst[at:])+uint64(by))
	}
	return dst
}

// builder makes a mix. Everything follows from its seed.
type builder struct {
	r     *rand.Rand
	words []string
	start uint64 // ns since the epoch

	prompts map[string]string // By agent.
	shape
}

// newMix returns the traffic of a marketplace: 40 agents in three dialects, 5,000 users, a few models and tools, texts
// of realistic length and words that do not repeat each other, but for what each agent's model is told in every call.
func newMix(s shape, start uint64, seed uint64) (*mix, error) {
	b := &builder{r: rand.New(rand.NewPCG(seed, 1)), start: start, prompts: map[string]string{}, shape: s}
	for range 4000 {
		n := 2 + b.r.IntN(9)
		var w strings.Builder
		for range n {
			w.WriteByte("etaoinshrdlcumwfgypbvkxjqz"[min(25, int(b.r.ExpFloat64()*6))])
		}
		b.words = append(b.words, w.String())
	}
	m := &mix{}
	for range s.templates {
		t, l, err := b.request(s.runsPerRequest)
		if err != nil {
			return nil, err
		}
		m.traces, m.logs = append(m.traces, t), append(m.logs, l)
	}
	return m, nil
}

// request returns the spans and the log records of runs of one service, as its SDK would send them.
func (b *builder) request(runs int) (spans, records template, err error) {
	service := fmt.Sprintf("agents-%d", b.r.IntN(6))
	res := &resource.Resource{Attributes: []*common.KeyValue{
		text("service.name", service),
		text("service.version", fmt.Sprintf("1.%d.%d", b.r.IntN(5), b.r.IntN(20))),
		text("service.instance.id", b.uuid()),
		text("deployment.environment.name", "production"),
		text("host.name", fmt.Sprintf("node-%02d.eu-west-1.internal", b.r.IntN(20))),
		text("process.runtime.name", "nodejs"),
		text("telemetry.sdk.name", "opentelemetry"),
		text("telemetry.sdk.language", "nodejs"),
		text("telemetry.sdk.version", "2.1.0"),
	}}
	dialect := dialects[b.r.IntN(len(dialects))]
	http := &traces.ScopeSpans{Scope: &common.InstrumentationScope{Name: "@opentelemetry/instrumentation-http", Version: "0.203.0"}}
	agent := &traces.ScopeSpans{Scope: &common.InstrumentationScope{Name: dialect.scope, Version: dialect.version}}
	written := &logs.ScopeLogs{Scope: &common.InstrumentationScope{Name: service + "/log", Version: "1.0.0"}}
	var ids [][]byte
	for range runs {
		r := b.run()
		ids = append(ids, r.trace)
		http.Spans = append(http.Spans, b.httpSpan(r))
		agent.Spans = append(agent.Spans, dialect.spans(b, r)...)
		written.LogRecords = append(written.LogRecords, b.records(r)...)
	}
	td := &collectortraces.ExportTraceServiceRequest{ResourceSpans: []*traces.ResourceSpans{{Resource: res, ScopeSpans: []*traces.ScopeSpans{http, agent}}}}
	ld := &collectorlogs.ExportLogsServiceRequest{ResourceLogs: []*logs.ResourceLogs{{Resource: res, ScopeLogs: []*logs.ScopeLogs{written}}}}
	if spans, err = b.template(td, ids, runs*b.spansPerRun()); err != nil {
		return template{}, template{}, err
	}
	records, err = b.template(ld, ids, runs*logsPerRun)
	return spans, records, err
}

// template encodes a request and finds the places that stamp changes.
func (b *builder) template(m proto.Message, ids [][]byte, rows int) (template, error) {
	wire, err := proto.Marshal(m)
	if err != nil {
		return template{}, fmt.Errorf("encode request: %w", err)
	}
	t := template{wire: wire, rows: rows}
	for _, id := range ids {
		t.ids = appendOffsets(t.ids, wire, id)
		t.texts = appendOffsets(t.texts, wire, []byte(hex.EncodeToString(id)))
	}
	// Times follow the tag of a fixed64 field and lie within minutes of the start, which nothing else in the request
	// looks like.
	for at := 1; at+8 <= len(wire); at++ {
		switch wire[at-1] {
		case 1<<3 | 1, 7<<3 | 1, 8<<3 | 1, 11<<3 | 1:
		default:
			continue
		}
		if v := binary.LittleEndian.Uint64(wire[at:]); v >= b.start && v < b.start+900e9 {
			t.times = append(t.times, at)
			at += 7
		}
	}
	return t, nil
}

func appendOffsets(offsets []int, in, what []byte) []int {
	for from := 0; ; {
		i := bytes.Index(in[from:], what)
		if i < 0 {
			return offsets
		}
		offsets = append(offsets, from+i)
		from += i + len(what)
	}
}

func text(key, value string) *common.KeyValue {
	return &common.KeyValue{Key: key, Value: &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: value}}}
}

func number(key string, value int64) *common.KeyValue {
	return &common.KeyValue{Key: key, Value: &common.AnyValue{Value: &common.AnyValue_IntValue{IntValue: value}}}
}

func double(key string, value float64) *common.KeyValue {
	return &common.KeyValue{Key: key, Value: &common.AnyValue{Value: &common.AnyValue_DoubleValue{DoubleValue: value}}}
}

func list(key string, values ...string) *common.KeyValue {
	a := &common.ArrayValue{}
	for _, v := range values {
		a.Values = append(a.Values, &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: v}})
	}
	return &common.KeyValue{Key: key, Value: &common.AnyValue{Value: &common.AnyValue_ArrayValue{ArrayValue: a}}}
}

// sentence returns about n bytes of words.
func (b *builder) sentence(n int) string {
	var s strings.Builder
	for s.Len() < n {
		if s.Len() > 0 {
			s.WriteByte(' ')
		}
		s.WriteString(b.words[min(len(b.words)-1, int(b.r.ExpFloat64()*600))])
	}
	return s.String()
}

// length returns a length around mean, most below it and a few far above.
func (b *builder) length(mean int) int { return 8 + int(b.r.ExpFloat64()*float64(mean)) }

func (b *builder) bytes(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(b.r.Uint32())
	}
	return p
}

func (b *builder) uuid() string {
	p := b.bytes(16)
	return fmt.Sprintf("%x-%x-4%x-a%x-%x", p[:4], p[4:6], p[6:8], p[8:10], p[10:])
}
