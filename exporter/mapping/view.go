package mapping

import (
	"github.com/agenttrail/agenttrail/exporter/record"
)

// view finds the known attributes of one record by their number. Each key is looked up once, when it is loaded.
type view struct {
	attrs record.Attrs
	has   keySet
	bad   keySet // attributes that could not be read, counted already
	quiet bool   // the record was read before, and what is wrong with it was counted
	slot  [maxKeys]int32
	after [maxKeys + 1]keyID // Which known key came after another one the last time.
}

// blame counts an attribute that cannot be read as it came, once for each record.
func (m *Mapper) blame(v *view, id keyID, why Reason) {
	if !v.quiet && !v.bad.contains(id) {
		v.bad.add(id)
		m.stats.Adjusted[why]++
	}
}

// value returns the value of a known attribute; the record must have it.
func (v *view) value(id keyID) record.Value { return v.attrs[v.slot[id]].Value }

// get returns the value of a known attribute.
func (v *view) get(id keyID) (record.Value, bool) {
	if !v.has.contains(id) {
		return record.Value{}, false
	}
	return v.value(id), true
}

// str returns a known attribute that is a string, else "".
func (v *view) str(id keyID) string {
	if x, ok := v.get(id); ok && x.Kind == record.ValueString {
		return x.Str
	}
	return ""
}

// load points the view to the attributes of a record that was scanned before. Of several with the same key the last one
// counts, as for an SDK, where setting an attribute again overwrites it.
func (m *Mapper) load(v *view, attrs record.Attrs) {
	v.quiet = true
	if s := m.shapes.find(attrs.KeyLengths(), attrs); s != nil {
		s.show(v, attrs)
		return
	}
	v.attrs, v.has = attrs, keySet{}
	before := firstKey
	for i := range attrs {
		id, ok := v.guess(before, attrs[i].Key)
		if !ok {
			if id, ok = keys.find(keys.hash(attrs[i].Key), attrs[i].Key); !ok {
				continue
			}
			v.after[before] = id
		}
		before = id
		v.has.add(id)
		v.slot[id] = int32(i)
	}
}

// firstKey stands for what is before the first attribute.
const firstKey keyID = maxKeys

// guess returns the known key that followed another one the last time, if it is this one: records of one kind have the
// same keys in the same order.
func (v *view) guess(before keyID, key string) (keyID, bool) {
	id := v.after[before]
	return id, keys.names[id] == key
}

// scan loads the view and returns the attributes as they are stored: valid UTF-8, cut to size, each key once. When
// there is nothing to change, that is attrs itself.
func (m *Mapper) scan(v *view, attrs record.Attrs) record.Attrs {
	v.bad, v.quiet = keySet{}, false
	lengths := attrs.KeyLengths()
	if s := m.shapes.find(lengths, attrs); s != nil {
		s.show(v, attrs)
		for i := range attrs {
			if !m.fits(&attrs[i].Value) {
				return m.repair(attrs)
			}
		}
		return attrs
	}
	v.attrs, v.has = attrs, keySet{}
	clean, fits, unknown := true, true, false
	before := firstKey
	for i := range attrs {
		a := &attrs[i]
		id, ok := v.guess(before, a.Key)
		var h uint64
		if !ok {
			h = keys.hash(a.Key)
			if id, ok = keys.find(h, a.Key); ok {
				v.after[before] = id
			}
		}
		if ok {
			before = id
			clean = clean && !v.has.contains(id)
			v.has.add(id)
			v.slot[id] = int32(i)
		} else {
			if !unknown {
				unknown = true
				m.seen.reset(len(attrs))
			}
			if _, dup := m.see(attrs, h, a.Key, i); dup {
				clean = false
			}
			clean = clean && len(a.Key) <= maxKeyBytes && record.ValidUTF8(a.Key)
		}
		fits = fits && m.fits(&a.Value)
	}
	if clean {
		m.shapes.learn(lengths, v)
	}
	if clean && fits {
		return attrs
	}
	return m.repair(attrs)
}

// see enters attribute i, which has or will have the key, into the set of seen keys, or returns the earlier attribute
// with the same key.
func (m *Mapper) see(attrs record.Attrs, h uint64, key string, i int) (int, bool) {
	p := m.seen.start(h)
	for ; m.seen.used(p); p = m.seen.next(p) {
		if s := &m.seen.slots[p]; s.sum == h && attrs[s.idx].Key == key {
			return int(s.idx), true
		}
	}
	m.seen.set(p, h, i)
	return 0, false
}

func (m *Mapper) fits(v *record.Value) bool {
	switch v.Kind {
	case record.ValueString, record.ValueArray, record.ValueMap:
		return len(v.Str) <= m.cfg.MaxAttributeBytes && record.ValidUTF8(v.Str)
	case record.ValueBytes:
		return base64Len(len(v.Str)) <= m.cfg.MaxAttributeBytes
	default:
		return true
	}
}

// repair copies the attributes and changes what cannot be stored as it is.
func (m *Mapper) repair(attrs record.Attrs) record.Attrs {
	m.seen.reset(len(attrs))
	mark := m.arena.AttrMark()
	m.place = m.place[:0]
	for i := range attrs {
		m.place = append(m.place, -1)
		first, dup := m.see(attrs, keys.hash(attrs[i].Key), attrs[i].Key, i)
		if !dup {
			first = i
		} else {
			m.stats.Adjusted[ReasonDuplicateKey]++
		}
		m.place[first] = int32(i)
	}
	for i := range attrs {
		if last := m.place[i]; last >= 0 {
			m.arena.AddAttr(m.clean(attrs[i].Key, maxKeyBytes), m.cleanValue(attrs[last].Value))
		}
	}
	return m.arena.TakeAttrs(mark)
}

func (m *Mapper) cleanValue(v record.Value) record.Value {
	if m.fits(&v) {
		return v
	}
	if v.Kind == record.ValueBytes {
		// Marked text cannot be base64, so what is left is stored as the text that it would have been.
		keep := m.cfg.MaxAttributeBytes / 4 * 3
		m.stats.Adjusted[ReasonTruncated]++
		text := record.Value{Kind: record.ValueBytes, Str: v.Str[:keep]}.AppendText(m.arena.Text())
		return record.String(m.arena.TakeText(appendCutMarker(text, len(v.Str)-keep)))
	}
	s := m.clean(v.Str, m.cfg.MaxAttributeBytes)
	if len(v.Str) > m.cfg.MaxAttributeBytes {
		return record.String(s)
	}
	return record.Value{Kind: v.Kind, Str: s}
}
