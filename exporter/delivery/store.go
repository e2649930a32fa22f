package delivery

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/agenttrail/agenttrail/exporter/column"
	"github.com/agenttrail/agenttrail/exporter/journal"
)

// store stores the segment's rows of a table. It goes on until they are stored or dead letters; the only error is that
// the writer is stopped.
func (s *segment) store(ctx context.Context, table string) error {
	var ranges []journal.Range
	if err := s.w.persist(ctx, "plan blocks", func() (err error) {
		ranges, err = s.ranges(ctx, table)
		return err
	}); err != nil {
		return err
	}
	for _, r := range ranges {
		if err := s.storeRange(ctx, table, r); err != nil {
			return err
		}
	}
	return nil
}

// storeRange stores a range of records as one block. When ClickHouse rejects it for its content, each half is tried on
// its own, under a token of its own; nothing of the whole was stored then.
func (s *segment) storeRange(ctx context.Context, table string, r journal.Range) error {
	failure, err := s.storeBlock(ctx, table, r)
	if failure == nil || err != nil {
		return err
	}
	if r.To-r.From == 1 {
		return s.bury(ctx, table, r, failure)
	}
	var left, right journal.Range
	if err := s.w.persist(ctx, "split block", func() (err error) {
		left, right, err = s.halve(ctx, table, r)
		return err
	}); err != nil {
		return err
	}
	if err := s.storeRange(ctx, table, left); err != nil {
		return err
	}
	return s.storeRange(ctx, table, right)
}

// storeBlock sends one block until it is stored, or is rejected for its content, which is the failure.
func (s *segment) storeBlock(ctx context.Context, table string, r journal.Range) (*Failure, error) {
	w := s.w
	body, rows, statement, err := s.body(ctx, table, r)
	if err != nil || rows == 0 {
		return nil, err
	}
	defer body.release()
	token := s.token(table, r)
	pause := w.set.RetryInitial
	for {
		began := time.Now()
		err := w.in.insert(ctx, statement, token, int64(body.size), body.open)
		if err == nil {
			w.health.succeeded(table)
			w.set.Observer.Stored(table, rows, body.size, time.Since(began))
			return nil, nil //nolint:nilnil // Stored.
		}
		if ctx.Err() != nil {
			return nil, errStopping
		}
		var f *Failure
		if !errors.As(err, &f) {
			f = &Failure{Message: err.Error()}
		}
		class, reason, _ := Classify(f)
		if class == ClassContent {
			return f, nil
		}
		wake := w.health.failed(table, reason, f)
		w.set.Observer.Retried(table, reason)
		if !sleep(ctx, pause/2+rand.N(pause/2+1), wake) { //nolint:gosec // Not a secret.
			return nil, errStopping
		}
		pause = min(2*pause, w.set.RetryMax)
	}
}

// body makes the body of an INSERT.
func (s *segment) body(ctx context.Context, table string, r journal.Range) (body *body, rows int, statement string, err error) {
	err = s.w.persist(ctx, "read segment", func() (err error) {
		rows, statement, err = s.block(table, r, func(b *column.Blocks, h *held) (err error) {
			body, err = s.w.enc.body(b, table, h)
			return err
		})
		return err
	})
	return body, rows, statement, err
}

// bury makes a dead letter of rows that ClickHouse rejects.
func (s *segment) bury(ctx context.Context, table string, r journal.Range, f *Failure) error {
	_, reason, _ := Classify(f)
	d := journal.DeadLetter{Table: table, Token: s.token(table, r), Reason: reason, Code: f.Code, Message: f.Message}
	err := s.w.persist(ctx, "write dead letter", func() error {
		var err error
		if d.Rows, _, err = s.block(table, r, func(b *column.Blocks, _ *held) error {
			d.Native = b.AppendNative(nil, table)
			return nil
		}); err != nil {
			return err
		}
		return s.w.journal.DeadLetter(ctx, d)
	})
	if err != nil {
		return err
	}
	s.w.letters.note(d, f)
	s.w.set.Observer.DeadLettered(table, reason, d.Rows)
	return nil
}

// persist repeats what needs the journal's disk until it works. The only error is that the writer is stopped.
func (w *Writer) persist(ctx context.Context, verb string, try func() error) error {
	pause := w.set.RetryInitial
	for {
		err := try()
		if ctx.Err() != nil {
			return errStopping
		}
		w.disk.note(verb, err)
		if err == nil {
			return nil
		}
		if !sleep(ctx, pause/2+rand.N(pause/2+1), nil) { //nolint:gosec // Not a secret.
			return errStopping
		}
		pause = min(2*pause, w.set.RetryMax)
	}
}

// sleep waits, or until wake is closed, and reports whether ctx let it.
func sleep(ctx context.Context, d time.Duration, wake <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-wake:
		return true
	case <-ctx.Done():
		return false
	}
}
