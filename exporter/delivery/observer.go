package delivery

import (
	"time"

	"github.com/agenttrail/agenttrail/exporter/column"
)

// Observer is told what a [Writer] does, for metrics. Its methods are called from several goroutines.
type Observer interface {
	// Stored is called for every block that is stored, with its rows, its bytes as sent, and the time since its first
	// attempt began.
	Stored(t column.Table, rows, bytes int, elapsed time.Duration)
	// Retried is called before every attempt but the first of a block.
	Retried(t column.Table, reason string)
	// Refused is called for every request that is not stored.
	Refused(reason Reason)
}

type noObserver struct{}

func (noObserver) Stored(column.Table, int, int, time.Duration) {}
func (noObserver) Retried(column.Table, string)                 {}
func (noObserver) Refused(Reason)                               {}
