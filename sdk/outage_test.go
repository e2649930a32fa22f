package agenttrail_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/internal/enginetest"
	agenttrail "github.com/agenttrail/agenttrail/sdk"
)

// said collects what the SDK says about loss.
type said struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *said) lines() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.FieldsFunc(s.b.String(), func(r rune) bool { return r == '\n' })
}

func (s *said) logger() *slog.Logger { return slog.New(slog.NewTextHandler(s, nil)) }

// recordRuns records n runs of one step and one log record each, and returns how long that took.
func recordRuns(t *testing.T, trail *agenttrail.Trail, n int) time.Duration {
	t.Helper()
	began := time.Now()
	for range n {
		ctx, run := trail.StartExecution(t.Context(), agenttrail.Run{Agent: agenttrail.Agent{ID: "worker"}, UserID: "user-1"})
		_, tool := agenttrail.StartTool(ctx, agenttrail.ToolCall{Name: "dig"})
		tool.End(nil)
		agenttrail.Log(ctx, slog.LevelInfo, agenttrail.CategoryExecution, "dug", slog.String("hole", strings.Repeat("o", 200)))
		run.End(nil)
	}
	return time.Since(began)
}

// newProxy makes what stands between the SDK and a collector, once it is started.
func newProxy(t *testing.T, listen, upstream string) *toxiproxy.Proxy {
	t.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	p := toxiproxy.NewProxy(server, t.Name(), listen, upstream)
	t.Cleanup(p.Stop)
	return p
}

func open(t *testing.T, endpoint string, opts ...agenttrail.Option) (*agenttrail.Trail, *said) {
	t.Helper()
	s := &said{}
	trail, err := agenttrail.Init(t.Context(), append([]agenttrail.Option{
		agenttrail.WithService("outage", "1"), agenttrail.WithEndpoint(endpoint), agenttrail.WithLogger(s.logger()),
		agenttrail.WithInterval(20 * time.Millisecond), agenttrail.WithMetricInterval(time.Hour),
	}, opts...)...)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		_ = trail.Shutdown(ctx)
	})
	return trail, s
}

// TestAway has no collector at first: what fits into the buffer arrives when there is one, the rest is counted.
func TestAway(t *testing.T) {
	t.Parallel()
	const runs, buffer = 3000, 1000
	for name, protocol := range map[string]string{"HTTP": "http/protobuf", "gRPC": "grpc"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := startBackend(t)
			upstream := b.Addrs().HTTP
			if protocol == "grpc" {
				upstream = b.Addrs().GRPC
			}
			address := enginetest.ReservePort(t)
			trail, said := open(t, "http://"+address, agenttrail.WithProtocol(protocol), agenttrail.WithBuffer(buffer, 64<<20))
			recordRuns(t, trail, runs)

			require.Equal(t, agenttrail.Loss{Spans: 2*runs - buffer, Logs: runs - buffer}, trail.Lost())
			require.Eventually(t, func() bool { return len(said.lines()) > 0 }, time.Minute, time.Millisecond)
			require.Len(t, said.lines(), 1, "%v", said.lines())
			require.Contains(t, said.lines()[0], "telemetry is being lost")
			short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			require.ErrorIs(t, trail.Flush(short), context.DeadlineExceeded)

			require.NoError(t, newProxy(t, address, upstream).Start())
			flush(t, trail)
			require.Equal(t, agenttrail.Loss{Spans: 2*runs - buffer, Logs: runs - buffer}, trail.Lost())
			b.rows(t, buffer, "SELECT spanId FROM Span")
			b.rows(t, buffer, "SELECT id FROM AgentLog")
			recordRuns(t, trail, 10)
			flush(t, trail)
			b.rows(t, buffer+20, "SELECT spanId FROM Span")
			require.Len(t, said.lines(), 1)
		})
	}
}

// gate is a server in front of a collector that answers by itself when it is told so.
type gate struct {
	status atomic.Int64 // 0 lets requests through.
	asked  atomic.Int64
	url    string
}

func newGate(t *testing.T, collector string) *gate {
	t.Helper()
	g := &gate{}
	through := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: collector})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.asked.Add(1)
		if s := g.status.Load(); s != 0 {
			http.Error(w, "not now", int(s))
			return
		}
		through.ServeHTTP(w, r)
	})}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close(); <-done })
	g.url = "http://" + listener.Addr().String()
	return g
}

// TestRefusing has a collector that is overloaded, as ours when its journal is full, and then one that does not want it.
func TestRefusing(t *testing.T) {
	t.Parallel()
	b := startBackend(t)
	g := newGate(t, b.Addrs().HTTP)
	g.status.Store(http.StatusServiceUnavailable)
	trail, said := open(t, g.url)
	recordRuns(t, trail, 100)
	require.Eventually(t, func() bool { return g.asked.Load() > 4 }, time.Minute, time.Millisecond, "it tries again")
	require.Zero(t, trail.Lost())
	require.Empty(t, said.lines())
	g.status.Store(0)
	flush(t, trail)
	b.rows(t, 200, "SELECT spanId FROM Span")

	g.status.Store(http.StatusBadRequest)
	recordRuns(t, trail, 7)
	flush(t, trail) // There is nothing left to wait for.
	lost := trail.Lost()
	require.EqualValues(t, 14, lost.Spans)
	require.EqualValues(t, 7, lost.Logs)
	require.Eventually(t, func() bool { return len(said.lines()) == 1 }, time.Minute, time.Millisecond)
	g.status.Store(0)
	recordRuns(t, trail, 1)
	flush(t, trail)
	b.rows(t, 202, "SELECT spanId FROM Span")
	require.Len(t, said.lines(), 1)
}

// TestSlow has a collector that answers after a while.
func TestSlow(t *testing.T) {
	t.Parallel()
	b := startBackend(t)
	proxy := newProxy(t, "127.0.0.1:0", b.Addrs().HTTP)
	require.NoError(t, proxy.Start())
	_, err := proxy.Toxics.AddToxicJson(strings.NewReader(`{"name":"slow","type":"latency","stream":"downstream","attributes":{"latency":700}}`))
	require.NoError(t, err)
	trail, said := open(t, "http://"+proxy.Listen)
	recordRuns(t, trail, 500)
	flush(t, trail)
	require.Zero(t, trail.Lost())
	require.Empty(t, said.lines())
	b.rows(t, 1000, "SELECT spanId FROM Span")
}

// TestLatency compares how long recording takes with a collector that is there, away, silent and refusing. What waited for
// one of the latter three would take seconds, every time.
func TestLatency(t *testing.T) {
	t.Parallel()
	b := startBackend(t)
	refusing := newGate(t, b.Addrs().HTTP)
	refusing.status.Store(http.StatusTooManyRequests)
	silent, err := net.Listen("tcp", "127.0.0.1:0") // The kernel connects, nobody answers.
	require.NoError(t, err)
	t.Cleanup(func() { _ = silent.Close() })
	endpoints := []struct{ name, url string }{
		{"there", "http://" + b.Addrs().HTTP}, {"away", "http://127.0.0.1:1"}, {"silent", "http://" + silent.Addr().String()}, {"refusing", refusing.url},
	}
	const runs = 200
	best := map[string]time.Duration{}
	trails := map[string]*agenttrail.Trail{}
	for _, e := range endpoints {
		trails[e.name], _ = open(t, e.url, agenttrail.WithBuffer(2000, 64<<20))
		best[e.name] = time.Hour
	}
	for range 40 { // In turns: other programs use the machine too. From the tenth on the buffers are full.
		for _, e := range endpoints {
			best[e.name] = min(best[e.name], recordRuns(t, trails[e.name], runs))
		}
	}
	t.Logf("%d runs with a step and a log record took %v", runs, best)
	for name, d := range best {
		require.Less(t, d, best["there"]+100*time.Millisecond, name) // Which is the pause before a second attempt.
	}
	for _, name := range []string{"away", "silent", "refusing"} {
		require.Positive(t, trails[name].Lost().Spans, name)
	}
}

// TestMemoryIsBounded records far more than fits while the collector is away. It does not run beside other tests, whose memory
// it would count.
func TestMemoryIsBounded(t *testing.T) {
	trail, _ := open(t, "http://127.0.0.1:1", agenttrail.WithBuffer(1<<20, 4<<20))
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	recordRuns(t, trail, 50_000)
	grown := heap() - before
	lost := trail.Lost()
	t.Logf("150,000 spans and log records with two buffers of 4 MiB: the heap grew by %.1f MiB, %d were lost", float64(grown)/(1<<20), lost.Spans+lost.Logs)
	require.Less(t, grown, int64(12<<20))
	require.Greater(t, lost.Spans, uint64(80_000))
	require.Greater(t, lost.Logs, uint64(40_000))
}

// TestShutdownObeysItsContext has no collector at all.
func TestShutdownObeysItsContext(t *testing.T) {
	t.Parallel()
	trail, said := open(t, "http://127.0.0.1:1")
	recordRuns(t, trail, 50)
	ctx, cancel := context.WithTimeout(t.Context(), 80*time.Millisecond)
	defer cancel()
	began := time.Now()
	require.ErrorIs(t, trail.Shutdown(ctx), context.DeadlineExceeded)
	require.Less(t, time.Since(began), 9*time.Second, "without a deadline it would be 10 s")
	lost := trail.Lost()
	require.EqualValues(t, 100, lost.Spans)
	require.EqualValues(t, 50, lost.Logs)
	require.Len(t, said.lines(), 1)

	recordRuns(t, trail, 1) // Harmless; who calls after the end wants no panic.
	require.Error(t, trail.Shutdown(t.Context()), "the same as the first time")
}
