package main

import (
	"context"
	"flag"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	outageFor   = flag.Duration("outage", 5*time.Second, "how long BenchmarkOutage keeps ClickHouse away")
	outageRate  = flag.Float64("rate", 1000, "spans per second of BenchmarkOutage")
	outageLimit = flag.Int("memory-mib", 1024, "memory limit of the collector in BenchmarkOutage, in MiB")
	outageQueue = flag.Int("queue-mib", 64, "max_queue_bytes of the exporter in BenchmarkOutage, in MiB")
	outageOrder = flag.Duration("order", 15*time.Second, "by how much BenchmarkOutage lets an older request be stored after a newer one")
)

// BenchmarkOutage kills ClickHouse while spans arrive, lets them go on to arrive while it is away and after it is back,
// and then looks for every acknowledged row: each exactly once, per table in the order of arrival, and the collector's
// memory under its limit.
func BenchmarkOutage(b *testing.B) {
	for b.Loop() {
		outage(b)
	}
}

func outage(b *testing.B) {
	b.Helper()
	l := startLoadBench(b,
		fmt.Sprintf("processors::memory_limiter={check_interval: 1s, limit_mib: %d, spike_limit_mib: %d}", *outageLimit, *outageLimit/4),
		fmt.Sprintf("exporters::agenttrail::max_queue_bytes=%d", *outageQueue<<20))
	sender, err := newLoadSender(l.grpc, *outageRate/loadSpans)
	require.NoError(b, err)
	defer sender.close()
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() { defer close(ended); sender.run(b.Context(), stop) }()
	wait(b, *outageFor/10+time.Second)

	at, err := url.Parse(l.url)
	require.NoError(b, err)
	stored := l.spans(b.Context())
	require.NoError(b, l.engine.Process.Kill())
	_ = l.engine.Wait()
	before := len(sender.snapshot())
	fmt.Printf("outage: ClickHouse killed after %d requests of %d spans\n", before, loadSpans)
	for passed := time.Duration(0); passed < *outageFor; {
		step := min(30*time.Second, *outageFor-passed)
		wait(b, step)
		passed += step
		l.printState(passed)
	}
	during := len(sender.snapshot()) - before
	l.startEngine(b, at.Host)
	caughtUp, rows, sentMeanwhile := l.catchUp(b, sender, stored)
	fmt.Printf("  caught up after %s: %d spans stored in it, %.0f spans/s, while %d arrived\n",
		caughtUp.Round(time.Millisecond), rows, float64(rows)/caughtUp.Seconds(), sentMeanwhile*loadSpans)
	b.ReportMetric(float64(rows)/caughtUp.Seconds(), "catch-up-spans/s")
	wait(b, *outageFor/10+time.Second)
	close(stop)
	<-ended

	sent := sender.snapshot()
	acked, again := 0, 0
	for _, s := range sent {
		if !s.acked.IsZero() {
			acked++
		}
		again += s.tries - 1
	}
	require.Eventually(b, func() bool { return l.segments(b) <= 1 && l.spans(b.Context()) >= acked*loadSpans }, time.Minute, 100*time.Millisecond,
		"the journal is empty and %d spans are stored; there are %d, and %d segments", acked*loadSpans, l.spans(b.Context()), l.segments(b))
	fmt.Printf("  %d requests sent, %d of them during the outage, %d acknowledged, %d times sent again\n", len(sent), during, acked, again)
	use := useOf(l.collector.Process.Pid)
	fmt.Printf("  memory of the collector: at most %d MiB resident, limit %d MiB, rows waiting in memory at most %d MiB\n", use.peak>>20, *outageLimit, *outageQueue)
	b.ReportMetric(float64(use.peak>>20), "peak-MiB")
	l.checkStored(b, sent)
	require.Less(b, use.peak>>20, uint64(*outageLimit), "MiB of memory")
}

// wait lets time pass, which is what this benchmark is about.
func wait(b *testing.B, d time.Duration) {
	b.Helper()
	select {
	case <-time.After(d):
	case <-b.Context().Done():
		b.FailNow()
	}
}

func (l *loadBench) printState(passed time.Duration) {
	bytes := int64(0)
	files, _ := filepath.Glob(filepath.Join(l.journal(), "*.seg"))
	for _, f := range files {
		if st, err := os.Stat(f); err == nil {
			bytes += st.Size()
		}
	}
	use := useOf(l.collector.Process.Pid)
	fmt.Printf("  %s without ClickHouse: journal %d MiB in %d segments, collector %d MiB\n", passed, bytes>>20, len(files), use.resident>>20)
}

func (l *loadBench) segments(b *testing.B) int {
	b.Helper()
	files, err := filepath.Glob(filepath.Join(l.journal(), "*.seg"))
	require.NoError(b, err)
	return len(files)
}

func (l *loadBench) spans(ctx context.Context) int {
	return l.count(ctx, "SELECT count() FROM agenttrail.Span")
}

// catchUp waits until what was acknowledged a second ago is stored. It returns how long that took since ClickHouse
// listens, how many spans were stored since it was killed, and how many requests were acknowledged meanwhile.
func (l *loadBench) catchUp(b *testing.B, sender *loadSender, stored int) (took time.Duration, rows, requests int) {
	b.Helper()
	ackedBefore := func(t time.Time) (n int) {
		for _, s := range sender.snapshot() {
			if !s.acked.IsZero() && s.acked.Before(t) {
				n++
			}
		}
		return n
	}
	began := time.Now()
	acked := ackedBefore(began)
	limit := began.Add(2**outageFor + time.Minute)
	for {
		now := time.Now()
		if n := l.spans(b.Context()); n >= ackedBefore(now.Add(-time.Second))*loadSpans {
			return now.Sub(began), n - stored, ackedBefore(now) - acked
		}
		require.True(b, now.Before(limit), "it does not catch up")
		wait(b, 100*time.Millisecond)
	}
}

// checkStored compares what is stored with what was acknowledged, request by request.
func (l *loadBench) checkStored(b *testing.B, sent []loadSent) {
	b.Helper()
	for _, t := range []struct {
		name, id string
		rows     int // Of one request.
	}{
		{"Span", "spanId", loadSpans},
		{"AgentExecution", "id", loadRuns},
		{"RequestLog", "id", loadRuns},
	} {
		text, err := l.ask(b.Context(), fmt.Sprintf(`SELECT reinterpretAsUInt64(reverse(unhex(substring(traceId, 1, 16)))) AS n, count(), uniqExact(%s), toUnixTimestamp64Milli(min(ingestedAt))
			FROM agenttrail.%s GROUP BY n ORDER BY min(ingestedAt), n FORMAT TabSeparated`, t.id, t.name))
		require.NoError(b, err)
		found := make([]bool, len(sent))
		lost, doubled, unacknowledged, lines := 0, 0, 0, 0
		var newest time.Time // Due time of the newest request so far.
		var late time.Duration
		for line := range strings.Lines(text) {
			var f [4]int
			fields := strings.Fields(line)
			require.Len(b, fields, len(f), line)
			for i := range f {
				f[i], err = strconv.Atoi(fields[i])
				require.NoError(b, err)
			}
			lines++
			number, count, unique := f[0]-1, f[1], f[2]
			require.Less(b, number, len(sent), "a request that was never sent")
			found[number] = unique == t.rows
			if count > unique {
				doubled += count - unique
			}
			s := sent[number]
			if s.acked.IsZero() {
				unacknowledged++
				continue
			}
			if s.acked.After(newest) {
				newest = s.acked
			}
			late = max(late, newest.Sub(s.acked))
		}
		var missing []string
		for i, s := range sent {
			if !s.acked.IsZero() && !found[i] {
				lost++
				missing = append(missing, strconv.Itoa(i+1))
			}
		}
		fmt.Printf("  %s: %d requests stored, %d lost, %d rows doubled, %d stored though not acknowledged; order: at most %s after a newer one\n",
			t.name, lines, lost, doubled, unacknowledged, late.Round(time.Millisecond))
		require.Zero(b, lost, "requests of which rows are missing in %s: %s", t.name, strings.Join(missing[:min(20, len(missing))], ", "))
		require.Zero(b, doubled, "rows of %s", t.name)
		require.Less(b, late, *outageOrder, "order in %s", t.name)
		b.ReportMetric(late.Seconds(), "s-out-of-order-"+t.name)
	}
}
