package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMigrateAndReprice(t *testing.T) {
	t.Parallel()
	_, url := standalone(t, filepath.Join(t.TempDir(), "data"))
	f := func(exit int, args ...string) string {
		t.Helper()
		out, err := agenttrail(t.Context(), args...).CombinedOutput()
		code := 0
		if e, ok := errors.AsType[*exec.ExitError](err); ok {
			code = e.ExitCode()
		}
		require.Equal(t, exit, code, "%v: %s", args, out)
		return string(out)
	}
	file := filepath.Join(t.TempDir(), "prices.json")
	require.NoError(t, os.WriteFile(file, []byte(`{"version": "own", "prices": [{"provider": "acme", "model": "m", "effectiveFrom": "2026-01-01", "input": "2", "output": "3"}]}`), 0o600))
	bad := filepath.Join(t.TempDir(), "bad.json")
	require.NoError(t, os.WriteFile(bad, []byte(`{"version": "own", "prices": [{"provider": "acme"}]}`), 0o600))

	migrate := []string{"migrate", "clickhouse", "--url", url}
	require.Contains(t, f(1, append(migrate, "--prices", bad)...), "must be given")
	require.Contains(t, f(1, "reprice", "--from", "2026-11-01", "--to", "2026-12-01", "--url", url), `run "agenttrail migrate clickhouse" first`)
	out := f(0, append(migrate, "--prices", file, "--retention", "Span=14,AgentExecution=18250")...)
	require.Contains(t, out, "applied 0001_create_telemetry_tables.sql\n")
	require.Contains(t, out, "applied prices own\n")
	require.Equal(t, "nothing to apply\n", f(0, append(migrate, "--prices", file, "--retention", "Span=14,AgentExecution=18250")...))
	require.Contains(t, f(0, append(migrate, "--dry-run", "--retention", "Span=15")...), "MODIFY TTL toDateTime(startedAt) + toIntervalDay(15)")
	require.Contains(t, f(0, "migrate", "clickhouse", "--dry-run", "--cluster", "c1"), "ENGINE = Distributed('c1', 'agenttrail', 'SpanLocal', cityHash64(traceId))")
	require.Contains(t, f(2, append(migrate, "--retention", "Spam=14")...), "those with a retention are AgentExecution")

	_, body := post(t, url, "INSERT INTO agenttrail.AgentExecution (id, status, startedAt, provider, model, inputTokens) VALUES ('a', 'success', '2026-11-02 10:00:00', 'acme', 'm', 1000000), ('b', 'success', '2026-11-02 10:00:00', 'acme', 'n', 1)")
	require.Empty(t, body)
	reprice := []string{"reprice", "--from", "2026-11-01", "--to", "2026-12-01", "--url", url}
	table := "" +
		"PROVIDER  MODEL  RUNS  BEFORE USD  AFTER USD  SPANS  BEFORE USD  AFTER USD\n" +
		"acme      m      1     0           2          0      0           0\n" +
		"acme      n      1     0           0          0      0           0          unpriced\n" +
		"prices: own\n"
	require.Equal(t, table+"dry run: nothing was changed\n", trimLines(f(0, append(reprice, "--dry-run")...)))
	_, cost := post(t, url, "SELECT sum(totalCost) FROM agenttrail.AgentMetrics WHERE period = 'day'")
	require.Equal(t, "0", cost)
	require.Equal(t, table, trimLines(f(0, reprice...)))
	_, cost = post(t, url, "SELECT sum(totalCost) FROM agenttrail.AgentMetrics WHERE period = 'day'")
	require.Equal(t, "2", cost)

	require.Contains(t, f(2, "reprice", "--url", url), "--from is missing")
	require.Contains(t, f(2, "reprice", "--url", url, "--from", "yesterday", "--to", "2026-11-01"), `--from "yesterday" is neither`)
	require.Contains(t, f(1, "reprice", "--url", url, "--from", "2026-11-02", "--to", "2026-11-01"), "the range is empty")
}

// trimLines takes away the spaces that align columns at the ends of lines.
func trimLines(s string) string {
	var b strings.Builder
	for line := range strings.Lines(s) {
		b.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	return b.String()
}
