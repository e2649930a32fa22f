// Package python checks the example in Python as far as that is possible without OpenTelemetry for Python.
package python

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// attributes of the example that stay what they are, in the metadata of their row.
var unmapped = map[string]bool{"service.version": true}

// TestAttributesAreRead checks every attribute that the example sets against what the mapping reads.
func TestAttributesAreRead(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/mapping.md")
	require.NoError(t, err)
	source, err := os.ReadFile("agent.py")
	require.NoError(t, err)
	found := map[string]bool{}
	for _, m := range regexp.MustCompile(`"((?:agenttrail|gen_ai|user|session|error)\.[a-z_.]+)"`).FindAllStringSubmatch(string(source), -1) {
		found[m[1]] = true
	}
	for _, m := range regexp.MustCompile(`\b((?:agenttrail|gen_ai)__[a-z_]+)=`).FindAllStringSubmatch(string(source), -1) {
		found[strings.ReplaceAll(m[1], "__", ".")] = true
	}
	for key := range found {
		require.True(t, unmapped[key] || strings.Contains(string(page), "`"+key+"`"), "%s is not in docs/mapping.md", key)
	}
	for _, key := range []string{
		"agenttrail.execution.id", "gen_ai.agent.id", "gen_ai.agent.name", "gen_ai.agent.version", "user.id", "session.id", "gen_ai.operation.name",
		"gen_ai.provider.name", "gen_ai.request.model", "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens", "agenttrail.execution.queue_time_ms",
		"agenttrail.credits", "agenttrail.log.category", "error.type", "gen_ai.tool.name",
	} {
		require.True(t, found[key], "the example does not set %s", key)
	}
}

// TestCompiles lets Python read the example.
func TestCompiles(t *testing.T) {
	t.Parallel()
	copied := filepath.Join(t.TempDir(), "agent.py")
	source, err := os.ReadFile("agent.py")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(copied, source, 0o600))
	out, err := exec.CommandContext(t.Context(), "python3", "-m", "py_compile", copied).CombinedOutput()
	require.NoError(t, err, "%s", out)
}
