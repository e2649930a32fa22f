package schema_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/internal/enginetest"
	"github.com/agenttrail/agenttrail/schema"
)

func TestParseRetention(t *testing.T) {
	t.Parallel()
	f := func(text string, want schema.Retention) {
		t.Helper()
		got, err := schema.ParseRetention(text)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	f("", schema.Retention{})
	f("AgentLog=30", schema.Retention{"AgentLog": 30})
	f(" AgentLog=30, Span = 14,", schema.Retention{"AgentLog": 30, "Span": 14})
	refuse := func(text, want string) {
		t.Helper()
		_, err := schema.ParseRetention(text)
		require.ErrorContains(t, err, want)
	}
	refuse("AgentLog", "such as AgentLog=30")
	refuse("AgentLog=a month", "such as AgentLog=30")
	refuse("AgentLog=30,AgentLog=31", "named twice")
	refuse("AgentLog=0", "outside 1 to 18250")
	refuse("AgentLog=-1", "outside")
	refuse("AgentLogs=3", "those with a retention are AgentExecution, AgentLog")
}

// TestRetention changes how long logs are kept, and sees whole partitions go.
func TestRetention(t *testing.T) {
	t.Parallel()
	ch := enginetest.ClickHouse(t)
	db := ch.Database(t)
	_, err := schema.MigrateClickHouse(t.Context(), ch.URL, schema.ClickHouseConfig{Database: db, Retention: schema.Retention{"SecurityEvents": 7}})
	require.NoError(t, err)
	ttl := func(table string) string {
		_, rest, _ := strings.Cut(ch.Exec(t, "SELECT create_table_query FROM system.tables WHERE database = '"+db+"' AND name = '"+table+"'"), " TTL ")
		ttl, _, _ := strings.Cut(rest, " SETTINGS")
		return ttl
	}
	require.Equal(t, "toDateTime(timestamp) + toIntervalDay(7)", ttl("SecurityEvents"))
	require.Equal(t, "toDateTime(timestamp) + toIntervalDay(90)", ttl("AgentLog"))
	require.Equal(t, "toDateTime(startedAt) + toIntervalDay(30)", ttl("Span"))
	require.Equal(t, "day + toIntervalDay(1825)", ttl("UserAgentUsageDaily"))

	// Two days that are beyond 30 days, in three parts, and one that is not.
	ch.Exec(t, "ALTER TABLE "+db+".AgentLog MODIFY SETTING min_bytes_for_wide_part = 0, min_rows_for_wide_part = 0, old_parts_lifetime = 3600")
	today := time.Now().UTC().Truncate(24 * time.Hour)
	for _, age := range []int{40, 40, 35, 20} {
		at := today.AddDate(0, 0, -age).Format(time.DateOnly)
		ch.Exec(t, fmt.Sprintf("INSERT INTO %s.AgentLog (id, timestamp, message) SELECT generateUUIDv4(), toDateTime64('%s 10:00:00', 9), 'x' FROM numbers(10)", db, at))
	}
	parts := func() string {
		return ch.Exec(t, "SELECT partition, count(), sum(rows) FROM system.parts WHERE database = '"+db+"' AND table = 'AgentLog' AND active AND rows > 0 GROUP BY partition ORDER BY partition")
	}
	day := func(age int) string { return today.AddDate(0, 0, -age).Format(time.DateOnly) }
	require.Equal(t, day(40)+"\t2\t20\n"+day(35)+"\t1\t10\n"+day(20)+"\t1\t10\n", parts())
	// The file with the messages of the part that stays.
	messages := func() os.FileInfo {
		path := ch.Exec(t, "SELECT path FROM system.parts WHERE database = '"+db+"' AND table = 'AgentLog' AND active AND partition = '"+day(20)+"'")
		info, err := os.Stat(filepath.Join(strings.TrimSpace(path), "message.bin"))
		require.NoError(t, err)
		return info
	}
	before := messages()

	cfg := schema.ClickHouseConfig{Database: db, Retention: schema.Retention{"AgentLog": 30, "UserAgentUsage": 100, "SecurityEvents": 7}}
	pending, err := schema.PendingClickHouse(t.Context(), ch.URL, cfg)
	require.NoError(t, err)
	require.Len(t, pending, 1)
	require.Len(t, pending[0].Statements, 4, "SecurityEvents has that retention already")
	applied, err := schema.MigrateClickHouse(t.Context(), ch.URL, cfg)
	require.NoError(t, err)
	require.Equal(t, pending[0].Statements, applied)
	require.Equal(t, "toDateTime(timestamp) + toIntervalDay(30)", ttl("AgentLog"))
	require.Equal(t, "day + toIntervalDay(100)", ttl("UserAgentUsageDaily"))
	again, err := schema.MigrateClickHouse(t.Context(), ch.URL, cfg)
	require.NoError(t, err)
	require.Empty(t, again)
	kept, err := schema.MigrateClickHouse(t.Context(), ch.URL, schema.ClickHouseConfig{Database: db})
	require.NoError(t, err)
	require.Empty(t, kept, "a table that is not named keeps its retention")

	require.Eventually(t, func() bool {
		ch.Exec(t, "OPTIMIZE TABLE "+db+".AgentLog")
		return parts() == day(20)+"\t1\t10\n"
	}, 3*time.Minute, 200*time.Millisecond, "expired parts are dropped whole, the other one stays")
	require.True(t, os.SameFile(before, messages()), "what stays is not written anew")
}
