package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestTypeScriptExample runs the example live: real Vercel AI SDK, real OTLP export, and compares the rows with what
// the program says that it did.
func TestTypeScriptExample(t *testing.T) {
	t.Parallel()
	in := startUp(t, t.TempDir())
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(filepath.Join(dir, "src"), os.DirFS("../../examples/typescript/src")))
	for _, name := range []string{"package.json", "package-lock.json", "tsconfig.json", ".npmrc"} {
		text, err := os.ReadFile(filepath.Join("../../examples/typescript", name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), text, 0o600))
	}
	npm := func(args ...string) []byte {
		cmd := exec.CommandContext(t.Context(), "npm", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "OTEL_EXPORTER_OTLP_ENDPOINT=http://"+in.OTLPHTTP)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		require.NoError(t, err, "npm %v\n%s\n%s", args, out, &stderr)
		return out
	}
	npm("ci", "--prefer-offline", "--no-audit", "--no-fund")
	npm("run", "check")
	out := npm("--silent", "start", "--", "--json")

	outcomes := map[string]int{}
	lines := bufio.NewScanner(bytes.NewReader(out))
	for lines.Scan() {
		var want struct {
			Scenario, TraceID, SpanID, ExecutionID, Agent, Status, User, Session string
			InputTokens, OutputTokens                                            int
			HTTPStatus                                                           int
		}
		require.NoError(t, json.Unmarshal(lines.Bytes(), &want), "%s", lines.Bytes())
		row := fmt.Sprintf("%s\t%s\t%d\t%d\t%s\t%s\t%s", want.Agent, want.Status, want.InputTokens, want.OutputTokens, want.User, want.Session, want.TraceID)
		question := fmt.Sprintf("SELECT agentName, status, inputTokens, outputTokens, userId, sessionId, traceId FROM agenttrail.AgentExecution WHERE id = '%s' FORMAT TSV", want.ExecutionID)
		require.Eventually(t, func() bool { return in.query(t, question) == row }, 10*time.Second, 50*time.Millisecond,
			"%s: want %s", want.Scenario, row)
		require.Equal(t, "1", in.query(t, fmt.Sprintf("SELECT count() FROM agenttrail.RequestLog WHERE traceId = '%s' AND httpStatus = %d", want.TraceID, want.HTTPStatus)), want.Scenario)
		require.NotEqual(t, "0", in.query(t, fmt.Sprintf("SELECT count() FROM agenttrail.ExecutionTrail(id = '%s') WHERE source = 'log'", want.ExecutionID)), want.Scenario)
		if want.Status == "error" || want.Status == "timeout" {
			require.NotEqual(t, "0", in.query(t, fmt.Sprintf("SELECT count() FROM agenttrail.ExecutionTrail(id = '%s') WHERE source = 'error'", want.ExecutionID)), want.Scenario)
		}
		outcomes[want.Status]++
	}
	require.NoError(t, lines.Err())
	require.Equal(t, map[string]int{"success": 5, "error": 1, "timeout": 1, "failed": 1}, outcomes)
	steps := in.query(t, "SELECT operation, count() FROM agenttrail.Span WHERE serviceName = 'weather-api' AND operation IN ('inference', 'tool') GROUP BY operation ORDER BY operation FORMAT TSV")
	require.Contains(t, steps, "inference\t")
	require.Contains(t, steps, "tool\t")
}
