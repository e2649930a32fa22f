package otlp_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"maps"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"go.opentelemetry.io/collector/receiver"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/agenttrail/agenttrail/collector/otlp"
	"github.com/agenttrail/agenttrail/exporter/direct"
)

const (
	waitFor = time.Minute
	tick    = 5 * time.Millisecond
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// message is an OTLP request as pdata has it.
type message interface {
	MarshalProto() ([]byte, error)
	UnmarshalProto(data []byte) error
	MarshalJSON() ([]byte, error)
	UnmarshalJSON(data []byte) error
}

// signal is what the tests need of one kind of data.
type signal struct {
	direct.Signal
	method, path string
	recorded     string // What a real emitter sent, in JSON.
	empty        func() message
	records      func(message) int
}

var signals = []signal{
	{
		direct.SignalTraces, "/opentelemetry.proto.collector.trace.v1.TraceService/Export", "/v1/traces", "handmade-genai-v1.36.traces.json",
		func() message { return ptraceotlp.NewExportRequest() },
		func(m message) int { return m.(ptraceotlp.ExportRequest).Traces().SpanCount() },
	},
	{
		direct.SignalLogs, "/opentelemetry.proto.collector.logs.v1.LogsService/Export", "/v1/logs", "handmade-logs.logs.json",
		func() message { return plogotlp.NewExportRequest() },
		func(m message) int { return m.(plogotlp.ExportRequest).Logs().LogRecordCount() },
	},
	{
		direct.SignalMetrics, "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", "/v1/metrics", "handmade-metrics.metrics.json",
		func() message { return pmetricotlp.NewExportRequest() },
		func(m message) int { return m.(pmetricotlp.ExportRequest).Metrics().DataPointCount() },
	},
}

// request returns the recorded request, and how many records it has.
func (s signal) request(t *testing.T) (m message, records int) {
	t.Helper()
	text, err := os.ReadFile("../../exporter/mapping/testdata/" + s.recorded)
	require.NoError(t, err)
	m = s.empty()
	require.NoError(t, m.UnmarshalJSON(text))
	records = s.records(m)
	require.Positive(t, records)
	return m, records
}

func protobuf(t *testing.T, m message) []byte {
	t.Helper()
	b, err := m.MarshalProto()
	require.NoError(t, err)
	return b
}

func jsonText(t *testing.T, m message) []byte {
	t.Helper()
	b, err := m.MarshalJSON()
	require.NoError(t, err)
	return b
}

// next is what comes after a receiver: it answers as it is told and keeps what it gets.
type next struct {
	aware bool // It takes requests past pdata, as the exporter does.
	hasty bool // It refuses them before it decodes them.
	// hold, if set, is called with each request.
	hold func(ctx context.Context, signal direct.Signal)

	mu  sync.Mutex
	err error
	got []string // Requests with records, in protobuf.
}

var (
	_ consumer.Traces  = (*next)(nil)
	_ consumer.Logs    = (*next)(nil)
	_ consumer.Metrics = (*next)(nil)
)

func (*next) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

func (n *next) ConsumeTraces(ctx context.Context, td ptrace.Traces) error {
	return n.consume(ctx, signals[direct.SignalTraces], ptraceotlp.NewExportRequestFromTraces(td))
}

func (n *next) ConsumeLogs(ctx context.Context, ld plog.Logs) error {
	return n.consume(ctx, signals[direct.SignalLogs], plogotlp.NewExportRequestFromLogs(ld))
}

func (n *next) ConsumeMetrics(ctx context.Context, md pmetric.Metrics) error {
	return n.consume(ctx, signals[direct.SignalMetrics], pmetricotlp.NewExportRequestFromMetrics(md))
}

func (n *next) consume(ctx context.Context, s signal, m message) error {
	if n.hold != nil {
		n.hold(ctx, s.Signal)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.aware {
		if wire := direct.Take(ctx, s.Signal); wire != nil {
			if n.hasty {
				wire.Release(0)
				return n.err
			}
			m = s.empty()
			err := m.UnmarshalProto(wire.Body)
			wire.Release(s.records(m))
			if err != nil {
				return status.Error(codes.InvalidArgument, err.Error())
			}
		}
	}
	if n.err != nil {
		return n.err
	}
	if s.records(m) > 0 {
		b, err := m.MarshalProto()
		if err != nil {
			return err
		}
		n.got = append(n.got, string(b))
	}
	return nil
}

func (n *next) answer(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.err = err
}

// received returns what arrived since it was called last.
func (n *next) received() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	got := n.got
	n.got = nil
	return got
}

// server is a receiver that runs, with a client.
type server struct {
	*next
	component  component.Component
	tel        *componenttest.Telemetry
	logs       *observer.ObservedLogs
	addr       string // Of HTTP.
	https      bool
	httpClient *http.Client
	conn       *grpc.ClientConn
}

// local is a configuration with free ports.
func local() map[string]any {
	return map[string]any{"protocols": map[string]any{
		"grpc": map[string]any{"endpoint": "127.0.0.1:0"},
		"http": map[string]any{"endpoint": "127.0.0.1:0"},
	}}
}

// ours is a configuration of the standard receiver as one of this package.
func ours(settings map[string]any) map[string]any {
	all := map[string]any{"direct": "on"}
	maps.Copy(all, settings)
	return all
}

// create makes a receiver of all signals.
func create(t *testing.T, f receiver.Factory, settings map[string]any, n *next) (receiver.Logs, *componenttest.Telemetry, *observer.ObservedLogs) {
	t.Helper()
	cfg := f.CreateDefaultConfig()
	require.NoError(t, confmap.NewFromStringMap(settings).Unmarshal(cfg))
	tel := componenttest.NewTelemetry()
	t.Cleanup(func() { require.NoError(t, tel.Shutdown(context.Background())) })
	set := receiver.Settings{ID: component.NewID(otlp.Type), TelemetrySettings: tel.NewTelemetrySettings()}
	core, logs := observer.New(zap.InfoLevel)
	set.Logger = zap.New(core)
	traces, err := f.CreateTraces(t.Context(), set, cfg, n)
	require.NoError(t, err)
	metrics, err := f.CreateMetrics(t.Context(), set, cfg, n)
	require.NoError(t, err)
	all, err := f.CreateLogs(t.Context(), set, cfg, n)
	require.NoError(t, err)
	require.Equal(t, component.Component(all), component.Component(traces), "one for all signals")
	require.Equal(t, component.Component(all), component.Component(metrics))
	return all, tel, logs
}

// run starts a receiver, and stops it when the test ends.
func run(t *testing.T, f receiver.Factory, settings map[string]any, n *next, client clientSettings) *server {
	t.Helper()
	c, tel, logs := create(t, f, settings, n)
	require.NoError(t, c.Start(t.Context(), client.host()))
	t.Cleanup(func() { require.NoError(t, c.Shutdown(context.Background())) })
	return connect(t, c, tel, logs, n, client)
}

func connect(t *testing.T, c component.Component, tel *componenttest.Telemetry, logs *observer.ObservedLogs, n *next, client clientSettings) *server {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: client.tls, DisableCompression: true}
	s := &server{next: n, component: c, tel: tel, logs: logs, https: client.tls != nil, httpClient: &http.Client{Transport: transport, Timeout: waitFor}}
	t.Cleanup(transport.CloseIdleConnections)
	s.addr = logs.FilterMessage("Starting HTTP server").All()[0].ContextMap()["endpoint"].(string)
	creds := insecure.NewCredentials()
	if client.tls != nil {
		creds = credentials.NewTLS(client.tls)
	}
	conn, err := grpc.NewClient(logs.FilterMessage("Starting GRPC server").All()[0].ContextMap()["endpoint"].(string), grpc.WithTransportCredentials(creds))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	s.conn = conn
	return s
}

// bytesCodec sends and receives messages as they are.
type bytesCodec struct{}

func (bytesCodec) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }
func (bytesCodec) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = append([]byte{}, data...)
	return nil
}
func (bytesCodec) Name() string { return "proto" }

// grpcAnswer is what a call got.
type grpcAnswer struct {
	reply           []byte
	status          *status.Status
	header, trailer metadata.MD
}

func (s *server) call(ctx context.Context, method, compressor string, body []byte) grpcAnswer {
	ctx, cancel := context.WithTimeout(ctx, waitFor)
	defer cancel()
	var a grpcAnswer
	opts := []grpc.CallOption{grpc.ForceCodec(bytesCodec{}), grpc.Header(&a.header), grpc.Trailer(&a.trailer)}
	if compressor != "" {
		opts = append(opts, grpc.UseCompressor(compressor))
	}
	a.status = status.Convert(s.conn.Invoke(ctx, method, &body, &a.reply, opts...))
	return a
}

// httpRequest is one over HTTP; what is empty is left out.
type httpRequest struct {
	method, path, content, encoding string
	body                            []byte
	header                          map[string]string
}

// httpAnswer is what it got.
type httpAnswer struct {
	code   int
	header http.Header // Without the date.
	body   []byte
}

func (s *server) send(t *testing.T, r httpRequest) httpAnswer {
	t.Helper()
	a, err := s.try(t.Context(), r)
	require.NoError(t, err)
	return a
}

func (s *server) try(ctx context.Context, r httpRequest) (httpAnswer, error) {
	scheme := "http"
	if s.https {
		scheme = "https"
	}
	req, err := http.NewRequestWithContext(ctx, r.method, scheme+"://"+s.addr+r.path, bytes.NewReader(r.body))
	if err != nil {
		return httpAnswer{}, err
	}
	if r.content != "" {
		req.Header.Set("Content-Type", r.content)
	}
	if r.encoding != "" {
		req.Header.Set("Content-Encoding", r.encoding)
	}
	for k, v := range r.header {
		req.Header.Set(k, v)
	}
	resp, err := s.httpClient.Do(req)
	if err != nil {
		return httpAnswer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return httpAnswer{}, err
	}
	resp.Header.Del("Date")
	return httpAnswer{code: resp.StatusCode, header: resp.Header, body: body}, nil
}

func compress(t *testing.T, encoding string, body []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	var w io.WriteCloser
	switch encoding {
	case "":
		return body
	case "snappy":
		return snappy.Encode(nil, body)
	case "gzip":
		w = gzip.NewWriter(&buf)
	case "zstd":
		var err error
		w, err = zstd.NewWriter(&buf)
		require.NoError(t, err)
	}
	_, err := w.Write(body)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return buf.Bytes()
}
