package delivery

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/agenttrail/agenttrail/exporter/column"
	"github.com/agenttrail/agenttrail/exporter/journal"
	"github.com/agenttrail/agenttrail/exporter/row"
)

// down makes the fake refuse everything until the returned function is called.
func (f *fakeClickHouse) down() (up func()) {
	var isUp atomic.Bool
	f.fault = func(w http.ResponseWriter, _ insertCall, _ []map[string]any) bool {
		if isUp.Load() {
			return false
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	}
	return func() { isUp.Store(true) }
}

// putAll commits a request with rows in three tables.
func putAll(t *testing.T, w *Writer, i, size int) {
	t.Helper()
	b, err := w.Begin(t.Context(), 0)
	require.NoError(t, err)
	defer b.Discard()
	for j := range 3 {
		id := fmt.Sprintf("%05d-%d", i, j)
		b.Log(&row.Log{Message: id + strings.Repeat("x", size), ServiceName: fmt.Sprint("service ", i%7), Timestamp: int64(i)})
		b.Span(&row.Span{Name: id, ServiceName: fmt.Sprint("service ", j), StartedAt: int64(i)})
	}
	if i%5 == 0 {
		b.Execution(&row.Execution{ID: fmt.Sprint(i), AgentID: fmt.Sprint("agent ", i%3)})
	}
	require.NoError(t, b.Commit(t.Context()))
}

func TestMemoryIsBoundedInAnOutage(t *testing.T) {
	t.Parallel()
	fake := newFake(t)
	up := fake.down()
	const limit, n, size = 400_000, 200, 10_000
	w := newTestWriter(t, fake.URL, func(s *Settings) { s.MaxQueueBytes = limit })
	most := int64(0)
	began := time.Now()
	for i := range n { // 6 MB.
		putAll(t, w, i, size)
		most = max(most, w.QueueBytes())
	}
	bytes, oldest, segments := w.Backlog()
	require.Greater(t, bytes, int64(3*n*size))
	require.WithinRange(t, oldest, began, time.Now())
	require.Greater(t, segments, 10)
	up()
	eventually(t, func() bool {
		most = max(most, w.QueueBytes())
		_, _, segments := w.Backlog()
		return segments == 0
	})
	require.LessOrEqual(t, most, int64(limit))
	require.Greater(t, most, int64(limit/4), "memory is made use of")
	drained(t, w)
	require.Len(t, fake.stored(column.TableAgentLog), 3*n)
	require.Len(t, fake.stored(column.TableSpan), 3*n)
	require.Len(t, fake.stored(column.TableAgentExecution), n/5)
	rows := fake.stored(column.TableAgentLog)
	for _, m := range messages(rows)[:3] {
		require.True(t, strings.HasPrefix(m, "00000-"))
	}
}

// bodies returns what was sent, by table in the order of segments, whichever order it arrived in.
func (f *fakeClickHouse) bodies(t *testing.T) map[string][]byte {
	t.Helper()
	bodies := map[string][]byte{}
	for _, c := range f.seen() {
		if before, ok := bodies[c.token]; ok {
			require.Equal(t, before, c.body, c.token)
		}
		bodies[c.token] = c.body
	}
	return bodies
}

func TestBlocksReadBackAreTheSameBytes(t *testing.T) {
	t.Parallel()
	fake := newFake(t)
	up := fake.down()
	s := testSettings(t, fake.URL, func(s *Settings) { s.FlushInterval, s.Senders = time.Hour, 1000 }) // All are sent at once.
	w, err := NewWriter(t.Context(), s)
	require.NoError(t, err)
	for i := range 40 {
		putAll(t, w, i, 100)
		if i%10 == 9 {
			require.NoError(t, w.rotate(t.Context()))
		}
	}
	eventually(t, func() bool { return w.lanes.count() == 3*4 && w.lanes.inFlight() == w.lanes.count() })
	eventually(t, func() bool { return len(fake.bodies(t)) == w.lanes.count() })
	shutdown(t, w)
	fromMemory, before := fake.bodies(t), len(fake.seen())
	up()

	w = newTestWriter(t, fake.URL, func(changed *Settings) {
		changed.Journal.Dir = s.Journal.Dir
		changed.MaxBlockRows = 7 // What was sent under other limits is not cut anew.
	})
	drained(t, w)
	fromDisk := map[string][]byte{}
	for _, c := range fake.seen()[before:] {
		fromDisk[c.token] = c.body
	}
	require.Equal(t, fromMemory, fromDisk)
	require.Len(t, fake.stored(column.TableSpan), 3*40)
	require.Len(t, fake.stored(column.TableAgentLog), 3*40)
	require.Len(t, fake.stored(column.TableAgentExecution), 8)
}

func TestSpilledSegmentsAreTheSameBytes(t *testing.T) {
	t.Parallel()
	const segment = 1000
	var sent [2][]string // By segment and table.
	for i, memory := range []int64{256 << 20, 150 * segment} {
		fake := newFake(t)
		up := fake.down()
		w := newTestWriter(t, fake.URL, func(s *Settings) {
			s.MaxQueueBytes, s.MaxRequestBytes, s.MaxBlockRows, s.FlushInterval = memory, 1<<20, 6, time.Hour
		})
		for r := range 60 {
			putAll(t, w, r, segment/4)
		}
		eventually(t, func() bool { return w.feeder.waiting() == 0 }, "all that are closed wait for ClickHouse")
		require.Equal(t, i == 1, spilled(w) > 0, "some are spilled if there is little memory")
		up()
		require.NoError(t, w.rotate(t.Context()))
		drained(t, w)
		blocks := fake.bodies(t)
		for _, token := range slices.SortedFunc(maps.Keys(blocks), bySegment) {
			_, place, _ := strings.Cut(token, "/")
			sent[i] = append(sent[i], place+": "+string(blocks[token]))
		}
	}
	require.Equal(t, sent[0], sent[1])
}

// spilled returns how many segments that wait are not in memory.
func spilled(w *Writer) (n int) {
	w.lanes.mu.Lock()
	defer w.lanes.mu.Unlock()
	for _, s := range w.lanes.lanes["Span"].waiting {
		h := s.inMemory()
		if h == nil {
			n++
			continue
		}
		h.release()
	}
	return n
}

func bySegment(a, b string) int {
	var n [2]int
	for i, token := range []string{a, b} {
		n[i], _ = strconv.Atoi(strings.Split(token, "/")[1])
	}
	return cmp.Or(cmp.Compare(n[0], n[1]), strings.Compare(a, b))
}

func TestAMissingTableHoldsUpOnlyItself(t *testing.T) {
	t.Parallel()
	fake := newFake(t)
	var there atomic.Bool
	fault := func(w http.ResponseWriter, c insertCall, _ []map[string]any) bool {
		return c.table == "Span" && !there.Load() && exception(w, 404, 60, "Table agenttrail.Span does not exist")
	}
	fake.fault = fault
	s := testSettings(t, fake.URL, func(s *Settings) { s.progressAfter = 10 * time.Millisecond })
	w, err := NewWriter(t.Context(), s)
	require.NoError(t, err)
	const n = 20
	for i := range n {
		putAll(t, w, i, 10_000)
		eventually(t, func() bool { return len(fake.stored(column.TableAgentLog)) == 3*(i+1) }, "the others go on")
	}
	require.Empty(t, fake.stored(column.TableSpan))
	eventually(t, func() bool { return len(fake.stored(column.TableAgentExecution)) == n/5 })
	eventually(t, func() bool { return w.QueueBytes() < 100_000 }, "what waits for the table is not kept in memory")
	shutdown(t, w)

	before := len(fake.seen())
	there.Store(true)
	w = newTestWriter(t, fake.URL, func(changed *Settings) { changed.Journal.Dir = s.Journal.Dir })
	drained(t, w)
	require.Len(t, fake.stored(column.TableSpan), 3*n)
	require.Len(t, fake.stored(column.TableAgentLog), 3*n)
	for _, c := range fake.seen()[before:] {
		require.Equal(t, "Span", c.table, "what is stored is not sent again, even after days")
	}
}

func TestShutdownStoresWhatWasCommitted(t *testing.T) {
	t.Parallel()
	fake := newFake(t)
	w := newTestWriter(t, fake.URL, func(s *Settings) { s.FlushInterval = time.Hour })
	for _, m := range numbered(5) {
		require.NoError(t, put(t.Context(), w, m))
	}
	require.Empty(t, fake.seen())
	open, err := w.Begin(t.Context(), 0)
	require.NoError(t, err)
	open.Log(&row.Log{Message: "not committed"})
	shutdown(t, w)
	var e *Error
	require.ErrorAs(t, put(t.Context(), w, "too late"), &e)
	require.Equal(t, ReasonStopping, e.Reason)
	require.ErrorAs(t, open.Commit(t.Context()), &e)
	require.Equal(t, ReasonStopping, e.Reason)
	require.Equal(t, numbered(5), messages(fake.stored(column.TableAgentLog)))
	shutdown(t, w)
}

func TestShutdownDoesNotWaitForAnAbsentServer(t *testing.T) {
	t.Parallel()
	refuses := func(*testing.T) string { return "http://127.0.0.1:1" } // A port that was free may be another test's soon.
	hangs := func(t *testing.T) string {
		t.Helper()
		fake := newFake(t)
		hold := make(chan struct{})
		t.Cleanup(func() { close(hold) })
		fake.fault = func(http.ResponseWriter, insertCall, []map[string]any) bool { <-hold; return true }
		return fake.URL
	}
	for name, c := range map[string]struct {
		endpoint                func(*testing.T) string
		patience, calm, reserve time.Duration
	}{
		"that refuses connections":         {refuses, 100 * time.Millisecond, time.Hour, time.Second},
		"that does not answer":             {hangs, time.Hour, time.Second, time.Second},
		"that does not answer in the time": {hangs, time.Hour, time.Hour, time.Hour - time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			logs, seen := observer.New(zapcore.InfoLevel)
			s := testSettings(t, c.endpoint(t), func(s *Settings) {
				s.Logger, s.RetryMax, s.patience, s.calm, s.reserve = zap.New(logs), 50*time.Millisecond, c.patience, c.calm, c.reserve
			})
			w, err := NewWriter(t.Context(), s)
			require.NoError(t, err)
			require.NoError(t, put(t.Context(), w, "kept"))
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			done := make(chan error, 1)
			go func() { done <- w.Shutdown(ctx) }()
			select {
			case err := <-done:
				require.NoError(t, err)
			case <-time.After(time.Minute):
				t.Fatal("it waits")
			}
			require.NoError(t, ctx.Err(), "time is left for others")
			left := seen.FilterMessageSnippet("Not all rows are stored").All()
			require.Len(t, left, 1)
			require.EqualValues(t, 1, left[0].ContextMap()["segments"])
			require.Equal(t, []any{"AgentLog"}, left[0].ContextMap()["tables"])

			fake := newFake(t)
			w = newTestWriter(t, fake.URL, func(changed *Settings) { changed.Journal.Dir = s.Journal.Dir })
			drained(t, w)
			require.Equal(t, []string{"kept"}, messages(fake.stored(column.TableAgentLog)))
		})
	}
}

func TestAnOutageIsToldOnce(t *testing.T) {
	t.Parallel()
	fake := newFake(t)
	up := fake.down()
	logs, seen := observer.New(zapcore.InfoLevel)
	w := newTestWriter(t, fake.URL, func(s *Settings) { s.Logger, s.tellAfter = zap.New(logs), 300*time.Millisecond })
	for i := range 10 {
		putAll(t, w, i, 10)
	}
	eventually(t, func() bool { return seen.Len() > 0 })
	before := len(fake.seen())
	eventually(t, func() bool { return len(fake.seen()) > before+100 })
	require.Equal(t, []string{"ClickHouse does not take rows; they are kept in the journal and sent later"}, told(seen))
	up()
	drained(t, w)
	require.Equal(t, []string{
		"ClickHouse does not take rows; they are kept in the journal and sent later",
		"ClickHouse takes rows again",
	}, told(seen))
	again := seen.All()[1].ContextMap()
	require.Positive(t, again["after"])
	require.Positive(t, again["backlog_bytes"])
	require.Greater(t, again["failed_attempts"], int64(10))
}

func told(seen *observer.ObservedLogs) (messages []string) {
	for _, l := range seen.All() {
		messages = append(messages, l.Message)
	}
	return messages
}

func TestAFillingJournalIsTold(t *testing.T) {
	t.Parallel()
	fake := newFake(t)
	up := fake.down()
	logs, seen := observer.New(zapcore.InfoLevel)
	w := newTestWriter(t, fake.URL, func(s *Settings) {
		s.Logger, s.Journal.MaxBytes, s.Journal.Compression, s.MaxQueueBytes = zap.New(logs), 1<<20, journal.CompressionNone, 200_000
	})
	var e *Error
	n := 0
	for ; n < 200; n++ {
		if err := put(t.Context(), w, strings.Repeat("x", 10_000)); err != nil {
			require.ErrorAs(t, err, &e)
			break
		}
	}
	require.NotNil(t, e)
	require.Equal(t, ReasonOverload, e.Reason)
	require.False(t, e.Permanent())
	require.Positive(t, e.RetryAfter)
	require.InDelta(t, 90, n, 15)
	eventually(t, func() bool { return len(seen.FilterMessageSnippet("The journal is full").All()) == 1 })
	require.NotEmpty(t, seen.FilterMessageSnippet("The journal fills").All())
	require.LessOrEqual(t, len(seen.FilterMessageSnippet("The journal fills").All()), 2)
	up()
	drained(t, w)
	require.Len(t, fake.stored(column.TableAgentLog), n)
	require.NoError(t, put(t.Context(), w, "there is room again"))
	eventually(t, func() bool { return len(seen.FilterMessageSnippet("The journal is small again").All()) == 1 })
}
