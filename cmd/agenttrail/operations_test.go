package main

import (
	"flag"
	"testing"

	"github.com/stretchr/testify/require"
)

var operationsData = flag.String("operations-data", "", "data folder of an \"agenttrail up --demo\" that runs, which TestOperations then looks at instead of starting one; its data may be larger")

// TestOperations looks at a running demo as operators do: with the queries of every dashboard, and with a real Prometheus
// that has our rules. "make test" prints the table.
func TestOperations(t *testing.T) { //nolint:tparallel // One after the other, since what a query takes is measured.
	t.Parallel()
	in := &instance{dir: *operationsData}
	if *operationsData != "" {
		var err error
		in.addresses, err = readRunning(*operationsData)
		require.NoError(t, err)
	} else {
		in = startUp(t, t.TempDir(), "--demo", "--runs", "4000", "--rate", "5", "--seed", "11")
	}
	prom := startPrometheus(t, in)
	t.Run("Prometheus", func(t *testing.T) { testPrometheus(t, prom) })
	t.Run("Dashboards", func(t *testing.T) { testDashboards(t, in, prom) })
}
