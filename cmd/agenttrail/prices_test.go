package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// TestUpPrices gives a list of prices once, and finds it where new runs are priced and where old ones are priced anew.
func TestUpPrices(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.json")
	require.NoError(t, os.WriteFile(bad, []byte(`{"version": "own", "prices": []}`), 0o600))
	out, err := agenttrail(t.Context(), append([]string{"up", "--data", filepath.Join(dir, "none"), "--prices", bad}, freePorts...)...).CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "the list is empty")
	require.NoDirExists(t, filepath.Join(dir, "none"))

	file := filepath.Join(dir, "my $prices: \"v1\".json")
	require.NoError(t, os.WriteFile(file, []byte(`{"version": "own", "prices": [{"provider": "acme", "model": "m", "effectiveFrom": "2020-01-01", "input": "2", "output": "3"}]}`), 0o600))
	in := startUp(t, filepath.Join(dir, "data"), "--prices", file)
	status, answer, err := in.post("traces", "application/x-protobuf", mustMarshal(t, oneSpan(func(s ptrace.Span) {
		s.Attributes().PutStr("gen_ai.operation.name", "invoke_agent")
		s.Attributes().PutStr("gen_ai.provider.name", "acme")
		s.Attributes().PutStr("gen_ai.request.model", "m")
		s.Attributes().PutInt("gen_ai.usage.input_tokens", 1_000_000)
		s.Attributes().PutInt("gen_ai.usage.output_tokens", 1_000_000)
	})))
	require.NoError(t, err)
	require.Equal(t, 200, status, answer)
	in.answers(t, "5\town", "SELECT cost, priceVersion FROM agenttrail.AgentExecution WHERE cost IS NOT NULL")

	today := time.Now().UTC()
	out, err = agenttrail(t.Context(), "reprice", "--url", in.ClickHouse, "--from", today.AddDate(0, 0, -2).Format(time.DateOnly),
		"--to", today.AddDate(0, 0, 2).Format(time.DateOnly), "--dry-run").CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "prices: own\n")
}
