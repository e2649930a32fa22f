package delivery

import (
	"sync"
	"time"

	"go.uber.org/zap"
)

// crowdCalm is how long no request may have been refused before the crowd is over.
const crowdCalm = 10 * time.Second

// crowd tells when requests begin to be refused because more arrive than can be worked on, and when that is over.
type crowd struct {
	logger *zap.Logger

	mu      sync.Mutex
	last    time.Time
	refused int // Since it was told; 0: it was not.
}

// refuse notes that a request was refused.
func (c *crowd) refuse(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = now
	c.refused++
	if c.refused == 1 {
		c.logger.Warn("More arrives than can be stored; requests wait, and some are refused, which clients send again. " +
			"If it lasts, add a collector, or give ClickHouse more of the machine.")
	}
}

// look tells when it is over.
func (c *crowd) look(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refused > 0 && now.Sub(c.last) > crowdCalm {
		c.logger.Info("No more arrives than can be stored", zap.Int("refused", c.refused))
		c.refused = 0
	}
}
