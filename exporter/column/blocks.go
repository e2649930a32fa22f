package column

import (
	"fmt"
	"slices"
	"strings"
)

// Blocks holds the rows of records that were written with one layout, which may be that of another version. Most of
// their bytes stay in the records, which must not change before Reset. It is not safe for concurrent use.
type Blocks struct {
	names  []string
	tables []*storedBlock
	byName map[string]*storedBlock
	head   []RecordTable // Memory to read the head of a record into.
	in     input         // Memory to read the rest.
}

// storedBlock is the block of one table.
type storedBlock struct {
	rows    int
	columns []Column
	stores  []store
	texts   []*texts // Those within other columns, too.
}

// NewBlocks returns empty blocks for records of a layout. It fails if the layout has a type that this version does not
// know.
func NewBlocks(layout []byte) (*Blocks, error) {
	tables, err := parseLayout(layout)
	if err != nil {
		return nil, err
	}
	b := &Blocks{byName: make(map[string]*storedBlock, len(tables))}
	for _, t := range tables {
		s := &storedBlock{columns: t.Columns}
		nested := map[string]*ends{} // Of the first column of each nested structure.
		for _, c := range t.Columns {
			st, err := newStore(c.Type)
			if err != nil {
				return nil, fmt.Errorf("read layout: column %s of %s: %w", c.Name, t.Table, err)
			}
			if a, ok := st.(*arrays); ok {
				if structure, _, ok := strings.Cut(c.Name, "."); ok {
					if first := nested[structure]; first != nil {
						a.ends = first
					} else {
						nested[structure] = a.ends
					}
				}
			}
			s.stores = append(s.stores, st)
			s.texts = textsIn(s.texts, st)
		}
		b.names = append(b.names, t.Table)
		b.tables = append(b.tables, s)
		b.byName[t.Table] = s
	}
	return b, nil
}

// Append adds the rows of a record, which refer to data until Reset. On an error, which wraps [ErrRecord], nothing is
// added.
func (b *Blocks) Append(data []byte) error {
	return b.append(data, nil, false)
}

// AppendTable is [Blocks.Append] for the rows of one table. It does not look at those of others.
func (b *Blocks) AppendTable(data []byte, table string) error {
	return b.appendTable(data, table, false)
}

// AppendOwnTable is [Blocks.AppendTable] for a record that [Set.AppendRecord] of this program made and nobody has changed
// since: it does not look into strings, which are most of its bytes.
func (b *Blocks) AppendOwnTable(data []byte, table string) error {
	return b.appendTable(data, table, true)
}

func (b *Blocks) appendTable(data []byte, table string, own bool) error {
	only := b.byName[table]
	if only == nil {
		return fmt.Errorf("read record: its layout has no table %q", table)
	}
	return b.append(data, only, own)
}

// append adds the rows of all tables or of only one.
func (b *Blocks) append(data []byte, only *storedBlock, own bool) error {
	head, rest, lengths, err := splitRecord(b.head[:0], data)
	b.head = head
	defer func() { b.in.data = nil }()
	if err != nil {
		return fmt.Errorf("read record: %w", err)
	}
	if n := len(head); n > 0 && head[n-1].Index >= len(b.tables) {
		return fmt.Errorf("read record: %w: its layout has no table %d", ErrRecord, head[n-1].Index)
	}
	for i, h := range head {
		t := b.tables[h.Index]
		b.in.data, rest = rest[:h.Bytes], rest[h.Bytes:]
		if only != nil && t != only {
			continue
		}
		if err := t.append(&b.in, h.Rows, lengths, own && lengths); err != nil {
			for _, done := range head[:i+1] {
				if s := b.tables[done.Index]; only == nil || s == only {
					s.undo(done.Rows)
				}
			}
			return fmt.Errorf("read record: %s: %w", b.names[h.Index], err)
		}
	}
	return nil
}

// append adds rows. After an error the caller undoes what it has done.
func (s *storedBlock) append(in *input, rows int, lengths, own bool) error {
	s.rows += rows
	for _, st := range s.stores {
		st.keep()
	}
	for i, t := range s.texts {
		t.length, t.own = -1, own
		if lengths {
			n, err := in.uvarint()
			if err != nil || n > uint64(len(in.data)) {
				return fmt.Errorf("%w: the length of column %d of strings cannot be read", ErrRecord, i)
			}
			t.length = int64(n) //nolint:gosec // Checked above.
		}
	}
	for i, st := range s.stores {
		if err := st.readPrefix(in); err != nil {
			return fmt.Errorf("column %s: %w", s.columns[i].Name, err)
		}
		if err := st.read(in, uint64(rows)); err != nil { //nolint:gosec // Never negative.
			return fmt.Errorf("column %s: %w", s.columns[i].Name, err)
		}
	}
	if len(in.data) > 0 {
		return fmt.Errorf("%w: %d bytes are left", ErrRecord, len(in.data))
	}
	return nil
}

// undo takes back the last call of append.
func (s *storedBlock) undo(rows int) {
	s.rows -= rows
	for _, st := range s.stores {
		st.undo()
	}
}

// Tables returns the tables of the layout in order. Not all of them have rows.
func (b *Blocks) Tables() []string { return b.names }

// Rows returns how many rows of a table there are, 0 for a table that the layout does not have.
func (b *Blocks) Rows(table string) int {
	if s := b.byName[table]; s != nil {
		return s.rows
	}
	return 0
}

// Size returns about how many bytes the rows of a table take in Native format. It is never much too low.
func (b *Blocks) Size(table string) int {
	n := 0
	if s := b.byName[table]; s != nil {
		for _, st := range s.stores {
			n += st.size()
		}
	}
	return n
}

// Columns returns the columns that the block of a table has, in order; nil for a table that the layout does not have.
func (b *Blocks) Columns(table string) []Column {
	if s := b.byName[table]; s != nil {
		return s.columns
	}
	return nil
}

// nativeFrame is in which pieces AppendNative takes a block.
const nativeFrame = 64 << 10

// AppendNative appends the block of a table in Native format to dst. The table must be one of the layout.
func (b *Blocks) AppendNative(dst []byte, table string) []byte {
	dst = slices.Grow(dst, b.Size(table))
	_ = b.EmitNative(table, make([]byte, 0, nativeFrame), func(frame []byte) ([]byte, error) { // It cannot fail.
		dst = append(dst, frame...)
		return frame, nil
	})
	return dst
}

// minFrame is the least capacity of a frame.
const minFrame = 4 << 10

// EmitNative passes on the block of a table in Native format, in frames as large as the capacity of frame, which is the
// memory of the first; flush takes a frame and returns the memory of the next, which may be the same. Each must have at
// least 4 KiB; the last frame may be shorter. The table must be one of the layout. An error is that of flush.
func (b *Blocks) EmitNative(table string, frame []byte, flush func(frame []byte) (next []byte, err error)) error {
	return b.emit(table, &emitter{frame: frame[:0], flush: flush})
}

// EmitPieces is [Blocks.EmitNative] for who need not have the block in memory of its own: long pieces of it are not
// copied into frames but given to whole as they stand in the records, and frames may be short. They are valid as long as
// the records are.
func (b *Blocks) EmitPieces(table string, frame []byte, flush func(frame []byte) (next []byte, err error), whole func(p []byte)) error {
	return b.emit(table, &emitter{frame: frame[:0], flush: flush, whole: whole})
}

func (b *Blocks) emit(table string, e *emitter) error {
	s := b.byName[table]
	if s == nil {
		panic("BUG: the layout has no table " + table)
	}
	if cap(e.frame) < minFrame {
		panic("BUG: a frame is too small")
	}
	e.uvarint(uint64(len(s.stores)))
	e.uvarint(uint64(s.rows)) //nolint:gosec // Never negative.
	for i, st := range s.stores {
		e.string(s.columns[i].Name)
		e.string(s.columns[i].Type)
		if s.rows > 0 {
			st.emitPrefix(e)
			st.emit(e)
		}
	}
	if len(e.frame) > 0 {
		e.pass()
	}
	return e.err
}

// Reset empties the blocks and keeps their memory for the next rows, unless that is very much.
func (b *Blocks) Reset() {
	b.in.ids = shrink(b.in.ids)
	for _, s := range b.tables {
		s.rows = 0
		for _, st := range s.stores {
			st.reset()
		}
	}
}
