package main

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	overloadFor     = flag.Duration("overload", 5*time.Second, "how long BenchmarkOverload sends too much")
	overloadJournal = flag.Int("overload-journal-mib", 256, "max_bytes of the journal in BenchmarkOverload, in MiB")
)

// overloadPending is how many requests wait at the senders at most, as in the queues of SDKs: beyond it a sender makes
// no new ones, which is what slowing down means for it.
const overloadPending = 2048

// BenchmarkOverload finds out how many spans per second the collector and ClickHouse take, then offers twice as many,
// with a journal too small for what waits: clients are told to come back. The memory of the collector must stay under
// its limit, and every acknowledged row must be stored exactly once.
func BenchmarkOverload(b *testing.B) {
	for b.Loop() {
		overload(b)
	}
}

func overload(b *testing.B) {
	b.Helper()
	l := startLoadBench(b,
		fmt.Sprintf("processors::memory_limiter={check_interval: 1s, limit_mib: %d, spike_limit_mib: %d}", *outageLimit, *outageLimit/4),
		fmt.Sprintf("exporters::agenttrail::max_queue_bytes=%d", *outageQueue<<20),
		fmt.Sprintf("exporters::agenttrail::journal::max_bytes=%d", *overloadJournal<<20))
	sender, err := newLoadSender(l.grpc, 0)
	require.NoError(b, err)
	defer sender.close()

	calibrated := min(*overloadFor, 15*time.Second)
	began := time.Now()
	sender.saturate(b.Context(), began.Add(calibrated))
	require.Eventually(b, func() bool { return l.spans(b.Context()) == len(sender.snapshot())*loadSpans }, time.Minute, 10*time.Millisecond)
	sustainable := float64(len(sender.snapshot())*loadSpans) / time.Since(began).Seconds()
	first := len(sender.snapshot())
	fmt.Printf("overload: %.0f spans/s are acknowledged and stored when clients wait for their turn (%s)\n", sustainable, calibrated)

	sender.rate = 2 * sustainable / loadSpans
	made, kept := sender.overload(b.Context(), time.Now().Add(*overloadFor))
	sent := sender.snapshot()
	acked, again := 0, 0
	var waited []time.Duration
	for _, s := range sent[first:] {
		if !s.acked.IsZero() {
			acked++
			waited = append(waited, s.latency)
		}
		again += s.tries - 1
	}
	require.NotEmpty(b, waited)
	slices.Sort(waited)
	fmt.Printf("  %s at %.0f spans/s: %d requests were due, %d of them not made because %d waited already; %d sent, %d acknowledged, %d times told to come back; waited %s (median), %s (most)\n",
		*overloadFor, sender.rate*loadSpans, made, kept, overloadPending, len(sent)-first, acked, again, round(waited[len(waited)/2]), round(waited[len(waited)-1]))
	require.Positive(b, kept+again, "nobody was slowed down")
	require.Eventually(b, func() bool { return l.spans(b.Context()) >= (first+acked)*loadSpans && l.segments(b) <= 1 }, 5*time.Minute, 100*time.Millisecond)
	use := useOf(l.collector.Process.Pid)
	fmt.Printf("  memory of the collector: at most %d MiB resident, limit %d MiB, rows waiting in memory at most %d MiB\n", use.peak>>20, *outageLimit, *outageQueue)
	b.ReportMetric(float64(use.peak>>20), "peak-MiB")
	b.ReportMetric(sustainable, "sustainable-spans/s")
	l.checkStored(b, sent)
	require.Less(b, use.peak>>20, uint64(*outageLimit), "MiB of memory")
}

// saturate sends with a few clients, each of which waits for an answer before its next request.
func (s *loadSender) saturate(ctx context.Context, until time.Time) {
	var clients sync.WaitGroup
	for range 4 * len(s.conns) {
		clients.Go(func() {
			for time.Now().Before(until) {
				s.send(ctx, s.next(time.Now()), time.Now())
			}
		})
	}
	clients.Wait()
}

// next gives out the number of a request.
func (s *loadSender) next(due time.Time) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = append(s.sent, loadSent{due: due})
	return len(s.sent) - 1
}

// overload makes requests at a steady rate until it is time, unless too many wait already, and waits for all answers.
// It returns how many were due, and how many of these were not made.
func (s *loadSender) overload(ctx context.Context, until time.Time) (due, kept int) {
	var requests sync.WaitGroup
	var pending atomic.Int64
	for at := time.Now(); at.Before(until); at = at.Add(time.Duration(float64(time.Second) / s.rate)) {
		if d := time.Until(at); d > time.Millisecond {
			select {
			case <-time.After(d):
			case <-ctx.Done():
				return due, kept
			}
		}
		due++
		if pending.Load() >= overloadPending {
			kept++
			continue
		}
		pending.Add(1)
		number := s.next(at)
		requests.Go(func() {
			defer pending.Add(-1)
			s.send(ctx, number, at)
		})
	}
	requests.Wait()
	return due, kept
}
