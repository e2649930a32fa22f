package pgstore_test

import (
	"sync"
	"time"
)

// manual is a clock that stands still until it is told to go on.
type manual struct {
	mu sync.Mutex
	at time.Time
}

func (m *manual) now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.at
}

func (m *manual) set(at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.at = at
}

func (m *manual) add(d time.Duration) { m.set(m.now().Add(d)) }
