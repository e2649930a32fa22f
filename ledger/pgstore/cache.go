package pgstore

import "sync"

// cacheSize is the most copies of one kind that are kept.
const cacheSize = 100_000

// cache keeps copies of rows. Nothing has to be removed when a row changes: what is done with an old copy is refused.
type cache[K comparable, V any] struct {
	mu   sync.RWMutex
	rows map[K]V
}

func (c *cache[K, V]) get(k K) (V, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	v, ok := c.rows[k]
	return v, ok
}

func (c *cache[K, V]) put(k K, v V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.rows == nil {
		c.rows = map[K]V{}
	}
	if _, ok := c.rows[k]; !ok && len(c.rows) >= cacheSize {
		for other := range c.rows { // Any one: maps are walked in no order.
			delete(c.rows, other)
			break
		}
	}
	c.rows[k] = v
}
