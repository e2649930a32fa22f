package delivery

import (
	"fmt"
	"slices"
	"sync"

	"go.uber.org/zap"

	"github.com/agenttrail/agenttrail/exporter/column"
	"github.com/agenttrail/agenttrail/exporter/journal"
)

// loader bounds what closed segments take of the memory. Those that are closed first are kept in memory until they are
// stored. The others are read back, few at a time, and the last ones that were read are kept for their other tables,
// which would read the file again otherwise.
type loader struct {
	w     *Writer
	slots chan struct{} // One element per block that is being made.

	mu      sync.Mutex
	waiting kept
	loaded  kept
	blank   map[string][]*blank // By layout.
}

// kept is segments with their memory, oldest first.
type kept struct {
	bytes    int64
	segments []keptSegment
}

type keptSegment struct {
	*segment
	bytes int64
}

func (k *kept) add(s *segment, bytes int64) {
	k.bytes += bytes
	k.segments = append(k.segments, keptSegment{s, bytes})
}

func (k *kept) remove(s *segment) {
	if i := slices.IndexFunc(k.segments, func(e keptSegment) bool { return e.segment == s }); i >= 0 {
		k.bytes -= k.segments[i].bytes
		k.segments = slices.Delete(k.segments, i, i+1)
	}
}

// makers is how many blocks are made at the same time.
const makers = 2

func newLoader(w *Writer) *loader {
	return &loader{w: w, slots: make(chan struct{}, makers), blank: map[string][]*blank{}}
}

// mayWait reports whether a segment that was just closed may stay in memory.
func (l *loader) mayWait(s *segment, bytes int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting.bytes+bytes > l.w.set.waitingBytes() {
		return false
	}
	l.waiting.add(s, bytes)
	return true
}

// keep reports whether a segment that was read back may stay in memory, and which have to go for it.
func (l *loader) keep(s *segment, bytes int64) (may bool, evicted []keptSegment) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if bytes > l.w.set.loadedBytes() {
		return false, nil
	}
	over := l.loaded.bytes + bytes - l.w.set.loadedBytes()
	for _, e := range l.loaded.segments {
		if over <= 0 {
			break
		}
		evicted = append(evicted, e)
		over -= e.bytes
	}
	l.loaded.add(s, bytes)
	return true, evicted
}

// forget notes that a segment is not in memory.
func (l *loader) forget(s *segment) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting.remove(s)
	l.loaded.remove(s)
}

// load returns a share of the records of a segment, to be released.
func (s *segment) load() (*held, error) {
	if h := s.inMemory(); h != nil {
		return h, nil
	}
	s.reading.Lock()
	defer s.reading.Unlock()
	if h := s.inMemory(); h != nil {
		return h, nil
	}
	loaded, err := s.j.Load()
	if err != nil {
		return nil, err
	}
	memory := loaded.Bytes
	s.w.gate.add(memory)
	may, evicted := s.w.loader.keep(s, memory)
	for _, e := range evicted {
		e.spill()
	}
	h := newHeld(loaded.Records, func() {
		s.w.gate.add(-memory)
		loaded.Release()
	})
	if !may {
		return h, nil
	}
	s.hold(h)
	return h.share(), nil
}

// blank is for making blocks of records of a layout.
type blank struct {
	*column.Blocks
	layout     string
	statements map[string]string // How to insert the block of a table.
}

// take returns empty blocks of a layout.
func (l *loader) take(layout []byte) (*blank, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if list := l.blank[string(layout)]; len(list) > 0 {
		l.blank[string(layout)] = list[:len(list)-1]
		return list[len(list)-1], nil
	}
	blocks, err := column.NewBlocks(layout)
	if err != nil {
		return nil, err
	}
	b := &blank{Blocks: blocks, layout: string(layout), statements: map[string]string{}}
	for _, table := range b.Tables() {
		b.statements[table] = insertStatement(l.w.set.Database, table, b.Columns(table))
	}
	return b, nil
}

func (l *loader) giveBack(b *blank) {
	b.Reset()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.blank[b.layout]) < makers {
		l.blank[b.layout] = append(l.blank[b.layout], b)
	}
}

// check reports whether a layout can be read.
func (l *loader) check(layout []byte) error {
	b, err := l.take(layout)
	if err == nil {
		l.giveBack(b)
	}
	return err
}

// block joins the rows of a table in a range of records to one block, of which made makes what it wants, and says how
// to insert it. rows is 0, and made is not called, if there are none. The block is gone when made returns; what it refers
// to is in the records, of which made may take a share.
func (s *segment) block(table string, r journal.Range, made func(*column.Blocks, *held) error) (rows int, statement string, err error) {
	l := s.w.loader
	select {
	case l.slots <- struct{}{}:
		defer func() { <-l.slots }()
	case <-s.w.life.Done():
		return 0, "", errStopping
	}
	h, err := s.load()
	if err != nil {
		return 0, "", err
	}
	defer h.release()
	b, err := l.take(s.j.Layout())
	if err != nil {
		return 0, "", err
	}
	defer l.giveBack(b) // Before the records go: it refers to them.
	add := b.AppendOwnTable
	if s.j.Recovered() { // Perhaps another version wrote it.
		add = b.AppendTable
	}
	for i := r.From; i < r.To; i++ {
		if h.records[i] == nil {
			continue
		}
		if err := add(h.records[i], table); err != nil {
			s.cannotRead(i, err)
		}
	}
	if rows = b.Rows(table); rows == 0 {
		return 0, "", nil
	}
	return rows, b.statements[table], made(b.Blocks, h)
}

// each tells what every record has of each table.
func (s *segment) each(fn func(i int, table string, rows, bytes int)) error {
	b, err := s.w.loader.take(s.j.Layout())
	if err != nil {
		return err
	}
	defer s.w.loader.giveBack(b)
	tables := b.Tables()
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

// verify finds records that cannot be read.
func (s *segment) verify() error {
	b, err := s.w.loader.take(s.j.Layout())
	if err != nil {
		return err
	}
	defer s.w.loader.giveBack(b)
	return s.j.Each(func(i int, data []byte) error {
		if err := b.Append(data); err != nil {
			s.cannotRead(i, err)
		}
		b.Reset()
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
