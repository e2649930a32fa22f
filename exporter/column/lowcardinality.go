package column

import (
	"encoding/binary"
	"math"
	"unsafe"

	"github.com/agenttrail/agenttrail/exporter/record"
)

// The layout of a LowCardinality column follows ClickHouse's SerializationLowCardinality: a version in front of the
// column, then flags with the width of the keys, the dictionary of this block and a key per row.
const (
	lowCardinalityVersion = 1 // SharedDictionariesWithAdditionalKeys.
	hasAdditionalKeys     = 1 << 9
	needUpdateDictionary  = 1 << 10
)

// keepKeys is how large a dictionary may be for its map to be kept for the next block: clearing a map costs as much as
// it has room for.
const keepKeys = 1 << 14

// lowCardinality is a column of strings with a dictionary per block.
type lowCardinality struct {
	ids   map[string]uint32
	keys  []string // By id; they point into dict or into an earlier array of it, never into a row.
	after []uint32 // By id: which one came after it the last time.
	dict  text
	idx   []uint32

	// Ids of strings that came lately, each where its length and some of its bytes put it. What is there is a guess.
	lately [64]uint32
}

func (c *lowCardinality) add(s string) {
	if n := len(c.idx); n > 0 {
		if last := c.idx[n-1]; c.keys[last] == s { // Rows that come together often say the same.
			c.idx = append(c.idx, last)
			return
		}
	}
	c.addNext(s)
}

// addNext adds s and guesses that it is what came after the value before it the last time: rows of several kinds take
// turns, and so do the keys of their attributes.
func (c *lowCardinality) addNext(s string) {
	n := len(c.idx)
	if n == 0 {
		c.idx = append(c.idx, c.id(s, 0))
		return
	}
	last := c.idx[n-1]
	id := c.id(s, c.after[last])
	c.after[last] = id
	c.idx = append(c.idx, id)
}

// id returns the id of s and guesses that it is hint, which need not exist.
func (c *lowCardinality) id(s string, hint uint32) uint32 {
	if int(hint) < len(c.keys) && c.keys[hint] == s {
		return hint
	}
	guess := c.guess(s)
	if id := *guess; int(id) < len(c.keys) && c.keys[id] == s {
		return id
	}
	id, ok := c.ids[s]
	if !ok {
		id = c.insert(s)
	}
	*guess = id
	return id
}

// guess returns where the id of s stands if it came lately, so that s need not be hashed.
func (c *lowCardinality) guess(s string) *uint32 {
	n := len(s)
	if n == 0 {
		return &c.lately[0]
	}
	return &c.lately[(n+31*int(s[n-1])+7*int(s[n/2]))%len(c.lately)]
}

// are reports whether the ids are those of the keys of attributes.
func (c *lowCardinality) are(ids []uint32, attrs record.Attrs) bool {
	if len(ids) != len(attrs) {
		return false
	}
	for i, id := range ids {
		if c.keys[id] != attrs[i].Key {
			return false
		}
	}
	return true
}

func (c *lowCardinality) insert(s string) uint32 {
	if c.ids == nil {
		c.ids = make(map[string]uint32)
	}
	c.dict.add(s)
	stored := c.dict.buf[len(c.dict.buf)-len(s):]
	// The bytes of dict are only appended to until reset, and reset forgets every key. So the string never changes
	// while somebody can see it.
	key := unsafe.String(unsafe.SliceData(stored), len(stored))
	if len(c.keys) > math.MaxUint32 {
		panic("BUG: more than 2^32 distinct values in one block")
	}
	id := uint32(len(c.keys)) //nolint:gosec // Checked above.
	c.keys = append(c.keys, key)
	c.after = append(c.after, id)
	c.ids[key] = id
	return id
}

func (c *lowCardinality) reset() {
	if len(c.keys) > keepKeys {
		c.ids = nil
	} else {
		clear(c.ids)
	}
	clear(c.keys)
	c.keys = shrink(c.keys)
	c.after = shrink(c.after)
	c.dict.reset()
	c.idx = shrink(c.idx)
}

func (c *lowCardinality) size() int { return c.dict.size() + 4*len(c.idx) }

func (c *lowCardinality) appendPrefix(dst []byte) []byte {
	return binary.LittleEndian.AppendUint64(dst, lowCardinalityVersion)
}

func (c *lowCardinality) appendData(dst []byte) []byte {
	if len(c.idx) == 0 {
		return dst
	}
	width := c.width()
	dst = binary.LittleEndian.AppendUint64(dst, width|hasAdditionalKeys|needUpdateDictionary)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(len(c.keys)))
	dst = c.dict.appendData(dst)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(len(c.idx)))
	return appendKeys(dst, c.idx, width)
}

// width says how many bytes a key takes: 1 << width.
func (c *lowCardinality) width() uint64 {
	switch n := len(c.keys); {
	case n > math.MaxUint16+1:
		return 2
	case n > math.MaxUint8+1:
		return 1
	default:
		return 0
	}
}

func appendKeys(dst []byte, keys []uint32, width uint64) []byte {
	switch width {
	case 0:
		for _, id := range keys {
			dst = append(dst, byte(id)) //nolint:gosec // There are at most 256 keys.
		}
	case 1:
		for _, id := range keys {
			dst = binary.LittleEndian.AppendUint16(dst, uint16(id)) //nolint:gosec // There are at most 65536 keys.
		}
	default:
		for _, id := range keys {
			dst = binary.LittleEndian.AppendUint32(dst, id)
		}
	}
	return dst
}

func (c *lowCardinality) merge(src column) {
	s := src.(*lowCardinality)
	// The ids of src as ids of c, one look-up per distinct value. Its last one is kept, as values come in runs.
	start := len(c.idx)
	c.idx = append(c.idx, s.idx...)
	c.remap(s.keys, c.idx[start:])
}

// remap turns ids of keys into ids of c.
func (c *lowCardinality) remap(keys []string, idx []uint32) {
	if len(idx) == 0 {
		return
	}
	var small [64]uint32
	ids := small[:0]
	if len(keys) > len(small) {
		ids = make([]uint32, 0, len(keys))
	}
	for i, key := range keys {
		ids = append(ids, c.id(key, uint32(i)))
	}
	for i, id := range idx {
		idx[i] = ids[id]
	}
}
