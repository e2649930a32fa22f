package fromwire

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"

	"github.com/agenttrail/agenttrail/exporter/column"
	"github.com/agenttrail/agenttrail/exporter/frompdata"
	"github.com/agenttrail/agenttrail/exporter/mapping"
	"github.com/agenttrail/agenttrail/exporter/record"
)

// The front end behind a receiver: pdata's decoder as the OTLP receiver calls it, then frompdata.

func referenceTraces(b []byte, dst *record.Traces) error {
	q := ptraceotlp.NewExportRequest()
	if err := q.UnmarshalProto(b); err != nil {
		return err
	}
	frompdata.Traces(q.Traces(), dst)
	return nil
}

func referenceLogs(b []byte, dst *record.Logs) error {
	q := plogotlp.NewExportRequest()
	if err := q.UnmarshalProto(b); err != nil {
		return err
	}
	frompdata.Logs(q.Logs(), dst)
	return nil
}

func referenceMetrics(b []byte, dst *record.Metrics) error {
	q := pmetricotlp.NewExportRequest()
	if err := q.UnmarshalProto(b); err != nil {
		return err
	}
	frompdata.Metrics(q.Metrics(), dst)
	return nil
}

// comparer compares the two front ends. What it holds has seen other requests, as in a running exporter.
type comparer struct {
	traces  record.Traces
	logs    record.Logs
	metrics record.Metrics
	// One of each for the front end that is tested and one for the other.
	mappers [2]*mapping.Mapper
	sets    [2]*column.Set
	native  [2][]byte
}

func newComparer() *comparer {
	return &comparer{
		mappers: [2]*mapping.Mapper{mapping.New(mapping.Config{}), mapping.New(mapping.Config{})},
		sets:    [2]*column.Set{column.NewSet(), column.NewSet()},
	}
}

var receivedAt = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

// requireTraces requires that both front ends make the same of b, and says whether that is a request.
func (c *comparer) requireTraces(t *testing.T, b []byte) bool {
	t.Helper()
	var want record.Traces
	wantErr := referenceTraces(b, &want)
	gotErr := Traces(inLargerBuffer(b), &c.traces)
	if !sameAcceptance(t, b, gotErr, wantErr) {
		require.Empty(t, c.traces.Spans)
		return false
	}
	requireSame(t, want.Resources, c.traces.Resources, "Resources")
	requireSame(t, want.Scopes, c.traces.Scopes, "Scopes")
	requireSame(t, want.Spans, c.traces.Spans, "Spans")
	c.requireRows(t, func(i int) {
		in := []*record.Traces{&c.traces, &want}[i]
		c.mappers[i].Traces(in, receivedAt, c.sets[i])
	})
	return true
}

// requireLogs is requireTraces for log records.
func (c *comparer) requireLogs(t *testing.T, b []byte) bool {
	t.Helper()
	var want record.Logs
	wantErr := referenceLogs(b, &want)
	gotErr := Logs(inLargerBuffer(b), &c.logs)
	if !sameAcceptance(t, b, gotErr, wantErr) {
		require.Empty(t, c.logs.Records)
		return false
	}
	requireSame(t, want.Resources, c.logs.Resources, "Resources")
	requireSame(t, want.Scopes, c.logs.Scopes, "Scopes")
	requireSame(t, want.Records, c.logs.Records, "Records")
	c.requireRows(t, func(i int) {
		in := []*record.Logs{&c.logs, &want}[i]
		c.mappers[i].Logs(in, receivedAt, c.sets[i])
	})
	return true
}

// requireMetrics is requireTraces for metric points.
func (c *comparer) requireMetrics(t *testing.T, b []byte) bool {
	t.Helper()
	var want record.Metrics
	wantErr := referenceMetrics(b, &want)
	gotErr := Metrics(inLargerBuffer(b), &c.metrics)
	if !sameAcceptance(t, b, gotErr, wantErr) {
		require.Empty(t, c.metrics.Points)
		return false
	}
	requireSame(t, want.Resources, c.metrics.Resources, "Resources")
	requireSame(t, want.Scopes, c.metrics.Scopes, "Scopes")
	requireSame(t, want.Metrics, c.metrics.Metrics, "Metrics")
	requireSame(t, want.Points, c.metrics.Points, "Points")
	c.requireRows(t, func(i int) {
		in := []*record.Metrics{&c.metrics, &want}[i]
		c.mappers[i].Metrics(in, receivedAt, c.sets[i])
	})
	return true
}

// requireRows requires that the bytes of every table are those of the reference. mapTo maps to set i.
func (c *comparer) requireRows(t *testing.T, mapTo func(i int)) {
	t.Helper()
	for i := range c.sets {
		c.sets[i].Reset()
		mapTo(i)
		c.sets[i].EndRequest()
	}
	for table := range column.TableCount {
		for i := range c.sets {
			c.native[i] = c.sets[i].AppendNative(c.native[i][:0], table)
		}
		require.True(t, bytes.Equal(c.native[1], c.native[0]), "rows of %s differ", table)
	}
}

// inLargerBuffer returns b with other bytes behind it, as it is in a receive buffer: reading these would show.
func inLargerBuffer(b []byte) []byte {
	larger := append(slices.Clone(b), "\x08\x01\x12\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"...)
	return larger[:len(b)]
}

func sameAcceptance(t *testing.T, b []byte, got, want error) bool {
	t.Helper()
	if want == nil {
		require.NoError(t, got)
		return true
	}
	require.Error(t, got, "pdata says: %s", want)
	var e *Error
	require.ErrorAs(t, got, &e)
	require.NotEmpty(t, e.Message)
	require.NotEmpty(t, e.Reason)
	require.GreaterOrEqual(t, e.Offset, 0)
	require.Less(t, e.Offset, len(b))
	return false
}

func requireSame[T any](t *testing.T, want, got []T, what string) {
	t.Helper()
	if len(want)+len(got) == 0 { // A record that was used has empty lists instead of none.
		return
	}
	require.Empty(t, difference(reflect.ValueOf(want), reflect.ValueOf(got), what))
}

// difference says where two values differ, and how. Unlike reflect.DeepEqual it holds a NaN equal to the same NaN and 0 different
// from -0.
func difference(want, got reflect.Value, at string) string {
	differ := func(w, g any) string { return fmt.Sprintf("%s: want %#v, got %#v", at, w, g) }
	switch want.Kind() {
	case reflect.Struct:
		for i := range want.NumField() {
			if d := difference(want.Field(i), got.Field(i), at+"."+want.Type().Field(i).Name); d != "" {
				return d
			}
		}
		return ""
	case reflect.Slice, reflect.Array:
		if want.Kind() == reflect.Slice && want.IsNil() != got.IsNil() || want.Len() != got.Len() {
			return differ(want.Interface(), got.Interface())
		}
		for i := range want.Len() {
			if d := difference(want.Index(i), got.Index(i), fmt.Sprintf("%s[%d]", at, i)); d != "" {
				return d
			}
		}
		return ""
	case reflect.Float64:
		if math.Float64bits(want.Float()) != math.Float64bits(got.Float()) {
			return differ(want.Float(), got.Float())
		}
		return ""
	default:
		if !want.Equal(got) {
			return differ(want.Interface(), got.Interface())
		}
		return ""
	}
}

func TestDifferenceSeesEveryKind(t *testing.T) {
	t.Parallel()
	type inner struct {
		F float64
		S []string
	}
	type outer struct {
		A [2]byte
		I []inner
	}
	base := func() outer { return outer{A: [2]byte{1, 2}, I: []inner{{F: math.NaN(), S: []string{"a"}}, {}}} }
	for where, change := range map[string]func(*outer){
		"x.A[1]: want 0x2, got 0x3":                    func(o *outer) { o.A[1] = 3 },
		"x.I[0].F: want NaN, got 0":                    func(o *outer) { o.I[0].F = 0 },
		"x.I[1].F: want 0, got -0":                     func(o *outer) { o.I[1].F = math.Copysign(0, -1) },
		`x.I[0].S[0]: want "a", got "b"`:               func(o *outer) { o.I[0].S[0] = "b" },
		`x.I[1].S: want []string(nil), got []string{}`: func(o *outer) { o.I[1].S = []string{} },
		`x.I[0].S: want []string{"a"}, got []string{}`: func(o *outer) { o.I[0].S = []string{} },
		"": func(*outer) {},
	} {
		changed := base()
		change(&changed)
		require.Equal(t, where, difference(reflect.ValueOf(base()), reflect.ValueOf(changed), "x"))
	}
}
