package coverage_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/coverage"
	"github.com/agenttrail/agenttrail/internal/enginetest"
	"github.com/agenttrail/agenttrail/schema"
)

// answers gives numbers to checks, told apart by a part of their SQL; 10 of 10 to all others.
type answers map[string][2]int64

func (a answers) Measure(_ context.Context, sql string) (total, offenders int64, err error) {
	for part, n := range a {
		if strings.Contains(sql, part) {
			return n[0], n[1], nil
		}
	}
	return 10, 0, nil
}

// TestScores computes the scores of one category by hand.
func TestScores(t *testing.T) {
	t.Parallel()
	card, err := coverage.Measure(t.Context(), coverage.Settings{Database: "trail", Categories: []coverage.Category{coverage.UserActivity, coverage.SystemMonitoring}, ClickHouse: answers{
		"countIf(userId = '')) AS offenders\nFROM trail.AgentExecution": {200, 50}, // runs_have_user, weight 3
		"countIf(sessionId = '')":                            {200, 199}, // runs_have_session, weight 1
		"countIf(userId = '')) AS offenders\nFROM trail.Req": {0, 0},     // requests_have_user has nothing to measure
	}})
	require.NoError(t, err)
	require.Len(t, card.Categories, 2)
	users := card.Categories[0]
	scores := map[string]string{}
	for _, c := range users.Checks {
		scores[c.Check] = coverage.Show(c.Score)
	}
	require.Equal(t, map[string]string{"users_recorded": "10.0", "runs_have_user": "7.5", "runs_have_session": "0.0", "requests_have_user": "–", "user_actions_have_user": "10.0"}, scores)
	// 3 for there being users, 3, 1 and 1; what has nothing to measure does not count.
	require.InDelta(t, (10*3+7.5*3+0.05*1+10*1)/8, *users.Score, 1e-9)
	require.InDelta(t, 10, *card.Categories[1].Score, 0)
	require.InDelta(t, (*users.Score+10)/2, *card.Score, 1e-9)
	var worst []string
	for _, c := range card.Worst() {
		worst = append(worst, c.Check+": "+c.Evidence)
	}
	require.Equal(t, []string{"runs_have_session: 200 runs, 199 without a session", "runs_have_user: 200 runs, 50 without a user"}, worst, "the one that costs most is first")
}

func TestShow(t *testing.T) {
	t.Parallel()
	for want, score := range map[string]float64{"10.0": 10, "9.9": 9.999999, "0.0": 0, "7.4": 7.4, "6.6": 6.6666} {
		require.Equal(t, want, coverage.Show(&score))
	}
	require.Equal(t, "–", coverage.Show(nil))
	for want, n := range map[string]int64{"0": 0, "999": 999, "1,000": 1000, "12,345,678": 12345678} {
		require.Equal(t, want, coverage.Count(n))
	}
}

func TestSettingsThatCannotBeMeant(t *testing.T) {
	t.Parallel()
	for text, s := range map[string]coverage.Settings{
		"plain identifier":                 {Database: "x; DROP", ClickHouse: answers{}},
		"no database to ask":               {Database: "x"},
		"more than 0":                      {Database: "x", ClickHouse: answers{}, Since: -1},
		"choose of execution_tracking, er": {Database: "x", ClickHouse: answers{}, Categories: []coverage.Category{"money"}},
	} {
		_, err := coverage.Measure(t.Context(), s)
		require.ErrorContains(t, err, text)
	}
	_, err := coverage.Measure(t.Context(), coverage.Settings{Database: "x", ClickHouse: answers{"x.AgentExecution": {5, 6}}})
	require.ErrorContains(t, err, "6 of 5 cannot be")
}

// TestChecks looks at the table of checks itself.
func TestChecks(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	categories := map[coverage.Category]int{}
	for _, c := range coverage.Checks() {
		require.Regexp(t, `^[a-z]+(_[a-z]+)+$`, c.Name)
		require.False(t, names[c.Name], "two checks are called %s", c.Name)
		names[c.Name] = true
		categories[c.Category]++
		require.Positive(t, c.Weight, c.Name)
		require.True(t, c.Target > 0 && c.Target <= 1, c.Name)
		for _, text := range []string{c.Requires, c.Of, c.Remedy} {
			require.NotEmpty(t, text, c.Name)
		}
		require.True(t, strings.HasSuffix(c.Requires, "."), c.Name)
		w := coverage.Window{Since: time.Unix(0, 0), Until: time.Unix(86400, 0), Database: "trail"}
		for _, sql := range []string{c.Question(w), c.OffendersQuery(w)} {
			require.NotContains(t, strings.ReplaceAll(sql, "'{}'", ""), "{", "%s has a placeholder that nothing fills", c.Name)
		}
	}
	require.Len(t, categories, len(coverage.Categories()))
	for _, c := range coverage.Categories() {
		require.Positive(t, categories[c], c)
	}
}

// TestNothingRecorded measures databases in which nothing is: that is no full score.
func TestNothingRecorded(t *testing.T) {
	t.Parallel()
	p := &platform{ch: enginetest.ClickHouse(t), url: enginetest.Postgres(t).Database(t)}
	p.database = p.ch.Database(t)
	_, err := schema.MigrateClickHouse(t.Context(), p.ch.URL, schema.ClickHouseConfig{Database: p.database})
	require.NoError(t, err)
	_, err = schema.MigratePostgres(t.Context(), p.url)
	require.NoError(t, err)
	reader, store := p.open(t, p.database), openStore(t, p.url)
	metrics := coverage.NewMetrics(reader)
	require.Empty(t, scrape(t, metrics, ""), "there is no scorecard yet")
	_, ok, err := reader.Coverage(t.Context())
	require.NoError(t, err)
	require.False(t, ok)

	card, err := coverage.Measure(t.Context(), coverage.Settings{ClickHouse: reader, Postgres: store, Database: p.database})
	require.NoError(t, err)
	scores := map[coverage.Category]string{}
	for _, c := range card.Categories {
		scores[c.Category] = coverage.Show(c.Score)
	}
	require.Equal(t, map[coverage.Category]string{
		coverage.ExecutionTracking: "0.0", coverage.UserActivity: "0.0", coverage.FinancialTracking: "0.0", coverage.APIMonitoring: "0.0", coverage.SystemMonitoring: "0.0",
		// Nothing has failed, was refused or changed, so there is nothing that could be missing.
		coverage.ErrorLogging: "–", coverage.ConfigurationChanges: "–", coverage.SecurityEvents: "–",
	}, scores)
	require.Equal(t, "0.0", coverage.Show(card.Score))

	// Without the ledger its checks are skipped, and do not count.
	alone, err := coverage.Measure(t.Context(), coverage.Settings{ClickHouse: reader, Database: p.database, Categories: []coverage.Category{coverage.FinancialTracking}})
	require.NoError(t, err)
	require.Nil(t, alone.Score)
	require.True(t, alone.Categories[0].Checks[0].Skipped)
	require.Contains(t, alone.Categories[0].Checks[0].Evidence, "no Postgres")

	// What is stored comes back as it was, the newest of several.
	older := card
	older.ComputedAt = card.ComputedAt.Add(-time.Hour)
	half := 5.0
	older.Score = &half
	require.NoError(t, reader.PublishCoverage(t.Context(), older))
	require.NoError(t, reader.PublishCoverage(t.Context(), card))
	stored, ok, err := reader.Coverage(t.Context())
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, card, stored)
	before, ok, err := reader.CoverageBefore(t.Context(), card.ComputedAt.Add(-time.Minute))
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, older, before)

	var metered map[string]float64
	require.Eventually(t, func() bool {
		metered = scrape(t, coverage.NewMetrics(reader), "agenttrail_coverage_check_target")
		return len(metered) > 0
	}, time.Minute, 10*time.Millisecond, "the store answers a scrape in its time")
	require.Equal(t, map[string]float64{
		"agenttrail_coverage_score overall": 0, "agenttrail_coverage_score execution_tracking": 0, "agenttrail_coverage_score user_activity": 0,
		"agenttrail_coverage_score financial_tracking": 0, "agenttrail_coverage_score api_monitoring": 0, "agenttrail_coverage_score system_monitoring": 0,
		"agenttrail_coverage_check_ratio execution_tracking runs_recorded": 0, "agenttrail_coverage_check_ratio user_activity users_recorded": 0,
		"agenttrail_coverage_check_ratio financial_tracking transactions_recorded": 0, "agenttrail_coverage_check_ratio api_monitoring requests_recorded": 0,
		"agenttrail_coverage_check_ratio system_monitoring metrics_recorded": 0,
		"agenttrail_coverage_computed_timestamp_seconds":                     float64(card.ComputedAt.UnixMilli()) / 1e3,
	}, metered)
	broken := coverage.NewMetrics(storedError{})
	require.Empty(t, scrape(t, broken, ""), "a store that does not answer breaks no scrape")
}

// scrape gives what a registry reads, by name and labels, but for one metric.
func scrape(t *testing.T, c prometheus.Collector, without string) map[string]float64 {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(c)
	families, err := registry.Gather()
	require.NoError(t, err)
	values := map[string]float64{}
	for _, f := range families {
		if f.GetName() == without {
			continue
		}
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			values[name] = m.GetGauge().GetValue()
		}
	}
	return values
}

type storedError struct{}

func (storedError) Coverage(context.Context) (coverage.Scorecard, bool, error) {
	return coverage.Scorecard{}, false, errors.New("away")
}
