package delivery

import (
	"time"

	"github.com/agenttrail/agenttrail/exporter/column"
	"github.com/agenttrail/agenttrail/exporter/journal"
)

// Observer is told what a [Writer] does, for metrics. Its methods are called from several goroutines.
type Observer interface {
	// Acknowledged is called for every request that became durable, with its rows by table, and the time that this
	// took.
	Acknowledged(rows *[column.TableCount]int, elapsed time.Duration)
	// Expired is called for every request that became durable, with its rows of a table that are older than the table keeps
	// rows, so that ClickHouse will drop them.
	Expired(table column.Table, rows int)
	// Duplicate is called for every request that was durable already.
	Duplicate()
	// Refused is called for every request that did not become durable, or whose client went away first.
	Refused(reason Reason)
	// Synced is called for every fdatasync of a group of requests, with its time.
	Synced(elapsed time.Duration)
	// Stored is called for every block that is stored, with its rows, its bytes as sent, and the time that the
	// attempt took which stored it.
	Stored(table string, rows, bytes int, elapsed time.Duration)
	// Retried is called before every attempt but the first of a block.
	Retried(table, reason string)
	// DeadLettered is called for every dead letter.
	DeadLettered(table, reason string, rows int)
	// Damaged is called for every stretch of the journal that cannot be read.
	Damaged()
}

type noObserver struct{}

func (noObserver) Acknowledged(*[column.TableCount]int, time.Duration) {}
func (noObserver) Expired(column.Table, int)                           {}
func (noObserver) Duplicate()                                          {}
func (noObserver) Refused(Reason)                                      {}
func (noObserver) Synced(time.Duration)                                {}
func (noObserver) Stored(string, int, int, time.Duration)              {}
func (noObserver) Retried(string, string)                              {}
func (noObserver) DeadLettered(string, string, int)                    {}
func (noObserver) Damaged()                                            {}

// journalObserver passes on what the journal tells.
type journalObserver struct{ Observer }

func (o journalObserver) Committed(_, _ int, fsync time.Duration) { o.Synced(fsync) }
func (o journalObserver) Failed(int, journal.Reason)              {}
func (o journalObserver) Duplicate()                              {} // The batch tells it.
func (o journalObserver) Damaged(journal.Damage)                  { o.Observer.Damaged() }
