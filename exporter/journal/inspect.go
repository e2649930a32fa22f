package journal

import "time"

// inspection is what a segment's file holds.
type inspection struct {
	torn    bool
	damages []Damage
	good    int // Records that are delivered.
	hashes  []Hash
	before  previous // What its marks say of the segment before.

	// What is delivered of after the last mark, with this mark. Nothing says that it is durable.
	from, to int64
	sealable bool // A mark may be put behind it: nothing between is unreadable or not delivered.
}

// stretch is something unreadable after the last mark.
type stretch struct {
	off, end int64
	cut      bool
	reason   string
}

// inspector tells damage from a torn tail while it scans a segment.
type inspector struct {
	s    *Segment
	src  *source
	name string
	inspection

	open    []recordHeader // Records since the last mark.
	last    int64          // Where the last readable thing ends.
	pending []stretch      // Unreadable since the last mark.
	marked  bool           // A mark was found.
	closed  bool
}

// inspect reads the whole file and sets what the segment knows of it.
func inspect(s *Segment, src *source, name string) (inspection, error) {
	in := &inspector{s: s, src: src, name: name}
	s.bad, s.skip = map[int64]struct{}{}, map[uint32]struct{}{}
	s.size, s.end = src.size, src.size
	in.from = s.start
	if err := scan(src, s.seed(), s.start, src.size, true, in.item); err != nil {
		return in.inspection, err
	}
	return in.inspection, in.tail()
}

func (in *inspector) item(it *item) error {
	if !it.ok {
		in.s.bad[it.off] = struct{}{}
		if it.known {
			in.s.count = max(in.s.count, int(it.head.index)+1)
		}
		in.pending = append(in.pending, stretch{it.off, it.end, it.cut, it.reason()})
		return nil
	}
	in.last = it.end
	if it.head.kind == kindRecord {
		in.open = append(in.open, it.head)
		return nil
	}
	if !in.marked {
		in.marked = true
		in.s.created = time.Unix(0, int64(le.Uint64(it.head.hash[:8]))) //nolint:gosec // A time.
	}
	in.before = it.head.previous()
	in.closed = in.closed || it.head.kind == kindClose
	for _, p := range in.pending {
		in.damage(p)
	}
	in.pending = in.pending[:0]
	for _, h := range in.open {
		in.deliver(h)
	}
	in.open, in.from = in.open[:0], it.off
	return nil
}

func (in *inspector) damage(p stretch) {
	in.damages = append(in.damages, Damage{in.name, p.off, p.end - p.off, p.reason})
}

func (in *inspector) deliver(h recordHeader) {
	in.good++
	in.s.count = max(in.s.count, int(h.index)+1)
	if h.hash != (Hash{}) {
		in.hashes = append(in.hashes, h.hash)
	}
}

// tail decides on what follows the last mark. No mark says that it was acknowledged, so parts of requests that are not
// there completely are not delivered: their requests will come again.
func (in *inspector) tail() error {
	damaged, err := in.judge()
	if err != nil {
		return err
	}
	if len(in.open) > 0 {
		in.to = in.last
	}
	all := damaged && !in.torn // They were complete once.
	for i := 0; i < len(in.open); {
		n := int(in.open[i].places)
		if all {
			n = 1
		}
		if all || complete(in.open[i:], n) {
			for _, h := range in.open[i : i+n] {
				in.deliver(h)
			}
			i += n
			continue
		}
		in.s.skip[in.open[i].index] = struct{}{}
		in.sealable = false
		i++
	}
	return nil
}

// judge tells damage from torn among what is unreadable after the last mark.
func (in *inspector) judge() (damaged bool, err error) {
	in.sealable = len(in.pending) == 0 || len(in.pending) == 1 && in.pending[0].off == in.last
	for _, p := range in.pending {
		torn := p.cut && !in.closed
		if !torn && !in.closed {
			if torn, err = unwritten(in.src, p.off, p.end); err != nil {
				return false, err
			}
		}
		if torn {
			in.torn = true
		} else {
			in.damage(p)
			damaged, in.sealable = true, false
		}
	}
	return damaged, nil
}

// complete reports whether heads begins with all n records of one request.
func complete(heads []recordHeader, n int) bool {
	if n == 0 || len(heads) < n {
		return false
	}
	for i, h := range heads[:n] {
		if int(h.place) != i || int(h.places) != n || h.index != heads[0].index+uint32(i) {
			return false
		}
	}
	return true
}
