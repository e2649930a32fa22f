package record

import "unsafe"

// Arena holds what the records of one request point to. A front end appends to it and takes what it appended; after
// a reset the same memory serves the next request.
//
// Growing moves an arena, but what was taken before stays valid: nobody writes to it again before the next reset.
type Arena struct {
	attrs  []Attr
	events []Event
	links  []Link
	text   []byte
	floats []float64
	counts []uint64
}

// Limits of what an arena keeps over a reset, so that one huge request does not hold its memory for ever.
const (
	keepRecords = 1 << 17
	keepText    = 8 << 20
)

// Reset forgets everything. Old strings are cleared, so that they do not keep the previous request alive.
func (a *Arena) Reset() {
	a.attrs = recycle(a.attrs)
	a.events = recycle(a.events)
	a.links = recycle(a.links)
	a.floats = recycle(a.floats)
	a.counts = recycle(a.counts)
	if cap(a.text) > keepText {
		a.text = nil
	}
	a.text = a.text[:0]
}

func recycle[T any](s []T) []T {
	if cap(s) > keepRecords {
		return nil
	}
	clear(s)
	return s[:0]
}

// AttrMark returns where the next attribute will be, for [Arena.TakeAttrs].
func (a *Arena) AttrMark() int { return len(a.attrs) }

// AddAttr appends an attribute.
func (a *Arena) AddAttr(key string, v Value) {
	a.attrs = append(a.attrs, Attr{Key: key, Value: v})
}

// TakeAttrs returns the attributes that were added since the mark, nil when there are none.
func (a *Arena) TakeAttrs(mark int) Attrs {
	if mark == len(a.attrs) {
		return nil
	}
	return Attrs(a.attrs[mark:len(a.attrs):len(a.attrs)])
}

// EventMark returns where the next event will be, for [Arena.TakeEvents].
func (a *Arena) EventMark() int { return len(a.events) }

// AddEvent appends an event.
func (a *Arena) AddEvent(e Event) { a.events = append(a.events, e) }

// TakeEvents returns the events that were added since the mark, nil when there are none.
func (a *Arena) TakeEvents(mark int) []Event {
	if mark == len(a.events) {
		return nil
	}
	return a.events[mark:len(a.events):len(a.events)]
}

// LinkMark returns where the next link will be, for [Arena.TakeLinks].
func (a *Arena) LinkMark() int { return len(a.links) }

// AddLink appends a link.
func (a *Arena) AddLink(l Link) { a.links = append(a.links, l) }

// TakeLinks returns the links that were added since the mark, nil when there are none.
func (a *Arena) TakeLinks(mark int) []Link {
	if mark == len(a.links) {
		return nil
	}
	return a.links[mark:len(a.links):len(a.links)]
}

// Text returns the text arena to append to; hand the result to [Arena.TakeText].
func (a *Arena) Text() []byte { return a.text }

// TakeText keeps what was appended to [Arena.Text] and returns it as a string.
func (a *Arena) TakeText(text []byte) string {
	mark := len(a.text)
	a.text = text
	if mark == len(text) {
		return ""
	}
	added := text[mark:]
	return unsafe.String(unsafe.SliceData(added), len(added))
}

// Floats returns the arena of numbers to append to; hand the result to [Arena.TakeFloats].
func (a *Arena) Floats() []float64 { return a.floats }

// TakeFloats keeps what was appended to [Arena.Floats] and returns it, nil when that is nothing.
func (a *Arena) TakeFloats(floats []float64) []float64 {
	mark := len(a.floats)
	a.floats = floats
	if mark == len(floats) {
		return nil
	}
	return floats[mark:len(floats):len(floats)]
}

// Counts returns the arena of counts to append to; hand the result to [Arena.TakeCounts].
func (a *Arena) Counts() []uint64 { return a.counts }

// TakeCounts keeps what was appended to [Arena.Counts] and returns it, nil when that is nothing.
func (a *Arena) TakeCounts(counts []uint64) []uint64 {
	mark := len(a.counts)
	a.counts = counts
	if mark == len(counts) {
		return nil
	}
	return counts[mark:len(counts):len(counts)]
}
