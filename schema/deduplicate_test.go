package schema_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/embedded/chserver"
	"github.com/agenttrail/agenttrail/internal/enginetest"
	"github.com/agenttrail/agenttrail/schema"
)

// TestRepeatedBlockAfterRestart stores a block, starts the engine anew and sends the block again, as the exporter does
// when the engine was killed before it answered: nothing may be counted twice, in views as little as in the table. An
// ALTER of a view changes what the engine knows a block by until its next start; see 0010_name_views_anew.sql.
func TestRepeatedBlockAfterRestart(t *testing.T) {
	t.Parallel()
	ch := enginetest.StartClickHouse(t, chserver.Config{})
	const db = "agenttrail"
	_, err := schema.MigrateClickHouse(t.Context(), ch.URL, schema.ClickHouseConfig{Database: db, Retention: schema.LongRetention})
	require.NoError(t, err)
	require.Equal(t, "AgentExecution\n", ch.Exec(t, `SELECT DISTINCT splitByChar('.', extract(create_table_query, 'FROM (agenttrail\\.\\w+)'))[2] FROM system.tables
		WHERE database = 'agenttrail' AND engine = 'MaterializedView' AND NOT match(create_table_query, ' REFRESH ') ORDER BY 1`), "the tables that have views")
	// What a block is known by includes its partition, so it must not be of another day the second time.
	insert := func() {
		ch.Exec(t, `INSERT INTO agenttrail.AgentExecution (id, agentId, userId, status, startedAt, duration, creditsConsumed)
			SELECT toString(number), 'a', toString(number), 'success', toDateTime64('2026-11-02 10:00:00', 9), 100, 1 FROM numbers(10)`,
			"insert_deduplication_token", "block", "insert_deduplicate", "1", "deduplicate_insert", "enable", "deduplicate_blocks_in_dependent_materialized_views", "1")
	}
	requireOnce := func() {
		t.Helper()
		for query, want := range map[string]string{
			"SELECT count() FROM agenttrail.AgentExecution":                                          "10\n",
			"SELECT period, sum(totalExecutions) FROM agenttrail.AgentMetrics GROUP BY 1 ORDER BY 1": "day\t10\nhour\t10\n",
			"SELECT sum(totalExecutions) FROM agenttrail.UserAgentUsageDaily":                        "10\n",
		} {
			require.Equal(t, want, ch.Exec(t, query), query)
		}
	}
	insert()
	requireOnce()
	insert()
	requireOnce()
	ch.Kill()
	ch.Restart(t)
	insert()
	requireOnce()
}
