package delivery

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/agenttrail/agenttrail/exporter/column"
)

// Writer stores the rows of concurrent requests. Its methods may be called from several goroutines.
type Writer struct {
	set    Settings
	enc    *encoder
	in     *inserter
	gate   *gate
	id     string // Makes the tokens of this writer unlike those of any other.
	blocks atomic.Uint64

	stop    context.CancelFunc // Ends all attempts.
	senders sync.WaitGroup

	mu        sync.Mutex
	arrived   *sync.Cond // A part was queued, or the writer is closed.
	queue     []*part
	lastTaken time.Time
	closed    bool
}

// NewWriter returns a writer that is at work until Shutdown. It connects with the first block;
// see [Writer.CheckSchema].
func NewWriter(settings Settings) (*Writer, error) {
	settings = settings.withDefaults()
	if settings.MaxBlockRows > LimitBlockRows-1 || settings.MaxBlockBytes > LimitBlockBytes {
		return nil, fmt.Errorf("a block may have at most %d rows and %d bytes: ClickHouse cuts larger ones, and a retry would store them twice", LimitBlockRows-1, LimitBlockBytes)
	}
	enc, err := newEncoder(settings.Compression)
	if err != nil {
		return nil, err
	}
	in, err := newInserter(&settings)
	if err != nil {
		return nil, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("make writer id: %w", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	w := &Writer{
		set: settings, enc: enc, in: in, id: id.String(), stop: stop,
		gate: newGate(settings.Mappers, settings.MaxQueueBytes),
	}
	w.arrived = sync.NewCond(&w.mu)
	for range settings.Senders {
		w.senders.Go(func() { w.send(ctx) })
	}
	return w, nil
}

// Begin returns a batch for the rows of one request. It waits while too many rows are not stored yet. The error is
// an [*Error].
func (w *Writer) Begin(ctx context.Context) (*Batch, error) {
	err := w.gate.enter(ctx, w.set.MaxWait)
	if err == nil {
		return &Batch{w: w}, nil
	}
	reason := ReasonCanceled
	switch {
	case errors.Is(err, errOverload):
		reason = ReasonOverload
	case errors.Is(err, errStopping):
		reason = ReasonStopping
	}
	w.set.Observer.Refused(reason)
	return nil, &Error{Reason: reason, RetryAfter: w.retryAfter(), Err: fmt.Errorf("wait for room: %w", err)}
}

// QueueBytes returns how many bytes of rows are not stored yet.
func (w *Writer) QueueBytes() int64 { return w.gate.used() }

// Shutdown refuses new requests and stores what was committed. When ctx is done first, it gives up what is left,
// whose requests are told so. It may be called twice.
func (w *Writer) Shutdown(ctx context.Context) error {
	w.mu.Lock()
	if !w.closed {
		w.closed = true
		close(w.gate.closed)
	}
	w.arrived.Broadcast()
	w.mu.Unlock()

	stored := make(chan struct{})
	go func() {
		w.senders.Wait()
		close(stored)
	}()
	defer w.set.Client.CloseIdleConnections()
	select {
	case <-stored:
		w.stop()
		return nil
	case <-ctx.Done():
		w.stop()
		<-stored
		return fmt.Errorf("store what is waiting: %w", context.Cause(ctx))
	}
}

// retryAfter is when a client may come back: spread, so that they do not all come at once.
func (w *Writer) retryAfter() time.Duration {
	return time.Second + rand.N(2*time.Second) //nolint:gosec // Not a secret.
}

func (w *Writer) enqueue(parts []*part) *Error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return &Error{Reason: ReasonStopping, RetryAfter: w.retryAfter(), Err: errStopping}
	}
	for _, p := range parts {
		w.gate.add(p.bytes)
	}
	w.queue = append(w.queue, parts...)
	w.arrived.Signal()
	return nil
}

// send is the loop of a sender.
func (w *Writer) send(ctx context.Context) {
	for {
		group := w.take(ctx)
		if group == nil {
			return
		}
		w.store(ctx, group)
	}
}

// take waits for parts and returns as many as fit into one block per table, oldest first. It returns nil when the
// writer is closed and nothing is left.
func (w *Writer) take(ctx context.Context) []*part {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		for len(w.queue) == 0 && !w.closed {
			w.arrived.Wait()
		}
		if len(w.queue) == 0 {
			return nil
		}
		early := w.set.Pace - time.Since(w.lastTaken)
		if early <= 0 || w.closed || w.full() {
			break
		}
		w.mu.Unlock()
		sleep(ctx, early)
		w.mu.Lock()
	}
	w.lastTaken = time.Now()
	n := w.fitting()
	group := make([]*part, n)
	copy(group, w.queue)
	rest := copy(w.queue, w.queue[n:])
	clear(w.queue[rest:])
	w.queue = w.queue[:rest]
	if rest > 0 {
		w.arrived.Signal() // Another sender may take it at once.
	}
	return group
}

// full reports whether more parts wait than fit into one group.
func (w *Writer) full() bool { return w.fitting() < len(w.queue) }

// fitting returns how many parts, at least one, fit into one group.
func (w *Writer) fitting() int {
	var rows, size [column.TableCount]int
	for n, p := range w.queue {
		for t := range column.TableCount {
			rows[t] += p.rows[t]
			size[t] += p.sizes[t]
			if n > 0 && (rows[t] > w.set.MaxBlockRows || size[t] > w.set.MaxBlockBytes) {
				return n
			}
		}
	}
	return len(w.queue)
}

// store stores a group and tells its requests.
func (w *Writer) store(ctx context.Context, group []*part) {
	waiting := group[:0]
	for _, p := range group {
		select {
		case <-p.batch.gone: // Nobody waits, and nothing was sent yet.
			w.settle(p, context.Canceled)
		default:
			waiting = append(waiting, p)
		}
	}
	var (
		tables sync.WaitGroup
		mu     sync.Mutex
		failed = map[*part]error{}
	)
	for t := range column.TableCount {
		var parts []*part
		for _, p := range waiting {
			if p.rows[t] > 0 {
				parts = append(parts, p)
			}
		}
		if len(parts) == 0 {
			continue
		}
		tables.Go(func() {
			w.storeTable(ctx, t, parts, func(p *part, err error) {
				mu.Lock()
				defer mu.Unlock()
				if !permanent(failed[p]) || permanent(err) {
					failed[p] = err
				}
			})
		})
	}
	tables.Wait()
	for _, p := range waiting {
		w.settle(p, failed[p])
	}
}

func (w *Writer) settle(p *part, err error) {
	w.gate.add(-p.bytes)
	w.enc.releaseSet(p.set)
	p.set = nil
	p.batch.finish(err)
}

// storeTable stores the rows of t in parts as one block. When ClickHouse rejects it for its content, each half is
// tried on its own, under a token of its own; nothing of the whole was stored then.
func (w *Writer) storeTable(ctx context.Context, t column.Table, parts []*part, fail func(*part, error)) {
	rows := 0
	for _, p := range parts {
		rows += p.rows[t]
	}
	err := w.storeBlock(ctx, t, parts, rows)
	if err == nil {
		return
	}
	if f, ok := errors.AsType[*Failure](err); ok {
		if class, reason, _ := Classify(f); class == ClassContent {
			if n := len(parts); n > 1 {
				w.storeTable(ctx, t, parts[:n/2], fail)
				w.storeTable(ctx, t, parts[n/2:], fail)
				return
			}
			w.set.Logger.Warn("ClickHouse cannot store a request, which is refused for good",
				zap.Stringer("table", t), zap.Int("rows", rows), zap.String("reason", reason), zap.Error(f))
			err = &Error{Reason: ReasonContent, Err: fmt.Errorf("store rows of %s: %w", t, f)}
		}
	}
	for _, p := range parts {
		fail(p, err)
	}
}

// storeBlock sends one block until it is stored, is rejected for its content, nobody waits for it, or it took too
// long.
func (w *Writer) storeBlock(ctx context.Context, t column.Table, parts []*part, rows int) error {
	body, err := w.enc.body(t, parts)
	if err != nil {
		return &Error{Reason: ReasonContent, Err: err}
	}
	defer w.enc.releaseBody(body)
	token := fmt.Sprintf("%s/%d/%s", w.id, w.blocks.Add(1), t)

	ctx, cancel := context.WithCancelCause(ctx)
	watched := make(chan struct{})
	finished := make(chan struct{})
	go func() {
		defer close(watched)
		for _, p := range parts {
			select {
			case <-p.batch.gone:
			case <-finished:
				return
			}
		}
		cancel(errNobodyWaits)
	}()
	defer func() {
		close(finished)
		<-watched
		cancel(nil)
	}()

	start := time.Now()
	pause := w.set.RetryInitial
	for attempt := 1; ; attempt++ {
		err := w.in.insert(ctx, t, token, *body)
		if err == nil {
			w.set.Observer.Stored(t, rows, len(*body), time.Since(start))
			if attempt > 1 {
				w.set.Logger.Info("Stored a block after retries", zap.Stringer("table", t), zap.Int("attempts", attempt), zap.Duration("elapsed", time.Since(start)))
			}
			return nil
		}
		var f *Failure
		if !errors.As(err, &f) {
			return err
		}
		class, reason, _ := Classify(f)
		if class == ClassContent {
			return f
		}
		next := pause/2 + rand.N(pause) //nolint:gosec // Not a secret.
		// The first failure is always repeated: the block may be stored already, which only the same token can tell.
		if ctx.Err() != nil || attempt > 1 && time.Since(start)+next > w.set.RetryElapsed {
			return f
		}
		w.set.Observer.Retried(t, reason)
		w.set.Logger.Warn("Storing a block failed and is tried again", zap.Stringer("table", t), zap.Int("rows", rows),
			zap.Int("attempt", attempt), zap.Duration("after", next), zap.String("reason", reason), zap.Error(f))
		if !sleep(ctx, next) {
			return f
		}
		pause = min(2*pause, w.set.RetryMax)
	}
}

var errNobodyWaits = errors.New("no request waits for it any longer")

// sleep waits and reports whether ctx let it.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
