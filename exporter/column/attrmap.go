package column

import (
	"unsafe"

	"github.com/agenttrail/agenttrail/exporter/record"
)

// attrMap is a column of type Map(LowCardinality(String), String).
type attrMap struct {
	off  offsets
	keys lowCardinality
	vals text

	// Where the keys of a row stand that had keys of these lengths: many rows have the same keys in the same order.
	shapes [32]keyShape

	// The attributes that addShared stored last, and where.
	shared           record.Attrs
	sharedKeys       [2]int
	sharedVals       [2]int
	sharedIsRecorded bool
}

// keyShape is a stretch of keys in a column.
type keyShape struct {
	lengths  uint64 // See [record.Attrs.KeyLengths].
	from, to int
}

func (c *attrMap) add(attrs record.Attrs) {
	c.put(attrs)
	c.off.ends = append(c.off.ends, uint64(len(c.keys.idx)))
}

// put appends the pairs without ending the row.
func (c *attrMap) put(attrs record.Attrs) {
	c.putKeys(attrs)
	for i := range attrs {
		c.vals.addValue(&attrs[i].Value)
	}
}

func (c *attrMap) putKeys(attrs record.Attrs) {
	lengths := attrs.KeyLengths()
	s := &c.shapes[lengths%uint64(len(c.shapes))]
	if ids := c.keys.idx[s.from:s.to]; s.lengths == lengths && c.keys.are(ids, attrs) {
		c.keys.idx = append(c.keys.idx, ids...)
		return
	}
	*s = keyShape{lengths: lengths, from: len(c.keys.idx)}
	for i := range attrs {
		c.keys.addNext(attrs[i].Key)
	}
	s.to = len(c.keys.idx)
}

// addShared is add for attributes that many rows in a row have in common, such as those of a resource: equal ones are
// copied from where they were encoded last.
func (c *attrMap) addShared(attrs record.Attrs) {
	if c.sharedIsRecorded && sameAttrs(attrs, c.shared) {
		c.keys.idx = append(c.keys.idx, c.keys.idx[c.sharedKeys[0]:c.sharedKeys[1]]...)
		c.vals.buf = append(c.vals.buf, c.vals.buf[c.sharedVals[0]:c.sharedVals[1]]...)
		c.off.ends = append(c.off.ends, uint64(len(c.keys.idx)))
		return
	}
	c.sharedKeys[0], c.sharedVals[0] = len(c.keys.idx), len(c.vals.buf)
	c.add(attrs)
	c.sharedKeys[1], c.sharedVals[1] = len(c.keys.idx), len(c.vals.buf)
	c.shared = append(c.shared[:0], attrs...)
	c.sharedIsRecorded = true
}

// sameAttrs reports whether a and b are certainly the same: it compares where strings are, not what they say. Two
// strings of one request at one place are one string, whoever built the list of them.
func sameAttrs(a, b record.Attrs) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		x, y := &a[i], &b[i]
		if !sameString(x.Key, y.Key) || x.Value.Kind != y.Value.Kind || x.Value.Num != y.Value.Num || !sameString(x.Value.Str, y.Value.Str) {
			return false
		}
	}
	return true
}

func sameString(a, b string) bool {
	return len(a) == len(b) && unsafe.StringData(a) == unsafe.StringData(b)
}

// endRequest forgets what was valid only during the request.
func (c *attrMap) endRequest() {
	clear(c.shared)
	c.shared = c.shared[:0]
	c.sharedIsRecorded = false
}

func (c *attrMap) reset() {
	clear(c.shapes[:])
	c.endRequest()
	c.off.reset()
	c.keys.reset()
	c.vals.reset()
}

func (c *attrMap) size() int                      { return 8*len(c.off.ends) + c.keys.size() + c.vals.size() }
func (c *attrMap) appendPrefix(dst []byte) []byte { return c.keys.appendPrefix(dst) }

func (c *attrMap) appendData(dst []byte) []byte {
	return c.vals.appendData(c.keys.appendData(c.off.appendData(dst)))
}

func (c *attrMap) merge(src column) {
	s := src.(*attrMap)
	c.off.merge(&s.off)
	c.keys.merge(&s.keys)
	c.vals.merge(&s.vals)
}
