package agenttrail

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// Loss is how much could not be delivered: it did not fit into the buffer, the collector refused it for good, or the
// program ended before it was taken.
type Loss struct {
	Spans, Logs, Metrics uint64
}

type lossKind int

const (
	lossSpans lossKind = iota
	lossLogs
	lossMetrics
	lossKinds
)

var lossNames = [lossKinds]string{"spans", "logs", "metrics"}

// outageEnds is how long nothing must be lost until the next loss is said again.
const outageEnds = time.Minute

// losses counts what is lost and says so once for each outage.
type losses struct {
	logger *slog.Logger
	counts [lossKinds]atomic.Uint64

	mu     sync.Mutex
	last   time.Time // Of the last loss.
	closed bool
	saying sync.WaitGroup
}

func newLosses(l *slog.Logger) *losses { return &losses{logger: l} }

// add counts. It does not wait until the message is written.
func (l *losses) add(kind lossKind, n int, reason error) {
	l.counts[kind].Add(uint64(n)) //nolint:gosec // A length.
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	again := now.Sub(l.last) < outageEnds
	l.last = now
	if again || l.closed {
		return
	}
	l.saying.Go(func() {
		l.logger.Warn("telemetry is being lost: look at the collector and at where it is expected (OTEL_EXPORTER_OTLP_ENDPOINT); this is said once for each outage",
			"signal", lossNames[kind], "reason", reason)
	})
}

func (l *losses) total() Loss {
	return Loss{Spans: l.counts[lossSpans].Load(), Logs: l.counts[lossLogs].Load(), Metrics: l.counts[lossMetrics].Load()}
}

// close waits for what is being said. Later losses are counted only.
func (l *losses) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.saying.Wait()
}

// observeLoss makes the counts a metric, which arrives when the collector is back.
func (t *Trail) observeLoss() error {
	counter, err := t.meters.Meter(scopeName, metric.WithInstrumentationVersion(Version)).Int64ObservableCounter("agenttrail.sdk.lost",
		metric.WithUnit("{record}"), metric.WithDescription("Spans, log records and metric points that could not be delivered"))
	if err != nil {
		return fmt.Errorf("make counter of losses: %w", err)
	}
	var sets [lossKinds]metric.MeasurementOption
	for kind, name := range lossNames {
		sets[kind] = metric.WithAttributeSet(attribute.NewSet(attribute.String("signal", name)))
	}
	_, err = t.meters.Meter(scopeName, metric.WithInstrumentationVersion(Version)).RegisterCallback(func(_ context.Context, o metric.Observer) error {
		for kind := range lossKinds {
			o.ObserveInt64(counter, int64(t.pipeline.loss.counts[kind].Load()), sets[kind]) //nolint:gosec // Not in a lifetime.
		}
		return nil
	}, counter)
	if err != nil {
		return fmt.Errorf("observe losses: %w", err)
	}
	return nil
}
