package reconcile_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/internal/enginetest"
	"github.com/agenttrail/agenttrail/ledger"
	"github.com/agenttrail/agenttrail/ledger/reconcile"
)

// imports has telemetry store a run of the past, of which it says whether something else has charged it.
func (b *bundle) imports(tb testing.TB, id string, amount ledger.Credits, says string) {
	tb.Helper()
	b.ch.Exec(tb, fmt.Sprintf("INSERT INTO %s.AgentExecution (id, agentId, userId, startedAt, creditsConsumed, attributes) VALUES ('%s', 'poet', '%s', now64(9) - INTERVAL 3 HOUR, '%s', {'agenttrail.imported': '%s'})",
		b.database, id, b.users[0].ID, amount, says))
}

// TestRunsOutsideOfTheComparison has runs that only one side knows, and for good reasons.
func TestRunsOutsideOfTheComparison(t *testing.T) {
	t.Parallel()
	b := setup(t, enginetest.ClickHouse(t), enginetest.Postgres(t), 1)
	b.imports(t, "past", 7*ledger.Credit, "true")
	b.imports(t, "not-said", 7*ledger.Credit, "false")
	b.imports(t, "partly", ledger.Credit, "true")
	b.use(t, "partly", 0, 2*ledger.Credit)
	b.charge(t, "known-agrees", 0, 2*ledger.Credit)
	b.imports(t, "known-agrees", 2*ledger.Credit, "true")
	b.charge(t, "known-differs", 0, 2*ledger.Credit)
	b.imports(t, "known-differs", 3*ledger.Credit, "true")
	for _, id := range []string{"killed", "told-all-the-same"} {
		_, err := b.Authorize(t.Context(), b.call(operator), ledger.AuthorizeInput{UserID: b.users[0].ID, MandateID: b.mandates[0].ID, Agent: "poet", ExecutionID: id, TTL: time.Second})
		require.NoError(t, err)
	}
	b.use(t, "told-all-the-same", 0, 0)
	expired := 0
	require.Eventually(t, func() bool {
		e, err := b.ExpireDue(t.Context(), 10)
		require.NoError(t, err)
		expired += e.Holds
		return expired == 2
	}, time.Minute, 50*time.Millisecond)

	run, found := b.run(t, reconcile.Config{})
	require.Equal(t, map[string]ledger.ReconState{
		"not-said": ledger.ReconMissingInLedger, "partly": ledger.ReconMissingInLedger, "known-differs": ledger.ReconDrift,
		"killed": ledger.ReconExpired,
	}, found)
	require.EqualValues(t, 1, run.Imported)
	require.EqualValues(t, 1, run.Expired)
	require.EqualValues(t, 3, run.Matched, "known-agrees, killed, told-all-the-same")
	require.EqualValues(t, 6, run.Executions)
	items, err := b.ReconItems(t.Context(), operator, ledger.ReconFilter{}, ledger.Page{})
	require.NoError(t, err)
	require.Len(t, items.Items, 3, "neither what is imported nor what never ended is written down")
}
