package delivery

import (
	"sync"
	"time"

	"go.uber.org/zap"
)

// pressure tells when the backlog passes a threshold, on its way up, and when it is small again.
type pressure struct {
	logger  *zap.Logger
	backlog func() (bytes int64, oldest time.Time, segments int)
	max     int64

	mu   sync.Mutex
	told int // Percent.
}

const (
	pressureFull = 100 // Percent: a request was refused.
	pressureCalm = 40  // Below it the thresholds are told anew.
)

// look compares the backlog with the thresholds.
func (p *pressure) look() {
	p.mu.Lock()
	defer p.mu.Unlock()
	percent, fields := p.measure()
	switch {
	case p.told > 0 && percent < pressureCalm:
		p.told = 0
		p.logger.Info("The journal is small again", fields...)
	case percent >= 80 && p.told < 80:
		p.told = 80
		p.logger.Warn("The journal fills; when it is full, requests are refused", fields...)
	case percent >= 50 && p.told < 50:
		p.told = 50
		p.logger.Warn("The journal fills; when it is full, requests are refused", fields...)
	}
}

// refused notes that a request was refused because the journal is full.
func (p *pressure) refused() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.told == pressureFull {
		return
	}
	p.told = pressureFull
	_, fields := p.measure()
	p.logger.Error("The journal is full; requests are refused, and clients send them again. Bring ClickHouse back, or raise journal::max_bytes.", fields...)
}

func (p *pressure) measure() (percent int64, fields []zap.Field) {
	bytes, oldest, segments := p.backlog()
	percent = bytes * 100 / p.max
	return percent, []zap.Field{
		zap.Int64("percent", percent), zap.Int64("bytes", bytes), zap.Int64("max_bytes", p.max),
		zap.Int("segments", segments), zap.Time("oldest", oldest),
	}
}
