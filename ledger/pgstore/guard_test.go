package pgstore_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/ledger"
	"github.com/agenttrail/agenttrail/ledger/pgstore"
)

// Whoever writes SQL, as a superuser at that, is refused what must not be.
func TestSQLRefuses(t *testing.T) {
	t.Parallel()
	b := setup(t, pgstore.Settings{})
	g := b.grant(t, b.user.ID, 100*ledger.Credit)
	m := b.mandate(t, b.user.ID, ledger.Rules{})
	revoked := b.mandate(t, b.user.ID, ledger.Rules{})
	_, err := b.RevokeMandate(t.Context(), b.call(operator), revoked.ID, ledger.MandateChange{})
	require.NoError(t, err)
	run := func(settle string) string {
		a, err := b.authorize(t.Context(), m, 5*ledger.Credit)
		require.NoError(t, err)
		switch settle {
		case "capture":
			_, err = b.Capture(t.Context(), b.call(runner), a.Hold.ID, ledger.CaptureInput{Amount: credits(3)})
		case "release":
			_, err = b.Release(t.Context(), b.call(runner), a.Hold.ID)
		}
		require.NoError(t, err)
		return a.Hold.ID.String()
	}
	waiting := b.mandate(t, b.user.ID, ledger.Rules{ApprovalOver: credits(0)})
	pending, err := b.authorize(t.Context(), waiting, ledger.Credit)
	require.NoError(t, err)
	rejected, err := b.authorize(t.Context(), waiting, ledger.Credit)
	require.NoError(t, err)
	_, err = b.Reject(t.Context(), b.call(approver), rejected.Approval.ID, ledger.DecisionInput{})
	require.NoError(t, err)
	closed := b.newUser(t, "closed@example.com")
	_, err = b.CloseUser(t.Context(), b.call(operator), closed.ID, 0)
	require.NoError(t, err)
	retired := b.newAgent(t, "retired", "x", "", 0)
	gone := ledger.AgentRetired
	_, err = b.ChangeAgent(t.Context(), b.call(operator), retired.ID, ledger.AgentChange{Status: &gone})
	require.NoError(t, err)
	key, err := b.CreateKey(t.Context(), b.call(operator), ledger.KeyInput{Name: "k", Scopes: []ledger.Scope{ledger.ScopeExecute}})
	require.NoError(t, err)
	_, err = b.RevokeKey(t.Context(), b.call(operator), key.Key.ID)
	require.NoError(t, err)

	ids := strings.NewReplacer(
		"{user}", b.user.ID.String(), "{closed}", closed.ID.String(), "{agent}", b.agent.ID.String(), "{retired}", retired.ID.String(),
		"{mandate}", m.ID.String(), "{revoked}", revoked.ID.String(), "{grant}", g.ID.String(), "{granting}", g.TransactionID.String(),
		"{active}", run(""), "{captured}", run("capture"), "{released}", run("release"),
		"{pending}", pending.Approval.ID.String(), "{waiting}", pending.Transaction.ID.String(), "{rejected}", rejected.Approval.ID.String(), "{key}", key.Key.ID.String(),
	)
	const (
		noActor, stays, unbalanced, unfit, noReason, fixed, noTransition = "LA001", "LA002", "LL001", "LL002", "LL003", "LL004", "LL005"
		check, unique                                                    = "23514", "23505"
	)
	newRun := `INSERT INTO ledger.transactions (id, user_id, kind, status, credits, agent_id, agent_version, mandate_id, mandate_version, execution_id) VALUES (ledger.new_id(), '{user}', 'execution', 'authorized', 5000000, '{agent}', 1, '{mandate}', 1, 'x')`
	for _, c := range []struct{ name, want, sql string }{
		{"a user without an actor", noActor, `SELECT set_config('app.actor', '', true); UPDATE ledger.users SET display_name = 'x' WHERE id = '{user}'`},
		{"an agent without an actor", noActor, `SELECT set_config('app.actor', '', true); UPDATE ledger.agents SET name = 'x' WHERE id = '{agent}'`},
		{"rules without an actor", noActor, `SELECT set_config('app.actor', '', true); INSERT INTO ledger.mandate_versions (mandate_id, version, rules, effective_at, created_at, created_by) VALUES ('{mandate}', 2, '{}', now(), now(), 'x')`},
		{"a capture without an actor", noActor, `SELECT set_config('app.actor', '', true); UPDATE ledger.holds SET status = 'captured', captured = 1, resolved_at = now(), row_version = row_version + 1 WHERE id = '{active}'`},

		{"capture of what is captured", noTransition, `UPDATE ledger.holds SET status = 'captured', captured = 1, resolved_at = now(), row_version = row_version + 1 WHERE id = '{captured}'`},
		{"capture of what is released", noTransition, `UPDATE ledger.holds SET status = 'captured', captured = 1, resolved_at = now(), row_version = row_version + 1 WHERE id = '{released}'`},
		{"a settled hold becomes active", noTransition, `UPDATE ledger.holds SET status = 'active', captured = 0, resolved_at = NULL, row_version = row_version + 1 WHERE id = '{released}'`},
		{"a hold in a state that is none", noTransition, `UPDATE ledger.holds SET status = 'lost', resolved_at = now(), row_version = row_version + 1 WHERE id = '{active}'`},
		{"more captured than held", check, `UPDATE ledger.holds SET status = 'captured', captured = amount + 1, resolved_at = now(), row_version = row_version + 1 WHERE id = '{active}'`},
		{"released and captured", check, `UPDATE ledger.holds SET status = 'released', captured = 1, resolved_at = now(), row_version = row_version + 1 WHERE id = '{active}'`},
		{"less than nothing captured", check, `UPDATE ledger.holds SET status = 'captured', captured = -1, resolved_at = now(), row_version = row_version + 1 WHERE id = '{active}'`},
		{"a hold grows", fixed, `UPDATE ledger.holds SET amount = amount + 1, status = 'captured', resolved_at = now(), row_version = row_version + 1 WHERE id = '{active}'`},
		{"a hold of nothing", unfit, `INSERT INTO ledger.holds (id, user_id, agent_id, mandate_id, amount, authorized_at, expires_at) VALUES (ledger.new_id(), '{user}', '{agent}', '{mandate}', 1, now(), now() + interval '1 minute')`},
		{"a second hold", unique, `INSERT INTO ledger.holds SELECT id, user_id, agent_id, mandate_id, amount, 0, 'active', authorized_at, expires_at, NULL, 1 FROM ledger.holds WHERE id = '{active}'`},
		{"a hold that was settled when it was made", noTransition, newRun + `; INSERT INTO ledger.holds (id, user_id, agent_id, mandate_id, amount, status, captured, authorized_at, expires_at, resolved_at) SELECT id, user_id, agent_id, mandate_id, credits, 'captured', 1, now(), now() + interval '1 minute', now() FROM ledger.transactions WHERE execution_id = 'x'`},

		{"a run succeeds by itself", noTransition, `UPDATE ledger.transactions SET status = 'succeeded', row_version = row_version + 1 WHERE id = '{active}'`},
		{"a run settles by itself", noTransition, `UPDATE ledger.transactions SET settled = 1, row_version = row_version + 1 WHERE id = '{active}'`},
		{"a run is refunded by itself", noTransition, `UPDATE ledger.transactions SET refunded = 1, row_version = row_version + 1 WHERE id = '{captured}'`},
		{"a canceled run succeeds", noTransition, `UPDATE ledger.transactions SET status = 'succeeded', row_version = row_version + 1 WHERE id = '{released}'`},
		{"a run that waits succeeds", noTransition, `UPDATE ledger.transactions SET status = 'succeeded', row_version = row_version + 1 WHERE id = '{waiting}'`},
		{"a run is of another user", fixed, `UPDATE ledger.transactions SET user_id = '{closed}', row_version = row_version + 1 WHERE id = '{active}'`},
		{"a run asks for more", fixed, `UPDATE ledger.transactions SET credits = credits + 1, row_version = row_version + 1 WHERE id = '{active}'`},
		{"a receipt is another", fixed, `UPDATE ledger.transactions SET receipt = '{}', row_version = row_version + 1 WHERE id = '{captured}'`},
		{"a change that does not count", fixed, `UPDATE ledger.transactions SET reason = 'x' WHERE id = '{waiting}'`},
		{"a run begins as succeeded", noTransition, strings.Replace(newRun, "'authorized'", "'succeeded'", 1)},
		{"a run of nobody's mandate", unfit, strings.Replace(newRun, "'{mandate}'", "ledger.new_id()", 1)},
		{"a run for another's mandate", unfit, strings.Replace(newRun, "'{user}'", "'{closed}'", 1)},
		{"a run for nothing", check, strings.Replace(newRun, "5000000", "0", 1)},
		{"a run that is no run", check, strings.Replace(newRun, "'execution'", "'gift'", 1)},
		{"money without a currency", check, `INSERT INTO ledger.transactions (id, user_id, kind, status, credits, settled, amount_cents) VALUES (ledger.new_id(), '{user}', 'grant', 'succeeded', 1, 1, 100)`},
		{"more refunded than captured", check, `INSERT INTO ledger.transactions (id, user_id, kind, status, credits, settled, parent_id) VALUES (ledger.new_id(), '{user}', 'refund', 'succeeded', 3000001, 3000001, '{captured}')`},
		{"a refund of another's run", unfit, `INSERT INTO ledger.transactions (id, user_id, kind, status, credits, settled, parent_id) VALUES (ledger.new_id(), '{closed}', 'refund', 'succeeded', 1, 1, '{captured}')`},

		{"credits out of nothing", noReason, `UPDATE ledger.wallets SET posted = posted + 1 WHERE user_id = '{user}'`},
		{"held by nothing", noReason, `UPDATE ledger.wallets SET held = held + 1 WHERE user_id = '{user}'`},
		{"a wallet by itself", noReason, `INSERT INTO ledger.wallets (user_id, account_id) VALUES ('{user}', 1)`},
		{"usage by itself", noReason, `UPDATE ledger.mandate_usage SET total_used = 0 WHERE mandate_id = '{mandate}'`},
		{"usage of the day by itself", noReason, `UPDATE ledger.mandate_usage SET day_used = 0 WHERE mandate_id = '{mandate}'`},
		{"entries that do not sum to zero", unbalanced, `INSERT INTO ledger.entries (transaction_id, account_id, amount) VALUES ('{active}', 1, 5), ('{active}', 2, -4)`},
		{"an entry alone", unbalanced, `INSERT INTO ledger.entries (transaction_id, account_id, amount) VALUES ('{active}', 1, 5)`},
		{"entries of nothing", unbalanced, `INSERT INTO ledger.entries (transaction_id, account_id, amount) VALUES ('{active}', 1, 0), ('{active}', 2, 0)`},
		{"entries of no account", unfit, `INSERT INTO ledger.entries (transaction_id, account_id, amount) VALUES ('{active}', 1, 5), ('{active}', -1, -5)`},
		{"entries of no settlement", noReason, `INSERT INTO ledger.entries (transaction_id, account_id, amount) VALUES ('{active}', 1, 5), ('{active}', 2, -5)`},
		{"entries into a closed journal", unique, `INSERT INTO ledger.entries (transaction_id, account_id, amount) VALUES ('{captured}', 1, 3000000), ('{captured}', 2, -3000000)`},
		{"a journal by itself", noReason, `INSERT INTO ledger.journal (transaction_id, legs) VALUES ('{active}', 2)`},
		{"a grant of nothing", noReason, `INSERT INTO ledger.credit_grants (id, user_id, transaction_id, category, amount, remaining) VALUES (ledger.new_id(), '{user}', '{active}', 'promo', 5, 5)`},
		{"a grant again", unique, `INSERT INTO ledger.credit_grants (id, user_id, transaction_id, category, amount, remaining) SELECT ledger.new_id(), user_id, transaction_id, category, amount, amount FROM ledger.credit_grants WHERE id = '{grant}'`},
		{"a grant grows", fixed, `UPDATE ledger.credit_grants SET amount = amount + 1 WHERE id = '{grant}'`},
		{"a grant is used by itself", noTransition, `UPDATE ledger.credit_grants SET remaining = remaining - 1 WHERE id = '{grant}'`},
		{"a grant has more left than was given", check, `UPDATE ledger.credit_grants SET remaining = amount + 1 WHERE id = '{grant}'`},
		{"a use by itself", noReason, `INSERT INTO ledger.grant_uses (transaction_id, grant_id, amount) VALUES ('{active}', '{grant}', 1)`},

		{"a revoked mandate is active", noTransition, `UPDATE ledger.mandates SET status = 'active', revoked_at = NULL, revoked_by = NULL WHERE id = '{revoked}'`},
		{"rules of a revoked mandate", noTransition, `INSERT INTO ledger.mandate_versions (mandate_id, version, rules, effective_at, created_at, created_by) VALUES ('{revoked}', 2, '{}', now(), now(), 'x')`},
		{"rules that leave out a version", noTransition, `INSERT INTO ledger.mandate_versions (mandate_id, version, rules, effective_at, created_at, created_by) VALUES ('{mandate}', 3, '{}', now(), now(), 'x')`},
		{"rules in the past", check, `INSERT INTO ledger.mandate_versions (mandate_id, version, rules, effective_at, created_at, created_by) VALUES ('{mandate}', 2, '{}', now() - interval '1 second', now(), 'x')`},
		{"a mandate is another's", fixed, `UPDATE ledger.mandates SET user_id = '{closed}' WHERE id = '{mandate}'`},
		{"revoked by nobody", check, `UPDATE ledger.mandates SET status = 'revoked', revoked_at = now() WHERE id = '{mandate}'`},
		{"a closed user is active", noTransition, `UPDATE ledger.users SET status = 'active' WHERE id = '{closed}'`},
		{"a user closes with credits on hold", noTransition, `UPDATE ledger.users SET status = 'closed' WHERE id = '{user}'`},
		{"a retired agent is active", noTransition, `UPDATE ledger.agents SET status = 'active' WHERE id = '{retired}'`},
		{"a version of a retired agent", noTransition, `INSERT INTO ledger.agent_versions (agent_id, version, pricing, created_by) VALUES ('{retired}', 2, '{}', 'x')`},
		{"an agent has another slug", fixed, `UPDATE ledger.agents SET slug = 'x' WHERE id = '{agent}'`},
		{"an agent's version by itself", noTransition, `UPDATE ledger.agents SET version = 9 WHERE id = '{agent}'`},
		{"a decided approval is decided", noTransition, `UPDATE ledger.approvals SET status = 'approved' WHERE id = '{rejected}'`},
		{"an approval is of less", fixed, `UPDATE ledger.approvals SET status = 'approved', decided_at = now(), decided_by = 'x', amount = 1 WHERE id = '{pending}'`},
		{"decided by nobody", check, `UPDATE ledger.approvals SET status = 'approved' WHERE id = '{pending}'`},
		{"a revoked key works again", noTransition, `UPDATE ledger.api_keys SET revoked_at = NULL WHERE id = '{key}'`},
		{"a key may do more", fixed, `UPDATE ledger.api_keys SET scopes = '{admin}' WHERE id = '{key}'`},
		{"a scope that is none", check, `INSERT INTO ledger.api_keys (id, name, prefix, secret_hash, scopes, created_by) VALUES (ledger.new_id(), 'x', 'x', sha256('x'), '{root}', 'x')`},
		{"a rating of 6", check, `INSERT INTO ledger.user_agent_interactions (user_id, agent_id, rating) VALUES ('{user}', '{agent}', 6)`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, b.attempt(t, ids.Replace(c.sql)))
		})
	}
	for _, table := range []string{"accounts", "journal", "entries", "grant_uses", "agent_versions", "mandate_versions", "audit_logs", "agent_audit_logs", "user_audit_logs", "mandate_audit_logs"} {
		t.Run("history of "+table, func(t *testing.T) {
			t.Parallel()
			column := map[string]string{"accounts": "purpose", "journal": "legs", "entries": "amount", "grant_uses": "amount", "agent_versions": "version", "mandate_versions": "version"}[table]
			if column == "" {
				column = "field"
			}
			require.Equal(t, stays, b.attempt(t, "UPDATE ledger."+table+" SET "+column+" = "+column))
			require.Equal(t, stays, b.attempt(t, "DELETE FROM ledger."+table))
			require.Equal(t, stays, b.attempt(t, "TRUNCATE ledger."+table+" CASCADE"))
		})
	}
	for _, table := range []string{"users", "agents", "wallets", "transactions", "credit_grants", "mandates", "mandate_usage", "holds", "approvals", "api_keys"} {
		t.Run("rows of "+table, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, stays, b.attempt(t, "DELETE FROM ledger."+table))
			require.Equal(t, stays, b.attempt(t, "TRUNCATE ledger."+table+" CASCADE"))
		})
	}
	t.Run("a month of a trail", func(t *testing.T) {
		t.Parallel()
		var month string
		require.NoError(t, b.connect(t).QueryRow(t.Context(), "SELECT tableoid::regclass::text FROM ledger.audit_logs LIMIT 1").Scan(&month))
		require.Regexp(t, `^ledger\.audit_logs_\d{4}_\d\d$`, month)
		require.Equal(t, stays, b.attempt(t, "DELETE FROM "+month))
		require.Equal(t, stays, b.attempt(t, "TRUNCATE "+month))
	})
	t.Cleanup(func() { b.settled(t) })
}

// attempt runs statements in a transaction that it takes back, as somebody with a name, and returns the SQLSTATE of what
// went wrong. Of others that lock the same in another order it begins anew.
func (b *bundle) attempt(t *testing.T, sql string) string {
	t.Helper()
	const deadlock = "40P01"
	for {
		if state := b.attemptOnce(t, sql); state != deadlock {
			return state
		}
	}
}

func (b *bundle) attemptOnce(t *testing.T, sql string) string {
	t.Helper()
	conn := b.connect(t)
	tx, err := conn.Begin(t.Context())
	require.NoError(t, err)
	defer func() { require.NoError(t, tx.Rollback(t.Context())) }()
	_, err = tx.Exec(t.Context(), "SELECT set_config('app.actor', 'system:test', true)")
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol)
	if err == nil {
		return "nothing"
	}
	e := &pgconn.PgError{}
	require.ErrorAs(t, err, &e)
	if e.Code == "XX000" || strings.HasPrefix(e.Code, "42") {
		require.NoError(t, err, "the statement itself is wrong")
	}
	return e.Code
}
