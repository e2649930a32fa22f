package collector_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/agenttrail/agenttrail/collector"
	"github.com/agenttrail/agenttrail/internal/enginetest"
	"github.com/agenttrail/agenttrail/schema"
)

func TestMain(m *testing.M) { enginetest.Main(m) }

// bundle is a collector that stores in a database of the test's own.
type bundle struct {
	*collector.Collector
	conn driver.Conn
	logs *syncBuffer
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func localSettings(t *testing.T, logs io.Writer) collector.Settings {
	t.Helper()
	return collector.Settings{
		GRPCAddr: "127.0.0.1:0", HTTPAddr: "127.0.0.1:0", HealthAddr: "127.0.0.1:0", MetricsAddr: "127.0.0.1:0",
		JournalDir: t.TempDir(), Version: "test", Logger: slog.New(slog.NewTextHandler(logs, nil)),
	}
}

// setup runs a collector that receives only what the test sends.
func setup(t *testing.T, overrides ...string) bundle {
	t.Helper()
	return setupWhole(t, append(overrides, "receivers::agenttrail_host::enabled=false", "receivers::agenttrail_self::enabled=false")...)
}

// setupWhole runs a collector that reports about itself and its machine too.
func setupWhole(t *testing.T, overrides ...string) bundle {
	t.Helper()
	ch := enginetest.ClickHouse(t)
	db := ch.Database(t)
	_, err := schema.MigrateClickHouse(t.Context(), ch.URL, schema.ClickHouseConfig{Database: db})
	require.NoError(t, err)
	logs := &syncBuffer{}
	s := localSettings(t, logs)
	s.ClickHouseURL, s.Database, s.Overrides = ch.URL, db, overrides
	return bundle{Collector: start(t, s), conn: ch.Conn(t, db), logs: logs}
}

func start(t *testing.T, s collector.Settings) *collector.Collector {
	t.Helper()
	c, err := collector.New(s)
	require.NoError(t, err)
	require.NoError(t, c.Start(t.Context()))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		require.NoError(t, c.Shutdown(ctx))
	})
	return c
}

func (b bundle) count(t *testing.T, query string) uint64 {
	t.Helper()
	var n uint64
	require.NoError(t, b.conn.QueryRow(t.Context(), query).Scan(&n))
	return n
}

// stored waits until everything that was acknowledged is stored, and out of memory, which it is a moment later.
func (b bundle) stored(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		metrics := get(t, "http://"+b.Addrs().Metrics+"/metrics")
		return strings.Contains(metrics, "otelcol_agenttrail_exporter_journal_segments 0\n") && strings.Contains(metrics, "otelcol_agenttrail_exporter_queue_bytes 0\n")
	}, time.Minute, 10*time.Millisecond)
}

func (b bundle) grpc(t *testing.T) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(b.Addrs().GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallSendMsgSize(200<<20)))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	return conn
}

// answer is what an OTLP request over HTTP got.
type answer struct {
	status int
	header http.Header
}

// post sends an OTLP request over HTTP and returns the answer and its text.
func (b bundle) post(t *testing.T, path, contentType, encoding string, body []byte) (answer, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+b.Addrs().HTTP+path, bytes.NewReader(compress(t, encoding, body)))
	require.NoError(t, err)
	req.Header.Set("Content-Type", contentType)
	if encoding != "" {
		req.Header.Set("Content-Encoding", encoding)
	}
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return answer{resp.StatusCode, resp.Header}, string(text)
}

func compress(t *testing.T, encoding string, body []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	var w io.WriteCloser
	switch encoding {
	case "gzip":
		w = gzip.NewWriter(&buf)
	case "zstd":
		var err error
		w, err = zstd.NewWriter(&buf)
		require.NoError(t, err)
	default:
		return body
	}
	_, err := w.Write(body)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return buf.Bytes()
}

// spans makes a request of n spans of one service.
func spans(service string, n int) ptrace.Traces {
	td := ptrace.NewTraces()
	rs := td.ResourceSpans().AppendEmpty()
	rs.Resource().Attributes().PutStr("service.name", service)
	ss := rs.ScopeSpans().AppendEmpty().Spans()
	start := time.Now()
	for i := range n {
		s := ss.AppendEmpty()
		s.SetName("work")
		s.SetTraceID(pcommon.TraceID{1, 2, 3, byte(i >> 8), byte(i)})
		s.SetSpanID(pcommon.SpanID{1, byte(i >> 8), byte(i)})
		s.SetStartTimestamp(pcommon.NewTimestampFromTime(start))
		s.SetEndTimestamp(pcommon.NewTimestampFromTime(start.Add(time.Millisecond)))
		s.Attributes().PutInt("n", int64(i))
	}
	return td
}

func logRecords(service, message string) plog.Logs {
	ld := plog.NewLogs()
	rl := ld.ResourceLogs().AppendEmpty()
	rl.Resource().Attributes().PutStr("service.name", service)
	r := rl.ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
	r.SetTimestamp(pcommon.NewTimestampFromTime(time.Now()))
	r.Body().SetStr(message)
	return ld
}

func marshalTraces(t *testing.T, contentType string, td ptrace.Traces) []byte {
	t.Helper()
	req := ptraceotlp.NewExportRequestFromTraces(td)
	body, err := req.MarshalProto()
	if contentType == contentJSON {
		body, err = req.MarshalJSON()
	}
	require.NoError(t, err)
	return body
}

const (
	contentProto = "application/x-protobuf"
	contentJSON  = "application/json"
)

func TestEveryWayInEndsInRows(t *testing.T) {
	t.Parallel()
	b := setup(t)
	conn := b.grpc(t)
	want := uint64(0)
	for _, compressor := range []string{"", "gzip", "zstd", "snappy"} {
		service := "grpc" + compressor
		var opts []grpc.CallOption
		if compressor != "" {
			opts = append(opts, grpc.UseCompressor(compressor))
		}
		_, err := ptraceotlp.NewGRPCClient(conn).Export(t.Context(), ptraceotlp.NewExportRequestFromTraces(spans(service, 3)), opts...)
		require.NoError(t, err, service)
		_, err = plogotlp.NewGRPCClient(conn).Export(t.Context(), plogotlp.NewExportRequestFromLogs(logRecords(service, "hello")), opts...)
		require.NoError(t, err, service)
		want++
	}
	for _, contentType := range []string{contentProto, contentJSON} {
		for _, encoding := range []string{"", "gzip", "zstd"} {
			service := contentType + encoding
			resp, text := b.post(t, "/v1/traces", contentType, encoding, marshalTraces(t, contentType, spans(service, 3)))
			require.Equal(t, 200, resp.status, text)
			req := plogotlp.NewExportRequestFromLogs(logRecords(service, "hello"))
			body, err := req.MarshalProto()
			if contentType == contentJSON {
				body, err = req.MarshalJSON()
			}
			require.NoError(t, err)
			resp, text = b.post(t, "/v1/logs", contentType, encoding, body)
			require.Equal(t, 200, resp.status, text)
			want++
		}
	}
	b.stored(t)
	require.Equal(t, 3*want, b.count(t, "SELECT count() FROM Span"))
	require.Equal(t, want, b.count(t, "SELECT uniqExact(serviceName) FROM Span"))
	require.Equal(t, want, b.count(t, "SELECT countIf(message = 'hello') FROM AgentLog"))
	require.Equal(t, want, b.count(t, "SELECT uniqExact(serviceName) FROM AgentLog"))
}

func TestMalformedRequestsAreRefusedAndDisturbNobody(t *testing.T) {
	t.Parallel()
	b := setup(t)
	good := marshalTraces(t, contentProto, spans("good", 1))
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for range 10 {
				resp, text := b.post(t, "/v1/traces", contentProto, "", marshalTraces(t, contentProto, spans(fmt.Sprint("good", i), 1)))
				require.Equal(t, 200, resp.status, text)
			}
		})
	}
	for name, c := range map[string]struct {
		path, contentType, encoding string
		body                        []byte
		status                      int
	}{
		"not protobuf":         {"/v1/traces", contentProto, "", []byte("this is not protobuf"), 400},
		"cut short":            {"/v1/traces", contentProto, "", good[:len(good)-5], 400},
		"not json":             {"/v1/traces", contentJSON, "", []byte("{"), 400},
		"wrong json":           {"/v1/logs", contentJSON, "", []byte(`{"resourceLogs": 5}`), 400},
		"unknown content type": {"/v1/traces", "text/plain", "", good, 415},
		"no content type":      {"/v1/traces", "", "", good, 415},
		"no such path":         {"/v1/nothing", contentProto, "", good, 404},
		"metrics not protobuf": {"/v1/metrics", contentProto, "", []byte("this is not protobuf"), 400},
		"empty":                {"/v1/traces", contentProto, "", nil, 200},
	} {
		resp, text := b.post(t, c.path, c.contentType, c.encoding, c.body)
		require.Equal(t, c.status, resp.status, "%s: %s", name, text)
	}
	// A body that is not what its encoding says.
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+b.Addrs().HTTP+"/v1/traces", bytes.NewReader(good))
	require.NoError(t, err)
	req.Header.Set("Content-Type", contentProto)
	req.Header.Set("Content-Encoding", "gzip")
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, 400, resp.StatusCode)

	err = b.grpc(t).Invoke(t.Context(), "/opentelemetry.proto.collector.trace.v1.TraceService/Export", &rawMessage{[]byte("not protobuf")}, &rawMessage{}, grpc.ForceCodec(rawCodec{}))
	require.Contains(t, []codes.Code{codes.InvalidArgument, codes.Internal}, status.Code(err), "%v", err)
	wg.Wait()
	b.stored(t)
	require.Equal(t, uint64(40), b.count(t, "SELECT count() FROM Span"))
}

// rawMessage and rawCodec send bytes as they are.
type rawMessage struct{ b []byte }

type rawCodec struct{}

func (rawCodec) Marshal(v any) ([]byte, error)      { return v.(*rawMessage).b, nil }
func (rawCodec) Unmarshal(data []byte, v any) error { v.(*rawMessage).b = data; return nil }
func (rawCodec) Name() string                       { return "proto" }

func TestLargeRequestsAreStoredOrClearlyRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	large := spans("large", 1)
	large.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0).Attributes().PutStr("blob", strings.Repeat("x", 10<<20))
	client := ptraceotlp.NewGRPCClient(b.grpc(t))
	_, err := client.Export(t.Context(), ptraceotlp.NewExportRequestFromTraces(large))
	require.NoError(t, err)
	for _, encoding := range []string{"", "gzip"} {
		large.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0).SetName("another one" + encoding)
		resp, text := b.post(t, "/v1/traces", contentProto, encoding, marshalTraces(t, contentProto, large))
		require.Equal(t, 200, resp.status, text)
		resp, text = b.post(t, "/v1/traces", contentProto, encoding, marshalTraces(t, contentProto, large))
		require.Equal(t, 200, resp.status, text, "the same request is stored once")
	}
	b.stored(t)
	require.Equal(t, uint64(3), b.count(t, "SELECT count() FROM Span WHERE length(attributes['blob']) > 60000"))

	huge := spans("huge", 1)
	huge.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0).Attributes().PutStr("blob", strings.Repeat("x", 70<<20))
	_, err = client.Export(t.Context(), ptraceotlp.NewExportRequestFromTraces(huge))
	require.Equal(t, codes.ResourceExhausted, status.Code(err))
	require.ErrorContains(t, err, "received message larger than max")
	for _, encoding := range []string{"", "gzip"} { // A small body that grows counts as what it grows to.
		resp, text := b.post(t, "/v1/traces", contentProto, encoding, marshalTraces(t, contentProto, huge))
		require.Equal(t, 400, resp.status, text)
		require.Contains(t, text, "too large")
	}
	require.Equal(t, uint64(3), b.count(t, "SELECT count() FROM Span"))
}

func get(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	require.Equal(t, 200, resp.StatusCode)
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return string(text)
}

func TestItSaysThatItIsReadyAndWhatItDoes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := ptraceotlp.NewGRPCClient(b.grpc(t)).Export(t.Context(), ptraceotlp.NewExportRequestFromTraces(spans("s", 7)))
	require.NoError(t, err)
	get(t, "http://"+b.Addrs().Health)
	b.stored(t)
	metrics := get(t, "http://"+b.Addrs().Metrics+"/metrics")
	require.Contains(t, metrics, `otelcol_agenttrail_exporter_stored_rows{table="Span"} 7`)
	require.Contains(t, metrics, "otelcol_agenttrail_exporter_requests 1\n")
	require.Contains(t, metrics, `otelcol_agenttrail_exporter_acknowledged_rows{table="Span"} 7`)
	require.Contains(t, metrics, "otelcol_agenttrail_exporter_queue_bytes 0")
	require.Contains(t, metrics, `otelcol_receiver_accepted_spans{receiver="otlp",transport="grpc"} 7`)
	require.Contains(t, metrics, "otelcol_process_uptime")
	require.NotContains(t, metrics, "rpc_server", "dropped below level detailed, as in the standard collector")
	require.Contains(t, b.logs.String(), "Everything is ready")
}

func TestMissingTablesAreSaidAndNothingIsLost(t *testing.T) {
	t.Parallel()
	ch := enginetest.ClickHouse(t)
	db := ch.Database(t)
	logs := &syncBuffer{}
	s := localSettings(t, logs)
	s.ClickHouseURL, s.Database = ch.URL, db
	b := bundle{Collector: start(t, s), conn: ch.Conn(t, db), logs: logs}
	_, err := ptraceotlp.NewGRPCClient(b.grpc(t)).Export(t.Context(), ptraceotlp.NewExportRequestFromTraces(spans("s", 1)))
	require.NoError(t, err, "the journal has it")
	require.Eventually(t, func() bool {
		return strings.Contains(logs.String(), "missing are table Span") && strings.Contains(logs.String(), "ClickHouse does not take rows")
	}, time.Minute, 10*time.Millisecond)
	require.Contains(t, logs.String(), "agenttrail migrate clickhouse")
	_, err = schema.MigrateClickHouse(t.Context(), ch.URL, schema.ClickHouseConfig{Database: db})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return b.count(t, "SELECT count() FROM Span") == 1 }, time.Minute, 10*time.Millisecond)
	require.Eventually(t, func() bool {
		return strings.Contains(logs.String(), "ClickHouse is ready") && strings.Contains(logs.String(), "ClickHouse takes rows again")
	}, time.Minute, 10*time.Millisecond)
}

func TestWithoutClickHouseRequestsAreAcknowledged(t *testing.T) {
	t.Parallel()
	s := localSettings(t, io.Discard)
	s.ClickHouseURL = "http://" + closedAddr
	b := bundle{Collector: start(t, s)}
	_, err := ptraceotlp.NewGRPCClient(b.grpc(t)).Export(t.Context(), ptraceotlp.NewExportRequestFromTraces(spans("s", 1)))
	require.NoError(t, err)
	resp, text := b.post(t, "/v1/traces", contentJSON, "", marshalTraces(t, contentJSON, spans("s", 1)))
	require.Equal(t, 200, resp.status, text)
}

func TestWhenTheJournalIsFullClientsAreToldToComeBack(t *testing.T) {
	t.Parallel()
	s := localSettings(t, io.Discard)
	s.ClickHouseURL = "http://" + closedAddr
	s.Overrides = []string{"exporters.agenttrail.journal.max_bytes=1"}
	b := bundle{Collector: start(t, s)}
	_, err := ptraceotlp.NewGRPCClient(b.grpc(t)).Export(t.Context(), ptraceotlp.NewExportRequestFromTraces(spans("s", 1)))
	require.Equal(t, codes.ResourceExhausted, status.Code(err))
	require.Len(t, status.Convert(err).Details(), 1, "a delay: without it the client would not come back")
	resp, text := b.post(t, "/v1/traces", contentJSON, "", marshalTraces(t, contentJSON, spans("s", 1)))
	require.Equal(t, 429, resp.status, text)
	require.Contains(t, []string{"1", "2", "3"}, resp.header.Get("Retry-After"), "whole seconds, rounded up")
	require.Contains(t, text, "allow more bytes")
}

// closedAddr is where nobody listens. A port that was free may be another test's soon.
const closedAddr = "127.0.0.1:1"

func TestATakenPortIsNamed(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	for name, change := range map[string]func(*collector.Settings){
		"grpc":    func(s *collector.Settings) { s.GRPCAddr = l.Addr().String() },
		"http":    func(s *collector.Settings) { s.HTTPAddr = l.Addr().String() },
		"health":  func(s *collector.Settings) { s.HealthAddr = l.Addr().String() },
		"metrics": func(s *collector.Settings) { s.MetricsAddr = l.Addr().String() },
	} {
		s := localSettings(t, io.Discard)
		change(&s)
		c, err := collector.New(s)
		require.NoError(t, err)
		err = c.Start(t.Context())
		require.ErrorContains(t, err, l.Addr().String(), name)
		require.ErrorContains(t, err, "another program listens there", name)
		require.Error(t, c.Shutdown(t.Context()), name)
	}
}

func TestShutdownIsSafe(t *testing.T) {
	t.Parallel()
	c, err := collector.New(localSettings(t, io.Discard))
	require.NoError(t, err)
	require.NoError(t, c.Shutdown(t.Context()))
	require.NoError(t, c.Shutdown(t.Context()))
	require.Error(t, c.Start(t.Context()))
}

func TestNothingIsLeftAfterShutdown(t *testing.T) {
	before := goleak.IgnoreCurrent()
	s := localSettings(t, io.Discard)
	s.ClickHouseURL = "http://" + closedAddr
	c, err := collector.New(s)
	require.NoError(t, err)
	require.NoError(t, c.Start(t.Context()))
	require.NoError(t, c.Shutdown(t.Context()))
	require.NoError(t, c.Shutdown(t.Context()))
	goleak.VerifyNone(t, before)
}
