package agenttrail

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// About what records cost beside their text and attributes, and attributes beside theirs.
const (
	spanBytes      = 512
	recordBytes    = 512
	attributeBytes = 64
)

// spanProcessor puts ended spans into the queue. The pipeline stops the queue.
type spanProcessor struct {
	queue *queue[sdktrace.ReadOnlySpan]
}

func (spanProcessor) OnStart(context.Context, sdktrace.ReadWriteSpan) {}

func (p spanProcessor) OnEnd(s sdktrace.ReadOnlySpan) {
	if !s.SpanContext().IsSampled() {
		return
	}
	size := int64(spanBytes + len(s.Name()) + len(s.Status().Description))
	size += attributesSize(s.Attributes())
	for _, e := range s.Events() {
		size += attributeBytes + attributesSize(e.Attributes)
	}
	p.queue.put(s, size)
}

func (p spanProcessor) ForceFlush(ctx context.Context) error { return p.queue.flush(ctx) }

func (spanProcessor) Shutdown(context.Context) error { return nil }

// logProcessor puts log records into the queue. The pipeline stops the queue.
type logProcessor struct {
	queue *queue[sdklog.Record]
}

func (logProcessor) Enabled(context.Context, sdklog.EnabledParameters) bool { return true }

func (p logProcessor) OnEmit(_ context.Context, r *sdklog.Record) error {
	size := int64(recordBytes) + valueSize(r.Body())
	r.WalkAttributes(func(kv attribute.KeyValue) bool {
		size += attributeSize(kv)
		return true
	})
	p.queue.put(r.Clone(), size)
	return nil
}

func (p logProcessor) ForceFlush(ctx context.Context) error { return p.queue.flush(ctx) }

func (logProcessor) Shutdown(context.Context) error { return nil }

func attributesSize(attrs []attribute.KeyValue) int64 {
	var n int64
	for i := range attrs {
		n += attributeSize(attrs[i])
	}
	return n
}

func attributeSize(kv attribute.KeyValue) int64 {
	return attributeBytes + int64(len(kv.Key)) + valueSize(kv.Value)
}

// valueSize is about how much memory a value has beside its own.
func valueSize(v attribute.Value) int64 {
	switch v.Type() {
	case attribute.STRING:
		return int64(len(v.AsString()))
	case attribute.BYTESLICE:
		return int64(len(v.AsByteSlice()))
	case attribute.STRINGSLICE:
		var n int64
		for _, s := range v.AsStringSlice() {
			n += int64(len(s)) + 16
		}
		return n
	case attribute.INT64SLICE:
		return int64(8 * len(v.AsInt64Slice()))
	case attribute.FLOAT64SLICE:
		return int64(8 * len(v.AsFloat64Slice()))
	case attribute.SLICE:
		var n int64
		for _, x := range v.AsSlice() {
			n += attributeBytes + valueSize(x)
		}
		return n
	case attribute.MAP:
		return attributesSize(v.AsMap())
	default:
		return 0
	}
}

// metricExporter sends the points of one interval until they are taken or the time of the interval is up, and counts
// what was not. Sums and histograms are cumulative, so that the next interval tells all the same. It keeps its errors for
// who flushes, because the reader would say each.
type metricExporter struct {
	sdkmetric.Exporter
	delivery delivery
	loss     *losses

	mu     sync.Mutex
	failed error // Of the last interval.
}

func (e *metricExporter) Export(ctx context.Context, m *metricdata.ResourceMetrics) error {
	err := e.delivery.deliver(ctx, nil, func(ctx context.Context) error { return e.Exporter.Export(ctx, m) }, func(error) {})
	e.mu.Lock()
	e.failed = err
	e.mu.Unlock()
	if err == nil || errors.Is(err, context.Canceled) {
		return nil // In the latter case the reader stops, and tells everything once more.
	}
	points := 0
	for _, s := range m.ScopeMetrics {
		for i := range s.Metrics {
			points += pointsOf(s.Metrics[i].Data)
		}
	}
	e.loss.add(lossMetrics, points, err)
	return nil
}

func (e *metricExporter) ForceFlush(ctx context.Context) error {
	return errors.Join(e.lastError(), e.Exporter.ForceFlush(ctx))
}

func (e *metricExporter) Shutdown(ctx context.Context) error {
	return errors.Join(e.lastError(), ignoreContext(e.Exporter.Shutdown(ctx)))
}

func (e *metricExporter) lastError() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.failed == nil || errors.Is(e.failed, errRefused) { // The latter is settled, as for the other signals.
		return nil
	}
	return fmt.Errorf("metrics not sent: %w", e.failed)
}

func pointsOf(data metricdata.Aggregation) int {
	switch d := data.(type) {
	case metricdata.Gauge[int64]:
		return len(d.DataPoints)
	case metricdata.Gauge[float64]:
		return len(d.DataPoints)
	case metricdata.Sum[int64]:
		return len(d.DataPoints)
	case metricdata.Sum[float64]:
		return len(d.DataPoints)
	case metricdata.Histogram[int64]:
		return len(d.DataPoints)
	case metricdata.Histogram[float64]:
		return len(d.DataPoints)
	case metricdata.ExponentialHistogram[int64]:
		return len(d.DataPoints)
	case metricdata.ExponentialHistogram[float64]:
		return len(d.DataPoints)
	default:
		return 0
	}
}
