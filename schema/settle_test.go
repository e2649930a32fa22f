package schema_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/internal/enginetest"
	"github.com/agenttrail/agenttrail/schema"
)

// TestSettledDays reads a day that was settled, before and after runs are added to it and after they are settled too.
func TestSettledDays(t *testing.T) {
	t.Parallel()
	ch := enginetest.ClickHouse(t)
	db := ch.Database(t)
	_, err := schema.MigrateClickHouse(t.Context(), ch.URL, schema.ClickHouseConfig{Database: db, Retention: schema.LongRetention})
	require.NoError(t, err)
	insert := func(values string) {
		ch.Exec(t, "INSERT INTO "+db+".AgentExecution (id, agentId, userId, status, errorCode, startedAt, duration, cost, ingestedAt) VALUES "+values)
	}
	const stored = ", '2026-02-03 00:00:00'"
	read := func(agent string) string {
		return strings.TrimSpace(ch.Exec(t, "SELECT totalExecutions, minDuration, maxDuration, round(p99Duration), uniqueUsers, totalCost, errorCounts FROM "+db+".AgentMetrics WHERE agentId = '"+agent+"' AND period = 'day'"))
	}
	insert("('a', 'x', 'u1', 'success', '', '2026-02-02 10:00:00', 100, 1" + stored + "), ('b', 'x', 'u2', 'error', 'full', '2026-02-02 11:00:00', 100, 2" + stored + ")")
	// Runs that have just been stored may be followed by more: an hour ahead of the clock, they still are when this test is slow.
	insert("('c', 'y', 'u1', 'success', '', '2026-02-02 10:00:00', 100, 1, now64(3) + toIntervalHour(1))")

	const two = "2\t100\t100\t100\t2\t3\t{\"full\":1}"
	require.Equal(t, two, read("x"))
	settleDays(t, ch, db)
	require.Equal(t, "1", unsettledDays(t, ch, db), "only y, which is not quiet")
	require.Equal(t, two, read("x"))
	require.Equal(t, "1\t100\t100\t100\t1\t1\t{}", read("y"))

	// The settled row is what is read: another one, of the same runs, shows.
	ch.Exec(t, "INSERT INTO "+db+".AgentMetricsDaily (agentId, periodStart, minDuration, settled) SELECT agentId, periodStart, inf, (now64(3, 'UTC'), sum(fingerprint), 7, 7, 7, 7, '{}') FROM "+db+".AgentMetricsDaily WHERE agentId = 'x' GROUP BY agentId, periodStart")
	require.Equal(t, "2\t100\t100\t7\t7\t3\t{}", read("x"))

	insert("('d', 'x', 'u3', 'timeout', '', '2026-02-02 12:00:00', 100, 4" + stored + ")")
	const three = "3\t100\t100\t100\t3\t7\t{\"full\":1,\"timeout\":1}"
	require.Equal(t, three, read("x"), "a late run counts at once, with all before it")
	ch.Exec(t, "OPTIMIZE TABLE "+db+".AgentMetricsDaily FINAL")
	require.Equal(t, three, read("x"))
	settleDays(t, ch, db)
	require.Equal(t, "1", unsettledDays(t, ch, db))
	require.Equal(t, three, read("x"))
	ch.Exec(t, "OPTIMIZE TABLE "+db+".AgentMetricsDaily FINAL")
	require.Equal(t, three, read("x"))
	require.Equal(t, "1\n", ch.Exec(t, "SELECT count() FROM "+db+".AgentMetricsDaily WHERE agentId = 'x'"))

	settleDays(t, ch, db)
	require.Equal(t, "2\n", ch.Exec(t, "SELECT count() FROM "+db+".AgentMetricsDaily"), "what is settled is not settled again")
}

// TestSettleUnderWrites reads days while runs are added to them and they are settled all the time: each answer is of one
// moment.
func TestSettleUnderWrites(t *testing.T) {
	t.Parallel()
	ch := enginetest.ClickHouse(t)
	db := ch.Database(t)
	_, err := schema.MigrateClickHouse(t.Context(), ch.URL, schema.ClickHouseConfig{Database: db, Retention: schema.LongRetention})
	require.NoError(t, err)

	const blocks = 30
	done := make(chan struct{})
	var writers sync.WaitGroup
	writers.Go(func() {
		defer close(done)
		for n := range blocks {
			ch.Exec(t, generateRuns(db, 3, 100*n, 100, startOnDay("h(22) % 2")))
		}
	})
	writers.Go(func() {
		for running := true; running; {
			select {
			case <-done:
				running = false
			default:
			}
			settleDays(t, ch, db)
		}
	})
	var reads, wrong int
	for running := true; running; reads++ {
		select {
		case <-done:
			running = false
		default:
		}
		answer := strings.TrimSpace(ch.Exec(t, `SELECT countIf(NOT (arraySum(mapValues(JSONExtract(errorCounts, 'Map(String, UInt64)'))) = totalExecutions - successfulExecutions
			AND p50Duration <= p95Duration AND p95Duration <= p99Duration AND uniqueUsers BETWEEN 1 AND totalExecutions)) FROM `+db+`.AgentMetrics WHERE period = 'day'`))
		if answer != "0" {
			wrong++
		}
	}
	writers.Wait()
	require.Zero(t, wrong, "of %d answers", reads)
	require.Equal(t, "0", unsettledDays(t, ch, db))
	require.Empty(t, onlyInOne(t, ch, metricsFromRuns(db, "day", periodOfLength(86400), "true"), metricsFrom(db+".AgentMetrics WHERE period = 'day'")))
	require.NotEqual(t, "0\n", ch.Exec(t, "SELECT count() FROM "+db+".AgentMetrics WHERE period = 'day'"))
}
