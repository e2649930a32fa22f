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
		row := fmt.Sprintf("%s\t%s\t%d\t%d\t%s\t%s\t%s\t1.0.0\t0.25", want.Agent, want.Status, want.InputTokens, want.OutputTokens, want.User, want.Session, want.TraceID)
		question := fmt.Sprintf("SELECT agentName, status, inputTokens, outputTokens, userId, sessionId, traceId, agentVersion, creditsConsumed FROM agenttrail.AgentExecution WHERE id = '%s' FORMAT TSV", want.ExecutionID)
		in.answers(t, row, question, want.Scenario)
		in.answers(t, "1", fmt.Sprintf("SELECT count() FROM agenttrail.RequestLog WHERE traceId = '%s' AND httpStatus = %d", want.TraceID, want.HTTPStatus), want.Scenario)
		in.answers(t, "1", fmt.Sprintf("SELECT count() > 0 FROM agenttrail.ExecutionTrail(id = '%s') WHERE source = 'log'", want.ExecutionID), want.Scenario)
		if want.Status == "error" || want.Status == "timeout" {
			in.answers(t, "1", fmt.Sprintf("SELECT count() > 0 FROM agenttrail.ExecutionTrail(id = '%s') WHERE source = 'error'", want.ExecutionID), want.Scenario)
		}
		outcomes[want.Status]++
	}
	require.NoError(t, lines.Err())
	require.Equal(t, map[string]int{"success": 5, "error": 1, "timeout": 1, "failed": 1}, outcomes)
	in.answers(t, "inference\ntool", "SELECT DISTINCT operation FROM agenttrail.Span WHERE serviceName = 'weather-api' AND operation IN ('inference', 'tool') ORDER BY operation FORMAT TSV")
}
