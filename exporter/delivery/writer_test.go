package delivery

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/exporter/column"
	"github.com/agenttrail/agenttrail/exporter/record"
	"github.com/agenttrail/agenttrail/exporter/row"
)

// put stores one log per message as one request.
func put(ctx context.Context, w *Writer, messages ...string) error {
	b, err := w.Begin(ctx)
	if err != nil {
		return err
	}
	defer b.Discard()
	for _, m := range messages {
		b.Log(&row.Log{Message: m})
	}
	return b.Commit(ctx)
}

func messages(rows []map[string]any) []string {
	var m []string
	for _, r := range rows {
		m = append(m, r["message"].(string))
	}
	slices.Sort(m)
	return m
}

func TestARequestIsStoredInEveryTable(t *testing.T) {
	t.Parallel()
	for _, compression := range []Compression{CompressionNone, CompressionLZ4, CompressionZSTD} {
		t.Run(string(compression), func(t *testing.T) {
			t.Parallel()
			fake := newFake(t)
			w := newTestWriter(t, fake.URL+"/?insert_quorum=2", func(s *Settings) {
				s.Compression, s.Username, s.Password, s.Database = compression, "u", "p", "my`db"
			})
			b, err := w.Begin(t.Context())
			require.NoError(t, err)
			b.Span(&row.Span{Name: "span"})
			b.Execution(&row.Execution{ID: "run"})
			b.Log(&row.Log{Message: strings.Repeat("long ", 1_000_000)}) // More than one frame.
			b.Request(&row.Request{Path: "/"})
			b.Error(&row.Error{Message: "error"})
			b.Metric(&row.Metric{Metric: "metric"})
			b.SecurityEvent(&row.SecurityEvent{Type: "auth.login"})
			require.EqualValues(t, column.TableCount, b.Rows())
			require.NoError(t, b.Commit(t.Context()))
			for table := range column.TableCount {
				require.Len(t, fake.stored(table), 1, table.String())
			}
			require.Len(t, fake.stored(column.TableAgentLog)[0]["message"], 5_000_000)
			require.Len(t, fake.seen(), int(column.TableCount))
			tokens := map[string]bool{}
			for _, c := range fake.seen() {
				require.Equal(t, "u", c.header.Get("X-ClickHouse-User"))
				require.Equal(t, "p", c.header.Get("X-ClickHouse-Key"))
				require.Equal(t, "my`db", c.query.Get("database"))
				require.Equal(t, "0", c.query.Get("async_insert"))
				require.Equal(t, "enable", c.query.Get("deduplicate_insert"))
				require.Equal(t, "1", c.query.Get("insert_deduplicate"))
				require.Equal(t, "1", c.query.Get("deduplicate_blocks_in_dependent_materialized_views"))
				require.Equal(t, "1", c.query.Get("distributed_foreground_insert"))
				require.Equal(t, "0", c.query.Get("max_partitions_per_insert_block"))
				require.Equal(t, "2", c.query.Get("insert_quorum"))
				require.True(t, strings.HasPrefix(c.query.Get("query"), "INSERT INTO `my\\`db`.`"+c.table+"` (`"))
				tokens[c.token] = true
			}
			require.Len(t, tokens, int(column.TableCount))
			require.Zero(t, w.QueueBytes())
		})
	}
}

func TestAnEmptyRequestSendsNothing(t *testing.T) {
	t.Parallel()
	fake := newFake(t)
	w := newTestWriter(t, fake.URL, nil)
	require.NoError(t, put(t.Context(), w))
	require.Empty(t, fake.seen())
}

func TestGroupsGrowWhileOneIsOnItsWay(t *testing.T) {
	t.Parallel()
	fake := newFake(t)
	arrived, goOn := make(chan struct{}, 100), make(chan struct{})
	fake.fault = func(http.ResponseWriter, insertCall, []map[string]any) bool {
		arrived <- struct{}{}
		<-goOn
		return false
	}
	w := newTestWriter(t, fake.URL, func(s *Settings) { s.Mappers = 64 })
	var wg sync.WaitGroup
	for i := range 2 { // Both senders are busy now.
		wg.Go(func() { require.NoError(t, put(t.Context(), w, fmt.Sprint("first ", i))) })
		<-arrived
	}
	for i := range 50 {
		wg.Go(func() { require.NoError(t, put(t.Context(), w, fmt.Sprint("more ", i))) })
	}
	require.Eventually(t, func() bool { w.mu.Lock(); defer w.mu.Unlock(); return len(w.queue) == 50 }, 10*time.Second, time.Millisecond)
	close(goOn)
	wg.Wait()
	require.Len(t, fake.stored(column.TableAgentLog), 52)
	require.Len(t, fake.seen(), 3, "50 waiting requests are one block")
}

func TestBlocksStayWithinTheirLimits(t *testing.T) {
	t.Parallel()
	fake := newFake(t)
	w := newTestWriter(t, fake.URL, func(s *Settings) { s.MaxBlockRows, s.MaxBlockBytes = 10, 4000 })
	var many []string
	for i := range 105 {
		many = append(many, fmt.Sprint(i))
	}
	require.NoError(t, put(t.Context(), w, many...))
	require.NoError(t, put(t.Context(), w, strings.Repeat("x", 3990), strings.Repeat("y", 10_000), "z"))
	require.Len(t, fake.stored(column.TableAgentLog), 108)
	for _, c := range fake.seen() {
		rows := decodeBody(t, c.body, true)
		require.LessOrEqual(t, len(rows), 10)
	}
	want := slices.Concat(many, []string{strings.Repeat("x", 3990), strings.Repeat("y", 10_000), "z"})
	slices.Sort(want)
	require.Equal(t, want, messages(fake.stored(column.TableAgentLog)))
}

func TestRetriesSendTheSameBytesWithTheSameToken(t *testing.T) {
	t.Parallel()
	fake := newFake(t)
	var n atomic.Int32
	fake.fault = func(w http.ResponseWriter, c insertCall, rows []map[string]any) bool {
		switch n.Add(1) {
		case 1:
			return exception(w, 500, 252, "Too many parts")
		case 2: // The connection breaks before anything is stored.
			panic(http.ErrAbortHandler)
		case 3: // It is stored, and the answer is lost.
			fake.store(c, rows)
			panic(http.ErrAbortHandler)
		case 4: // A proxy.
			w.WriteHeader(http.StatusBadGateway)
			return true
		case 5: // Stored, answered half.
			fake.store(c, rows)
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte("half"))
			return true
		case 6:
			return exception(w, 404, 60, "Table agenttrail.AgentLog does not exist")
		case 7:
			return exception(w, 403, 516, "Authentication failed")
		}
		return false
	}
	w := newTestWriter(t, fake.URL, nil)
	require.NoError(t, put(t.Context(), w, "once", "twice"))
	require.Equal(t, []string{"once", "twice"}, messages(fake.stored(column.TableAgentLog)))
	calls := fake.seen()
	require.Len(t, calls, 8)
	for _, c := range calls {
		require.Equal(t, calls[0].token, c.token)
		require.Equal(t, calls[0].body, c.body)
	}
}

func TestALateAnswerIsRetried(t *testing.T) {
	t.Parallel()
	fake := newFake(t)
	var n atomic.Int32
	release := make(chan struct{})
	fake.fault = func(_ http.ResponseWriter, c insertCall, rows []map[string]any) bool {
		if n.Add(1) == 1 {
			fake.store(c, rows)
			<-release
		}
		return false
	}
	w := newTestWriter(t, fake.URL, func(s *Settings) { s.RequestTimeout = 50 * time.Millisecond })
	require.NoError(t, put(t.Context(), w, "late"))
	close(release)
	require.Equal(t, []string{"late"}, messages(fake.stored(column.TableAgentLog)))
}

func TestOnlyTheGuiltyRequestIsRefused(t *testing.T) {
	t.Parallel()
	fake := newFake(t)
	hold := make(chan struct{})
	fake.fault = func(w http.ResponseWriter, _ insertCall, rows []map[string]any) bool {
		for _, r := range rows {
			switch {
			case r["message"] == "hold":
				<-hold
			case strings.HasPrefix(r["message"].(string), "poison"):
				return exception(w, 400, 469, "Constraint is violated")
			}
		}
		return false
	}
	w := newTestWriter(t, fake.URL, func(s *Settings) { s.Senders, s.Mappers = 1, 64 })
	var wg sync.WaitGroup
	wg.Go(func() { require.NoError(t, put(t.Context(), w, "hold")) })
	require.Eventually(t, func() bool { return len(fake.seen()) == 1 }, 10*time.Second, time.Millisecond)
	want := []string{"hold"}
	for i := range 40 {
		if i%17 == 5 {
			wg.Go(func() {
				err := put(t.Context(), w, "neighbor in the request", fmt.Sprint("poison ", i))
				var e *Error
				require.ErrorAs(t, err, &e)
				require.True(t, e.Permanent())
				require.Equal(t, ReasonContent, e.Reason)
				require.ErrorContains(t, err, "Constraint is violated")
			})
			continue
		}
		m := fmt.Sprintf("good %02d", i)
		want = append(want, m)
		wg.Go(func() { require.NoError(t, put(t.Context(), w, m)) })
	}
	require.Eventually(t, func() bool { w.mu.Lock(); defer w.mu.Unlock(); return len(w.queue) == 40 }, 10*time.Second, time.Millisecond)
	close(hold)
	wg.Wait()
	slices.Sort(want)
	require.Equal(t, want, messages(fake.stored(column.TableAgentLog)))
	require.Zero(t, w.QueueBytes())
}

func TestABlockThatFailsInAViewIsNeverSplit(t *testing.T) {
	t.Parallel()
	fake := newFake(t)
	var n atomic.Int32
	fake.fault = func(w http.ResponseWriter, _ insertCall, _ []map[string]any) bool {
		if n.Add(1) < 4 {
			return exception(w, 400, 53, "Cannot convert: while pushing to view agenttrail.V")
		}
		return false
	}
	w := newTestWriter(t, fake.URL, nil)
	require.NoError(t, put(t.Context(), w, "a"))
	calls := fake.seen()
	require.Len(t, calls, 4)
	require.Equal(t, calls[0].token, calls[3].token)
}

func TestAnAnswerThatIsNotClickHousesStoresNothing(t *testing.T) {
	t.Parallel()
	var n atomic.Int32
	fake := newFake(t)
	fake.fault = func(w http.ResponseWriter, _ insertCall, _ []map[string]any) bool {
		if n.Add(1) == 1 {
			w.Header().Del("X-ClickHouse-Server-Display-Name")
			_, _ = w.Write([]byte("It works!"))
			return true
		}
		return false
	}
	w := newTestWriter(t, fake.URL, nil)
	require.NoError(t, put(t.Context(), w, "a"))
	require.Len(t, fake.seen(), 2)
}

func TestAnExceptionBehindStatus200IsAFailure(t *testing.T) {
	t.Parallel()
	var n atomic.Int32
	fake := newFake(t)
	fake.fault = func(w http.ResponseWriter, _ insertCall, _ []map[string]any) bool {
		if n.Add(1) == 1 {
			_, _ = w.Write([]byte("__exception__\nCode: 241. DB::Exception: memory limit"))
			return true
		}
		return false
	}
	w := newTestWriter(t, fake.URL, nil)
	require.NoError(t, put(t.Context(), w, "a"))
	require.Len(t, fake.seen(), 2)
}

func TestAnOutageEndsWithAnErrorToComeBack(t *testing.T) {
	t.Parallel()
	fake := newFake(t)
	fake.fault = func(w http.ResponseWriter, _ insertCall, _ []map[string]any) bool {
		return exception(w, 404, 60, "Table does not exist")
	}
	w := newTestWriter(t, fake.URL, func(s *Settings) { s.RetryElapsed = 300 * time.Millisecond })
	err := put(t.Context(), w, "a")
	var e *Error
	require.ErrorAs(t, err, &e)
	require.False(t, e.Permanent())
	require.Equal(t, ReasonUnavailable, e.Reason)
	require.Positive(t, e.RetryAfter)
	require.ErrorContains(t, err, "agenttrail migrate clickhouse")
	require.Greater(t, len(fake.seen()), 2)
	require.Zero(t, w.QueueBytes())
}

func TestARefusedConnectionIsRetriedUntilTheClientLeaves(t *testing.T) {
	t.Parallel()
	fake := newFake(t)
	address := fake.URL
	fake.Close()
	w := newTestWriter(t, address, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := put(ctx, w, "a")
	var e *Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, ReasonCanceled, e.Reason)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Eventually(t, func() bool { return w.QueueBytes() == 0 }, 10*time.Second, time.Millisecond, "the rows are let go")
}

func TestAClientThatLeavesDoesNotTakeItsNeighbors(t *testing.T) {
	t.Parallel()
	fake := newFake(t)
	var n atomic.Int32
	var mu sync.Mutex
	arrived := make(chan struct{}, 10)
	goOn := make(chan struct{})
	fake.fault = func(http.ResponseWriter, insertCall, []map[string]any) bool {
		if n.Add(1) == 1 {
			mu.Lock()
			defer mu.Unlock()
			arrived <- struct{}{}
			<-goOn
		}
		return false
	}
	w := newTestWriter(t, fake.URL, func(s *Settings) { s.Senders = 1 })
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { require.NoError(t, put(t.Context(), w, "hold")) })
	<-arrived
	wg.Go(func() { require.NoError(t, put(t.Context(), w, "stays")) })
	wg.Go(func() { require.Error(t, put(ctx, w, "leaves")) })
	require.Eventually(t, func() bool { w.mu.Lock(); defer w.mu.Unlock(); return len(w.queue) == 2 }, 10*time.Second, time.Millisecond)
	cancel()
	require.Eventually(t, func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return slices.ContainsFunc(w.queue, func(p *part) bool {
			select {
			case <-p.batch.gone:
				return true
			default:
				return false
			}
		})
	}, 10*time.Second, time.Millisecond)
	close(goOn)
	wg.Wait()
	require.Equal(t, []string{"hold", "stays"}, messages(fake.stored(column.TableAgentLog)))
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	fake := newFake(t)
	goOn := make(chan struct{})
	fake.fault = func(http.ResponseWriter, insertCall, []map[string]any) bool {
		<-goOn
		return false
	}
	const limit, size, mappers = 100_000, 10_000, 2
	w := newTestWriter(t, fake.URL, func(s *Settings) {
		s.MaxQueueBytes, s.Mappers, s.MaxWait = limit, mappers, 100*time.Millisecond
	})
	var refused, stored atomic.Int32
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			err := put(t.Context(), w, strings.Repeat("x", size))
			var e *Error
			switch {
			case err == nil:
				stored.Add(1)
			case errors.As(err, &e) && e.Reason == ReasonOverload && e.RetryAfter > 0 && !e.Permanent():
				refused.Add(1)
			default:
				t.Errorf("unexpected error: %v", err)
			}
			require.LessOrEqual(t, w.QueueBytes(), int64(limit+mappers*(size+1000)))
		})
	}
	require.Eventually(t, func() bool { return refused.Load() > 80 }, 10*time.Second, time.Millisecond)
	close(goOn)
	wg.Wait()
	require.Equal(t, int32(100), refused.Load()+stored.Load())
	require.Len(t, fake.stored(column.TableAgentLog), int(stored.Load()))
	require.NoError(t, put(t.Context(), w, "there is room again"))
}

func TestARequestThatGrowsTooLargeIsRefused(t *testing.T) {
	t.Parallel()
	fake := newFake(t)
	w := newTestWriter(t, fake.URL, func(s *Settings) { s.MaxRequestBytes, s.MaxBlockBytes = 1<<20, 100_000 })
	b, err := w.Begin(t.Context())
	require.NoError(t, err)
	resource := record.Attrs{{Key: "big", Value: record.Value{Kind: record.ValueString, Str: strings.Repeat("x", 10_000)}}}
	for range 10_000 { // 100 MB.
		b.Span(&row.Span{ResourceAttributes: resource})
	}
	err = b.Commit(t.Context())
	var e *Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, ReasonTooLarge, e.Reason)
	require.True(t, e.Permanent())
	require.Empty(t, fake.seen())
	require.NoError(t, put(t.Context(), w, "the next one is fine"))
}

func TestShutdownStoresWhatWasCommitted(t *testing.T) {
	t.Parallel()
	fake := newFake(t)
	arrived, goOn := make(chan struct{}, 10), make(chan struct{})
	fake.fault = func(http.ResponseWriter, insertCall, []map[string]any) bool {
		arrived <- struct{}{}
		<-goOn
		return false
	}
	w := newTestWriter(t, fake.URL, nil)
	var wg sync.WaitGroup
	for i := range 5 {
		wg.Go(func() { require.NoError(t, put(t.Context(), w, fmt.Sprint(i))) })
	}
	<-arrived
	one := column.NewSet()
	one.Log(&row.Log{Message: "0"})
	require.Eventually(t, func() bool { return w.QueueBytes() == 5*newPart(nil, one).bytes && len(w.gate.slots) == 0 }, 10*time.Second, time.Millisecond)
	open, err := w.Begin(t.Context())
	require.NoError(t, err)
	open.Log(&row.Log{Message: "not committed"})
	wg.Go(func() { require.NoError(t, w.Shutdown(t.Context())) })
	<-w.gate.closed
	var e *Error
	require.ErrorAs(t, put(t.Context(), w, "too late"), &e)
	require.Equal(t, ReasonStopping, e.Reason)
	require.ErrorAs(t, open.Commit(t.Context()), &e)
	require.Equal(t, ReasonStopping, e.Reason)
	close(goOn)
	wg.Wait()
	require.Equal(t, []string{"0", "1", "2", "3", "4"}, messages(fake.stored(column.TableAgentLog)))
}

func TestShutdownGivesUpWithItsContext(t *testing.T) {
	t.Parallel()
	fake := newFake(t)
	address := fake.URL
	fake.Close()
	w := newTestWriter(t, address, nil)
	done := make(chan error, 1)
	go func() { done <- put(t.Context(), w, "a") }()
	require.Eventually(t, func() bool { return w.QueueBytes() > 0 }, 10*time.Second, time.Millisecond)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, w.Shutdown(ctx), context.Canceled)
	var e *Error
	require.ErrorAs(t, <-done, &e)
	require.Equal(t, ReasonUnavailable, e.Reason)
}

func TestSettingsThatCannotWorkAreRefused(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]Settings{
		"must start with http":   {Endpoint: "tcp://127.0.0.1:9000"},
		"unknown compression":    {Endpoint: "http://x", Compression: "gzip"},
		"a block may have":       {Endpoint: "http://x", MaxBlockRows: 2_000_000},
		"read endpoint":          {Endpoint: "http://x\x00"},
		"must start with http:/": {},
	} {
		_, err := NewWriter(s)
		require.ErrorContains(t, err, name)
	}
}

func TestClassify(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		failure Failure
		class   Class
		reason  string
		advice  string
	}{
		{Failure{}, ClassRetry, "connection", ""},
		{Failure{Status: 500, Code: 202}, ClassRetry, "too_many_queries", ""},
		{Failure{Status: 500, Code: 241}, ClassRetry, "memory_limit", adviceFull},
		{Failure{Status: 500, Code: 242}, ClassRetry, "readonly_table", ""},
		{Failure{Status: 500, Code: 159}, ClassRetry, "timeout", ""},
		{Failure{Status: 500, Code: 209}, ClassRetry, "timeout", ""},
		{Failure{Status: 500, Code: 210}, ClassRetry, "network", ""},
		{Failure{Status: 500, Code: 252}, ClassRetry, "too_many_parts", ""},
		{Failure{Status: 500, Code: 999}, ClassRetry, "keeper", ""},
		{Failure{Status: 500, Code: 243}, ClassRetry, "disk_full", adviceFull},
		{Failure{Status: 404, Code: 60}, ClassRetry, "schema", adviceMigrate},
		{Failure{Status: 404, Code: 81}, ClassRetry, "schema", adviceMigrate},
		{Failure{Status: 404, Code: 16}, ClassRetry, "schema", adviceMigrate},
		{Failure{Status: 404, Code: 115}, ClassRetry, "version", adviceVersion},
		{Failure{Status: 403, Code: 516}, ClassRetry, "auth", adviceAuth},
		{Failure{Status: 403, Code: 497}, ClassRetry, "access_denied", adviceGrant},
		{Failure{Status: 400, Code: 33}, ClassRetry, "other", ""},
		{Failure{Status: 400, Code: 40}, ClassRetry, "other", ""},
		{Failure{Status: 500, Code: 12345}, ClassRetry, "other", ""},
		{Failure{Status: 400, Code: 53}, ClassContent, "type_mismatch", ""},
		{Failure{Status: 400, Code: 407}, ClassContent, "decimal_overflow", ""},
		{Failure{Status: 400, Code: 469}, ClassContent, "constraint", ""},
		{Failure{Status: 400, Code: 131}, ClassContent, "too_large_string", ""},
		{Failure{Status: 400, Code: 407, Message: "x: while pushing to view db.v (uuid)"}, ClassRetry, "view", "repair the materialized view"},
		{Failure{Status: 413}, ClassContent, "body_too_large", "raise the limit of the proxy in front of ClickHouse"},
		{Failure{Status: 401}, ClassRetry, "auth", adviceAuth},
		{Failure{Status: 404}, ClassRetry, "not_clickhouse", "check that the endpoint is the HTTP interface of ClickHouse"},
		{Failure{Status: 429}, ClassRetry, "http", ""},
		{Failure{Status: 400}, ClassRetry, "http", ""},
		{Failure{Status: 503}, ClassRetry, "http", ""},
	} {
		class, reason, advice := Classify(&c.failure)
		require.Equal(t, c.class, class, "%+v", c.failure)
		require.Equal(t, c.reason, reason, "%+v", c.failure)
		require.Equal(t, c.advice, advice, "%+v", c.failure)
	}
}
