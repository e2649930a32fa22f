package agenttrailexporter

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/agenttrail/agenttrail/exporter/agenttrailexporter/internal/metadatatest"
	"github.com/agenttrail/agenttrail/exporter/direct"
)

var intoTable = regexp.MustCompile("^INSERT INTO .*?\\.`([A-Za-z]+)`")

// recorder is a ClickHouse that keeps the bodies of INSERTs by table.
type recorder struct {
	*httptest.Server
	mu     sync.Mutex
	bodies map[string][]string
}

func newRecorder(t *testing.T) *recorder {
	t.Helper()
	r := &recorder{bodies: map[string][]string{}}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		w.Header().Set("X-ClickHouse-Summary", "{}")
		if table := intoTable.FindStringSubmatch(req.URL.Query().Get("query")); err == nil && table != nil {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.bodies[table[1]] = append(r.bodies[table[1]], string(body))
		}
	}))
	t.Cleanup(r.Close)
	return r
}

// all are the exporters of one configuration that run.
type all struct {
	traces  exporter.Traces
	logs    exporter.Logs
	metrics exporter.Metrics

	exporter *agentExporter // What they share.
	tel      *componenttest.Telemetry
}

// runAll starts exporters that store when they are shut down.
func runAll(t *testing.T, endpoint string) *all {
	t.Helper()
	cfg := config(t, endpoint)
	cfg.Compression, cfg.FlushInterval = "none", time.Hour
	a := &all{tel: componenttest.NewTelemetry()}
	t.Cleanup(func() { require.NoError(t, a.tel.Shutdown(context.Background())) })
	set := metadatatest.NewSettings(a.tel)
	f := &factory{exporters: map[*Config]*agentExporter{}}
	var err error
	a.traces, err = f.createTraces(t.Context(), set, cfg)
	require.NoError(t, err)
	a.logs, err = f.createLogs(t.Context(), set, cfg)
	require.NoError(t, err)
	a.metrics, err = f.createMetrics(t.Context(), set, cfg)
	require.NoError(t, err)
	a.exporter = f.exporters[cfg]
	a.exporter.now = func() time.Time { return time.Unix(1_795_800_000, 0) } // Later than all recordings.
	for _, c := range a.components() {
		require.NoError(t, c.Start(t.Context(), componenttest.NewNopHost()))
	}
	return a
}

func (a *all) components() []component.Component {
	return []component.Component{a.traces, a.logs, a.metrics}
}

func (a *all) shutdown(t *testing.T) {
	t.Helper()
	for _, c := range a.components() {
		require.NoError(t, c.Shutdown(t.Context()))
	}
}

// counted returns a metric of the exporter, by reason where it has reasons, without reasons that did not occur.
func (a *all) counted(name string) map[string]int64 {
	m, err := a.tel.GetMetric("otelcol_agenttrail_exporter_" + name)
	if err != nil {
		return nil // Nothing was counted.
	}
	var n map[string]int64
	for _, p := range m.Data.(metricdata.Sum[int64]).DataPoints {
		if p.Value == 0 {
			continue
		}
		if n == nil {
			n = map[string]int64{}
		}
		reason, _ := p.Attributes.Value("reason")
		n[reason.AsString()] += p.Value
	}
	return n
}

// consume sends an empty request, for the one that ctx carries, or else body as pdata.
func (a *all) consume(ctx context.Context, signal direct.Signal, body []byte) (records int, err error) {
	switch signal {
	case direct.SignalTraces:
		r := ptraceotlp.NewExportRequest()
		if err := r.UnmarshalProto(body); err != nil {
			return 0, err
		}
		return r.Traces().SpanCount(), a.traces.ConsumeTraces(ctx, r.Traces())
	case direct.SignalLogs:
		r := plogotlp.NewExportRequest()
		if err := r.UnmarshalProto(body); err != nil {
			return 0, err
		}
		return r.Logs().LogRecordCount(), a.logs.ConsumeLogs(ctx, r.Logs())
	default:
		r := pmetricotlp.NewExportRequest()
		if err := r.UnmarshalProto(body); err != nil {
			return 0, err
		}
		return r.Metrics().DataPointCount(), a.metrics.ConsumeMetrics(ctx, r.Metrics())
	}
}

// frontEnd sends a request one way or the other and says how many records it has.
type frontEnd func(t *testing.T, a *all, signal direct.Signal, body []byte) (records int, err error)

func throughPdata(t *testing.T, a *all, signal direct.Signal, body []byte) (int, error) {
	t.Helper()
	return a.consume(t.Context(), signal, body)
}

// pastPdata uses the memory of the request for something else afterwards, as the receiver does.
func pastPdata(t *testing.T, a *all, signal direct.Signal, body []byte) (int, error) {
	t.Helper()
	return overwriting(t, a, signal, bytes.Clone(body))
}

func overwriting(t *testing.T, a *all, signal direct.Signal, body []byte) (int, error) {
	t.Helper()
	r := &direct.Request{Signal: signal, Body: body}
	_, err := a.consume(direct.NewContext(t.Context(), r), signal, nil)
	outcome := r.End()
	require.True(t, outcome.Taken)
	require.False(t, outcome.Read)
	for i := range body {
		body[i] = '!'
	}
	return outcome.Records, err
}

// sample is a request in protobuf.
type sample struct {
	name   string
	signal direct.Signal
	body   []byte
}

// samples are what real emitters sent, with as many records each as it takes, and what was made by hand.
func samples(t *testing.T) []sample {
	t.Helper()
	var found []sample
	for signal, marshal := range map[direct.Signal]func(text []byte) ([]byte, error){
		direct.SignalTraces: func(text []byte) ([]byte, error) {
			r := ptraceotlp.NewExportRequest()
			if err := r.UnmarshalJSON(text); err != nil {
				return nil, err
			}
			return r.MarshalProto()
		},
		direct.SignalLogs: func(text []byte) ([]byte, error) {
			r := plogotlp.NewExportRequest()
			if err := r.UnmarshalJSON(text); err != nil {
				return nil, err
			}
			return r.MarshalProto()
		},
		direct.SignalMetrics: func(text []byte) ([]byte, error) {
			r := pmetricotlp.NewExportRequest()
			if err := r.UnmarshalJSON(text); err != nil {
				return nil, err
			}
			return r.MarshalProto()
		},
	} {
		for _, pattern := range []string{"../mapping/testdata/*.%s.json", "../mapping/testdata/recorded/*.%s.json"} {
			files, err := filepath.Glob(strings.ReplaceAll(pattern, "%s", signal.String()))
			require.NoError(t, err)
			for _, file := range files {
				text, err := os.ReadFile(file)
				require.NoError(t, err)
				body, err := marshal(text)
				require.NoError(t, err, file)
				found = append(found, sample{filepath.Base(file), signal, body})
			}
		}
	}
	slices.SortFunc(found, func(a, b sample) int { return strings.Compare(a.name, b.name) })
	return found
}

// frontEnds are both ways into the exporter.
var frontEnds = map[string]frontEnd{"through pdata": throughPdata, "past pdata": pastPdata}

// TestRequestsPastPdataStoreTheSameBytes sends everything that was recorded of real emitters and made by hand, and
// compares what a table is sent.
func TestRequestsPastPdataStoreTheSameBytes(t *testing.T) {
	t.Parallel()
	requests := samples(t)
	got := map[string]map[string][]string{}
	records := map[string]int{}
	for way, send := range frontEnds {
		ch := newRecorder(t)
		a := runAll(t, ch.URL)
		for _, r := range requests {
			n, err := send(t, a, r.signal, r.body)
			require.NoError(t, err, r.name)
			records[way] += n
		}
		a.shutdown(t)
		got[way] = ch.bodies
	}
	require.Equal(t, records["through pdata"], records["past pdata"])
	require.Len(t, got["past pdata"], 7, "there is something for each table")
	require.Len(t, got["through pdata"], 7)
	for table, bodies := range got["through pdata"] {
		require.Len(t, bodies, 1)
		require.True(t, slices.Equal(bodies, got["past pdata"][table]), table)
	}
}

func TestARequestIsADuplicateWhicheverWayItCameBefore(t *testing.T) {
	t.Parallel()
	for first, send := range frontEnds {
		ch := newRecorder(t)
		a := runAll(t, ch.URL)
		n := int64(0)
		for _, r := range samples(t) {
			_, err := send(t, a, r.signal, r.body)
			require.NoError(t, err, r.name)
			n++
		}
		require.Equal(t, map[string]int64{"": n}, a.counted("requests"), first)
		require.Nil(t, a.counted("duplicate_requests"), first)
		for second, send := range frontEnds {
			before := a.counted("duplicate_requests")[""]
			for _, r := range samples(t) {
				_, err := send(t, a, r.signal, r.body)
				require.NoError(t, err, r.name)
			}
			require.Equal(t, n, a.counted("duplicate_requests")[""]-before, "%s, then %s", first, second)
		}
		require.Equal(t, map[string]int64{"": n}, a.counted("requests"), first)
		a.shutdown(t)
	}
}

func TestMalformedBytesAreRefusedForGood(t *testing.T) {
	t.Parallel()
	ch := newRecorder(t)
	a := runAll(t, ch.URL)
	for signal, message := range map[direct.Signal]string{
		direct.SignalTraces:  "decode traces: malformed ExportTraceServiceRequest: field 1 with wire type 2 at byte 0: the message ends within it",
		direct.SignalLogs:    "decode logs: malformed ExportLogsServiceRequest: field 1 with wire type 2 at byte 0: the message ends within it",
		direct.SignalMetrics: "decode metrics: malformed ExportMetricsServiceRequest: field 1 with wire type 2 at byte 0: the message ends within it",
	} {
		records, err := pastPdata(t, a, signal, []byte{1<<3 | 2, 5, 0})
		require.True(t, consumererror.IsPermanent(err), signal)
		require.Equal(t, codes.InvalidArgument, status.Code(err), signal)
		require.Equal(t, "Permanent error: "+message, status.Convert(err).Message())
		require.Zero(t, records)
	}
	require.Equal(t, map[string]int64{"malformed": 3}, a.counted("refused_requests"))
	for _, r := range samples(t) { // Nothing of them is left behind, and every slot is free.
		_, err := pastPdata(t, a, r.signal, r.body)
		require.NoError(t, err, r.name)
	}
	require.Equal(t, map[string]int64{"malformed": 3}, a.counted("refused_requests"))
	a.shutdown(t)
}

func TestARequestPastPdataThatCannotBeMappedIsRefused(t *testing.T) {
	t.Parallel()
	ch := newRecorder(t)
	a := runAll(t, ch.URL)
	works := a.exporter.workers.New
	a.exporter.workers = sync.Pool{New: func() any { return &worker{} }} // Without a mapper.
	requests := samples(t)
	for _, r := range requests {
		_, err := pastPdata(t, a, r.signal, r.body)
		require.True(t, consumererror.IsPermanent(err), r.name)
		require.Equal(t, codes.InvalidArgument, status.Code(err), r.name)
		require.ErrorContains(t, err, "BUG: map request", r.name)
	}
	require.Equal(t, map[string]int64{"panic": int64(len(requests))}, a.counted("refused_requests"))
	a.exporter.workers = sync.Pool{New: works}
	for _, r := range requests {
		_, err := pastPdata(t, a, r.signal, r.body)
		require.NoError(t, err, r.name)
	}
	a.shutdown(t)
}

// TestWhatAComponentMadeIsStored has one between the receiver and the exporter that makes data of its own of what it
// was given, and keeps the context.
func TestWhatAComponentMadeIsStored(t *testing.T) {
	t.Parallel()
	ch := newRecorder(t)
	a := runAll(t, ch.URL)
	r := &direct.Request{Signal: direct.SignalTraces, Body: []byte("not read")}
	require.NoError(t, a.traces.ConsumeTraces(direct.NewContext(t.Context(), r), oneSpan()))
	require.False(t, r.End().Taken)
	require.Equal(t, map[string]int64{"": 1}, a.counted("requests"))
	require.NoError(t, a.traces.ConsumeTraces(direct.NewContext(t.Context(), r), ptrace.NewTraces()), "it has ended")
	require.Equal(t, map[string]int64{"": 1}, a.counted("requests"))
	a.shutdown(t)
	require.Len(t, ch.bodies["Span"], 1)
}
