package schema_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/internal/enginetest"
	"github.com/agenttrail/agenttrail/schema"
)

// TestAgentMetricsTotal compares every column with the runs of the hours that begin in a span.
func TestAgentMetricsTotal(t *testing.T) {
	t.Parallel()
	ch := enginetest.ClickHouse(t)
	db := ch.Database(t)
	_, err := schema.MigrateClickHouse(t.Context(), ch.URL, schema.ClickHouseConfig{Database: db, Retention: schema.LongRetention})
	require.NoError(t, err)
	for i := range 10 { // Days in disorder, some of them settled.
		ch.Exec(t, generateRuns(db, 20, 2000*i, 2000, startOnDay(fmt.Sprint(i*3%10)+" + 10")))
		if i == 4 {
			settleDays(t, ch, db)
			ch.Exec(t, "OPTIMIZE TABLE "+db+".AgentMetricsDaily FINAL")
		}
	}
	ch.Exec(t, generateRuns(db, 20, 20000, 2000, startOnDay("10 + h(22) % 10")))

	for name, c := range map[string]struct{ from, to, first, end string }{
		"Everything":                {"2025-12-01 00:00:00", "2026-02-01 00:00:00", "2025-12-01 00:00:00", "2026-02-01 00:00:00"},
		"WholeDays":                 {"2025-12-27 00:00:00", "2026-01-03 00:00:00", "2025-12-27 00:00:00", "2026-01-03 00:00:00"},
		"OneDay":                    {"2025-12-31 00:00:00", "2026-01-01 00:00:00", "2025-12-31 00:00:00", "2026-01-01 00:00:00"},
		"HoursAtBothEnds":           {"2025-12-27 05:00:00", "2026-01-02 22:00:00", "2025-12-27 05:00:00", "2026-01-02 22:00:00"},
		"LastHourOfADayAndFirst":    {"2025-12-30 23:00:00", "2026-01-01 01:00:00", "2025-12-30 23:00:00", "2026-01-01 01:00:00"},
		"HoursOfOneDay":             {"2025-12-28 05:00:00", "2025-12-28 06:00:00", "2025-12-28 05:00:00", "2025-12-28 06:00:00"},
		"AcrossMidnight":            {"2025-12-31 20:00:00", "2026-01-01 04:00:00", "2025-12-31 20:00:00", "2026-01-01 04:00:00"},
		"FromTheMiddleOfAnHour":     {"2025-12-27 05:00:01", "2026-01-02 22:00:01", "2025-12-27 06:00:00", "2026-01-02 23:00:00"},
		"FromTheMiddleOfTheLast":    {"2025-12-27 23:59:59", "2026-01-02 23:00:01", "2025-12-28 00:00:00", "2026-01-03 00:00:00"},
		"NoHourBegins":              {"2025-12-28 05:00:01", "2025-12-28 06:00:00", "2025-12-28 06:00:00", "2025-12-28 06:00:00"},
		"BeforeAllRuns":             {"2024-12-28 05:00:00", "2024-12-30 06:00:00", "2024-12-28 05:00:00", "2024-12-30 06:00:00"},
		"EndBeforeTheBeginning":     {"2026-01-02 00:00:00", "2025-12-28 00:00:00", "2026-01-02 00:00:00", "2026-01-02 00:00:00"},
		"EndBeforeItOnTheSameDay":   {"2026-01-02 20:00:00", "2026-01-02 10:00:00", "2026-01-02 20:00:00", "2026-01-02 20:00:00"},
		"EndBeforeItInTheSameHour":  {"2026-01-02 20:30:00", "2026-01-02 20:10:00", "2026-01-02 20:30:00", "2026-01-02 20:30:00"},
		"EndBeforeItAcrossMidnight": {"2026-01-02 10:00:00", "2026-01-01 20:00:00", "2026-01-02 20:00:00", "2026-01-02 20:00:00"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := "toUnixTimestamp('" + c.from + "', 'UTC')"
			where := "startedAt >= toDateTime64('" + c.first + "', 9, 'UTC') AND startedAt < toDateTime64('" + c.end + "', 9, 'UTC')"
			total := db + ".AgentMetricsTotal(from = '" + c.from + "', to = '" + c.to + "')"
			require.Empty(t, onlyInOne(t, ch, metricsFromRuns(db, "total", at, where), metricsFrom(total)))
			runs := strings.TrimSpace(ch.Exec(t, "SELECT count() FROM "+db+".AgentExecution WHERE "+where))
			require.Equal(t, runs, strings.TrimSpace(ch.Exec(t, "SELECT sum(totalExecutions) FROM "+total)))
			require.Equal(t, c.first == c.end || name == "BeforeAllRuns", runs == "0", "the case has runs: %s", runs)
		})
	}

	t.Run("SameColumns", func(t *testing.T) {
		t.Parallel()
		columns := func(from string) string {
			return ch.Exec(t, "SELECT * FROM "+from+" LIMIT 1 FORMAT TSVWithNamesAndTypes")
		}
		head := func(text string) []string { return strings.SplitN(text, "\n", 3)[:2] }
		require.Equal(t, head(columns(db+".AgentMetrics WHERE period = 'day'")), head(columns(db+".AgentMetricsTotal(from = '2025-12-01 00:00:00', to = now())")))
	})
}
