package journal

import "sync"

const (
	// minPiece is the least that is taken at a time.
	minPiece = 1 << 20
	// maxPiece is how large a piece may be to be kept.
	maxPiece = 128 << 20
)

// readMemory is where records lie that were read back. It comes in pieces, which are used again: they are large, and new
// ones would be cleared and paged in first.
type readMemory struct {
	pool   *sync.Pool // Of *[]byte.
	pieces []*[]byte  // The last one has room, perhaps.
}

// room returns n bytes, which are not taken yet. What is in them is of no meaning.
func (m *readMemory) room(n int) []byte {
	if len(m.pieces) > 0 {
		if last := *m.pieces[len(m.pieces)-1]; cap(last)-len(last) >= n {
			return last[len(last) : len(last)+n : len(last)+n]
		}
	}
	piece, _ := m.pool.Get().(*[]byte)
	if piece == nil || cap(*piece) < n {
		b := make([]byte, 0, max(n, minPiece))
		piece = &b
	}
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
		if cap(*piece) <= maxPiece {
			*piece = (*piece)[:0]
			m.pool.Put(piece)
		}
	}
	m.pieces = nil
}
