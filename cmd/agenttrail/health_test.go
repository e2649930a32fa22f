package main

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHealth(t *testing.T) {
	t.Parallel()
	db := newLedgerDB(t)
	p := startLedger(t, db.url, "{}")
	require.Empty(t, command(t, 0, "health", "http://"+p.addr+"/readyz"))
	p.kill()
	require.Contains(t, command(t, 1, "health", "http://"+p.addr+"/readyz"), "not ready")

	busy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "starting", http.StatusServiceUnavailable) }))
	defer busy.Close()
	require.Contains(t, command(t, 1, "health", busy.URL), "503 Service Unavailable: starting")
	require.Contains(t, command(t, 2, "health", "collectors"), "neither collector, ledger nor an address")
	cmd := agenttrail(t.Context(), "health")
	cmd.Env = append(cmd.Env, envHealthURL+"="+busy.URL)
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "starting")
}
