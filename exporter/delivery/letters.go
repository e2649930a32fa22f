package delivery

import (
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/agenttrail/agenttrail/exporter/journal"
)

// letters tells of dead letters: the first of a reason at once, those after it once in a while.
type letters struct {
	logger *zap.Logger

	mu    sync.Mutex
	kinds map[letterKind]*letterCount
}

type letterKind struct{ table, reason string }

type letterCount struct {
	told  time.Time
	since int // Dead letters since then.
	rows  int
}

const letterInterval = time.Minute

func newLetters(logger *zap.Logger) *letters {
	return &letters{logger: logger, kinds: map[letterKind]*letterCount{}}
}

func (l *letters) note(d journal.DeadLetter, f *Failure) {
	l.mu.Lock()
	defer l.mu.Unlock()
	kind := letterKind{d.Table, d.Reason}
	if c := l.kinds[kind]; c != nil {
		c.since++
		c.rows += d.Rows
		return
	}
	l.kinds[kind] = &letterCount{told: time.Now()}
	l.logger.Error("ClickHouse cannot store a request; its rows are kept as a dead letter. Look at them with `agenttrail deadletter list`.",
		zap.String("table", d.Table), zap.Int("rows", d.Rows), zap.String("reason", d.Reason), zap.String("token", d.Token), zap.Error(f))
}

// tell tells of those that were not told of one by one. It is called once in a while.
func (l *letters) tell(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for kind, c := range l.kinds {
		if now.Sub(c.told) < letterInterval {
			continue
		}
		if c.since == 0 {
			delete(l.kinds, kind)
			continue
		}
		l.logger.Error("There are more dead letters. Look at them with `agenttrail deadletter list`.",
			zap.String("table", kind.table), zap.String("reason", kind.reason), zap.Int("dead_letters", c.since), zap.Int("rows", c.rows))
		*c = letterCount{told: now}
	}
}
