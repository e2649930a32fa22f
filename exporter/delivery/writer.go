package delivery

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/agenttrail/agenttrail/exporter/column"
	"github.com/agenttrail/agenttrail/exporter/journal"
	"github.com/agenttrail/agenttrail/internal/recycle"
)

// Writer stores the rows of concurrent requests. Its methods may be called from several goroutines.
type Writer struct {
	set       Settings
	enc       *encoder
	recycler  recycle.Bytes
	in        *inserter
	journal   *journal.Journal
	gate      *gate
	open      *open
	feeder    *feeder
	lanes     *lanes
	loader    *loader
	keeper    *keeper
	health    *health
	disk      *disk
	pressure  *pressure
	crowd     *crowd
	letters   *letters
	retention *retention

	life context.Context //nolint:containedctx // Of the goroutines below.
	stop context.CancelFunc
	work sync.WaitGroup // Of feeder and keeper.

	sealing   sync.WaitGroup
	stopSeals chan struct{}
	stopKeeps chan struct{}

	mu      sync.Mutex
	closed  bool
	appends sync.WaitGroup // Grows only while closed is false.
	down    sync.Once
	downErr error
}

// NewWriter opens the journal and returns a writer that is at work until Shutdown. What the journal holds of an earlier
// run is sent first. Nothing is asked of ClickHouse; see [Writer.CheckSchema].
func NewWriter(ctx context.Context, settings Settings) (*Writer, error) {
	settings = settings.withDefaults()
	if settings.Journal.Dir == "" {
		return nil, errors.New("open journal: name its folder, on a disk that outlives the process")
	}
	if settings.MaxBlockRows > LimitBlockRows-1 || settings.MaxBlockBytes > LimitBlockBytes {
		return nil, fmt.Errorf("a block may have at most %d rows and %d bytes: ClickHouse cuts larger ones, and a retry would store them twice", LimitBlockRows-1, LimitBlockBytes)
	}
	in, err := newInserter(&settings)
	if err != nil {
		return nil, err
	}
	enc, err := newEncoder(in.compression)
	if err != nil {
		return nil, err
	}
	settings.Journal.Layout = column.Layout()
	settings.Journal.Logger = settings.Logger
	settings.Journal.Observer = journalObserver{settings.Observer}
	settings.Journal.MaxBytes = orDefault(settings.Journal.MaxBytes, 10<<30)
	j, err := journal.Open(ctx, settings.Journal)
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	w := &Writer{
		set: settings, enc: enc, in: in, journal: j,
		gate:      newGate(settings.Mappers, settings.MaxQueueBytes),
		open:      newOpen(&settings),
		health:    newHealth(&settings, j.Backlog),
		disk:      newDisk(settings.Logger),
		pressure:  &pressure{logger: settings.Logger, backlog: j.Backlog, max: settings.Journal.MaxBytes},
		crowd:     &crowd{logger: settings.Logger},
		letters:   newLetters(settings.Logger),
		retention: &retention{logger: settings.Logger},
		stopSeals: make(chan struct{}), stopKeeps: make(chan struct{}),
	}
	w.life, w.stop = context.WithCancel(context.WithoutCancel(ctx))
	w.lanes, w.loader, w.keeper = newLanes(w), newLoader(w), newKeeper(w)
	w.feeder = &feeder{w: w, wake: make(chan struct{}, 1)}
	w.recover()
	w.work.Go(w.feeder.run)
	staying := context.WithoutCancel(ctx)
	w.work.Go(func() { w.keeper.run(staying, w.stopKeeps) })
	w.sealing.Go(func() { w.seal(staying, w.stopSeals) })
	return w, nil
}

// recover queues what an earlier run left.
func (w *Writer) recover() {
	found := w.journal.Recovery()
	if len(found.Segments) == 0 {
		return
	}
	w.set.Logger.Info("Sending what the journal holds of the last run", zap.Int("segments", len(found.Segments)),
		zap.Int("requests", found.Records), zap.Int64("bytes", found.Bytes), zap.Int("damages", len(found.Damages)))
	for _, js := range found.Segments {
		if err := w.loader.check(js.Layout()); err != nil {
			w.set.Logger.Error("A segment of the journal is of another version and is left alone: start that version to send it",
				zap.String("segment", js.Token("")), zap.Error(err))
			continue
		}
		w.feed(newSegment(w, js))
	}
}

// Begin returns a batch for the rows of one request, which is in memory with about size bytes. It waits while too many
// rows are in memory, unless too many wait already. The error is an [*Error].
func (w *Writer) Begin(ctx context.Context, size int64) (*Batch, error) {
	err := w.gate.enter(ctx, size, w.set.MaxWait)
	if err == nil {
		return &Batch{w: w, cutoffs: w.retention.cutoffs(time.Now())}, nil
	}
	reason := ReasonCanceled
	switch {
	case errors.Is(err, errOverload):
		reason = ReasonOverload
		w.crowd.refuse(time.Now())
	case errors.Is(err, errStopping):
		reason = ReasonStopping
	}
	w.set.Observer.Refused(reason)
	return nil, comeBack(reason, fmt.Errorf("wait for room: %w", err))
}

// enter reports whether a request may still be written. If so, w.appends has it.
func (w *Writer) enter() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.closed {
		w.appends.Add(1)
	}
	return !w.closed
}

// QueueBytes returns how many bytes of rows are in memory.
func (w *Writer) QueueBytes() int64 { return w.gate.used() }

// Backlog returns how many bytes the journal has on disk, since when its oldest rows wait (zero if none do), and how
// many segments there are.
func (w *Writer) Backlog() (bytes int64, oldest time.Time, segments int) { return w.journal.Backlog() }
