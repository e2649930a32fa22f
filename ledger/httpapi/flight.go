package httpapi

import (
	"sync"
	"sync/atomic"

	"github.com/google/uuid"
)

// flight bounds how many requests are answered at once, in all and for each API key, so that one client cannot take all
// of the service.
type flight struct {
	most, mostPerKey int
	all              atomic.Int64

	mu   sync.Mutex
	keys map[uuid.UUID]int
}

func newFlight(most, mostPerKey int) *flight {
	return &flight{most: most, mostPerKey: mostPerKey, keys: map[uuid.UUID]int{}}
}

func (f *flight) enter() bool {
	if f.all.Add(1) > int64(f.most) {
		f.all.Add(-1)
		return false
	}
	return true
}

func (f *flight) leave() { f.all.Add(-1) }

func (f *flight) enterKey(key uuid.UUID) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.keys[key] >= f.mostPerKey {
		return false
	}
	f.keys[key]++
	return true
}

func (f *flight) leaveKey(key uuid.UUID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.keys[key]--; f.keys[key] == 0 {
		delete(f.keys, key)
	}
}

// pendingKeys are the idempotency keys whose first request is being answered by this instance. That another instance
// has it, the database tells.
type pendingKeys struct {
	mu   sync.Mutex
	keys map[[2]string]bool // principal and key
}

func newPendingKeys() *pendingKeys { return &pendingKeys{keys: map[[2]string]bool{}} }

func (p *pendingKeys) enter(principal, key string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	id := [2]string{principal, key}
	if p.keys[id] {
		return false
	}
	p.keys[id] = true
	return true
}

func (p *pendingKeys) leave(principal, key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.keys, [2]string{principal, key})
}
