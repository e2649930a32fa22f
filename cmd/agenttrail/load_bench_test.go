package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The defaults keep the benchmarks short; "make bench-delivery" runs them in full.
var (
	loadFor  = flag.Duration("load-for", 3*time.Second, "how long BenchmarkAcknowledgement measures")
	loadRate = flag.Float64("load-rate", 200, "requests per second of BenchmarkAcknowledgement, of 50 spans each")
	warmUp   = flag.Duration("load-warm-up", time.Second, "how long BenchmarkAcknowledgement sends before it measures")
)

// BenchmarkAcknowledgement measures how long a client waits for an acknowledgement, at a fixed rate of requests that
// does not depend on the answers, over gRPC, with the collector and the engine as processes. A request's time begins
// when it is due, so that a pause of the collector counts for all requests that were due in it.
func BenchmarkAcknowledgement(b *testing.B) {
	for b.Loop() {
		acknowledgement(b)
	}
}

func acknowledgement(b *testing.B) {
	b.Helper()
	l := startLoadBench(b)
	sender, err := newLoadSender(l.grpc, *loadRate)
	require.NoError(b, err)
	defer sender.close()

	collector, engine, self := useOf(l.collector.Process.Pid), useOf(l.engine.Process.Pid), useOf(os.Getpid())
	stop := make(chan struct{})
	began := time.Now()
	time.AfterFunc(*warmUp+*loadFor, func() { close(stop) })
	sender.run(b.Context(), stop)
	lasted := time.Since(began)
	collectorEnd, engineEnd, selfEnd := useOf(l.collector.Process.Pid), useOf(l.engine.Process.Pid), useOf(os.Getpid())

	sent := sender.snapshot()
	var latencies []time.Duration
	tries := 0
	for _, s := range sent {
		require.False(b, s.acked.IsZero(), "a request was not acknowledged")
		tries += s.tries
		if s.due.Sub(began) >= *warmUp {
			latencies = append(latencies, s.latency)
		}
	}
	require.NotEmpty(b, latencies)
	slices.Sort(latencies)
	at := func(q float64) time.Duration { return latencies[int(q*float64(len(latencies)-1))] }
	b.ReportMetric(at(0.5).Seconds()*1e3, "ms-p50")
	b.ReportMetric(at(0.99).Seconds()*1e3, "ms-p99")
	b.ReportMetric(float64(len(sent))/lasted.Seconds(), "requests/s")
	spans := float64(len(sent) * loadSpans)
	b.ReportMetric(float64((collectorEnd.cpu-collector.cpu).Nanoseconds())/spans, "collector-cpu-ns/span")
	b.ReportMetric(float64((engineEnd.cpu-engine.cpu).Nanoseconds())/spans, "engine-cpu-ns/span")
	fmt.Printf("acknowledgement: %d requests of %d spans (%d bytes) in %s, %.0f requests/s, %d sent again; fsync policy: one fdatasync per group of requests, before they are acknowledged\n",
		len(sent), loadSpans, len(sender.request.body), lasted.Round(time.Millisecond), float64(len(sent))/lasted.Seconds(), tries-len(sent))
	fmt.Printf("  latency from when a request was due, after %s: median %s, p90 %s, p99 %s, p99.9 %s, most %s\n",
		*warmUp, round(at(0.5)), round(at(0.9)), round(at(0.99)), round(at(0.999)), round(at(1)))
	const prefix = "otelcol_agenttrail_exporter_"
	groups, requests := l.metric(b, prefix+"fsync_duration_count"), l.metric(b, prefix+"append_duration_count")
	fmt.Printf("  of it in the journal: %s on average, with %.1f requests per fdatasync, which took %s on average; the rest is receiving and mapping\n",
		round(seconds(l.metric(b, prefix+"append_duration_sum")/requests)), requests/groups, round(seconds(l.metric(b, prefix+"fsync_duration_sum")/groups)))
	cores := func(from, to processUse) float64 { return (to.cpu - from.cpu).Seconds() / lasted.Seconds() }
	fmt.Printf("  cores used, of %d: collector %.2f, engine %.2f, sender %.2f; the collector's memory: at most %d MiB\n",
		runtime.NumCPU(), cores(collector, collectorEnd), cores(engine, engineEnd), cores(self, selfEnd), collectorEnd.peak>>20)
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func round(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }
