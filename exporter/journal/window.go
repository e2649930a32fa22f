package journal

import (
	"slices"
	"time"
)

const generations = 4 // Parts of the window that are forgotten at once.

// window holds the hashes of requests that are durable. A hash is known for at least age, unless there are too many.
type window struct {
	age   time.Duration
	limit int
	parts []generation // Newest last.
}

type generation struct {
	begun time.Time // By the monotonic clock.
	ended time.Time
	known map[Hash]struct{}
}

func newWindow(age time.Duration, limit int) *window { return &window{age: age, limit: limit} }

func (w *window) add(h Hash, now time.Time) {
	w.forget(now)
	last := len(w.parts) - 1
	if last < 0 || now.Sub(w.parts[last].begun) >= w.age/generations || len(w.parts[last].known) >= max(1, w.limit/generations) {
		if last >= 0 {
			w.parts[last].ended = earlier(now, w.parts[last].begun.Add(w.age/generations))
		}
		w.parts = append(w.parts, generation{begun: now, known: map[Hash]struct{}{}})
		if last++; last > generations {
			w.drop()
			last--
		}
	}
	w.parts[last].known[h] = struct{}{}
}

func (w *window) has(h Hash, now time.Time) bool {
	w.forget(now)
	for _, part := range slices.Backward(w.parts) {
		if _, ok := part.known[h]; ok {
			return true
		}
	}
	return false
}

// forget drops what is too old.
func (w *window) forget(now time.Time) {
	for len(w.parts) > 0 {
		ended := w.parts[0].ended
		if len(w.parts) == 1 {
			ended = w.parts[0].begun.Add(w.age / generations)
		}
		if now.Sub(ended) < w.age {
			return
		}
		w.drop()
	}
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func (w *window) drop() {
	n := copy(w.parts, w.parts[1:])
	w.parts[n] = generation{}
	w.parts = w.parts[:n]
}
