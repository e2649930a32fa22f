package schema

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/internal/enginetest"
)

// TestUpgrade starts from the first release's schema with rows in it.
func TestUpgrade(t *testing.T) { //nolint:tparallel // The part goes on from the rest.
	t.Parallel()
	ch := enginetest.ClickHouse(t)
	cfg := ClickHouseConfig{Database: ch.Database(t), Retention: LongRetention}
	db := cfg.Database
	applied, err := migrateClickHouse(t.Context(), ch.URL, cfg, 3)
	require.NoError(t, err)
	require.Len(t, applied, 3)

	ch.Exec(t, "INSERT INTO "+db+".AgentExecution (id, traceId, agentId, userId, status, startedAt, creditsConsumed, cost, ingestedAt) VALUES "+`
		('a', 't1', 'x', 'u1', 'success', '2026-11-02 23:59:59.999999999', 1.5, 0.25, now64(3)),
		('b', 't1', 'x', 'u1', 'error', '2026-11-02 22:00:00', 0.5, NULL, now64(3)),
		('c', '', 'x', 'u1', 'success', '2026-11-03 00:00:00', 2, NULL, now64(3)),
		('d', '', 'x', '', 'success', '2026-11-03 00:00:00', 4, NULL, now64(3))`)
	ch.Exec(t, "INSERT INTO "+db+".Span (traceId, spanId, startedAt) VALUES ('t1', 's', '2026-11-02 23:00:00')")
	ch.Exec(t, "INSERT INTO "+db+".AgentLog (id, traceId, timestamp) VALUES (generateUUIDv4(), 't1', '2026-11-02 23:00:00')")
	ch.Exec(t, "INSERT INTO "+db+".SystemErrors (id, fingerprint, timestamp) VALUES (generateUUIDv4(), 7, '2026-11-02 23:00:00')")

	applied, err = MigrateClickHouse(t.Context(), ch.URL, cfg)
	require.NoError(t, err)
	require.Contains(t, applied, "0005_create_usage_and_error_groups.sql")
	again, err := MigrateClickHouse(t.Context(), ch.URL, cfg)
	require.NoError(t, err)
	require.Empty(t, again)

	for table, rows := range map[string]int{"AgentExecution": 4, "Span": 1, "AgentLog": 1, "SystemErrors": 1, "SystemErrorGroups": 1, "ExecutionDetail": 4} {
		require.Equal(t, fmt.Sprintln(rows), ch.Exec(t, "SELECT count() FROM "+db+"."+table), table)
	}
	require.Equal(t, "0.25\t\n\\N\t\n", ch.Exec(t, "SELECT cost, priceVersion FROM "+db+".AgentExecution WHERE traceId = 't1' ORDER BY id"))

	// Runs from before and after the upgrade count once each.
	ch.Exec(t, "INSERT INTO "+db+".AgentExecution (id, agentId, userId, status, startedAt, creditsConsumed) VALUES ('e', 'x', 'u1', 'success', '2026-11-02 22:30:00', 0.000001)")
	usage := func() string {
		return ch.Exec(t, "SELECT userId, agentId, day, totalExecutions, successfulExecutions, creditsConsumed, preferredTimeOfDay, lastUsedAt FROM "+db+".UserAgentUsage ORDER BY day")
	}
	want := "u1\tx\t2026-11-02\t3\t2\t2.000001\t22\t2026-11-02 23:59:59.999999999\n" +
		"u1\tx\t2026-11-03\t1\t1\t2\t0\t2026-11-03 00:00:00.000000000\n"
	require.Equal(t, want, usage())

	t.Run("CutShortInTheMiddle", func(t *testing.T) {
		// One key of the backfill is there and one is not, and the migration was not recorded.
		ch.Exec(t, "ALTER TABLE "+db+".UserAgentUsageDaily DELETE WHERE backfilled AND day = '2026-11-03' SETTINGS mutations_sync = 2")
		ch.Exec(t, "ALTER TABLE "+db+".SchemaMigration DELETE WHERE version = 5 SETTINGS mutations_sync = 2")
		require.NotEqual(t, want, usage())
		applied, err := MigrateClickHouse(t.Context(), ch.URL, cfg)
		require.NoError(t, err)
		require.Equal(t, []string{"0005_create_usage_and_error_groups.sql"}, applied)
		require.Equal(t, want, usage())
	})
}

// TestUpgradeUnderWrites counts every run once although runs are stored all the while.
func TestUpgradeUnderWrites(t *testing.T) {
	t.Parallel()
	ch := enginetest.ClickHouse(t)
	cfg := ClickHouseConfig{Database: ch.Database(t), Retention: LongRetention}
	_, err := migrateClickHouse(t.Context(), ch.URL, cfg, 4)
	require.NoError(t, err)
	conn := ch.Conn(t, cfg.Database)

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var writers sync.WaitGroup
	for w := range 2 {
		writers.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				err := conn.Exec(t.Context(), fmt.Sprintf("INSERT INTO AgentExecution (id, agentId, userId, status, startedAt) VALUES ('%d-%d', 'x', 'u%d', 'success', '2026-11-02 10:00:00')", w, n, n%3))
				if err != nil {
					t.Errorf("insert: %v", err)
					return
				}
				time.Sleep(20 * time.Millisecond) // The rate of a busy service; nothing is waited for.
			}
		})
	}
	_, err = MigrateClickHouse(t.Context(), ch.URL, cfg)
	require.NoError(t, err)
	stop()
	writers.Wait()

	stored := strings.TrimSpace(ch.Exec(t, "SELECT count() FROM "+cfg.Database+".AgentExecution"))
	counted := strings.TrimSpace(ch.Exec(t, "SELECT sum(totalExecutions) FROM "+cfg.Database+".UserAgentUsage"))
	require.Equal(t, stored, counted)
	byWhom := ch.Exec(t, "SELECT uniqExact(backfilled) FROM "+cfg.Database+".UserAgentUsageDaily")
	require.Equal(t, "2\n", byWhom, "both the view and the backfill had rows to count, else this tests nothing")
}
