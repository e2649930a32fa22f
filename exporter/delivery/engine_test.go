package delivery

import (
	"context"
	"errors"
	"fmt"
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
	"github.com/agenttrail/agenttrail/exporter/column"
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
	b, err := w.Begin(ctx)
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
	w := newTestWriter(t, server.URL, func(s *Settings) { s.Database, s.Mappers = db, 8 })
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
	require.Positive(t, lost.Load())
	require.Equal(t, uint64(n), scan[uint64](t, conn, "SELECT count() FROM AgentExecution"))
	require.Equal(t, uint64(n), scan[uint64](t, conn, "SELECT uniqExact(id) FROM AgentExecution"))
	require.Equal(t, uint64(n), scan[uint64](t, conn, "SELECT count() FROM Span"))
	require.Equal(t, uint64(n), scan[uint64](t, conn, "SELECT totalExecutions FROM AgentMetrics WHERE period = 'day'"), "the views count once too")
}

func TestARealServerRejectsOnlyTheGuiltyRequest(t *testing.T) {
	t.Parallel()
	ch := enginetest.ClickHouse(t)
	db, conn := database(t, ch)
	require.NoError(t, conn.Exec(t.Context(), "ALTER TABLE AgentExecution ADD CONSTRAINT noPoison CHECK id != 'poison'"))
	w := newTestWriter(t, ch.URL, func(s *Settings) { s.Database, s.Mappers, s.Senders = db, 64, 1 })
	var wg sync.WaitGroup
	var refused atomic.Int32
	for i := range 60 {
		wg.Go(func() {
			id := fmt.Sprint("run-", i)
			if i%20 == 7 {
				id = "poison"
			}
			err := putRun(t.Context(), w, id)
			var e *Error
			switch {
			case id != "poison":
				require.NoError(t, err)
			case errors.As(err, &e) && e.Reason == ReasonContent:
				refused.Add(1)
			default:
				t.Errorf("unexpected answer: %v", err)
			}
		})
	}
	wg.Wait()
	require.Equal(t, int32(3), refused.Load())
	require.Equal(t, uint64(57), scan[uint64](t, conn, "SELECT count() FROM AgentExecution"))
	require.Equal(t, uint64(57), scan[uint64](t, conn, "SELECT uniqExact(id) FROM AgentExecution"))
}

func TestLateDataOfManyDaysIsOneBlock(t *testing.T) {
	t.Parallel()
	ch := enginetest.ClickHouse(t)
	db, conn := database(t, ch)
	w := newTestWriter(t, ch.URL, func(s *Settings) { s.Database, s.RequestTimeout = db, 5*time.Minute })
	b, err := w.Begin(t.Context())
	require.NoError(t, err)
	const days = 105 // More than max_partitions_per_insert_block allows by default.
	for d := range days {
		b.Execution(&row.Execution{ID: fmt.Sprint(d), StartedAt: now() - int64(d)*int64(24*time.Hour)})
	}
	require.NoError(t, b.Commit(t.Context()))
	require.Equal(t, uint64(days), scan[uint64](t, conn, "SELECT count() FROM AgentExecution"))
}

func TestAnAcknowledgementMeansStoredOnTheShard(t *testing.T) {
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
	w := newTestWriter(t, ch.URL, func(s *Settings) { s.Database, s.RetryElapsed = db, time.Second })

	b, err := w.Begin(t.Context())
	require.NoError(t, err)
	b.Log(&row.Log{Message: "log", Timestamp: now()})
	require.NoError(t, b.Commit(t.Context()))
	require.Equal(t, uint64(1), scan[uint64](t, conn, "SELECT count() FROM AgentLogLocal"))

	b, err = w.Begin(t.Context())
	require.NoError(t, err)
	b.Metric(&row.Metric{Metric: "metric", Timestamp: now()})
	require.ErrorContains(t, b.Commit(t.Context()), "refused", "no shard has stored it")
	require.Zero(t, scan[uint64](t, conn, "SELECT toUInt64(sum(data_files)) FROM system.distribution_queue"), "nor does a queue hold it")
}

func TestNothingAcknowledgedIsLostWhenTheServerIsKilled(t *testing.T) {
	t.Parallel()
	ch := enginetest.StartClickHouse(t, chserver.Config{})
	db, _ := database(t, ch)
	w := newTestWriter(t, ch.URL, func(s *Settings) {
		s.Database, s.Mappers, s.RetryMax, s.RetryElapsed = db, 8, 50*time.Millisecond, time.Minute
	})
	ctx, stop := context.WithCancel(t.Context())
	var acknowledged sync.Map
	var count atomic.Int64
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				id := fmt.Sprintf("run-%d-%d", worker, i)
				require.NoError(t, putRun(t.Context(), w, id), "an outage only takes time")
				acknowledged.Store(id, true)
				count.Add(1)
			}
		})
	}
	for range 2 {
		before := count.Load()
		require.Eventually(t, func() bool { return count.Load() > before+10 }, 30*time.Second, time.Millisecond)
		ch.Kill()
		ch.Restart(t)
	}
	before := count.Load()
	require.Eventually(t, func() bool { return count.Load() > before+10 }, 30*time.Second, time.Millisecond)
	stop()
	wg.Wait()

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
}

// BenchmarkCommit measures requests of 100 runs and spans from Begin to the acknowledgement of the real engine; an
// operation is a request.
func BenchmarkCommit(b *testing.B) {
	ch := enginetest.ClickHouse(b)
	for _, clients := range []int{1, 16} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) {
			db, _ := database(b, ch)
			w, err := NewWriter(Settings{Endpoint: ch.URL, Database: db, Client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}})
			require.NoError(b, err)
			left := atomic.Int64{}
			left.Store(int64(b.N))
			b.ResetTimer()
			var wg sync.WaitGroup
			for range clients {
				wg.Go(func() {
					for left.Add(-1) >= 0 {
						batch, err := w.Begin(b.Context())
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
			b.ReportMetric(float64(w.blocks.Load()), "blocks")
			require.NoError(b, w.Shutdown(b.Context()))
		})
	}
}

// BenchmarkBody measures encoding and compression of a block that 16 requests of 100 rows make; an operation is a row.
func BenchmarkBody(b *testing.B) {
	for _, c := range []Compression{CompressionNone, CompressionLZ4, CompressionZSTD} {
		b.Run(string(c), func(b *testing.B) {
			enc, err := newEncoder(c)
			require.NoError(b, err)
			var parts []*part
			for p := range 16 {
				set := enc.set()
				for i := range 100 {
					set.Span(&row.Span{
						Name: "span", TraceID: row.TraceID{1, byte(p), byte(i)}, SpanID: row.SpanID{2, byte(p), byte(i)},
						StartedAt: now(), Duration: 1.5, ServiceName: "service", UserID: fmt.Sprint("user-", i),
					})
				}
				parts = append(parts, newPart(nil, set))
			}
			b.ReportAllocs()
			b.ResetTimer()
			bytes := 0
			for i := 0; i < b.N; i += 1600 {
				body, err := enc.body(column.TableSpan, parts)
				require.NoError(b, err)
				bytes = len(*body)
				enc.releaseBody(body)
			}
			b.ReportMetric(float64(bytes)/1600, "bytes/row")
		})
	}
}
