package ledger_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// module is that of this package.
const module = "github.com/agenttrail/agenttrail/"

// reader is the one package of the ledger that may know ClickHouse.
const reader = module + "ledger/chread"

// TestDependencies looks at what the packages of the ledger link, directly or not: the money path needs no telemetry.
func TestDependencies(t *testing.T) {
	t.Parallel()
	list := func(args ...string) []string {
		out, err := exec.CommandContext(t.Context(), "go", append([]string{"list"}, args...)...).Output()
		require.NoError(t, err)
		return strings.Fields(string(out))
	}
	packages := list("./...")
	require.Contains(t, packages, reader)
	require.Contains(t, packages, module+"ledger/pgstore")
	for _, p := range packages {
		forbidden := []string{"go.opentelemetry.io/collector", "github.com/stretchr/testify", module + "exporter", module + "collector", module + "schema"}
		if p != reader {
			forbidden = append(forbidden, "github.com/ClickHouse", reader)
		}
		for _, dep := range list("-deps", p) {
			for _, f := range forbidden {
				require.False(t, dep == f || strings.HasPrefix(dep, f+"/"), "%s links %s", p, dep)
			}
		}
	}
	require.Contains(t, list("-deps", reader), "github.com/ClickHouse/clickhouse-go/v2", "the rule has a case")
}
