package sizing_test

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/internal/enginetest"
	"github.com/agenttrail/agenttrail/ledger"
	"github.com/agenttrail/agenttrail/ledger/pgstore"
	"github.com/agenttrail/agenttrail/schema"
)

func TestMain(m *testing.M) { enginetest.Main(m) }

// BenchmarkPaidRun authorizes and captures runs, and reports by how much each makes the database larger. Run it with
// -benchtime 20000x: at first, pages are empty.
func BenchmarkPaidRun(b *testing.B) {
	url := enginetest.Postgres(b).Database(b)
	_, err := schema.MigratePostgres(b.Context(), url)
	require.NoError(b, err)
	store, err := pgstore.Open(b.Context(), pgstore.Settings{URL: url})
	require.NoError(b, err)
	b.Cleanup(store.Close)
	n := 0
	call := func() *ledger.Call {
		n++
		key := fmt.Sprintf("call-%d", n)
		return &ledger.Call{Actor: ledger.Actor{Principal: "key:bench", Scopes: []ledger.Scope{ledger.ScopeAdmin}}, RequestID: "request-" + key, Key: key, Fingerprint: []byte(key)}
	}
	user, err := store.CreateUser(b.Context(), call(), ledger.UserInput{Email: "ada@example.com"})
	require.NoError(b, err)
	_, err = store.Grant(b.Context(), call(), ledger.GrantInput{UserID: user.ID, Category: ledger.GrantPromo, Amount: 1_000_000_000 * ledger.Credit})
	require.NoError(b, err)
	mandate, err := store.CreateMandate(b.Context(), call(), ledger.MandateInput{UserID: user.ID})
	require.NoError(b, err)
	_, err = store.RegisterAgent(b.Context(), call(), ledger.AgentInput{
		Slug: "planner", Name: "Planner", Category: "work", OwnerID: user.ID, Version: &ledger.VersionInput{Pricing: &ledger.Pricing{PerExecution: ledger.Credit}},
	})
	require.NoError(b, err)
	conn, err := pgx.Connect(b.Context(), url)
	require.NoError(b, err)
	defer func() { _ = conn.Close(b.Context()) }()
	size := func() (bytes int64) {
		_, err := conn.Exec(b.Context(), "CHECKPOINT")
		require.NoError(b, err)
		require.NoError(b, conn.QueryRow(b.Context(), "SELECT pg_database_size(current_database())").Scan(&bytes))
		return bytes
	}
	before := size()
	for b.Loop() {
		a, err := store.Authorize(b.Context(), call(), ledger.AuthorizeInput{UserID: user.ID, MandateID: mandate.ID, Agent: "planner", ExecutionID: fmt.Sprintf("run-%d", n)})
		require.NoError(b, err)
		_, err = store.Capture(b.Context(), call(), a.Hold.ID, ledger.CaptureInput{})
		require.NoError(b, err)
	}
	b.ReportMetric(float64(size()-before)/float64(b.N), "bytes/run")
}
