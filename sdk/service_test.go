package agenttrail_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/collector"
	"github.com/agenttrail/agenttrail/internal/enginetest"
	"github.com/agenttrail/agenttrail/schema"
	agenttrail "github.com/agenttrail/agenttrail/sdk"
)

// backend is a real collector that stores in a database of the test's own.
type backend struct {
	*collector.Collector
	engine   *enginetest.CH
	database string
}

func startBackend(t *testing.T) backend {
	t.Helper()
	ch := enginetest.ClickHouse(t)
	db := ch.Database(t)
	_, err := schema.MigrateClickHouse(t.Context(), ch.URL, schema.ClickHouseConfig{Database: db})
	require.NoError(t, err)
	return backend{Collector: startCollector(t, ch.URL, db, "127.0.0.1:0"), engine: ch, database: db}
}

func startCollector(t *testing.T, url, database, addr string) *collector.Collector {
	t.Helper()
	c, err := collector.New(collector.Settings{
		GRPCAddr: "127.0.0.1:0", HTTPAddr: addr, HealthAddr: "127.0.0.1:0", MetricsAddr: "127.0.0.1:0",
		JournalDir: t.TempDir(), Version: "test", Logger: slog.New(slog.DiscardHandler),
		ClickHouseURL: url, Database: database,
		Overrides: []string{"receivers::agenttrail_host::enabled=false", "receivers::agenttrail_self::enabled=false"},
	})
	require.NoError(t, err)
	require.NoError(t, c.Start(t.Context()))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		require.NoError(t, c.Shutdown(ctx))
	})
	return c
}

// service is one instrumented program.
func (b backend) service(t *testing.T, name string, opts ...agenttrail.Option) *agenttrail.Trail {
	t.Helper()
	trail, err := agenttrail.Init(t.Context(), append([]agenttrail.Option{
		agenttrail.WithService(name, "1.2.0"), agenttrail.WithEnvironment("test"),
		agenttrail.WithEndpoint("http://" + b.Addrs().HTTP), agenttrail.WithLogger(quiet()),
	}, opts...)...)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		require.NoError(t, trail.Shutdown(ctx))
	})
	return trail
}

// flush sends what was recorded. It waits for longer than Flush does by itself: a busy machine may need that.
func flush(t *testing.T, trail *agenttrail.Trail) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	require.NoError(t, trail.Flush(ctx))
}

// rows asks until the question has so many lines as its answer, and returns them.
func (b backend) rows(t *testing.T, want int, query string) []map[string]any {
	t.Helper()
	until := time.Now().Add(time.Minute)
	for {
		found := b.ask(t, query)
		if len(found) >= want || time.Now().After(until) {
			require.Len(t, found, want, "%s", query)
			return found
		}
		time.Sleep(20 * time.Millisecond) // The engine does not tell when something is stored.
	}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }
