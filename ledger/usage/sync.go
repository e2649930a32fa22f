// Package usage keeps the ledger's statistics of agents, and of how users use them, as telemetry has them.
//
// What is new is found by when rows were stored, not by when runs were: a run that arrives late is new, too. Of the agents
// and users that have something new everything is read again and set, never added, so reading twice does no harm, and two
// instances write the same. Once a day all is read anew, which also takes away what telemetry has no longer.
package usage

import (
	"context"
	"fmt"
	"time"

	"github.com/agenttrail/agenttrail/ledger"
)

const (
	// overlap is for how long a row that is stored may not be seen by who asks: an INSERT stamps its rows when it begins.
	overlap = 5 * time.Minute
	// fullEvery is how often all is read anew.
	fullEvery = 24 * time.Hour
	// batch is how many rows are written down together.
	batch = 1000
	// markName is the mark's in the store.
	markName = "statistics"
)

// Telemetry is where statistics come from. Package chread implements it.
type Telemetry interface {
	// Now is the time by which rows are marked as stored.
	Now(ctx context.Context) (time.Time, error)
	// AgentTotals gives all that there is of agents of which rows were stored since a moment; of all if that is zero.
	AgentTotals(ctx context.Context, since time.Time, f func(ledger.AgentTotals) error) error
	// UsageTotals does so for users and agents.
	UsageTotals(ctx context.Context, since time.Time, f func(ledger.UsageTotals) error) error
}

// Store is where they go. Package pgstore implements it.
type Store interface {
	// Mark is how far telemetry was read; the zero Mark before the first time.
	Mark(ctx context.Context, name string) (ledger.Mark, error)
	// SetAgentTotals and SetUsageTotals write rows down, in place of those that are there.
	SetAgentTotals(ctx context.Context, at time.Time, list []ledger.AgentTotals) error
	SetUsageTotals(ctx context.Context, at time.Time, list []ledger.UsageTotals) error
	// RemoveStatistics removes what was written down before a moment.
	RemoveStatistics(ctx context.Context, before time.Time) error
	// SetMark writes down how far telemetry was read.
	SetMark(ctx context.Context, name string, m ledger.Mark, at time.Time) error
}

// Sync brings the store up to date and returns how many rows it set. When telemetry does not answer the store stays as it
// is, as far as it has come, and the next time goes on from the same mark.
func Sync(ctx context.Context, telemetry Telemetry, store Store) (set int, err error) {
	began := time.Now().UTC()
	mark, err := store.Mark(ctx, markName)
	if err != nil {
		return 0, fmt.Errorf("sync statistics: %w", err)
	}
	now, err := telemetry.Now(ctx)
	if err != nil {
		return 0, fmt.Errorf("sync statistics: %w", err)
	}
	full := now.Sub(mark.FullAt) >= fullEvery
	since := mark.Upto
	if full {
		since = time.Time{}
	}
	agents := writer[ledger.AgentTotals]{write: func(list []ledger.AgentTotals) error { return store.SetAgentTotals(ctx, began, list) }}
	if err := telemetry.AgentTotals(ctx, since, agents.add); err != nil {
		return agents.written, fmt.Errorf("sync statistics of agents: %w", err)
	}
	if err := agents.flush(); err != nil {
		return agents.written, fmt.Errorf("sync statistics of agents: %w", err)
	}
	users := writer[ledger.UsageTotals]{write: func(list []ledger.UsageTotals) error { return store.SetUsageTotals(ctx, began, list) }}
	if err := telemetry.UsageTotals(ctx, since, users.add); err != nil {
		return agents.written + users.written, fmt.Errorf("sync statistics of users: %w", err)
	}
	if err := users.flush(); err != nil {
		return agents.written + users.written, fmt.Errorf("sync statistics of users: %w", err)
	}
	mark.Upto = now.Add(-overlap)
	if full {
		mark.FullAt = now
		if err := store.RemoveStatistics(ctx, began); err != nil {
			return agents.written + users.written, fmt.Errorf("sync statistics: %w", err)
		}
	}
	if err := store.SetMark(ctx, markName, mark, began); err != nil {
		return agents.written + users.written, fmt.Errorf("sync statistics: %w", err)
	}
	return agents.written + users.written, nil
}

// writer writes rows down some at a time.
type writer[T any] struct {
	write   func([]T) error
	pending []T
	written int
}

func (w *writer[T]) add(row T) error {
	if w.pending = append(w.pending, row); len(w.pending) < batch {
		return nil
	}
	return w.flush()
}

func (w *writer[T]) flush() error {
	if len(w.pending) == 0 {
		return nil
	}
	if err := w.write(w.pending); err != nil {
		return err
	}
	w.written += len(w.pending)
	w.pending = w.pending[:0]
	return nil
}
