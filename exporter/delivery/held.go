package delivery

import "sync/atomic"

// held is the records of a segment in memory. Who uses them has a share; when the last one is gone, so are they.
type held struct {
	records [][]byte
	bytes   int // Of records.
	shares  atomic.Int32
	gone    func()
}

func newHeld(records [][]byte, gone func()) *held {
	h := &held{records: records, gone: gone}
	for _, r := range records {
		h.bytes += len(r)
	}
	h.shares.Store(1)
	return h
}

func (h *held) share() *held {
	h.shares.Add(1)
	return h
}

func (h *held) release() {
	if h.shares.Add(-1) == 0 {
		h.gone()
	}
}
