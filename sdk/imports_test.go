package agenttrail_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestImports checks what a program links that imports the SDK and nothing else.
func TestImports(t *testing.T) {
	t.Parallel()
	list := func(format string) []string {
		out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", format, "github.com/agenttrail/agenttrail/sdk").Output()
		require.NoError(t, err)
		lines := strings.Fields(string(out))
		slices.Sort(lines)
		return slices.Compact(lines)
	}
	own, forbidden := "github.com/agenttrail/agenttrail", []string{
		"go.opentelemetry.io/collector", "github.com/ClickHouse", "github.com/jackc/pgx", "github.com/stripe", "github.com/stretchr/testify",
	}
	for _, path := range list("{{.ImportPath}}") {
		for _, f := range forbidden {
			require.False(t, strings.HasPrefix(path, f), "%s is linked", path)
		}
		if strings.HasPrefix(path, own) {
			require.True(t, path == own+"/sdk" || strings.HasPrefix(path, own+"/sdk/"), "%s is linked", path)
		}
	}
	modules := slices.DeleteFunc(list("{{with .Module}}{{.Path}}{{end}}"), func(m string) bool { return m == own })
	t.Logf("the SDK adds %d modules: %s", len(modules), strings.Join(modules, " "))
	require.Less(t, len(modules), 40)
}
