package schema_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/internal/enginetest"
	"github.com/agenttrail/agenttrail/schema"
	"github.com/agenttrail/agenttrail/schema/prices"
)

const ownPrices = `{"version": "own-1", "aliases": {"acme": ["acme.cloud"]}, "prices": [
	{"provider": "acme", "model": "big", "effectiveFrom": "2026-01-01", "input": "3", "output": "15", "cacheRead": "0.3", "cacheWrite": "3.75"},
	{"provider": "acme", "model": "big", "effectiveFrom": "2026-11-02T12:00:00Z", "input": "1", "output": "2"},
	{"provider": "acme", "model": "it's", "effectiveFrom": "2026-01-01", "input": "0.000001", "output": "0"}]}`

func loadPrices(t *testing.T, text string) *schema.Prices {
	t.Helper()
	list, err := prices.Load(strings.NewReader(text))
	require.NoError(t, err)
	return list
}

func TestReprice(t *testing.T) { //nolint:tparallel // Each part goes on from the last.
	t.Parallel()
	ch := enginetest.ClickHouse(t)
	cfg := schema.ClickHouseConfig{Database: ch.Database(t), Retention: schema.LongRetention}
	db := cfg.Database
	_, err := schema.MigrateClickHouse(t.Context(), ch.URL, cfg)
	require.NoError(t, err)
	loaded, err := schema.LoadPrices(t.Context(), ch.URL, cfg, loadPrices(t, ownPrices))
	require.NoError(t, err)
	require.True(t, loaded)

	ch.Exec(t, "INSERT INTO "+db+".AgentExecution (id, agentId, userId, status, startedAt, duration, provider, model, inputTokens, outputTokens, cacheReadTokens, cacheWriteTokens, cost, priceVersion) VALUES "+`
		('known by the emitter',  'x', 'u', 'success', '2026-11-02 10:10:00', 5, 'acme', 'big', 1000, 100, 0, 0, 7, ''),
		('unknown until now',     'x', 'u', 'success', '2026-11-02 10:20:00', 6, 'acme', 'big', 1000, 100, 600, 300, NULL, ''),
		('by an older list',      'x', 'v', 'error',   '2026-11-02 11:59:59.999999999', 7, 'acme.cloud', 'models/big-2026-01-01', 1000000, 0, 0, 0, 9, 'old'),
		('after the price fell',  'x', 'v', 'success', '2026-11-02 12:00:00', 8, 'acme', 'big', 1000000, 1000000, 500000, 0, 9, 'old'),
		('rounds to the next',    'y', 'v', 'success', '2026-11-02 12:00:00', 9, 'acme', 'it''s', 1500, 0, 0, 0, NULL, ''),
		('of another day',        'x', 'v', 'success', '2026-11-03 00:00:00', 1, 'acme', 'big', 1000000, 0, 0, 0, 9, 'old'),
		('no price for it',       'x', 'v', 'success', '2026-11-02 12:00:01', 1, 'acme', 'small', 1000000, 0, 0, 0, 0.5, 'old'),
		('no tokens',             'x', 'v', 'success', '2026-11-02 12:00:01', 1, 'acme', 'big', 0, 0, 0, 0, NULL, '')`)
	ch.Exec(t, "INSERT INTO "+db+".Span (spanId, startedAt, provider, model, inputTokens, outputTokens) VALUES ('s', '2026-11-02 13:00:00', 'acme', 'big', 10, 20)")

	costs := func() string {
		return ch.Exec(t, "SELECT id, cost, priceVersion FROM "+db+".AgentExecution ORDER BY id")
	}
	before := costs()
	r := schema.Repricing{From: time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC), To: time.Date(2026, 11, 3, 0, 0, 0, 0, time.UTC), DryRun: true}
	dry, err := schema.Reprice(t.Context(), ch.URL, cfg, r)
	require.NoError(t, err)
	require.Equal(t, before, costs(), "a dry run changes nothing")
	require.Equal(t, schema.RepriceResult{Version: "own-1", Models: []schema.RepricedModel{
		{Provider: "acme", Model: "big", Priced: true, Runs: 2, Spans: 1, RunsBefore: "9", RunsAfter: "3.003105", SpansBefore: "0", SpansAfter: "0.00005"},
		{Provider: "acme", Model: "it's", Priced: true, Runs: 1, RunsBefore: "0", RunsAfter: "0.000000002", SpansBefore: "0", SpansAfter: "0"},
		{Provider: "acme", Model: "small", Runs: 1, RunsBefore: "0.5", RunsAfter: "0.5", SpansBefore: "0", SpansAfter: "0"},
		{Provider: "acme.cloud", Model: "models/big-2026-01-01", Priced: true, Runs: 1, RunsBefore: "9", RunsAfter: "3", SpansBefore: "0", SpansAfter: "0"},
	}}, dry)

	r.DryRun = false
	done, err := schema.Reprice(t.Context(), ch.URL, cfg, r)
	require.NoError(t, err)
	require.Equal(t, dry, done)
	// unknown until now: 100 plain at 3, 600 read at 0.3, 300 written at 3.75, 100 out at 15, per million.
	want := strings.Join([]string{
		"after the price fell\t3\town-1",
		"by an older list\t3\town-1",
		"known by the emitter\t7\t",
		"no price for it\t0.5\told",
		"no tokens\t\\N\t",
		"of another day\t9\told",
		"rounds to the next\t0.000000002\town-1",
		"unknown until now\t0.003105\town-1",
	}, "\n") + "\n"
	require.Equal(t, want, costs())
	require.Equal(t, "0.00005\town-1\n", ch.Exec(t, "SELECT cost, priceVersion FROM "+db+".Span"))

	// AgentMetrics is what it would be if the rows had had these costs from the beginning.
	fresh := schema.ClickHouseConfig{Database: ch.Database(t), Retention: schema.LongRetention}
	_, err = schema.MigrateClickHouse(t.Context(), ch.URL, fresh)
	require.NoError(t, err)
	ch.Exec(t, "INSERT INTO "+fresh.Database+".AgentExecution SELECT * FROM "+db+".AgentExecution")
	metrics := func(db string) string {
		return ch.Exec(t, "SELECT * FROM "+db+".AgentMetrics ORDER BY agentId, period, periodStart")
	}
	require.Equal(t, metrics(fresh.Database), metrics(db))
	require.Equal(t, "13.503105\n", ch.Exec(t, "SELECT totalCost FROM "+db+".AgentMetrics WHERE agentId = 'x' AND period = 'day' AND periodStart = '2026-11-02'"))

	t.Run("AgainChangesNothing", func(t *testing.T) {
		_, err := schema.Reprice(t.Context(), ch.URL, cfg, r)
		require.NoError(t, err)
		require.Equal(t, want, costs())
		require.Equal(t, metrics(fresh.Database), metrics(db))
	})
	t.Run("ThereAndBack", func(t *testing.T) {
		for range 2 {
			for _, text := range []string{strings.NewReplacer("own-1", "own-2", `"3"`, `"4"`, `"1"`, `"5"`).Replace(ownPrices), ownPrices} {
				r.Prices = loadPrices(t, text)
				_, err := schema.Reprice(t.Context(), ch.URL, cfg, r)
				require.NoError(t, err)
			}
		}
		require.Equal(t, want, costs())
		require.Equal(t, metrics(fresh.Database), metrics(db))
	})
	t.Run("CutShortAfterTheRuns", func(t *testing.T) {
		ch.Exec(t, "ALTER TABLE "+db+".AgentExecution UPDATE cost = 1000 WHERE id = 'after the price fell' SETTINGS mutations_sync = 2")
		_, err := schema.Reprice(t.Context(), ch.URL, cfg, r)
		require.NoError(t, err)
		require.Equal(t, metrics(fresh.Database), metrics(db))
	})
	t.Run("RunsPastTheirRetention", func(t *testing.T) {
		ch.Exec(t, "ALTER TABLE "+db+".AgentExecution DELETE WHERE id = 'by an older list' SETTINGS mutations_sync = 2")
		result, err := schema.Reprice(t.Context(), ch.URL, cfg, r)
		require.NoError(t, err)
		require.EqualValues(t, 2, result.Unmatched, "the hour and the day keep what was counted")
		require.Equal(t, metrics(fresh.Database), metrics(db))
	})
}

func TestLoadPrices(t *testing.T) {
	t.Parallel()
	ch := enginetest.ClickHouse(t)
	cfg := schema.ClickHouseConfig{Database: ch.Database(t), Retention: schema.LongRetention}
	_, err := schema.MigrateClickHouse(t.Context(), ch.URL, cfg)
	require.NoError(t, err)
	shipped, err := prices.Shipped()
	require.NoError(t, err)
	require.Equal(t, shipped.Version()+"\ttrue\n", ch.Exec(t, "SELECT DISTINCT version, shipped FROM "+cfg.Database+".ModelPrice"))
	require.Equal(t, "10\t40\t2.5\t10\t2025-06-10 00:00:00\n", ch.Exec(t, "SELECT inputPrice, outputPrice, cacheReadPrice, cacheWritePrice, effectiveTo FROM "+cfg.Database+".ModelPrice WHERE model = 'o3' AND effectiveFrom = '2025-04-16'"))

	own := loadPrices(t, ownPrices)
	for _, first := range []bool{true, false} {
		loaded, err := schema.LoadPrices(t.Context(), ch.URL, cfg, own)
		require.NoError(t, err)
		require.Equal(t, first, loaded)
	}
	_, err = schema.LoadPrices(t.Context(), ch.URL, cfg, loadPrices(t, strings.Replace(ownPrices, "3.75", "3.8", 1)))
	require.ErrorContains(t, err, `version "own-1" is taken`)
	_, err = schema.LoadPrices(t.Context(), ch.URL, cfg, loadPrices(t, strings.Replace(ownPrices, "acme.cloud", "acme.other", 1)))
	require.ErrorContains(t, err, `version "own-1" is taken`)
}
