package otlp_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"google.golang.org/grpc/codes"

	"github.com/agenttrail/agenttrail/collector/otlp"
	"github.com/agenttrail/agenttrail/exporter/direct"
)

// counted returns what a receiver counted, by metric and transport.
func (s *server) counted(t *testing.T) map[string]int64 {
	t.Helper()
	all := map[string]int64{}
	for _, outcome := range []string{"accepted", "refused"} {
		for _, what := range []string{"spans", "log_records", "metric_points"} {
			m, err := s.tel.GetMetric("otelcol_receiver_" + outcome + "_" + what)
			if err != nil {
				continue // Nothing of the signal has come.
			}
			for _, p := range m.Data.(metricdata.Sum[int64]).DataPoints {
				transport, _ := p.Attributes.Value("transport")
				id, _ := p.Attributes.Value("receiver")
				require.Equal(t, "otlp", id.AsString())
				all[outcome+" "+what+" over "+transport.AsString()] = p.Value
			}
		}
	}
	return all
}

func TestRecordsAreCountedAsByTheStandardReceiver(t *testing.T) {
	t.Parallel()
	standard, ways := three(t, local(), clientSettings{})
	ways["refused before it is decoded"] = run(t, otlp.NewFactory(), ours(local()), &next{aware: true, hasty: true}, clientSettings{})
	ways["standard"] = standard
	want := map[string]int64{}
	for _, s := range signals {
		m, records := s.request(t)
		what := map[direct.Signal]string{direct.SignalTraces: "spans", direct.SignalLogs: "log_records", direct.SignalMetrics: "metric_points"}[s.Signal]
		want["refused "+what+" over grpc"] = int64(records)
		want["refused "+what+" over http"] = 2 * int64(records)
		for _, w := range ways {
			w.answer(errors.New("not now"))
			require.Equal(t, codes.Unavailable, w.call(t.Context(), s.method, "", protobuf(t, m)).status.Code())
			require.Equal(t, http.StatusServiceUnavailable, w.send(t, httpRequest{method: http.MethodPost, path: s.path, content: contentProtobuf, body: protobuf(t, m)}).code)
			require.Equal(t, http.StatusServiceUnavailable, w.send(t, httpRequest{method: http.MethodPost, path: s.path, content: contentJSON, body: jsonText(t, m)}).code)
		}
	}
	require.Subset(t, standard.counted(t), want)
	for kind, w := range ways {
		require.Equal(t, standard.counted(t), w.counted(t), kind)
	}
	delete(ways, "refused before it is decoded")
	for _, s := range signals {
		m, _ := s.request(t)
		for _, w := range ways {
			w.answer(nil)
			require.Equal(t, codes.OK, w.call(t.Context(), s.method, "", protobuf(t, m)).status.Code())
			require.Equal(t, http.StatusOK, w.send(t, httpRequest{method: http.MethodPost, path: s.path, content: contentProtobuf, body: protobuf(t, m)}).code)
			require.Equal(t, http.StatusOK, w.send(t, httpRequest{method: http.MethodPost, path: s.path, content: contentJSON, body: jsonText(t, m)}).code)
		}
	}
	require.Positive(t, standard.counted(t)["accepted log_records over http"])
	for kind, w := range ways {
		require.Equal(t, standard.counted(t), w.counted(t), kind)
	}
}

// TestADamagedRequestIsCountedAsFarAsItCanBeRead cuts two requests, which are one when they follow each other, in many
// places. Each has one resource, which can be read as a whole or not at all.
func TestADamagedRequestIsCountedAsFarAsItCanBeRead(t *testing.T) {
	t.Parallel()
	for i, counter := range []string{"refused spans over grpc", "refused log_records over grpc"} {
		w := run(t, otlp.NewFactory(), ours(local()), &next{aware: true, hasty: true, err: errors.New("not now")}, clientSettings{})
		m, records := signals[i].request(t)
		half := protobuf(t, m)
		body := slices.Concat(half, half)
		want := int64(0)
		refuse := func(n int) {
			require.Equal(t, codes.Unavailable, w.call(t.Context(), signals[i].method, "", body[:n]).status.Code(), n)
			want += int64(n/len(half)) * int64(records)
			require.Equal(t, want, w.counted(t)[counter], n)
		}
		for n := 1; n < len(body); n += 13 {
			refuse(n)
		}
		refuse(len(half))
		refuse(len(body))
	}
}

func TestAPipelineThatDoesNotKnowIsToldOnce(t *testing.T) {
	t.Parallel()
	unaware := run(t, otlp.NewFactory(), ours(local()), &next{}, clientSettings{})
	aware := run(t, otlp.NewFactory(), ours(local()), &next{aware: true}, clientSettings{})
	m, _ := signals[1].request(t)
	for _, s := range []*server{unaware, aware} {
		for range 3 {
			require.Equal(t, codes.OK, s.call(t.Context(), signals[1].method, "", protobuf(t, m)).status.Code())
		}
		require.Equal(t, slices.Repeat([]string{string(protobuf(t, m))}, 3), s.received())
	}
	warnings := unaware.logs.FilterMessageSnippet("No agenttrail exporter looks after requests").All()
	require.Len(t, warnings, 1)
	require.Equal(t, "logs", warnings[0].ContextMap()["pipeline"])
	require.Empty(t, aware.logs.FilterMessageSnippet("No agenttrail exporter").All())
}

// TestMemoryThatIsStillReadIsNotUsedAgain has an exporter that goes on reading when it has answered.
func TestMemoryThatIsStillReadIsNotUsedAgain(t *testing.T) {
	t.Parallel()
	type kept struct {
		wire *direct.Request
		copy string
	}
	var mu sync.Mutex
	var all []kept
	n := &next{hold: func(ctx context.Context, signal direct.Signal) {
		wire := direct.Take(ctx, signal)
		mu.Lock()
		defer mu.Unlock()
		all = append(all, kept{wire, string(wire.Body)})
	}}
	s := run(t, otlp.NewFactory(), ours(local()), n, clientSettings{})
	for i := range 40 {
		m, _ := signals[0].request(t)
		body := protobuf(t, m)
		body = append(body, fmt.Sprintf("\x7a\x04%04d", i)...) // A field that nobody knows.
		if i%2 == 0 {
			require.Equal(t, codes.OK, s.call(t.Context(), signals[0].method, "", body).status.Code())
		} else {
			require.Equal(t, http.StatusOK, s.send(t, httpRequest{method: http.MethodPost, path: "/v1/traces", content: contentProtobuf, body: body}).code)
		}
	}
	require.Len(t, all, 40)
	for i, k := range all {
		require.Equal(t, k.copy, string(k.wire.Body), i)
		k.wire.Release(0)
	}
}

func TestOffAndAutoAreTheStandardReceiver(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"off", "auto"} {
		settings := local()
		settings["direct"] = value
		s := run(t, otlp.NewFactory(), settings, &next{aware: true, hold: func(ctx context.Context, signal direct.Signal) {
			require.Nil(t, direct.Take(ctx, signal))
		}}, clientSettings{})
		m, _ := signals[0].request(t)
		require.Equal(t, codes.OK, s.call(t.Context(), signals[0].method, "", protobuf(t, m)).status.Code())
		require.Len(t, s.received(), 1)
		require.NotContains(t, s.logs.FilterMessage("Starting GRPC server").All()[0].ContextMap(), "direct")
	}
	require.Equal(t, otlpreceiver.NewFactory().Type(), otlp.NewFactory().Type())
}
