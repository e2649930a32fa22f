package agenttrail_test

import (
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/internal/exampletest"
)

// TestEveryFeatureHasAnExample checks that some Example uses each exported function, method and kind of value.
func TestEveryFeatureHasAnExample(t *testing.T) {
	t.Parallel()
	exampletest.EveryFeature(t, 60)
}

// TestREADMESnippet checks that the README shows the first example, which runs.
func TestREADMESnippet(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("example_test.go")
	require.NoError(t, err)
	function := regexp.MustCompile(`(?s)\nfunc answerTicket.*?\n}\n`).FindString(string(source))
	require.NotEmpty(t, function)
	readme, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	require.Contains(t, string(readme), "```go\nimport agenttrail \"github.com/agenttrail/agenttrail/sdk\"\n"+function+"```")
}
