package journal_test

import (
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/agenttrail/agenttrail/exporter/journal"
)

type counter struct {
	groups, requests atomic.Int64
	fsync            atomic.Int64
}

func (c *counter) Committed(requests, _ int, fsync time.Duration) {
	c.groups.Add(1)
	c.requests.Add(int64(requests))
	c.fsync.Add(int64(fsync))
}
func (*counter) Failed(int, journal.Reason) {}
func (*counter) Duplicate()                 {}
func (*counter) Damaged(journal.Damage)     {}

// BenchmarkAppend has goroutines append requests of 25 kB, while the segments are rotated and removed as in use.
func BenchmarkAppend(b *testing.B) {
	for _, c := range []journal.Compression{journal.CompressionNone, journal.CompressionLZ4} {
		for _, clients := range []int{1, 8, 64} {
			b.Run(string(c)+"/clients="+strconv.Itoa(clients), func(b *testing.B) { benchmarkAppend(b, c, clients) })
		}
	}
}

func benchmarkAppend(b *testing.B, c journal.Compression, clients int) {
	b.Helper()
	dir := b.TempDir()
	if at := os.Getenv("JOURNAL_BENCH_DIR"); at != "" {
		dir = at
	}
	count := &counter{}
	j, err := journal.Open(b.Context(), journal.Settings{Dir: dir, Compression: c, Observer: count, MaxBytes: 1 << 40})
	if err != nil {
		b.Fatal(err)
	}
	data := make([]byte, 25_000)
	for i := range data { // About as compressible as rows are.
		data[i] = byte(rand.N(8)) * byte(i%3)
	}
	done := make(chan struct{})
	var sealer sync.WaitGroup
	sealer.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(200 * time.Millisecond):
			}
			s, err := j.Rotate(b.Context())
			if err == nil && s != nil {
				err = s.Remove(b.Context())
			}
			if err != nil {
				b.Error(err)
			}
		}
	})
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	b.ResetTimer()
	start := time.Now()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for {
				n := next.Add(1)
				if n > int64(b.N) {
					return
				}
				h := journal.Hash{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24), 1}
				if _, err := j.Append(b.Context(), &journal.Record{Hash: h, Data: data}); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	elapsed := time.Since(start).Seconds()
	b.StopTimer()
	close(done)
	sealer.Wait()
	b.ReportMetric(float64(count.requests.Load())/elapsed, "requests/s")
	b.ReportMetric(float64(count.groups.Load())/elapsed, "fsyncs/s")
	b.ReportMetric(float64(count.fsync.Load())/float64(count.groups.Load())/1e6, "ms/fsync")
	if err := j.Close(b.Context()); err != nil {
		b.Fatal(err)
	}
}
