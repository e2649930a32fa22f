package schema_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/internal/enginetest"
	"github.com/agenttrail/agenttrail/schema"
)

// TestCluster reads what would run on a cluster: the engine's own parser takes every statement, and the tables are
// what the exporter and the views expect.
func TestCluster(t *testing.T) {
	t.Parallel()
	ch := enginetest.ClickHouse(t)
	migrations, err := schema.ClickHouseMigrations(schema.ClickHouseConfig{Database: "trail", Cluster: "prod-1"})
	require.NoError(t, err)

	var all []string
	for _, m := range migrations {
		for _, s := range m.Statements {
			require.NotEmpty(t, ch.Exec(t, "SELECT formatQuery({s:String})", "param_s", escapeParam(s)), "%s: %s", m.Name, s)
			require.NotContains(t, s, "${")
			if !strings.Contains(s, "INSERT INTO") {
				require.Contains(t, s, "ON CLUSTER 'prod-1'", "%s: %s", m.Name, s)
			}
			all = append(all, s)
		}
	}
	text := strings.Join(all, ";\n")

	// Every table that holds rows is replicated under a path of its own, and has a Distributed table to read and write.
	local := regexp.MustCompile(`CREATE TABLE IF NOT EXISTS trail\.(\w+)Local `).FindAllStringSubmatch(text, -1)
	require.Len(t, local, 13)
	for _, l := range local {
		require.Contains(t, text, "MergeTree('/clickhouse/tables/{shard}/trail/"+l[1]+"Local', '{replica}'")
		require.Contains(t, text, "CREATE TABLE IF NOT EXISTS trail."+l[1]+" ON CLUSTER 'prod-1' AS trail."+l[1]+"Local\nENGINE = Distributed('prod-1', 'trail', '"+l[1]+"Local', cityHash64(")
	}
	require.NotRegexp(t, `ENGINE = \w*MergeTree\n`, text, "no table is for one server only")
	require.NotContains(t, text, "non_replicated")
	// Materialized views work where rows arrive; other views read all shards.
	for _, s := range all {
		switch {
		case strings.Contains(s, " REFRESH EVERY "):
			require.NotContains(t, s, "Local", "it works on the states of all shards")
			require.NotRegexp(t, `[^L] IN \(`, s, "a subquery goes to every shard")
		case strings.Contains(s, "CREATE MATERIALIZED VIEW"):
			require.Regexp(t, `TO trail\.\w+Local AS`, s)
			require.Regexp(t, `FROM trail\.AgentExecutionLocal\b`, s)
		case strings.Contains(s, "CREATE VIEW"):
			require.NotContains(t, s, "Local", s)
			require.NotRegexp(t, `[^L] (IN \(SELECT|(INNER|LEFT) JOIN)`, s, "a subquery goes to every shard")
		}
	}

	for _, name := range []string{"{cluster}", "a_b.c-1"} {
		_, err := schema.ClickHouseMigrations(schema.ClickHouseConfig{Cluster: name})
		require.NoError(t, err)
	}
	_, err = schema.ClickHouseMigrations(schema.ClickHouseConfig{Cluster: "x' SYNC; DROP"})
	require.ErrorContains(t, err, "cluster name")
}

// escapeParam writes text as the value of a query parameter.
func escapeParam(s string) string {
	return strings.NewReplacer(`\`, `\\`, "\t", `\t`, "\n", `\n`).Replace(s)
}

// TestDistributed runs what a cluster would, with Merge tables, which only read, in place of Distributed ones.
func TestDistributed(t *testing.T) {
	t.Parallel()
	ch := enginetest.ClickHouse(t)
	db := ch.Database(t)
	migrations, err := schema.ClickHouseMigrations(schema.ClickHouseConfig{Database: db, Retention: schema.LongRetention, Cluster: "c"})
	require.NoError(t, err)
	replicated := regexp.MustCompile(`Replicated(\w*MergeTree)\('[^']*', '[^']*'(?:, (\w+))?\)`)
	settings := regexp.MustCompile(`, replicated_deduplication_window\w* = \d+`)
	distributed := regexp.MustCompile(`ENGINE = Distributed\('c', '(\w+)', '(\w+)', .*\)$`)
	for _, m := range migrations {
		for _, s := range m.Statements {
			s = strings.ReplaceAll(s, "ON CLUSTER 'c'", "")
			s = replicated.ReplaceAllString(s, "$1($2)")
			s = settings.ReplaceAllString(s, "")
			s = distributed.ReplaceAllString(s, "ENGINE = Merge('$1', '^$2$$')")
			s = strings.Replace(s, "INSERT INTO "+db+".UserAgentUsageDaily ", "INSERT INTO "+db+".UserAgentUsageDailyLocal ", 1)
			ch.Exec(t, s)
		}
	}
	ch.Exec(t, "INSERT INTO "+db+".AgentExecutionLocal (id, traceId, agentId, userId, status, startedAt) VALUES ('r', 't', 'x', 'u', 'success', '2026-11-02 10:00:00')")
	for _, view := range []string{"AgentExecution", "AgentMetrics WHERE period = 'day'", "UserAgentUsage", "ExecutionDetail WHERE id = 'r'", "ExecutionTrail(id = 'r')"} {
		require.Equal(t, "1\n", ch.Exec(t, "SELECT count() FROM "+db+"."+view), view)
	}
	require.Equal(t, "\n", ch.Exec(t, "SELECT priceVersion FROM "+db+".AgentExecution"))
}
