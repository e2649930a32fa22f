package delivery

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/agenttrail/agenttrail/exporter/column"
	"github.com/agenttrail/agenttrail/exporter/row"
	"github.com/agenttrail/agenttrail/internal/enginetest"
	"github.com/agenttrail/agenttrail/schema"
)

// lateRows counts what an observer is told of rows that are too old.
type lateRows struct {
	noObserver

	mu   sync.Mutex
	rows map[string]int
}

func (l *lateRows) Expired(table column.Table, rows int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rows[table.String()] += rows
}

func TestRowsThatAreOlderThanTheirTableKeepsThemAreTold(t *testing.T) {
	t.Parallel()
	ch := enginetest.ClickHouse(t)
	db := ch.Database(t)
	_, err := schema.MigrateClickHouse(t.Context(), ch.URL, schema.ClickHouseConfig{Database: db, Retention: schema.Retention{"Span": 10, "AgentLog": 20}})
	require.NoError(t, err)
	logs, seen := observer.New(zapcore.WarnLevel)
	late := &lateRows{rows: map[string]int{}}
	w := newTestWriter(t, ch.URL, func(s *Settings) { s.Database, s.Logger, s.Observer = db, zap.New(logs), late })
	ago := func(days int) int64 { return time.Now().AddDate(0, 0, -days).UnixNano() }
	send := func(oldest int) {
		t.Helper()
		b, err := w.Begin(t.Context(), 0)
		require.NoError(t, err)
		b.Span(&row.Span{Name: "old", StartedAt: ago(11)})
		b.Span(&row.Span{Name: "oldest", StartedAt: ago(oldest)})
		b.Span(&row.Span{Name: "new", StartedAt: ago(9)})
		b.Log(&row.Log{Message: "new", Timestamp: ago(19)})
		b.Log(&row.Log{Message: "old", Timestamp: ago(21)})
		require.NoError(t, b.Commit(t.Context()))
	}
	send(12)
	require.Empty(t, late.rows, "nobody has asked for how long they are kept")

	require.NoError(t, w.ReadRetention(t.Context()))
	for table, at := range w.retention.cutoffs(time.Now()) {
		require.Positive(t, at, column.Table(table))
	}
	send(13)
	send(14)
	require.Equal(t, map[string]int{"Span": 4, "AgentLog": 2}, late.rows)
	told := seen.FilterMessageSnippet("Rows are older than their table keeps rows").All()
	require.Len(t, told, 2, "each table once")
	for _, entry := range told {
		got := entry.ContextMap()
		if got["table"] == "Span" {
			require.WithinDuration(t, time.Now().AddDate(0, 0, -13), got["oldest"].(time.Time), time.Hour)
			delete(got, "oldest")
			require.Equal(t, map[string]any{"table": "Span", "days": int64(10), "rows": int64(2)}, got)
			require.Contains(t, entry.Message, "agenttrail migrate clickhouse --retention Span=DAYS")
		}
	}

	// What is kept for longer from now on, or for ever, is not too old.
	_, err = schema.MigrateClickHouse(t.Context(), ch.URL, schema.ClickHouseConfig{Database: db, Retention: schema.Retention{"Span": 100}})
	require.NoError(t, err)
	ch.Exec(t, "ALTER TABLE "+db+".AgentLog REMOVE TTL")
	require.NoError(t, w.ReadRetention(t.Context()))
	send(15)
	require.Equal(t, map[string]int{"Span": 4, "AgentLog": 2}, late.rows)
}

func TestRetentionOfAClusterIsThatOfItsLocalTables(t *testing.T) {
	t.Parallel()
	ch := enginetest.ClickHouse(t)
	db := ch.Database(t)
	ch.Exec(t, "CREATE TABLE "+db+".SpanLocal (startedAt DateTime64(9, 'UTC')) ENGINE = MergeTree ORDER BY startedAt TTL toDateTime(startedAt) + toIntervalDay(7)")
	ch.Exec(t, "CREATE TABLE "+db+".Span AS "+db+".SpanLocal ENGINE = Merge('"+db+"', '^SpanLocal$')")
	w := newTestWriter(t, ch.URL, func(s *Settings) { s.Database = db })
	require.NoError(t, w.ReadRetention(t.Context()))
	at := time.Now()
	cutoffs := w.retention.cutoffs(at)
	require.Equal(t, at.Add(-7*24*time.Hour).UnixNano(), cutoffs[column.TableSpan])
	require.Zero(t, cutoffs[column.TableAgentLog], "there is no such table")
}

func TestOldRowsAreToldOnceInAWhile(t *testing.T) {
	t.Parallel()
	logs, seen := observer.New(zapcore.WarnLevel)
	r := &retention{logger: zap.New(logs)}
	at := time.Now()
	r.note(at, column.TableSpan, expired{rows: 1, oldest: 5})
	r.note(at.Add(time.Minute), column.TableSpan, expired{rows: 2, oldest: 4})
	r.note(at.Add(2*time.Minute), column.TableSpan, expired{rows: 4, oldest: 6})
	require.Equal(t, 1, seen.Len())
	r.note(at.Add(11*time.Minute), column.TableSpan, expired{rows: 8, oldest: 7})
	require.Equal(t, 2, seen.Len())
	require.Equal(t, map[string]any{"table": "Span", "days": int64(0), "rows": int64(14), "oldest": time.Unix(0, 4).UTC()}, seen.All()[1].ContextMap())
}
