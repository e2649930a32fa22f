package delivery

import (
	"context"
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
	"github.com/agenttrail/agenttrail/exporter/journal"
	"github.com/agenttrail/agenttrail/exporter/record"
	"github.com/agenttrail/agenttrail/exporter/row"
)

// put commits one log per message as one request.
func put(ctx context.Context, w *Writer, messages ...string) error {
	return putHash(ctx, w, journal.Hash{}, messages...)
}

func putHash(ctx context.Context, w *Writer, hash journal.Hash, messages ...string) error {
	b, err := w.Begin(ctx, 0)
	if err != nil {
		return err
	}
	defer b.Discard()
	if b.SetHash(hash) {
		return b.Commit(ctx)
	}
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

// numbered returns n messages in order.
func numbered(n int) []string {
	var m []string
	for i := range n {
		m = append(m, fmt.Sprintf("message %04d", i))
	}
	return m
}

func TestARequestIsStoredInEveryTable(t *testing.T) {
	t.Parallel()
	for compression, decompress := range map[Compression]string{CompressionNone: "", CompressionAuto: "", CompressionLZ4: "1", CompressionZSTD: "1"} {
		t.Run(string(compression), func(t *testing.T) {
			t.Parallel()
			fake := newFake(t)
			w := newTestWriter(t, fake.URL+"/?insert_quorum=2", func(s *Settings) {
				s.Compression, s.Username, s.Password, s.Database = compression, "u", "p", "my`db"
			})
			b, err := w.Begin(t.Context(), 0)
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
			drained(t, w)
			for table := range column.TableCount {
				require.Len(t, fake.stored(table), 1, table.String())
			}
			require.Len(t, fake.stored(column.TableAgentLog)[0]["message"], 5_000_000)
			tokens := map[string]bool{}
			for _, c := range fake.seen() {
				require.Equal(t, "u", c.header.Get("X-ClickHouse-User"))
				require.Equal(t, "p", c.header.Get("X-ClickHouse-Key"))
				require.Equal(t, "my`db", c.query.Get("database"))
				require.Equal(t, decompress, c.query.Get("decompress"))
				require.Equal(t, "0", c.query.Get("async_insert"))
				require.Equal(t, "enable", c.query.Get("deduplicate_insert"))
				require.Equal(t, "1", c.query.Get("insert_deduplicate"))
				require.Equal(t, "1", c.query.Get("deduplicate_blocks_in_dependent_materialized_views"))
				require.Equal(t, "1", c.query.Get("distributed_foreground_insert"))
				require.Equal(t, "0", c.query.Get("max_partitions_per_insert_block"))
				require.Equal(t, "2", c.query.Get("insert_quorum"))
				require.True(t, strings.HasPrefix(c.query.Get("query"), "INSERT INTO `my\\`db`.`"+c.table+"` (`"))
				require.Regexp(t, "^[0-9a-f]{32}/[0-9]+/"+c.table+"$", c.token)
				tokens[c.token] = true
			}
			require.Len(t, tokens, int(column.TableCount))
		})
	}
}

func TestAnEmptyRequestSendsNothing(t *testing.T) {
	t.Parallel()
	fake := newFake(t)
	w := newTestWriter(t, fake.URL, nil)
	require.NoError(t, put(t.Context(), w))
	shutdown(t, w)
	require.Empty(t, fake.seen())
}

func TestRequestsThatWaitAreOneBlock(t *testing.T) {
	t.Parallel()
	fake := newFake(t)
	arrived, goOn := make(chan struct{}, 100), make(chan struct{})
	fake.fault = func(http.ResponseWriter, insertCall, []map[string]any) bool {
		arrived <- struct{}{}
		<-goOn
		return false
	}
	w := newTestWriter(t, fake.URL, nil)
	for i := range 2 { // Both senders are busy now.
		require.NoError(t, put(t.Context(), w, fmt.Sprint("first ", i)))
		<-arrived
	}
	for i := range 50 {
		require.NoError(t, put(t.Context(), w, fmt.Sprint("more ", i)))
	}
	close(goOn)
	drained(t, w)
	require.Len(t, fake.stored(column.TableAgentLog), 52)
	require.Len(t, fake.seen(), 3, "50 waiting requests are one block")
}

func TestRowsDoNotWaitForMoreThanAFewSeconds(t *testing.T) {
	t.Parallel()
	fake := newFake(t)
	goOn := make(chan struct{})
	var n atomic.Int32
	fake.fault = func(http.ResponseWriter, insertCall, []map[string]any) bool {
		if n.Add(1) <= 1 {
			<-goOn
		}
		return false
	}
	w := newTestWriter(t, fake.URL, func(s *Settings) { s.Senders, s.openAtMost = 1, 50*time.Millisecond })
	require.NoError(t, put(t.Context(), w, "held"))
	eventually(t, func() bool { return n.Load() == 1 })
	require.NoError(t, put(t.Context(), w, "next"))
	eventually(t, func() bool { return w.lanes.count() == 2 }, "the segment is closed although the last one is not stored")
	close(goOn)
	drained(t, w)
}

func TestBlocksStayWithinTheirLimits(t *testing.T) {
	t.Parallel()
	fake := newFake(t)
	w := newTestWriter(t, fake.URL, func(s *Settings) {
		s.MaxBlockRows, s.MaxBlockBytes, s.FlushInterval, s.Compression = 10, 4000, time.Hour, CompressionLZ4
	})
	many := numbered(105)
	require.NoError(t, put(t.Context(), w, many...), "a request of many blocks")
	large := []string{strings.Repeat("x", 3990), strings.Repeat("y", 10_000), "z"}
	require.NoError(t, put(t.Context(), w, large...))
	var wg sync.WaitGroup
	single := []string{}
	for i := range 95 { // They fill one segment after the other without waiting for the flush interval.
		m := fmt.Sprintf("single %03d", i)
		single = append(single, m)
		wg.Go(func() { require.NoError(t, put(t.Context(), w, m)) })
	}
	wg.Wait()
	shutdown(t, w)
	for _, c := range fake.seen() {
		rows := decodeBody(t, c.body, c.query.Get("decompress") == "1")
		require.LessOrEqual(t, len(rows), 10)
		if len(rows) > 1 {
			require.Less(t, len(c.body), 5000)
		}
		if strings.HasPrefix(rows[0]["message"].(string), "single") {
			require.NotContains(t, c.token, "-", "requests that are small never need to be split")
		}
	}
	want := slices.Concat(many, large, single)
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
	drained(t, w)
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
	drained(t, w)
	close(release)
	require.Equal(t, []string{"late"}, messages(fake.stored(column.TableAgentLog)))
}

func TestAnAnswerThatIsNotClickHousesStoresNothing(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]func(http.ResponseWriter){
		"another server": func(w http.ResponseWriter) {
			w.Header().Del("X-ClickHouse-Server-Display-Name")
			_, _ = w.Write([]byte("It works!"))
		},
		"an exception behind status 200": func(w http.ResponseWriter) {
			_, _ = w.Write([]byte("__exception__\nCode: 241. DB::Exception: memory limit"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var n atomic.Int32
			fake := newFake(t)
			fake.fault = func(w http.ResponseWriter, _ insertCall, _ []map[string]any) bool {
				if n.Add(1) == 1 {
					fault(w)
					return true
				}
				return false
			}
			w := newTestWriter(t, fake.URL, nil)
			require.NoError(t, put(t.Context(), w, "a"))
			drained(t, w)
			require.Len(t, fake.seen(), 2)
			require.Len(t, fake.stored(column.TableAgentLog), 1)
		})
	}
}

func TestARequestThatGrowsTooLargeIsRefused(t *testing.T) {
	t.Parallel()
	fake := newFake(t)
	w := newTestWriter(t, fake.URL, func(s *Settings) { s.MaxRequestBytes, s.MaxBlockBytes = 1<<20, 100_000 })
	b, err := w.Begin(t.Context(), 0)
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
	require.NoError(t, put(t.Context(), w, "the next one is fine"))
	drained(t, w)
	require.Len(t, fake.seen(), 1)
}

func TestSettingsThatCannotWorkAreRefused(t *testing.T) {
	t.Parallel()
	dir := journal.Settings{Dir: t.TempDir()}
	for name, s := range map[string]Settings{
		"must start with http":   {Journal: dir, Endpoint: "tcp://127.0.0.1:9000"},
		"unknown compression":    {Journal: dir, Endpoint: "http://x", Compression: "gzip"},
		"a block may have":       {Journal: dir, Endpoint: "http://x", MaxBlockRows: 2_000_000},
		"read endpoint":          {Journal: dir, Endpoint: "http://x\x00"},
		"must start with http:/": {Journal: dir},
		"name its folder":        {Endpoint: "http://x"},
	} {
		_, err := NewWriter(t.Context(), s)
		require.ErrorContains(t, err, name)
	}
	newTestWriter(t, "http://127.0.0.1:1", func(s *Settings) { s.Journal = dir })
	_, err := NewWriter(t.Context(), Settings{Journal: dir, Endpoint: "http://x"})
	require.ErrorIs(t, err, journal.ErrLocked)
}
