package delivery

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"
)

// closeTimeout bounds closing the journal, which waits for the disk only.
const closeTimeout = 5 * time.Second

// Shutdown refuses new requests and sends what is in the journal, until ctx is near its end or ClickHouse takes no
// rows. What is left stays in the journal for the next run. It may be called twice.
func (w *Writer) Shutdown(ctx context.Context) error {
	w.down.Do(func() { w.downErr = w.shutdown(ctx) })
	return w.downErr
}

func (w *Writer) shutdown(ctx context.Context) error {
	defer w.set.Client.CloseIdleConnections()
	w.mu.Lock()
	w.closed = true
	close(w.gate.closed)
	w.mu.Unlock()
	began := time.Now()
	w.appends.Wait() // Bounded by MaxWait and the disk.
	close(w.stopSeals)
	w.sealing.Wait()
	w.drain(ctx, began)
	left := w.lanes.left()
	w.stop()
	w.lanes.close()
	close(w.stopKeeps)
	w.work.Wait()
	bytes, oldest, segments := w.journal.Backlog()
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	if err := w.journal.Close(closing); err != nil {
		return fmt.Errorf("close journal: %w", err)
	}
	if segments > 0 {
		w.set.Logger.Warn("Not all rows are stored; the journal keeps them for the next start", zap.Int64("bytes", bytes),
			zap.Int("segments", segments), zap.Time("oldest", oldest), zap.Strings("tables", left))
	}
	return nil
}

// drain waits until all is stored, or it is not worth to wait any longer.
func (w *Writer) drain(ctx context.Context, began time.Time) {
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-w.set.reserve))
		defer cancel()
	}
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	moved, last := began, -1
	for {
		left := w.lanes.left()
		if len(left) == 0 && w.feeder.waiting() == 0 {
			return
		}
		if n := w.lanes.count(); n != last {
			moved, last = time.Now(), n
		}
		if time.Since(moved) > w.set.calm || w.hopeless(left, began) {
			return
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// hopeless reports whether none of the tables took rows for long enough.
func (w *Writer) hopeless(tables []string, began time.Time) bool {
	for _, t := range tables {
		since := w.health.since(t)
		if since.IsZero() || time.Since(since) < w.set.patience && time.Since(began) < w.set.patience {
			return false
		}
	}
	return len(tables) > 0
}
