package journal

import (
	"context"
	"math"
)

// Rotate closes the open segment and returns it; nil if it is empty. It waits for the group that is being written.
func (j *Journal) Rotate(context.Context) (*Segment, error) {
	j.commit.Lock()
	defer j.commit.Unlock()
	if j.isClosed() {
		return nil, errClosed
	}
	if j.active == nil || j.active.seg.count == 0 {
		return nil, nil //nolint:nilnil // There is nothing to send.
	}
	if j.broken != nil {
		// What is in the file must not differ from what is sent.
		if err := j.ready(); err != nil {
			return nil, fault("close segment", err)
		}
	}
	return j.rotate(), nil
}

// closedFile is the segment that was closed last.
type closedFile struct {
	number  uint64
	durable int64
}

// before returns what the marks of a segment say of the one before.
func (j *Journal) before(number uint64) previous {
	back := number - j.last.number
	if j.last.number == 0 || back > math.MaxUint32 {
		return previous{}
	}
	return previous{uint32(back), j.last.durable}
}

// rotate closes the active file; commit is held.
func (j *Journal) rotate() *Segment {
	a := j.active
	a.closeMark(j.now())
	j.active, j.last = nil, closedFile{a.seg.Number, a.durable}
	j.mu.Lock()
	j.count(a.seg)
	j.open = openStats{}
	j.segments[a.seg.Number] = a.seg
	j.mu.Unlock()
	j.spare.mu.Lock()
	j.spare.finish = append(j.spare.finish, a)
	j.spare.mu.Unlock()
	signal(j.spare.wanted)
	return a.seg
}
