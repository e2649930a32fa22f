package fromwire

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// recorded returns the requests of one signal among the mapping's test data, which real emitters sent or which are made by
// hand, in protobuf. name is traces, logs or metrics.
func recorded(tb testing.TB, name string) map[string][]byte {
	tb.Helper()
	out := map[string][]byte{}
	for _, dir := range []string{"../mapping/testdata", "../mapping/testdata/recorded"} {
		for _, pattern := range []string{"/*." + name + ".json", "/*." + name + ".[0-9].json"} {
			files, err := filepath.Glob(dir + pattern)
			require.NoError(tb, err)
			for _, file := range files {
				raw, err := os.ReadFile(file)
				require.NoError(tb, err)
				out[strings.TrimSuffix(filepath.Base(file), ".json")] = protobuf(tb, name, raw)
			}
		}
	}
	require.NotEmpty(tb, out)
	return out
}

// protobuf converts a request from OTLP's JSON mapping.
func protobuf(tb testing.TB, name string, raw []byte) []byte {
	tb.Helper()
	var b []byte
	switch name {
	case "traces":
		td, err := (&ptrace.JSONUnmarshaler{}).UnmarshalTraces(raw)
		require.NoError(tb, err)
		b, err = (&ptrace.ProtoMarshaler{}).MarshalTraces(td)
		require.NoError(tb, err)
	case "logs":
		ld, err := (&plog.JSONUnmarshaler{}).UnmarshalLogs(raw)
		require.NoError(tb, err)
		b, err = (&plog.ProtoMarshaler{}).MarshalLogs(ld)
		require.NoError(tb, err)
	default:
		md, err := (&pmetric.JSONUnmarshaler{}).UnmarshalMetrics(raw)
		require.NoError(tb, err)
		b, err = (&pmetric.ProtoMarshaler{}).MarshalMetrics(md)
		require.NoError(tb, err)
	}
	return b
}

func TestRecordedRequestsGiveTheSameRows(t *testing.T) {
	t.Parallel()
	for _, s := range signals {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			c := newComparer()
			for name, b := range recorded(t, s.name) {
				require.True(t, s.require(c, t, b), name)
			}
		})
	}
}

// signal is what tests have to know about a signal.
type signal struct {
	name    string
	require func(*comparer, *testing.T, []byte) bool
}

var signals = []signal{
	{"traces", (*comparer).requireTraces},
	{"logs", (*comparer).requireLogs},
	{"metrics", (*comparer).requireMetrics},
}
