package delivery

import (
	"fmt"
	"slices"
	"sync"

	"go.uber.org/zap"

	"github.com/agenttrail/agenttrail/exporter/column"
	"github.com/agenttrail/agenttrail/exporter/journal"
)

// loader reads segments back. Few are read at a time, and the last ones are kept for their other tables.
type loader struct {
	w     *Writer
	slots chan struct{} // One element per segment that is being read or encoded.

	mu     sync.Mutex
	bytes  int64
	loaded []loadedSegment          // Oldest first.
	unused map[string][]*loadedRows // By layout.
}

type loadedSegment struct {
	*segment
	bytes int64
}

// loadedRows is the rows of a segment, with the statements for their layout.
type loadedRows struct {
	*column.Blocks
	layout     string
	statements map[string]string
	bytes      int64
}

// loading is a segment's part in it.
type loading struct {
	mu   sync.Mutex
	rows *loadedRows // nil if it is not loaded.
}

// loadSlots is how many segments are read or encoded at the same time.
const loadSlots = 2

func newLoader(w *Writer) *loader {
	return &loader{w: w, slots: make(chan struct{}, loadSlots), unused: map[string][]*loadedRows{}}
}

// blank returns empty rows of a layout.
func (l *loader) blank(layout []byte) (*loadedRows, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if rows := l.unused[string(layout)]; len(rows) > 0 {
		l.unused[string(layout)] = rows[:len(rows)-1]
		return rows[len(rows)-1], nil
	}
	b, err := column.NewBlocks(layout)
	if err != nil {
		return nil, err
	}
	rows := &loadedRows{Blocks: b, layout: string(layout), statements: map[string]string{}}
	for _, table := range b.Tables() {
		rows.statements[table] = insertStatement(l.w.set.Database, table, b.Columns(table))
	}
	return rows, nil
}

// check reports whether a layout can be read.
func (l *loader) check(layout []byte) error {
	rows, err := l.blank(layout)
	if err == nil {
		l.giveBack(rows)
	}
	return err
}

func (l *loader) giveBack(rows *loadedRows) {
	rows.Reset()
	l.w.gate.add(-rows.bytes)
	rows.bytes = 0
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.unused[rows.layout]) < loadSlots {
		l.unused[rows.layout] = append(l.unused[rows.layout], rows)
	}
}

// keep keeps a segment loaded and returns those that have to go for it.
func (l *loader) keep(s *segment, bytes int64) (evicted []loadedSegment) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bytes += bytes
	l.loaded = append(l.loaded, loadedSegment{s, bytes})
	over := l.bytes - l.w.set.loadedBytes()
	for _, e := range l.loaded[:len(l.loaded)-1] {
		if over <= 0 {
			break
		}
		evicted = append(evicted, e)
		over -= e.bytes
	}
	return evicted
}

func (l *loader) gone(s *segment) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.IndexFunc(l.loaded, func(e loadedSegment) bool { return e.segment == s }); i >= 0 {
		l.bytes -= l.loaded[i].bytes
		l.loaded = slices.Delete(l.loaded, i, i+1)
	}
}

// loadNative is [segment.native] for rows that are not in memory.
func (s *segment) loadNative(table string, r journal.Range) (native *[]byte, rows int, statement string, err error) {
	l := s.w.loader
	select {
	case l.slots <- struct{}{}:
		defer func() { <-l.slots }()
	case <-s.w.life.Done():
		return nil, 0, "", errStopping
	}
	s.load.mu.Lock()
	defer s.load.mu.Unlock()
	loaded := s.load.rows
	if loaded == nil || r != s.all() {
		if loaded, err = s.read(r); err != nil {
			return nil, 0, "", err
		}
		if r == s.all() && loaded.bytes <= s.w.set.loadedBytes() {
			s.load.rows = loaded
			for _, e := range l.keep(s, loaded.bytes) {
				e.unload()
			}
		} else {
			defer l.giveBack(loaded)
		}
	}
	rows = loaded.Rows(table)
	if rows == 0 {
		return nil, 0, "", nil
	}
	native = s.w.enc.buffer()
	*native = loaded.AppendNative(*native, table)
	return native, rows, loaded.statements[table], nil
}

// read reads a range of records back.
func (s *segment) read(r journal.Range) (*loadedRows, error) {
	rows, err := s.w.loader.blank(s.j.Layout())
	if err != nil {
		return nil, err
	}
	err = s.j.Each(func(i int, data []byte) error {
		if i < r.From || i >= r.To {
			return nil
		}
		rows.bytes += int64(len(data))
		s.w.gate.add(int64(len(data)))
		if err := rows.Append(data); err != nil {
			s.cannotRead(i, err)
		}
		return nil
	})
	if err != nil {
		s.w.loader.giveBack(rows)
		return nil, err
	}
	return rows, nil
}

// unload lets go of rows that were read back, unless they are in use.
func (s *segment) unload() {
	if !s.load.mu.TryLock() {
		return
	}
	defer s.load.mu.Unlock()
	if rows := s.load.rows; rows != nil {
		s.load.rows = nil
		s.w.loader.gone(s)
		s.w.loader.giveBack(rows)
	}
}

// each tells what every record in the file has of each table.
func (s *segment) each(fn func(i int, table string, rows, bytes int)) error {
	blank, err := s.w.loader.blank(s.j.Layout())
	if err != nil {
		return err
	}
	defer s.w.loader.giveBack(blank)
	tables := blank.Tables()
	var have []column.RecordTable
	return s.j.Each(func(i int, data []byte) error {
		var broken error
		if have, broken = column.RecordRows(have[:0], data); broken != nil {
			s.cannotRead(i, broken)
			return nil
		}
		for _, t := range have {
			if t.Index >= len(tables) {
				s.cannotRead(i, fmt.Errorf("it has rows of table %d, and the layout has %d tables", t.Index, len(tables)))
				break
			}
			fn(i, tables[t.Index], t.Rows, t.Bytes)
		}
		return nil
	})
}

// cannotRead notes a record that is not damaged and yet not readable. Its file is kept for somebody to look at.
func (s *segment) cannotRead(i int, err error) {
	if s.unreadable.CompareAndSwap(false, true) {
		s.w.set.Logger.Error("BUG: a record of the journal cannot be read; the others are delivered, and its file is kept. Please report it.",
			zap.String("segment", s.j.Token("")), zap.Int("record", i), zap.Error(err))
	}
	s.w.set.Observer.Damaged()
}
