package mapping

import (
	"strings"

	"github.com/agenttrail/agenttrail/exporter/record"
)

// source is one row of a decision table: an attribute that can answer, in order of precedence.
type source struct {
	key   string  // the attribute
	path  string  // the member to read when the attribute holds a JSON object, members joined by dots
	only  Dialect // the only dialect whose spans are asked, if not all
	scale float64 // factor to milliseconds, in tables of times
	from  string  // the convention and version, or the emitter, that defines the attribute
}

// table is a decision table with its keys looked up.
type table struct {
	need keySet
	rows []tableRow
}

type tableRow struct {
	id    keyID
	path  []string
	only  Dialect
	scale float64
}

func newTable(sources ...source) *table {
	t := &table{}
	for _, s := range sources {
		r := tableRow{id: keys.intern(s.key), only: s.only, scale: s.scale}
		if s.path != "" {
			r.path = strings.Split(s.path, ".")
		}
		t.need.add(r.id)
		t.rows = append(t.rows, r)
	}
	return t
}

// row returns the value that a row of a table finds in a view.
func (r *tableRow) value(v *view, d Dialect) (record.Value, bool) {
	if !v.has.contains(r.id) || (r.only != DialectNone && r.only != d) {
		return record.Value{}, false
	}
	x := v.value(r.id)
	if r.path != nil {
		return jsonPath(x, r.path)
	}
	return x, x.Kind != record.ValueEmpty
}

// text returns the first text that the table finds, as it is stored in a column of names or ids, and its row.
func (m *Mapper) text(v *view, t *table, d Dialect) (string, int) {
	if !v.has.intersects(&t.need) {
		return "", -1
	}
	for i := range t.rows {
		x, ok := t.rows[i].value(v, d)
		if !ok {
			continue
		}
		if s, ok := m.textOf(x); !ok {
			m.blame(v, t.rows[i].id, ReasonWrongType)
		} else if s != "" {
			return s, i
		}
	}
	return "", -1
}

// textOf reads a value as text: strings and numbers; others are no names.
func (m *Mapper) textOf(v record.Value) (string, bool) {
	switch v.Kind {
	case record.ValueString:
		return m.name(v.Str), true
	case record.ValueInt, record.ValueDouble:
		return m.arena.TakeText(v.AppendText(m.arena.Text())), true
	default:
		return "", false
	}
}

// count returns the first count that the table finds.
func (m *Mapper) count(v *view, t *table, d Dialect, limit uint64) (uint64, bool) {
	if !v.has.intersects(&t.need) {
		return 0, false
	}
	for i := range t.rows {
		x, ok := t.rows[i].value(v, d)
		if !ok {
			continue
		}
		n, got := countOf(x, limit)
		if m.judge(v, t.rows[i].id, got) {
			return n, true
		}
	}
	return 0, false
}

// amount returns the first decimal that the table finds, as a count of 10^-scale from 0 to limit.
func (m *Mapper) amount(v *view, t *table, d Dialect, scale int, limit int64) (int64, bool) {
	if !v.has.intersects(&t.need) {
		return 0, false
	}
	for i := range t.rows {
		x, ok := t.rows[i].value(v, d)
		if !ok {
			continue
		}
		n, got := decimalOf(x, scale)
		if (got == readOK || got == readRounded) && (n < 0 || n > limit) {
			got = readOutOfRange
		}
		if m.judge(v, t.rows[i].id, got) {
			return n, true
		}
	}
	return 0, false
}

// millis returns the first time span that the table finds, in ms.
func (m *Mapper) millis(v *view, t *table, d Dialect) (float64, bool) {
	if !v.has.intersects(&t.need) {
		return 0, false
	}
	for i := range t.rows {
		r := &t.rows[i]
		x, ok := r.value(v, d)
		if !ok {
			continue
		}
		f, got := floatOf(x)
		if f *= r.scale; f > maxMillis {
			got = readOutOfRange
		}
		if m.judge(v, t.rows[i].id, got) {
			return f, true
		}
	}
	return 0, false
}

// judge counts what could not be read as it came and reports whether there is something to use.
func (m *Mapper) judge(v *view, id keyID, got verdict) bool {
	switch got {
	case readWrongType:
		m.blame(v, id, ReasonWrongType)
		return false
	case readOutOfRange:
		m.blame(v, id, ReasonOutOfRange)
		return false
	case readRounded:
		m.blame(v, id, ReasonRounded)
	}
	return true
}
