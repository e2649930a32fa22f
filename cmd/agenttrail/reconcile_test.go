package main

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// ask sends a request to the ledger of an instance, with the key for everything, and reads the answer.
func (in *instance) ask(t *testing.T, method, path, body string) map[string]any {
	t.Helper()
	var content any
	if body != "" {
		content = json.RawMessage(body)
	}
	a, err := askPatiently(t.Context(), in.Ledger, adminOf(t, in), method, path, strconv.FormatInt(time.Now().UnixNano(), 10), content)
	require.NoError(t, err)
	require.Less(t, a.status, 300, "%s %s: %s", method, path, a.text)
	return a.json
}

// TestReconcile compares by command line, corrects by the API, and looks at the metrics and at ClickHouse.
func TestReconcile(t *testing.T) {
	t.Parallel()
	in := startUp(t, t.TempDir())
	user := in.ask(t, "POST", "/v1/users", `{"email": "ada@example.com"}`)["id"].(string)
	in.ask(t, "POST", "/v1/agents", `{"slug": "poet", "name": "Poet", "category": "art", "ownerId": "`+user+`", "version": {"pricing": {"perExecution": "2"}}}`)
	in.ask(t, "POST", "/v1/grants", `{"userId": "`+user+`", "category": "promo", "amount": "10"}`)
	mandate := in.ask(t, "POST", "/v1/mandates", `{"userId": "`+user+`", "rules": {}}`)["id"].(string)
	for _, id := range []string{"agrees", "differs"} {
		run := in.ask(t, "POST", "/v1/authorizations", `{"userId": "`+user+`", "mandateId": "`+mandate+`", "agent": "poet", "executionId": "`+id+`"}`)
		in.ask(t, "POST", "/v1/holds/"+run["hold"].(map[string]any)["id"].(string)+"/capture", `{}`)
	}
	in.query(t, "INSERT INTO agenttrail.AgentExecution (id, agentId, userId, startedAt, creditsConsumed) VALUES ('agrees', 'poet', '"+user+"', now64(9), 2), ('differs', 'poet', '"+user+"', now64(9), 2.5)")
	time.Sleep(10 * time.Millisecond) // The clock of the rows has milliseconds.

	type line struct {
		ExecutionID, State, Captured, Consumed, Drift string
		Rows                                          int
		Summary                                       *struct{ Executions, Matched, Drift int }
	}
	reconcile := func() (lines []line) {
		out := command(t, 0, "reconcile", "--data", in.dir, "--grace", "0s", "--since", "1h", "--json")
		for text := range strings.Lines(out) {
			var l line
			require.NoError(t, json.Unmarshal([]byte(text), &l), text)
			lines = append(lines, l)
		}
		return lines
	}
	lines := reconcile()
	require.Len(t, lines, 2)
	require.Equal(t, line{ExecutionID: "differs", State: "drift", Captured: "2", Consumed: "2.5", Drift: "0.5", Rows: 1}, lines[0])
	require.Equal(t, []int{2, 1, 1}, []int{lines[1].Summary.Executions, lines[1].Summary.Matched, lines[1].Summary.Drift})
	require.Contains(t, command(t, 0, "reconcile", "--data", in.dir, "--grace", "0s"), `"differs"`)
	require.Contains(t, command(t, 0, "reconcile", "--data", in.dir), "0 runs", "all are younger than the grace")
	require.Contains(t, command(t, 2, "reconcile", "--data", in.dir, "--since", "1m"), "--since must be more than --grace")

	metrics := func() string {
		resp, err := http.Get("http://" + in.Ledger + "/metrics")
		require.NoError(t, err)
		text, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		return string(text)
	}
	require.Contains(t, metrics(), `agenttrail_ledger_reconciliation_open{state="drift"} 1`)
	require.Contains(t, metrics(), `agenttrail_ledger_reconciliation_open_credits{state="drift"} 0.5`)
	require.Equal(t, "drift", in.query(t, "SELECT state FROM agenttrail.Reconciliation FINAL WHERE executionId = 'differs'"))
	in.ask(t, "POST", "/v1/reconciliation/differs/adjustments", `{"reason": "metered late"}`)
	require.Contains(t, metrics(), `agenttrail_ledger_reconciliation_open{state="drift"} 0`)
	require.Equal(t, "5.5", in.ask(t, "GET", "/v1/users/"+user+"/balance", "")["available"])
	require.Len(t, reconcile(), 1, "only the summary is left")
	require.Equal(t, "adjusted\t0", in.query(t, "SELECT state, drift FROM agenttrail.Reconciliation FINAL WHERE executionId = 'differs'"))
	require.NotEqual(t, "0", in.query(t, "SELECT count() FROM agenttrail.ReconciliationRun"))
}
