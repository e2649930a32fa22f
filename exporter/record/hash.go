package record

import (
	"encoding/binary"
	"math"
)

// A hash is taken over an encoding from which the request could be read back: every number has 8 bytes, and the lengths
// of strings and lists stand before their content. So two requests that differ have different encodings, wherever one
// value ends and the next begins. The first word says what comes.
//
// Hashes are kept over a restart for as long as a request may come again. A change of the encoding makes them useless
// for that time, so the words below get another version then.
const (
	hashTraces  = 1<<8 | 'T' // Version 1.
	hashLogs    = 1<<8 | 'L'
	hashMetrics = 1<<8 | 'M'
)

// Hash returns a hash of everything in the request: of what the records say, of their order and of that of their
// attributes, and of how they are spread over resources and scopes. The same request has the same hash in every
// process. It does not withstand somebody who looks for two requests with one hash.
func (t *Traces) Hash() [16]byte {
	var d digest
	d.words4(hashTraces, uint64(len(t.Resources)), uint64(len(t.Scopes)), uint64(len(t.Spans)))
	d.resources(t.Resources)
	d.scopes(t.Scopes)
	for i := range t.Spans {
		d.span(&t.Spans[i])
	}
	return d.sum()
}

// Hash returns a hash of everything in the request, see [Traces.Hash].
func (l *Logs) Hash() [16]byte {
	var d digest
	d.words4(hashLogs, uint64(len(l.Resources)), uint64(len(l.Scopes)), uint64(len(l.Records)))
	d.resources(l.Resources)
	d.scopes(l.Scopes)
	for i := range l.Records {
		d.log(&l.Records[i])
	}
	return d.sum()
}

// Hash returns a hash of everything in the request, see [Traces.Hash].
func (m *Metrics) Hash() [16]byte {
	var d digest
	d.words4(hashMetrics, uint64(len(m.Resources)), uint64(len(m.Scopes)), uint64(len(m.Points)))
	d.word(uint64(len(m.Metrics)))
	d.resources(m.Resources)
	d.scopes(m.Scopes)
	for i := range m.Metrics {
		d.metric(&m.Metrics[i])
	}
	for i := range m.Points {
		d.point(&m.Points[i])
	}
	return d.sum()
}

func (d *digest) resources(rs []Resource) {
	for i := range rs {
		r := &rs[i]
		d.words2(uint64(len(r.SchemaURL)), uint64(len(r.Attrs)))
		d.text(r.SchemaURL)
		d.attrs(r.Attrs)
	}
}

func (d *digest) scopes(ss []Scope) {
	for i := range ss {
		s := &ss[i]
		d.words4(uint64(len(s.Name)), uint64(len(s.Version)), uint64(len(s.Attrs)), 0)
		d.text(s.Name)
		d.text(s.Version)
		d.attrs(s.Attrs)
	}
}

func (d *digest) attrs(as Attrs) {
	for i := range as {
		a := &as[i]
		b := d.room(24)
		binary.LittleEndian.PutUint64(b, uint64(len(a.Key))|uint64(a.Value.Kind)<<56) // No string is that long.
		binary.LittleEndian.PutUint64(b[8:], a.Value.Num)
		binary.LittleEndian.PutUint64(b[16:], uint64(len(a.Value.Str)))
		d.text(a.Key)
		d.text(a.Value.Str)
	}
}

func (d *digest) span(s *Span) {
	d.ids(&s.TraceID, &s.SpanID)
	d.bytes8(&s.ParentSpanID)
	d.words4(s.Start, s.End, uint64(s.Kind)|uint64(s.Status)<<8, uint64(len(s.Name)))
	d.words4(uint64(len(s.StatusMessage)), uint64(len(s.Attrs)), uint64(len(s.Events)), uint64(len(s.Links)))
	d.words2(uint64(s.Resource), uint64(s.Scope)) //nolint:gosec // Indexes.
	d.text(s.Name)
	d.text(s.StatusMessage)
	d.attrs(s.Attrs)
	for i := range s.Events {
		e := &s.Events[i]
		d.words4(e.Time, uint64(len(e.Name)), uint64(len(e.Attrs)), 0)
		d.text(e.Name)
		d.attrs(e.Attrs)
	}
	for i := range s.Links {
		l := &s.Links[i]
		d.ids(&l.TraceID, &l.SpanID)
		d.word(uint64(len(l.Attrs)))
		d.attrs(l.Attrs)
	}
}

func (d *digest) log(l *Log) {
	d.ids(&l.TraceID, &l.SpanID)
	d.words4(l.Time, l.Observed, uint64(l.Severity)|uint64(l.Body.Kind)<<8, l.Body.Num)
	d.words4(uint64(len(l.SeverityText)), uint64(len(l.EventName)), uint64(len(l.Body.Str)), uint64(len(l.Attrs)))
	d.words2(uint64(l.Resource), uint64(l.Scope)) //nolint:gosec // Indexes.
	d.text(l.SeverityText)
	d.text(l.EventName)
	d.text(l.Body.Str)
	d.attrs(l.Attrs)
}

func (d *digest) metric(m *Metric) {
	d.words4(uint64(m.Kind)|uint64(m.Temporality)<<8|bit(m.Monotonic)<<16, uint64(len(m.Name)), uint64(len(m.Unit)), 0)
	d.words2(uint64(m.Resource), uint64(m.Scope)) //nolint:gosec // Indexes.
	d.text(m.Name)
	d.text(m.Unit)
}

func (d *digest) point(p *Point) {
	known := bit(p.Sum.Known)<<8 | bit(p.Min.Known)<<9 | bit(p.Max.Known)<<10 | bit(p.NoValue)<<11 | uint64(p.Num.Kind)
	d.words4(known, uint64(p.Metric), p.Start, p.Time)                                                  //nolint:gosec // An index.
	d.words4(uint64(p.Num.Int), math.Float64bits(p.Num.Double), p.Count, math.Float64bits(p.Sum.Value)) //nolint:gosec // Two's complement.
	d.words4(math.Float64bits(p.Min.Value), math.Float64bits(p.Max.Value), p.ZeroCount, math.Float64bits(p.ZeroThreshold))
	d.words4(uint64(uint32(p.Scale)), uint64(uint32(p.Positive.Offset)), uint64(uint32(p.Negative.Offset)), uint64(len(p.Attrs))) //nolint:gosec // Two's complement.
	d.words4(uint64(len(p.Bounds)), uint64(len(p.Counts)), uint64(len(p.Values)), uint64(len(p.Positive.Counts)))
	d.word(uint64(len(p.Negative.Counts)))
	d.attrs(p.Attrs)
	d.floats(p.Bounds)
	d.counts(p.Counts)
	d.floats(p.Values)
	d.counts(p.Positive.Counts)
	d.counts(p.Negative.Counts)
}

func (d *digest) floats(fs []float64) {
	for _, f := range fs {
		d.word(math.Float64bits(f))
	}
}

func (d *digest) counts(ns []uint64) {
	for _, n := range ns {
		d.word(n)
	}
}

func bit(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}
