package delivery

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/embedded/chserver"
	"github.com/agenttrail/agenttrail/exporter/journal"
	"github.com/agenttrail/agenttrail/exporter/row"
	"github.com/agenttrail/agenttrail/internal/enginetest"
	"github.com/agenttrail/agenttrail/schema"
)

// database makes all tables in a database of the test's own.
func database(tb testing.TB, ch *enginetest.CH) (string, driver.Conn) {
	tb.Helper()
	db := ch.Database(tb)
	_, err := schema.MigrateClickHouse(tb.Context(), ch.URL, schema.ClickHouseConfig{Database: db})
	require.NoError(tb, err)
	return db, ch.Conn(tb, db)
}

// now is the time of test rows: they must be within the retention of their tables.
func now() int64 { return time.Now().UnixNano() }

func putRun(ctx context.Context, w *Writer, id string) error {
	b, err := w.Begin(ctx, 0)
	if err != nil {
		return err
	}
	defer b.Discard()
	b.Execution(&row.Execution{ID: id, AgentID: "agent", StartedAt: now(), Status: row.StatusSuccess, CreditsConsumed: 1_000_000})
	b.Span(&row.Span{Name: id, StartedAt: now()})
	return b.Commit(ctx)
}

func scan[T any](t *testing.T, conn driver.Conn, query string) T {
	t.Helper()
	var v T
	require.NoError(t, conn.QueryRow(t.Context(), query).Scan(&v))
	return v
}

// countedRuns returns how many runs the views have counted, perhaps on two days: a test may run over midnight.
func countedRuns(t *testing.T, conn driver.Conn) uint64 {
	t.Helper()
	return scan[uint64](t, conn, "SELECT toUInt64(sum(totalExecutions)) FROM AgentMetrics WHERE period = 'day'")
}

func TestTheSchemaIsChecked(t *testing.T) {
	t.Parallel()
	ch := enginetest.ClickHouse(t)
	empty := ch.Database(t)
	db, conn := database(t, ch)
	check := func(db string) error {
		return newTestWriter(t, ch.URL, func(s *Settings) { s.Database = db }).CheckSchema(t.Context())
	}
	require.NoError(t, check(db))
	require.ErrorContains(t, check(empty), "missing are table Span, table AgentExecution")
	require.ErrorContains(t, check("it's\\not there"), "agenttrail migrate clickhouse")
	require.NoError(t, conn.Exec(t.Context(), "ALTER TABLE AgentLog DROP COLUMN eventName"))
	require.ErrorContains(t, check(db), "missing are column AgentLog.eventName: run")
	require.ErrorContains(t, newTestWriter(t, "http://127.0.0.1:1", nil).CheckSchema(t.Context()), "connection refused")
}

func TestLostAnswersAndBrokenConnectionsStoreOnce(t *testing.T) {
	t.Parallel()
	ch := enginetest.ClickHouse(t)
	db, conn := database(t, ch)
	target, err := url.Parse(ch.URL)
	require.NoError(t, err)
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ErrorLog = nil
	var lost atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch rand.IntN(4) {
		case 0: // ClickHouse stores it, and we do not hear of it.
			proxy.ServeHTTP(httptest.NewRecorder(), r)
			lost.Add(1)
			panic(http.ErrAbortHandler)
		case 1: // It never gets there.
			panic(http.ErrAbortHandler)
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	w := newTestWriter(t, server.URL, func(s *Settings) { s.Database, s.Mappers, s.MaxBlockRows = db, 8, 4 })
	const n = 80
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range n / 8 {
				require.NoError(t, putRun(t.Context(), w, fmt.Sprintf("run-%d-%d", worker, i)))
			}
		})
	}
	wg.Wait()
	drained(t, w)
	require.Positive(t, lost.Load())
	require.Equal(t, uint64(n), scan[uint64](t, conn, "SELECT count() FROM AgentExecution"))
	require.Equal(t, uint64(n), scan[uint64](t, conn, "SELECT uniqExact(id) FROM AgentExecution"))
	require.Equal(t, uint64(n), scan[uint64](t, conn, "SELECT count() FROM Span"))
	require.Equal(t, uint64(n), countedRuns(t, conn), "the views count once too")
}

func TestARealServerRejectsOnlyTheGuiltyRequest(t *testing.T) {
	t.Parallel()
	ch := enginetest.ClickHouse(t)
	db, conn := database(t, ch)
	require.NoError(t, conn.Exec(t.Context(), "ALTER TABLE AgentExecution ADD CONSTRAINT noPoison CHECK id NOT LIKE 'poison%'"))
	w := newTestWriter(t, ch.URL, func(s *Settings) { s.Database, s.FlushInterval = db, time.Hour })
	for i := range 60 {
		id := fmt.Sprint("run-", i)
		if i%20 == 7 {
			id = fmt.Sprint("poison-", i)
		}
		require.NoError(t, putRun(t.Context(), w, id))
	}
	require.NoError(t, w.rotate(t.Context()))
	drained(t, w)
	require.Equal(t, uint64(57), scan[uint64](t, conn, "SELECT count() FROM AgentExecution"))
	require.Equal(t, uint64(57), scan[uint64](t, conn, "SELECT uniqExact(id) FROM AgentExecution"))
	require.Equal(t, uint64(60), scan[uint64](t, conn, "SELECT count() FROM Span"), "the other rows of a guilty request are stored")

	require.NoError(t, conn.Exec(t.Context(), "ALTER TABLE AgentExecution DROP CONSTRAINT noPoison"))
	letters, err := journal.ListDeadLetters(w.set.Journal.Dir)
	require.NoError(t, err)
	require.Len(t, letters, 3)
	for _, l := range letters {
		require.Equal(t, "constraint", l.Reason)
		d, err := journal.ReadDeadLetter(w.set.Journal.Dir, l.Name)
		require.NoError(t, err)
		for range 2 { // A replay that is repeated does nothing.
			replay(t, ch.URL, db, d)
		}
	}
	require.Equal(t, uint64(60), scan[uint64](t, conn, "SELECT count() FROM AgentExecution"))
	require.Equal(t, uint64(60), scan[uint64](t, conn, "SELECT uniqExact(id) FROM AgentExecution"))
	require.Equal(t, uint64(60), countedRuns(t, conn))
}

// replay inserts a dead letter as any client of ClickHouse can.
func replay(t *testing.T, address, db string, d journal.DeadLetter) {
	t.Helper()
	q := url.Values{"query": {"INSERT INTO " + db + "." + d.Table + " FORMAT Native"}, "insert_deduplication_token": {d.Token}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address+"/?"+q.Encode(), bytes.NewReader(d.Native))
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode, string(text))
}

func TestLateDataOfManyDaysIsOneBlock(t *testing.T) {
	t.Parallel()
	ch := enginetest.ClickHouse(t)
	db, conn := database(t, ch)
	w := newTestWriter(t, ch.URL, func(s *Settings) { s.Database = db })
	b, err := w.Begin(t.Context(), 0)
	require.NoError(t, err)
	const days = 105 // More than max_partitions_per_insert_block allows by default.
	for d := range days {
		b.Execution(&row.Execution{ID: fmt.Sprint(d), StartedAt: now() - int64(d)*int64(24*time.Hour)})
	}
	require.NoError(t, b.Commit(t.Context()))
	drained(t, w)
	require.Equal(t, uint64(days), scan[uint64](t, conn, "SELECT count() FROM AgentExecution"))
}

func TestStoredMeansStoredOnTheShard(t *testing.T) {
	t.Parallel()
	ch := enginetest.StartClickHouse(t, chserver.Config{EngineArgs: []string{
		"--tcp_port=9000", // The engine opens no port: by this one it only knows itself among the replicas.
		"--remote_servers.here.shard.replica.host=127.0.0.1", "--remote_servers.here.shard.replica.port=9000",
		"--remote_servers.away.shard.replica.host=127.0.0.1", "--remote_servers.away.shard.replica.port=1",
	}})
	db, conn := database(t, ch)
	distribute := func(table, cluster string) {
		require.NoError(t, conn.Exec(t.Context(), "RENAME TABLE "+table+" TO "+table+"Local"))
		require.NoError(t, conn.Exec(t.Context(), "CREATE TABLE "+table+" AS "+table+"Local ENGINE = Distributed("+cluster+", "+db+", "+table+"Local)"))
	}
	distribute("AgentLog", "here")
	distribute("SystemMetrics", "away")
	counts := &counter{}
	w := newTestWriter(t, ch.URL, func(s *Settings) { s.Database, s.Observer = db, counts })

	b, err := w.Begin(t.Context(), 0)
	require.NoError(t, err)
	b.Log(&row.Log{Message: "log", Timestamp: now()})
	require.NoError(t, b.Commit(t.Context()))
	drained(t, w)
	require.Equal(t, uint64(1), scan[uint64](t, conn, "SELECT count() FROM AgentLogLocal"))

	b, err = w.Begin(t.Context(), 0)
	require.NoError(t, err)
	b.Metric(&row.Metric{Metric: "metric", Timestamp: now()})
	require.NoError(t, b.Commit(t.Context()))
	eventually(t, func() bool { return counts.retries.Load() > 3 })
	_, _, segments := w.Backlog()
	require.Equal(t, 1, segments, "no shard has stored it")
	require.Zero(t, scan[uint64](t, conn, "SELECT toUInt64(sum(data_files)) FROM system.distribution_queue"), "nor does a queue hold it")
}

func TestNothingAcknowledgedIsLostWhenTheServerIsKilled(t *testing.T) {
	t.Parallel()
	ch := enginetest.StartClickHouse(t, chserver.Config{})
	db, _ := database(t, ch)
	w := newTestWriter(t, ch.URL, func(s *Settings) {
		s.Database, s.Mappers, s.RetryMax, s.Journal.Compression = db, 8, 50*time.Millisecond, journal.CompressionLZ4
		s.FlushInterval = 20 * time.Millisecond
	})
	ctx, stop := context.WithCancel(t.Context())
	var acknowledged sync.Map
	var count atomic.Int64
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				id := fmt.Sprintf("run-%d-%d", worker, i)
				require.NoError(t, putRun(t.Context(), w, id), "an outage is not noticed")
				acknowledged.Store(id, true)
				count.Add(1)
			}
		})
	}
	more := func(n int64) {
		before := count.Load()
		eventually(t, func() bool { return count.Load() > before+n })
	}
	for range 2 {
		more(10)
		ch.Kill()
		more(100)
		ch.Restart(t)
	}
	more(10)
	stop()
	wg.Wait()
	drained(t, w)

	conn := ch.Conn(t, db)
	stored := map[string]int{}
	rows, err := conn.Query(t.Context(), "SELECT id FROM AgentExecution")
	require.NoError(t, err)
	for rows.Next() {
		var id string
		require.NoError(t, rows.Scan(&id))
		stored[id]++
	}
	require.NoError(t, rows.Err())
	require.NoError(t, rows.Close())
	acknowledged.Range(func(id, _ any) bool {
		require.Equal(t, 1, stored[id.(string)], id)
		return true
	})
	require.Len(t, stored, int(count.Load()))
	require.Equal(t, uint64(count.Load()), countedRuns(t, conn))
}

func TestABacklogOutlivesTheProcess(t *testing.T) {
	t.Parallel()
	ch := enginetest.StartClickHouse(t, chserver.Config{})
	db, _ := database(t, ch)
	ch.Kill()
	s := testSettings(t, ch.URL, func(s *Settings) { s.Database = db })
	const runs, n = 3, 20
	for run := range runs {
		w, err := NewWriter(t.Context(), s)
		require.NoError(t, err, "it starts without ClickHouse")
		for i := range n {
			b, err := w.Begin(t.Context(), 0)
			require.NoError(t, err)
			require.False(t, b.SetHash(journal.Hash{1, byte(run), byte(i)}))
			b.Execution(&row.Execution{ID: fmt.Sprint(run, "-", i), AgentID: "agent", StartedAt: now()})
			b.Span(&row.Span{Name: "span", StartedAt: now()})
			require.NoError(t, b.Commit(t.Context()))
		}
		shutdown(t, w)
	}
	ch.Restart(t)
	w := newTestWriter(t, ch.URL, func(changed *Settings) { changed.Database, changed.Journal.Dir = db, s.Journal.Dir })
	b, err := w.Begin(t.Context(), 0)
	require.NoError(t, err)
	require.True(t, b.SetHash(journal.Hash{1, 0, 0}), "what was acknowledged before the restarts is known")
	require.NoError(t, b.Commit(t.Context()))
	drained(t, w)
	conn := ch.Conn(t, db)
	require.Equal(t, uint64(runs*n), scan[uint64](t, conn, "SELECT count() FROM AgentExecution"))
	require.Equal(t, uint64(runs*n), scan[uint64](t, conn, "SELECT uniqExact(id) FROM AgentExecution"))
	require.Equal(t, uint64(runs*n), scan[uint64](t, conn, "SELECT count() FROM Span"))
}

func TestAMissingTableOfARealServerHoldsUpOnlyItself(t *testing.T) {
	t.Parallel()
	ch := enginetest.ClickHouse(t)
	db, conn := database(t, ch)
	require.NoError(t, conn.Exec(t.Context(), "RENAME TABLE Span TO SpanAway"))
	counts := &counter{}
	w := newTestWriter(t, ch.URL, func(s *Settings) { s.Database, s.Observer = db, counts })
	for i := range 5 {
		require.NoError(t, putRun(t.Context(), w, fmt.Sprint(i)))
		eventually(t, func() bool { return scan[uint64](t, conn, "SELECT count() FROM AgentExecution") == uint64(i+1) })
	}
	eventually(t, func() bool { return counts.retries.Load() > 3 })
	require.NoError(t, conn.Exec(t.Context(), "RENAME TABLE SpanAway TO Span"))
	drained(t, w)
	require.Equal(t, uint64(5), scan[uint64](t, conn, "SELECT count() FROM Span"))
	require.Equal(t, uint64(5), scan[uint64](t, conn, "SELECT count() FROM AgentExecution"))
}

// BenchmarkCommit measures requests of 100 spans from Begin to the acknowledgement, with the real engine behind; an
// operation is a request.
func BenchmarkCommit(b *testing.B) {
	ch := enginetest.ClickHouse(b)
	for _, clients := range []int{1, 16} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			db, _ := database(b, ch)
			w, err := NewWriter(b.Context(), Settings{
				Endpoint: ch.URL, Database: db, Journal: journal.Settings{Dir: b.TempDir()},
				Client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}},
			})
			require.NoError(b, err)
			left := atomic.Int64{}
			left.Store(int64(b.N))
			b.ResetTimer()
			var wg sync.WaitGroup
			for range clients {
				wg.Go(func() {
					for left.Add(-1) >= 0 {
						batch, err := w.Begin(b.Context(), 0)
						require.NoError(b, err)
						for i := range 100 {
							batch.Span(&row.Span{Name: "span", StartedAt: now() + int64(i), ServiceName: "service"})
						}
						require.NoError(b, batch.Commit(b.Context()))
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			b.ReportMetric(float64(b.N)*100/b.Elapsed().Seconds(), "rows/s")
			require.NoError(b, w.Shutdown(b.Context()))
		})
	}
}

// BenchmarkBody measures making a block of a segment of 16 requests of 100 rows, and its compression; an operation is a
// row.
func BenchmarkBody(b *testing.B) {
	for _, c := range []Compression{CompressionNone, CompressionLZ4, CompressionZSTD} {
		b.Run(string(c), func(b *testing.B) {
			w, err := NewWriter(b.Context(), Settings{
				Endpoint: "http://127.0.0.1:1", Compression: c, Journal: journal.Settings{Dir: b.TempDir()}, FlushInterval: time.Hour,
			})
			require.NoError(b, err)
			for p := range 16 {
				batch, err := w.Begin(b.Context(), 0)
				require.NoError(b, err)
				for i := range 100 {
					batch.Span(&row.Span{
						Name: "span", TraceID: row.TraceID{1, byte(p), byte(i)}, SpanID: row.SpanID{2, byte(p), byte(i)},
						StartedAt: now(), Duration: 1.5, ServiceName: "service", UserID: fmt.Sprint("user-", i),
					})
				}
				require.NoError(b, batch.Commit(b.Context()))
			}
			js, err := w.journal.Rotate(b.Context())
			require.NoError(b, err)
			s := newSegment(w, js)
			b.ReportAllocs()
			b.ResetTimer()
			bytes := 0
			for i := 0; i < b.N; i += 1600 {
				body, _, _, err := s.body(b.Context(), "Span", s.all())
				require.NoError(b, err)
				bytes = body.size
				body.release()
			}
			b.StopTimer()
			b.ReportMetric(float64(bytes)/1600, "bytes/row")
			require.NoError(b, w.Shutdown(b.Context()))
		})
	}
}
