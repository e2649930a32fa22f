package column

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"unsafe"
)

// words are strings with a dictionary.
type words struct {
	lowCardinality
	keptKeys, keptDict, keptIdx int
}

func (c *words) keep() {
	c.keptKeys, c.keptDict, c.keptIdx = len(c.keys), len(c.dict.buf), len(c.idx)
}

func (c *words) undo() {
	for _, key := range c.keys[c.keptKeys:] {
		delete(c.ids, key)
	}
	clear(c.keys[c.keptKeys:])
	c.keys, c.after = c.keys[:c.keptKeys], c.after[:c.keptKeys]
	c.dict.buf = c.dict.buf[:c.keptDict]
	c.idx = c.idx[:c.keptIdx]
}

func (c *words) emitPrefix(e *emitter) { e.uint64(lowCardinalityVersion) }

func (c *words) emit(e *emitter) {
	if len(c.idx) == 0 {
		return
	}
	width := c.width()
	e.uint64(width | hasAdditionalKeys | needUpdateDictionary)
	e.uint64(uint64(len(c.keys)))
	e.put(c.dict.buf)
	e.uint64(uint64(len(c.idx)))
	const most = 1024 // Keys of up to 4 bytes, in one go.
	for idx := c.idx; len(idx) > 0; {
		n := min(len(idx), most)
		e.room(n << width)
		e.frame = appendKeys(e.frame, idx[:n], width)
		idx = idx[n:]
	}
}

func (c *words) readPrefix(in *input) error {
	version, err := in.uint64()
	if err != nil {
		return err
	}
	if version != lowCardinalityVersion {
		return fmt.Errorf("%w: its dictionary has version %d", ErrRecord, version)
	}
	return nil
}

func (c *words) read(in *input, n uint64) error {
	if n == 0 {
		return nil
	}
	flags, err := in.uint64()
	if err != nil {
		return err
	}
	width := flags ^ (hasAdditionalKeys | needUpdateDictionary)
	if width > 2 {
		return fmt.Errorf("%w: its dictionary has flags %#x", ErrRecord, flags)
	}
	if err := c.readKeys(in, n); err != nil {
		return err
	}
	count, err := in.uint64()
	if err != nil {
		return err
	}
	if count != n {
		return fmt.Errorf("%w: it has %d keys for %d values", ErrRecord, count, n)
	}
	keys, err := in.takeEach(n, 1<<width)
	if err != nil {
		return err
	}
	start := len(c.idx)
	c.idx = slices.Grow(c.idx, int(n)) //nolint:gosec // They are in memory.
	switch width {
	case 0:
		for _, k := range keys {
			c.idx = append(c.idx, uint32(k))
		}
	case 1:
		for ; len(keys) > 0; keys = keys[2:] {
			c.idx = append(c.idx, uint32(binary.LittleEndian.Uint16(keys)))
		}
	default:
		for ; len(keys) > 0; keys = keys[4:] {
			c.idx = append(c.idx, binary.LittleEndian.Uint32(keys))
		}
	}
	added, ids := c.idx[start:], in.ids
	for i, k := range added {
		if uint64(k) >= uint64(len(ids)) {
			return fmt.Errorf("%w: key %d is not among the %d of its dictionary", ErrRecord, k, len(ids))
		}
		added[i] = ids[k]
	}
	return nil
}

// readKeys reads the dictionary of n values and leaves the ids that its strings have here in in.ids.
func (c *words) readKeys(in *input, n uint64) error {
	count, err := in.uint64()
	if err != nil {
		return err
	}
	// A dictionary has no string that is not used.
	if count > n || count > math.MaxUint32-uint64(len(c.keys)) {
		return fmt.Errorf("%w: its dictionary has %d strings for %d values", ErrRecord, count, n)
	}
	in.ids = in.ids[:0]
	for i := range count {
		key, err := in.text()
		if err != nil {
			return err
		}
		// Only what is inserted is kept, and it is copied then.
		in.ids = append(in.ids, c.id(unsafe.String(unsafe.SliceData(key), len(key)), uint32(i)))
	}
	return nil
}
