package collector_test

import (
	"io"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/agenttrail/agenttrail/collector"
)

// metric sums what the collector counted under a name, of those with all the labels.
func (b bundle) metric(t *testing.T, name string, labels ...string) float64 {
	t.Helper()
	sum := 0.0
	for _, m := range regexp.MustCompile(`(?m)^`+name+`\{([^}]*)\} (\S+)$`).FindAllStringSubmatch(get(t, "http://"+b.Addrs().Metrics+"/metrics"), -1) {
		matches := true
		for _, l := range labels {
			matches = matches && strings.Contains(m[1], l)
		}
		if v, err := strconv.ParseFloat(m[2], 64); matches {
			require.NoError(t, err, m[0])
			sum += v
		}
	}
	return sum
}

// sendEach sends three spans over gRPC and four over HTTP, in protobuf, and a log record in JSON.
func (b bundle) sendEach(t *testing.T) {
	t.Helper()
	_, err := ptraceotlp.NewGRPCClient(b.grpc(t)).Export(t.Context(), ptraceotlp.NewExportRequestFromTraces(spans("grpc", 3)))
	require.NoError(t, err)
	resp, text := b.post(t, "/v1/traces", contentProto, "gzip", marshalTraces(t, contentProto, spans("http", 4)))
	require.Equal(t, 200, resp.status, text)
	body, err := plogotlp.NewExportRequestFromLogs(logRecords("json", "hello")).MarshalJSON()
	require.NoError(t, err)
	resp, text = b.post(t, "/v1/logs", contentJSON, "", body)
	require.Equal(t, 200, resp.status, text)
}

// requireEach checks that what sendEach sent is stored, and that the receiver counted it.
func (b bundle) requireEach(t *testing.T) {
	t.Helper()
	b.stored(t)
	require.Equal(t, uint64(3), b.count(t, "SELECT count() FROM Span WHERE serviceName = 'grpc'"))
	require.Equal(t, uint64(4), b.count(t, "SELECT count() FROM Span WHERE serviceName = 'http'"))
	require.Equal(t, uint64(1), b.count(t, "SELECT count() FROM AgentLog WHERE serviceName = 'json'"))
	require.InDelta(t, 3, b.metric(t, "otelcol_receiver_accepted_spans", `receiver="otlp"`, `transport="grpc"`), 0)
	require.InDelta(t, 4, b.metric(t, "otelcol_receiver_accepted_spans", `receiver="otlp"`, `transport="http"`), 0)
	require.InDelta(t, 1, b.metric(t, "otelcol_receiver_accepted_log_records", `receiver="otlp"`, `transport="http"`), 0)
}

func TestRequestsGoPastPdataByDefault(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.sendEach(t)
	b.requireEach(t)
	require.Regexp(t, `msg="Starting GRPC server".*direct=true`, b.logs.String())
	require.Regexp(t, `msg="Starting HTTP server".*direct=true`, b.logs.String())
	require.NotContains(t, b.logs.String(), "Requests are decoded into pdata")
	require.Zero(t, b.metric(t, "otelcol_exporter_sent_spans"), "the exporter helper sees pdata only")
	require.InDelta(t, 1, b.metric(t, "otelcol_exporter_sent_log_records"), 0, "JSON becomes pdata")

	err := b.grpc(t).Invoke(t.Context(), "/opentelemetry.proto.collector.trace.v1.TraceService/Export", &rawMessage{[]byte{1<<3 | 2, 9}}, &rawMessage{}, grpc.ForceCodec(rawCodec{}))
	require.Equal(t, codes.InvalidArgument, status.Code(err))
	require.ErrorContains(t, err, "malformed ExportTraceServiceRequest: field 1 with wire type 2 at byte 0: the message ends within it")
	resp, text := b.post(t, "/v1/logs", contentProto, "", []byte{1<<3 | 2, 9})
	require.Equal(t, 400, resp.status)
	require.Contains(t, text, "malformed ExportLogsServiceRequest")
	require.InDelta(t, 2, b.metric(t, "otelcol_agenttrail_exporter_refused_requests", `reason="malformed"`), 0)
}

// TestTheStandardReceiverServesWhatIsProcessed has another exporter in a pipeline, which is the only other component of
// this distribution that works on pdata.
func TestTheStandardReceiverServesWhatIsProcessed(t *testing.T) {
	t.Parallel()
	b := setup(t, "exporters::debug={}", "service::pipelines::logs::exporters=[agenttrail, debug]")
	b.sendEach(t)
	b.requireEach(t)
	require.Regexp(t, `level=INFO msg="Requests are decoded into pdata".* receiver=otlp because="debug at the end of the pipeline logs works on pdata"`, b.logs.String())
	require.NotContains(t, b.logs.String(), "direct=true")
	require.InDelta(t, 7, b.metric(t, "otelcol_exporter_sent_spans", `exporter="agenttrail"`), 0)
	require.InDelta(t, 1, b.metric(t, "otelcol_exporter_sent_log_records", `exporter="debug"`), 0)
}

func TestPastPdataCanBeAskedForAndSwitchedOff(t *testing.T) {
	t.Parallel()
	b := setup(t, "receivers::otlp::direct=off")
	b.sendEach(t)
	b.requireEach(t)
	require.NotContains(t, b.logs.String(), "direct=true")
	require.NoError(t, validate(t, collector.Settings{Overrides: []string{"receivers::otlp::direct=on"}}))
	require.ErrorContains(t, validate(t, collector.Settings{Overrides: []string{
		"receivers::otlp::direct=on", "exporters::debug={}", "service::pipelines::traces::exporters=[agenttrail, debug]",
	}}), "receivers::otlp::direct is on, but debug at the end of the pipeline traces works on pdata")
	require.ErrorContains(t, validate(t, collector.Settings{Overrides: []string{"receivers::otlp::direct=sometimes"}}), "use auto, on or off")
	// The converter overlooks a text where a list of components belongs; the collector refuses it.
	require.ErrorContains(t, validate(t, collector.Settings{Overrides: []string{"service::pipelines::traces::processors=memory_limiter"}}), "processors")
}

// TestTheMemoryLimiterRefusesWhatGoesPastPdata gives it less memory than the process has.
func TestTheMemoryLimiterRefusesWhatGoesPastPdata(t *testing.T) {
	t.Parallel()
	s := localSettings(t, io.Discard)
	s.ClickHouseURL = "http://" + closedAddr
	s.Overrides = []string{"processors::memory_limiter={check_interval: 10ms, limit_mib: 2, spike_limit_mib: 1}"}
	b := bundle{Collector: start(t, s)}
	client := ptraceotlp.NewGRPCClient(b.grpc(t))
	refused := 0
	require.Eventually(t, func() bool {
		_, err := client.Export(t.Context(), ptraceotlp.NewExportRequestFromTraces(spans("s", 5)))
		if err == nil {
			return false // It has not looked yet.
		}
		require.Equal(t, codes.Unavailable, status.Code(err))
		require.ErrorContains(t, err, "memory")
		refused += 5
		return true
	}, time.Minute, 10*time.Millisecond)
	require.InDelta(t, float64(refused), b.metric(t, "otelcol_receiver_refused_spans", `transport="grpc"`), 0)
}
