package mapping

import (
	"strings"

	"github.com/agenttrail/agenttrail/exporter/record"
)

// shape is the keys of a record. Those of one kind have the same keys in the same order, so that what a key means, and
// that none is there twice, need not be found out for each.
type shape struct {
	keys  []string
	has   keySet
	known []slot
}

// slot says where a known key stands.
type slot struct {
	id keyID
	at int32
}

// shapes are the shapes that came lately, each in the place that the lengths of its keys give.
type shapes [256]struct {
	shape *shape
	// Which other shape would have been here, by its lengths, and how often since this one was last found.
	missed uint64
	times  int
}

const (
	// maxShapeKeys and maxShapeBytes bound what a shape keeps.
	maxShapeKeys  = 64
	maxShapeBytes = 4 << 10
	// learnAfter is how often a shape must be missed to be kept, and relearnAfter is the same where it takes the place of
	// another one, which is not used then: what never comes again is not worth the memory.
	learnAfter   = 2
	relearnAfter = 16
)

// find returns the shape of the attributes, nil if it is not there.
func (s *shapes) find(lengths uint64, attrs record.Attrs) *shape {
	e := &s[lengths%uint64(len(s))]
	found := e.shape
	if found == nil || len(found.keys) != len(attrs) {
		return nil
	}
	for i := range attrs {
		if attrs[i].Key != found.keys[i] {
			return nil
		}
	}
	e.times = 0
	return found
}

// learn takes note of attributes whose shape is not there, and whose keys are valid and distinct; v has just read them.
func (s *shapes) learn(lengths uint64, v *view) {
	e := &s[lengths%uint64(len(s))]
	if e.missed != lengths {
		e.missed, e.times = lengths, 0
	}
	if e.times++; e.times < learnAfter || e.shape != nil && e.times < relearnAfter || len(v.attrs) > maxShapeKeys {
		return
	}
	bytes := 0
	for i := range v.attrs {
		bytes += len(v.attrs[i].Key)
	}
	if bytes > maxShapeBytes {
		return
	}
	e.times = 0
	e.shape = &shape{has: v.has}
	var all strings.Builder
	all.Grow(bytes)
	for i := range v.attrs {
		start := all.Len()
		all.WriteString(v.attrs[i].Key) // The record's own string is gone when the request is.
		key := all.String()[start:]
		e.shape.keys = append(e.shape.keys, key)
		if id, ok := keys.find(keys.hash(key), key); ok {
			e.shape.known = append(e.shape.known, slot{id, int32(i)})
		}
	}
}

// show points a view to attributes of this shape.
func (s *shape) show(v *view, attrs record.Attrs) {
	v.attrs, v.has = attrs, s.has
	for _, k := range s.known {
		v.slot[k.id] = k.at
	}
}
