package main

import (
	"flag"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

var operationsData = flag.String("operations-data", "", "data folder of an \"agenttrail up --demo\" that runs, which TestOperations then looks at instead of starting one; its data may be larger")

// TestOperations looks at a running demo as operators do: with the queries of every dashboard, and with a real Prometheus
// that has our rules. "make test" prints the table.
func TestOperations(t *testing.T) { //nolint:tparallel // One after the other, since what a query takes is measured.
	t.Parallel()
	in, endTraffic := &instance{dir: *operationsData}, func() {}
	if *operationsData != "" {
		var err error
		in.addresses, err = readRunning(*operationsData)
		require.NoError(t, err)
	} else {
		config := filepath.Join(t.TempDir(), "ledger.yaml")
		require.NoError(t, os.WriteFile(config, []byte("coverage: {every: 30s}\n"), 0o600)) // As "up --demo" has it.
		in = startUp(t, t.TempDir(), "--ledger-config", config)
		demo := agenttrail(t.Context(), "demo", "--data", in.dir, "--runs", "4000", "--rate", "5", "--seed", "11")
		output := &lockedBuffer{}
		demo.Stdout, demo.Stderr = output, output
		require.NoError(t, demo.Start())
		endTraffic = sync.OnceFunc(func() {
			_ = demo.Process.Signal(os.Interrupt)
			require.NoError(t, demo.Wait(), "%s", output)
		})
		defer endTraffic()
	}
	prom := startPrometheus(t, in)
	t.Run("Prometheus", func(t *testing.T) { testPrometheus(t, prom) })
	t.Run("Dashboards", func(t *testing.T) { testDashboards(t, in, prom, endTraffic) })
}
