package main

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// setup returns a sink that writes to a fresh folder, and that folder.
func setup(t *testing.T) (*sink, string) {
	t.Helper()
	dir := t.TempDir()
	return newSink(dir, strings.NewReplacer("/home/me/checkout", "/app")), dir
}

func post(t *testing.T, s *sink, path, contentType, encoding string, body []byte) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, bytes.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("Content-Encoding", encoding)
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func traces(t *testing.T) (ptrace.Traces, []byte) {
	t.Helper()
	td := ptrace.NewTraces()
	rs := td.ResourceSpans().AppendEmpty()
	rs.Resource().Attributes().PutStr("service.name", "weather")
	span := rs.ScopeSpans().AppendEmpty().Spans().AppendEmpty()
	span.SetTraceID([16]byte{1})
	span.SetSpanID([8]byte{2})
	span.SetName("run")
	span.Attributes().PutInt("tokens", 1<<53+1)
	span.Attributes().PutEmptyBytes("raw").FromRaw([]byte{0, 0xff})
	span.Attributes().PutStr("stack", "at /home/me/checkout/main.mjs:1")
	raw, err := (&ptrace.ProtoMarshaler{}).MarshalTraces(td)
	require.NoError(t, err)
	return td, raw
}

func TestProtobufBecomesTheSameRequestInJSON(t *testing.T) {
	t.Parallel()
	s, dir := setup(t)
	td, raw := traces(t)
	require.Equal(t, http.StatusOK, post(t, s, "/ai-1.0-success/v1/traces", "application/x-protobuf", "", raw).Code)

	text, err := os.ReadFile(filepath.Join(dir, "ai-1.0-success.traces.json"))
	require.NoError(t, err)
	got, err := (&ptrace.JSONUnmarshaler{}).UnmarshalTraces(text)
	require.NoError(t, err)
	td.ResourceSpans().At(0).ScopeSpans().At(0).Spans().At(0).Attributes().PutStr("stack", "at /app/main.mjs:1")
	require.Equal(t, td, got)
}

func TestGzipAndFurtherRequests(t *testing.T) {
	t.Parallel()
	s, dir := setup(t)
	_, raw := traces(t)
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, err := z.Write(raw)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	require.Equal(t, http.StatusOK, post(t, s, "/a/v1/traces", "application/x-protobuf", "gzip", zipped.Bytes()).Code)
	require.Equal(t, http.StatusOK, post(t, s, "/a/v1/traces", "application/x-protobuf", "", raw).Code)

	first, err := os.ReadFile(filepath.Join(dir, "a.traces.json"))
	require.NoError(t, err)
	second, err := os.ReadFile(filepath.Join(dir, "a.traces.2.json"))
	require.NoError(t, err)
	require.Equal(t, first, second)
	require.Equal(t, 2, s.total())
}

func TestMachineAttributesAreRemoved(t *testing.T) {
	t.Parallel()
	s, dir := setup(t)
	ld := plog.NewLogs()
	rl := ld.ResourceLogs().AppendEmpty()
	rl.Resource().Attributes().PutStr("host.name", "my-laptop")
	rl.Resource().Attributes().PutStr("service.name", "weather")
	rl.ScopeLogs().AppendEmpty().LogRecords().AppendEmpty().Body().SetStr("hello")
	raw, err := (&plog.JSONMarshaler{}).MarshalLogs(ld)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, post(t, s, "/a/v1/logs", "application/json", "", raw).Code)

	text, err := os.ReadFile(filepath.Join(dir, "a.logs.json"))
	require.NoError(t, err)
	require.NotContains(t, string(text), "my-laptop")
	require.Contains(t, string(text), "weather")
}

func TestWhatCannotBeRecordedEndsTheSink(t *testing.T) {
	t.Parallel()
	s, _ := setup(t)
	require.Equal(t, http.StatusNotFound, post(t, s, "/v1/traces", "application/json", "", []byte("{}")).Code, "no recording named")
	require.Equal(t, http.StatusBadRequest, post(t, s, "/a/v1/metrics", "application/x-protobuf", "", []byte("not protobuf")).Code)
	require.ErrorContains(t, <-s.failed, "record metrics of a: decode request")
}
