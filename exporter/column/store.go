package column

import "fmt"

// store is a column of [Blocks]: it takes the values of a record as they stand there, and checks that ClickHouse would.
// What need not be changed is not copied: it stays where the record has it.
type store interface {
	reset()
	size() int
	emitPrefix(e *emitter)
	emit(e *emitter)

	// keep marks what is there, for undo, which forgets what was read since.
	keep()
	undo()
	readPrefix(in *input) error
	// read adds n values. After an error some of them may be there.
	read(in *input, n uint64) error
}

// scalars are values of one width.
type scalars struct {
	pieces
	width uint64
	valid *[256]bool // Of values of one byte, which ones there are; nil: all.
}

func (c *scalars) emitPrefix(*emitter)     {}
func (c *scalars) readPrefix(*input) error { return nil }

func (c *scalars) read(in *input, n uint64) error {
	values, err := in.takeEach(n, c.width)
	if err != nil {
		return err
	}
	if c.valid != nil {
		for _, v := range values {
			if !c.valid[v] {
				return fmt.Errorf("%w: its type has no value %d", ErrRecord, v)
			}
		}
	}
	c.add(values)
	return nil
}

// nullables are values that may be NULL.
type nullables struct{ nulls, values scalars }

func (c *nullables) reset() {
	c.nulls.reset()
	c.values.reset()
}

func (c *nullables) size() int           { return c.nulls.size() + c.values.size() }
func (c *nullables) emitPrefix(*emitter) {}

func (c *nullables) emit(e *emitter) {
	c.nulls.emit(e)
	c.values.emit(e)
}

func (c *nullables) keep() {
	c.nulls.keep()
	c.values.keep()
}

func (c *nullables) undo() {
	c.nulls.undo()
	c.values.undo()
}

func (c *nullables) readPrefix(*input) error { return nil }

func (c *nullables) read(in *input, n uint64) error {
	if err := c.nulls.read(in, n); err != nil {
		return err
	}
	return c.values.read(in, n)
}

// texts are strings.
type texts struct {
	pieces
	length int64 // Of those that are read next; -1: not known.
	own    bool  // These are not looked at, but for their length.
}

func (c *texts) emitPrefix(*emitter)     {}
func (c *texts) readPrefix(*input) error { return nil }

func (c *texts) read(in *input, n uint64) error {
	if c.own {
		values, err := in.take(uint64(c.length)) //nolint:gosec // Known, so not negative.
		if err != nil {
			return err
		}
		c.add(values)
		return nil
	}
	all, at := in.data, 0
	for range n {
		if at < len(all) && all[at] < 0x80 && int(all[at]) < len(all)-at { // A short string.
			at += 1 + int(all[at])
			continue
		}
		in.data = all[at:]
		if _, err := in.text(); err != nil {
			return err
		}
		at = len(all) - len(in.data)
	}
	if c.length >= 0 && int64(at) != c.length {
		return fmt.Errorf("%w: its strings have %d bytes, not %d", ErrRecord, at, c.length)
	}
	in.data = all[at:]
	c.add(all[:at])
	return nil
}

// textsIn appends what a store has of columns of strings to dst, in the order of [textsOf].
func textsIn(dst []*texts, s store) []*texts {
	switch s := s.(type) {
	case *texts:
		return append(dst, s)
	case *maps:
		return append(dst, &s.vals)
	case *arrays:
		return textsIn(dst, s.elem)
	default:
		return dst
	}
}
