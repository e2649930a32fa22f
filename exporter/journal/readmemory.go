package journal

import "github.com/agenttrail/agenttrail/internal/recycle"

const (
	// minPiece is the least that is taken at a time.
	minPiece = 1 << 20
	// keepRead is how many bytes of pieces are kept for the next segments at most.
	keepRead = 96 << 20
)

// readMemory is where records lie that were read back. It comes in pieces, which are used again: they are large, and new
// ones would be cleared and paged in first.
type readMemory struct {
	from   *recycle.Large
	pieces []*[]byte // The last one has room, perhaps.
}

// room returns n bytes, which are not taken yet. What is in them is of no meaning.
func (m *readMemory) room(n int) []byte {
	if len(m.pieces) > 0 {
		if last := *m.pieces[len(m.pieces)-1]; cap(last)-len(last) >= n {
			return last[len(last) : len(last)+n : len(last)+n]
		}
	}
	piece := m.from.Get(max(n, minPiece))
	m.pieces = append(m.pieces, piece)
	return (*piece)[:n:n]
}

// take takes the first n bytes of what room returned last.
func (m *readMemory) take(n int) {
	last := m.pieces[len(m.pieces)-1]
	*last = (*last)[:len(*last)+n]
}

// release gives all of it up.
func (m *readMemory) release() {
	for _, piece := range m.pieces {
		m.from.Put(piece)
	}
	m.pieces = nil
}
