package reconcile_test

import (
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/internal/enginetest"
	"github.com/agenttrail/agenttrail/ledger"
	"github.com/agenttrail/agenttrail/ledger/pgstore"
	"github.com/agenttrail/agenttrail/ledger/reconcile"
)

// revenue is what an agent was paid.
func (b *bundle) revenue(tb testing.TB, slug string) (n ledger.Credits) {
	tb.Helper()
	require.NoError(tb, b.connect(tb).QueryRow(tb.Context(), `SELECT coalesce(sum(e.amount), 0)::bigint FROM ledger.entries e JOIN ledger.accounts c ON c.id = e.account_id AND c.owner_type = 'agent'
		JOIN ledger.agents a ON a.id = c.owner_id WHERE a.slug = $1`, slug).Scan((*int64)(&n)))
	return n
}

func (b *bundle) posted(tb testing.TB, user int) ledger.Credits {
	tb.Helper()
	balance, err := b.Balance(tb.Context(), operator, b.users[user].ID)
	require.NoError(tb, err)
	return balance.Posted
}

func TestChargeWhatWasUsed(t *testing.T) {
	t.Parallel()
	b := setup(t, enginetest.ClickHouse(t), enginetest.Postgres(t), 1)
	b.charge(t, "short", 0, 2*ledger.Credit)
	b.use(t, "short", 0, 5*ledger.Credit)
	_, found := b.run(t, reconcile.Config{})
	require.Equal(t, map[string]ledger.ReconState{"short": ledger.ReconDrift}, found)
	before, agent := b.posted(t, 0), b.item(t, "short").Agent
	paid := b.revenue(t, agent)

	_, err := b.Adjust(t.Context(), b.call(operator), "short", ledger.AdjustInput{Amount: new(4 * ledger.Credit), Reason: "too much"})
	require.Equal(t, ledger.CodeInvalid, ledger.CodeOf(err))
	_, err = b.Adjust(t.Context(), b.call(operator), "short", ledger.AdjustInput{Amount: new(ledger.Credits(-1)), Reason: "the other way"})
	require.Equal(t, ledger.CodeInvalid, ledger.CodeOf(err))
	call := b.call(operator)
	d, err := b.Adjust(t.Context(), call, "short", ledger.AdjustInput{Reason: "the runner was restarted"})
	require.NoError(t, err)
	again, err := b.Adjust(t.Context(), call, "short", ledger.AdjustInput{Reason: "the runner was restarted"})
	require.NoError(t, err)
	require.Equal(t, d.ID, again.ID, "the same request has one effect")
	require.Equal(t, ledger.DecisionDone, d.Status)
	require.Equal(t, 3*ledger.Credit, d.Amount)
	require.Equal(t, before-3*ledger.Credit, b.posted(t, 0))
	require.Equal(t, paid+3*ledger.Credit, b.revenue(t, agent))
	posting, err := b.Transaction(t.Context(), operator, *d.TransactionID)
	require.NoError(t, err)
	require.Equal(t, ledger.KindAdjustment, posting.Kind)
	require.Equal(t, b.item(t, "short").TransactionID, posting.ParentID, "the posting is linked to the run")
	run, err := b.Transaction(t.Context(), operator, *posting.ParentID)
	require.NoError(t, err)
	require.Equal(t, 2*ledger.Credit, run.Settled, "what was posted stays")
	require.Equal(t, ledger.ReconAdjusted, b.item(t, "short").State)
	_, err = b.Adjust(t.Context(), b.call(operator), "short", ledger.AdjustInput{Reason: "once more"})
	require.Equal(t, ledger.CodeConflict, ledger.CodeOf(err))

	summary, found := b.run(t, reconcile.Config{})
	require.Empty(t, found)
	require.EqualValues(t, 1, summary.Adjusted)
	// A late row makes it differ again.
	b.use(t, "short", 0, ledger.Credit)
	_, found = b.run(t, reconcile.Config{})
	require.Equal(t, map[string]ledger.ReconState{"short": ledger.ReconDrift}, found)
	require.Equal(t, ledger.Credit, b.item(t, "short").Drift)
	_, err = b.Adjust(t.Context(), b.call(operator), "short", ledger.AdjustInput{Reason: "which of the rows?"})
	require.Equal(t, ledger.CodeConflict, ledger.CodeOf(err), "of several rows nobody knows what was used")
	b.settled(t)
}

func TestGiveBackWhatWasNotUsed(t *testing.T) {
	t.Parallel()
	b := setup(t, enginetest.ClickHouse(t), enginetest.Postgres(t), 1)
	b.charge(t, "dear", 0, 5*ledger.Credit)
	b.use(t, "dear", 0, 2*ledger.Credit)
	b.charge(t, "unknown", 0, ledger.Credit)
	_, found := b.run(t, reconcile.Config{})
	require.Equal(t, map[string]ledger.ReconState{"dear": ledger.ReconDrift, "unknown": ledger.ReconMissingInTelemetry}, found)
	before := b.posted(t, 0)
	d, err := b.Adjust(t.Context(), b.call(operator), "dear", ledger.AdjustInput{Reason: "metered wrongly"})
	require.NoError(t, err)
	require.Equal(t, -3*ledger.Credit, d.Amount)
	require.Equal(t, before+3*ledger.Credit, b.posted(t, 0))
	posting, err := b.Transaction(t.Context(), operator, *d.TransactionID)
	require.NoError(t, err)
	require.Equal(t, ledger.KindRefund, posting.Kind)
	w, err := b.Waive(t.Context(), b.call(operator), "unknown", ledger.WaiveInput{Reason: "the host burned down"})
	require.NoError(t, err)
	require.Equal(t, -ledger.Credit, w.Amount)
	summary, found := b.run(t, reconcile.Config{})
	require.Equal(t, map[string]ledger.ReconState{"unknown": ledger.ReconWaived}, found)
	require.EqualValues(t, 1, summary.Adjusted)
	require.EqualValues(t, 1, summary.Waived)
	// It was waived as it was; when it changes it is looked at again.
	b.use(t, "unknown", 0, ledger.Credit/2)
	_, found = b.run(t, reconcile.Config{})
	require.Equal(t, map[string]ledger.ReconState{"unknown": ledger.ReconDrift}, found)
	b.settled(t)
}

func TestLargeCorrectionNeedsApproval(t *testing.T) {
	t.Parallel()
	b := setup(t, enginetest.ClickHouse(t), enginetest.Postgres(t), 1)
	for _, id := range []string{"approve", "reject", "stale"} {
		b.charge(t, id, 0, ledger.Credit)
		b.use(t, id, 0, 100*ledger.Credit)
	}
	b.run(t, reconcile.Config{})
	before := b.posted(t, 0)
	decisions := map[string]ledger.ReconDecision{}
	for id := range map[string]bool{"approve": true, "reject": true, "stale": true} {
		d, err := b.Adjust(t.Context(), b.call(operator), id, ledger.AdjustInput{Reason: "it ran for hours"})
		require.NoError(t, err)
		require.Equal(t, ledger.DecisionPending, d.Status)
		require.Nil(t, d.TransactionID)
		decisions[id] = d
	}
	require.Equal(t, before, b.posted(t, 0), "nothing moves before it is approved")
	_, err := b.Adjust(t.Context(), b.call(operator), "approve", ledger.AdjustInput{Reason: "again"})
	require.Equal(t, ledger.CodeConflict, ledger.CodeOf(err))
	_, err = b.ApproveAdjustment(t.Context(), b.call(operator), decisions["approve"].ID, ledger.DecisionInput{})
	require.Equal(t, ledger.CodeOwnApproval, ledger.CodeOf(err))
	nobody := ledger.Actor{Principal: "key:runner", Scopes: []ledger.Scope{ledger.ScopeExecute, ledger.ScopeManage}}
	_, err = b.ApproveAdjustment(t.Context(), b.call(nobody), decisions["approve"].ID, ledger.DecisionInput{})
	require.Equal(t, ledger.CodeForbidden, ledger.CodeOf(err))
	done, err := b.ApproveAdjustment(t.Context(), b.call(approver), decisions["approve"].ID, ledger.DecisionInput{Reason: "checked"})
	require.NoError(t, err)
	require.Equal(t, ledger.DecisionDone, done.Status)
	require.Equal(t, "key:approver", done.DecidedBy)
	require.Equal(t, before-99*ledger.Credit, b.posted(t, 0))
	_, err = b.ApproveAdjustment(t.Context(), b.call(approver), decisions["approve"].ID, ledger.DecisionInput{})
	require.Equal(t, ledger.CodeApprovalDecided, ledger.CodeOf(err))
	rejected, err := b.RejectAdjustment(t.Context(), b.call(approver), decisions["reject"].ID, ledger.DecisionInput{})
	require.NoError(t, err)
	require.Equal(t, ledger.DecisionRejected, rejected.Status)
	require.Equal(t, ledger.ReconDrift, b.item(t, "reject").State)
	require.Equal(t, before-99*ledger.Credit, b.posted(t, 0))
	// A correction that does not fit any more is not made.
	b.use(t, "stale", 0, -60*ledger.Credit)
	b.run(t, reconcile.Config{})
	_, err = b.ApproveAdjustment(t.Context(), b.call(approver), decisions["stale"].ID, ledger.DecisionInput{})
	require.Equal(t, ledger.CodeConflict, ledger.CodeOf(err))
	b.settled(t)

	// Who decided what is in the audit trail.
	trail, err := b.Audit(t.Context(), operator, ledger.TrailTransactions, ledger.AuditFilter{EntityID: done.ID}, ledger.Page{})
	require.NoError(t, err)
	by := map[string]string{}
	for _, e := range trail.Items {
		by[e.Field] = e.ChangedBy
	}
	require.Equal(t, "key:operator", by["*"])
	require.Equal(t, "key:approver", by["status"])
	conn := b.connect(t)
	for what, sql := range map[string]string{
		"a decision is final":              "UPDATE ledger.reconciliation_decisions SET status = 'rejected' WHERE status = 'done'",
		"what was asked stays":             "UPDATE ledger.reconciliation_decisions SET amount = 1 WHERE status = 'done'",
		"an adjustment stays":              "UPDATE ledger.transactions SET reason = 'x' WHERE kind = 'adjustment'",
		"an adjustment has an agent":       "INSERT INTO ledger.transactions (id, user_id, kind, status, credits, settled) SELECT gen_random_uuid(), user_id, 'adjustment', 'succeeded', 1, 1 FROM ledger.wallets LIMIT 1",
		"an adjustment needs the credits":  "INSERT INTO ledger.transactions (id, user_id, kind, status, credits, settled, agent_id) SELECT gen_random_uuid(), w.user_id, 'adjustment', 'succeeded', 9e15, 9e15, a.id FROM ledger.wallets w, ledger.agents a LIMIT 1",
		"an adjustment is of its own user": "INSERT INTO ledger.transactions (id, user_id, kind, status, credits, settled, agent_id) SELECT gen_random_uuid(), gen_random_uuid(), 'adjustment', 'succeeded', 1, 1, a.id FROM ledger.agents a LIMIT 1",
	} {
		err := pgx.BeginFunc(t.Context(), conn, func(tx pgx.Tx) error {
			if _, err := tx.Exec(t.Context(), "SELECT set_config('app.actor', 'key:intruder', true)"); err != nil {
				return err
			}
			_, err := tx.Exec(t.Context(), sql)
			return err
		})
		require.Error(t, err, what)
	}
}

func TestUnknownRunIsCharged(t *testing.T) {
	t.Parallel()
	b := setup(t, enginetest.ClickHouse(t), enginetest.Postgres(t), 1)
	b.use(t, "unbilled", 0, 3*ledger.Credit)
	b.insert(t, []string{"stranger\tplanner\tsomebody\t2026-01-01 00:00:00\t1\n", "strange agent\tnobody\t" + b.users[0].ID.String() + "\t2026-01-01 00:00:00\t1\n"})
	_, found := b.run(t, reconcile.Config{})
	require.Equal(t, map[string]ledger.ReconState{"unbilled": ledger.ReconMissingInLedger, "stranger": ledger.ReconMissingInLedger, "strange agent": ledger.ReconMissingInLedger}, found)
	for _, id := range []string{"stranger", "strange agent"} {
		_, err := b.Adjust(t.Context(), b.call(operator), id, ledger.AdjustInput{Reason: "whose is it?"})
		require.Equal(t, ledger.CodeConflict, ledger.CodeOf(err), id)
		_, err = b.Waive(t.Context(), b.call(operator), id, ledger.WaiveInput{Reason: "a test of somebody"})
		require.NoError(t, err)
	}
	before := b.posted(t, 0)
	d, err := b.Adjust(t.Context(), b.call(operator), "unbilled", ledger.AdjustInput{Reason: "it was never authorized"})
	require.NoError(t, err)
	require.Equal(t, before-3*ledger.Credit, b.posted(t, 0))
	posting, err := b.Transaction(t.Context(), operator, *d.TransactionID)
	require.NoError(t, err)
	require.Nil(t, posting.ParentID)
	require.JSONEq(t, `{"executionId": "unbilled"}`, string(posting.Metadata))
	_, found = b.run(t, reconcile.Config{})
	require.NotContains(t, found, "unbilled", "it was corrected, though no transaction has its id")
	b.settled(t)
}

// TestStrangeIDs has telemetry name runs as the ledger cannot.
func TestStrangeIDs(t *testing.T) {
	t.Parallel()
	b := setup(t, enginetest.ClickHouse(t), enginetest.Postgres(t), 1)
	strange := []string{`a\0b`, `a\0c`, "a\xffb", strings.Repeat("x", 5000), "", "emoji 🧾"}
	for _, id := range strange {
		b.insert(t, []string{id + "\tplan\\0ner\tsome\xffbody\t2026-01-01 00:00:00\t1\n"})
	}
	b.charge(t, "fine", 0, ledger.Credit)
	b.use(t, "fine", 0, ledger.Credit)
	summary, found := b.run(t, reconcile.Config{})
	require.Len(t, found, len(strange), "each is told apart")
	require.EqualValues(t, 1, summary.Matched)
	require.Contains(t, found, "emoji 🧾")
	_, again := b.run(t, reconcile.Config{})
	require.Equal(t, found, again)
	published, err := b.reconciler(reconcile.Config{}).Publish(t.Context())
	require.NoError(t, err)
	require.Equal(t, len(strange)+2, published)
}

func TestGraceLateTelemetryAndWindow(t *testing.T) {
	t.Parallel()
	b := setup(t, enginetest.ClickHouse(t), enginetest.Postgres(t), 1)
	b.charge(t, "late", 0, ledger.Credit)
	in := func(d time.Duration) func() time.Time { return func() time.Time { return time.Now().Add(d) } }
	_, found := b.run(t, reconcile.Config{Grace: reconcile.DefaultGrace, Now: in(reconcile.DefaultGrace - time.Minute)})
	require.Empty(t, found, "it may still come")
	_, found = b.run(t, reconcile.Config{Grace: reconcile.DefaultGrace, Now: in(reconcile.DefaultGrace + time.Second)})
	require.Equal(t, map[string]ledger.ReconState{"late": ledger.ReconMissingInTelemetry}, found)
	// Long after, when the charge is out of the window, it is still open, and still found when its telemetry comes.
	_, found = b.run(t, reconcile.Config{Now: in(200 * time.Hour)})
	require.Equal(t, map[string]ledger.ReconState{"late": ledger.ReconMissingInTelemetry}, found)
	b.use(t, "late", 0, ledger.Credit)
	summary, found := b.run(t, reconcile.Config{Now: in(201 * time.Hour)})
	require.Empty(t, found)
	require.Zero(t, summary.Executions)
	require.Equal(t, ledger.ReconMatched, b.item(t, "late").State)

	// A run that is stored before it is captured, and captured after the end of the window.
	hold, err := b.authorize(t.Context(), "early", 0, ledger.Credit)
	require.NoError(t, err)
	b.use(t, "early", 0, ledger.Credit)
	_, found = b.run(t, reconcile.Config{})
	require.Equal(t, map[string]ledger.ReconState{"early": ledger.ReconMissingInLedger}, found)
	_, err = b.Adjust(t.Context(), b.call(operator), "early", ledger.AdjustInput{Reason: "too early"})
	require.Equal(t, ledger.CodeConflict, ledger.CodeOf(err), "its hold can still be captured")
	_, err = b.Capture(t.Context(), b.call(operator), hold, ledger.CaptureInput{})
	require.NoError(t, err)
	_, err = b.Adjust(t.Context(), b.call(operator), "early", ledger.AdjustInput{Reason: "too late"})
	require.Equal(t, ledger.CodeConflict, ledger.CodeOf(err), "it was captured since it was compared")
	_, found = b.run(t, reconcile.Config{})
	require.Empty(t, found)

	// Two rows of one run, of which only one is of the window.
	b.charge(t, "twice", 0, ledger.Credit)
	b.use(t, "twice", 0, ledger.Credit)
	cut := time.Now().Add(20 * time.Millisecond)
	time.Sleep(time.Until(cut) + 20*time.Millisecond) // The rows are told apart by the server's clock.
	b.use(t, "twice", 0, ledger.Credit)
	now := time.Now().Add(time.Second) // As for the others.
	_, found = b.run(t, reconcile.Config{Window: now.Sub(cut), Now: func() time.Time { return now }})
	require.Equal(t, map[string]ledger.ReconState{"twice": ledger.ReconDrift}, found)
	b.settled(t)
}

func TestThresholdOfApprovals(t *testing.T) {
	t.Parallel()
	b := setup(t, enginetest.ClickHouse(t), enginetest.Postgres(t), 1)
	strict, err := pgstore.Open(t.Context(), pgstore.Settings{URL: b.url, AdjustOver: new(ledger.Credits(0))})
	require.NoError(t, err)
	defer strict.Close()
	b.charge(t, "small", 0, ledger.Credit)
	b.use(t, "small", 0, ledger.Credit+1)
	b.run(t, reconcile.Config{})
	d, err := strict.Adjust(t.Context(), b.call(operator), "small", ledger.AdjustInput{Reason: "a millionth"})
	require.NoError(t, err)
	require.Equal(t, ledger.DecisionPending, d.Status)
}
