package schema_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/internal/enginetest"
	"github.com/agenttrail/agenttrail/schema"
)

func TestMigrateClickHouse(t *testing.T) {
	t.Parallel()
	ch := enginetest.ClickHouse(t)
	cfg := schema.ClickHouseConfig{Database: ch.Database(t)}

	pending, err := schema.PendingClickHouse(t.Context(), ch.URL, cfg)
	require.NoError(t, err)
	applied, err := schema.MigrateClickHouse(t.Context(), ch.URL, cfg)
	require.NoError(t, err)
	require.Len(t, applied, len(pending)+1, "all migrations and the prices")
	require.Contains(t, applied[len(pending)], "prices ")

	again, err := schema.MigrateClickHouse(t.Context(), ch.URL, cfg)
	require.NoError(t, err)
	require.Empty(t, again, "a second run has nothing to do")

	t.Run("EveryTableIsThere", func(t *testing.T) {
		t.Parallel()
		tables := ch.Exec(t, "SELECT name FROM system.tables WHERE database = '"+cfg.Database+"' ORDER BY name")
		for _, name := range []string{"AgentExecution", "AgentLog", "AgentMetrics", "AgentMetricsDaily", "AgentMetricsHourly", "AgentMetricsTotal", "ExecutionTrail", "RequestLog", "SecurityEvents", "Span", "SystemErrors", "SystemMetrics"} {
			require.Contains(t, strings.Split(tables, "\n"), name)
		}
	})
	t.Run("EveryColumnSaysWhatItMeans", func(t *testing.T) {
		t.Parallel()
		silent := ch.Exec(t, `SELECT table, name FROM system.columns INNER JOIN system.tables AS t ON t.database = columns.database AND t.name = columns.table
			WHERE columns.database = '`+cfg.Database+`' AND t.engine LIKE '%MergeTree' AND columns.comment = ''`)
		require.Empty(t, strings.TrimSpace(silent))
	})
	t.Run("CutShortRunsAgain", func(t *testing.T) {
		t.Parallel()
		ch.Exec(t, "ALTER TABLE "+cfg.Database+".SchemaMigration DELETE WHERE version = 2 SETTINGS mutations_sync = 2")
		applied, err := schema.MigrateClickHouse(t.Context(), ch.URL, cfg)
		require.NoError(t, err)
		require.Equal(t, []string{"0002_create_agent_metrics.sql"}, applied)
	})
}

func TestMigrateClickHouseRefuses(t *testing.T) {
	t.Parallel()
	ch := enginetest.ClickHouse(t)

	t.Run("ChangedMigration", func(t *testing.T) {
		t.Parallel()
		cfg := schema.ClickHouseConfig{Database: ch.Database(t)}
		_, err := schema.MigrateClickHouse(t.Context(), ch.URL, cfg)
		require.NoError(t, err)
		ch.Exec(t, "ALTER TABLE "+cfg.Database+".SchemaMigration UPDATE checksum = 'other' WHERE version = 1 SETTINGS mutations_sync = 2")
		_, err = schema.MigrateClickHouse(t.Context(), ch.URL, cfg)
		require.ErrorContains(t, err, "0001_create_telemetry_tables.sql differs")
	})
	t.Run("NewerSchema", func(t *testing.T) {
		t.Parallel()
		cfg := schema.ClickHouseConfig{Database: ch.Database(t)}
		_, err := schema.MigrateClickHouse(t.Context(), ch.URL, cfg)
		require.NoError(t, err)
		ch.Exec(t, "INSERT INTO "+cfg.Database+".SchemaMigration (version, name) VALUES (9999, 'later.sql')")
		_, err = schema.MigrateClickHouse(t.Context(), ch.URL, cfg)
		require.ErrorContains(t, err, "newer release")
	})
	t.Run("DatabaseName", func(t *testing.T) {
		t.Parallel()
		_, err := schema.MigrateClickHouse(t.Context(), ch.URL, schema.ClickHouseConfig{Database: "a; DROP TABLE b"})
		require.ErrorContains(t, err, "not a plain identifier")
	})
	t.Run("NativeProtocol", func(t *testing.T) {
		t.Parallel()
		_, err := schema.MigrateClickHouse(t.Context(), "clickhouse://127.0.0.1:9000", schema.ClickHouseConfig{})
		require.ErrorContains(t, err, "must start with http://")
	})
}

// TestAgentMetrics inserts runs out of order, in several blocks, and compares the view with hand-counted figures.
func TestAgentMetrics(t *testing.T) {
	t.Parallel()
	ch := enginetest.ClickHouse(t)
	db := ch.Database(t)
	_, err := schema.MigrateClickHouse(t.Context(), ch.URL, schema.ClickHouseConfig{Database: db, Retention: schema.LongRetention})
	require.NoError(t, err)
	insert := "INSERT INTO " + db + ".AgentExecution (id, agentId, userId, status, errorCode, startedAt, duration, creditsConsumed, cost, inputTokens) VALUES "
	ch.Exec(t, insert+`
		('a', 'x', 'u1', 'success', '', '2026-11-02 10:59:59.999999999', 100, 1.5, 0.25, 10),
		('b', 'x', 'u2', 'timeout', 'TimeoutError', '2026-11-02 10:00:00', 300, 0, NULL, 20)`)
	ch.Exec(t, insert+`
		('c', 'x', 'u1', 'error', '', '2026-11-02 10:30:00', 200, 2.000001, 0.5, 30),
		('d', 'x', '', 'failed', 'refused', '2026-11-02 23:59:59', 50, 0, NULL, 0),
		('e', 'y', 'u1', 'success', '', '2026-11-01 10:00:00', 7, 0, NULL, 0)`)

	columns := "totalExecutions, successfulExecutions, failedExecutions, timeouts, avgDuration, minDuration, maxDuration, uniqueUsers, totalCreditsConsumed, totalCost, inputTokens, errorCounts"
	read := func(agent, period string) string {
		return strings.TrimSpace(ch.Exec(t, "SELECT "+columns+" FROM "+db+".AgentMetrics WHERE agentId = '"+agent+"' AND period = '"+period+"' ORDER BY periodStart"))
	}
	require.Equal(t, strings.Join([]string{
		"3\t1\t1\t1\t200\t100\t300\t2\t3.500001\t0.75\t60\t" + `{"TimeoutError":1,"error":1}`,
		"1\t0\t1\t0\t50\t50\t50\t0\t0\t0\t0\t" + `{"refused":1}`,
	}, "\n"), read("x", "hour"))
	require.Equal(t, "4\t1\t2\t1\t162.5\t50\t300\t2\t3.500001\t0.75\t60\t"+`{"TimeoutError":1,"error":1,"refused":1}`, read("x", "day"))
	require.Equal(t, "1\t1\t0\t0\t7\t7\t7\t1\t0\t0\t0\t{}", read("y", "day"))
}

// TestExecutionTrail checks what belongs to a run: what names it, and what names no run but shares its trace.
func TestExecutionTrail(t *testing.T) {
	t.Parallel()
	ch := enginetest.ClickHouse(t)
	db := ch.Database(t)
	_, err := schema.MigrateClickHouse(t.Context(), ch.URL, schema.ClickHouseConfig{Database: db, Retention: schema.LongRetention})
	require.NoError(t, err)
	const at = "'2026-11-02 10:00:00'"
	ch.Exec(t, "INSERT INTO "+db+".AgentExecution (id, traceId, parentExecutionId, status, startedAt) VALUES ('r1', 't1', '', 'success', "+at+"), ('r2', 't1', 'r1', 'error', "+at+"), ('r3', 't1', '', 'success', "+at+"), ('r4', '', '', 'success', "+at+")")
	ch.Exec(t, "INSERT INTO "+db+".AgentLog (id, executionId, traceId, message, category, level, timestamp) VALUES (generateUUIDv4(), 'r1', '', 'named', 'execution', 'info', "+at+"), (generateUUIDv4(), '', 't1', 'by trace', 'execution', 'info', "+at+"), (generateUUIDv4(), 'r3', 't1', 'of another run', 'execution', 'info', "+at+"), (generateUUIDv4(), '', '', 'of nobody', 'execution', 'info', "+at+")")
	ch.Exec(t, "INSERT INTO "+db+".RequestLog (id, traceId, method, path, timestamp) VALUES (generateUUIDv4(), 't1', 'POST', '/run', "+at+")")
	trail := func(id string) string {
		return strings.TrimSpace(ch.Exec(t, "SELECT source, if(source = 'log', message, name || recordId) FROM "+db+".ExecutionTrail(id = '"+id+"') WHERE source != 'request' ORDER BY ALL"))
	}
	require.Equal(t, "execution\tr1\nexecution\tr2\nlog\tby trace\nlog\tnamed", trail("r1"))
	require.Equal(t, "execution\tr4", trail("r4"), "a run without a trace takes nothing that has none either")
	require.Equal(t, "POST /run", strings.TrimSpace(ch.Exec(t, "SELECT name FROM "+db+".ExecutionTrail(id = 'r3') WHERE source = 'request'")))
}
