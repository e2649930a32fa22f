package pgstore_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/ledger"
	"github.com/agenttrail/agenttrail/ledger/pgstore"
)

func TestAuditTellsRules(t *testing.T) {
	t.Parallel()
	b := setup(t, pgstore.Settings{})
	m := b.mandate(t, b.user.ID, ledger.Rules{MaxPerDay: credits(50), DenyAgents: []string{"x"}})
	call := b.call(operator)
	_, err := b.ReplaceRules(t.Context(), call, m.ID, ledger.MandateVersionInput{Rules: ledger.Rules{MaxPerDay: credits(10), MaxTotal: credits(99)}})
	require.NoError(t, err)
	require.Equal(t, []string{
		"rules.denyAgents: [\"x\"] to null", "rules.maxPerDay: \"50\" to \"10\"", "rules.maxTotal: null to \"99\"", "version: 1 to 2",
	}, b.trail(t, ledger.TrailMandates, call.RequestID, "effective_at"))

	call = b.call(operator)
	_, err = b.ChangePrice(t.Context(), call, b.agent.ID, 0, ledger.Pricing{PerExecution: 2 * ledger.Credit})
	require.NoError(t, err)
	require.Equal(t, []string{
		`pricing: {"perExecution": "1", "perThousandTokens": "0"} to {"perExecution": "2", "perThousandTokens": "0"}`, "version: 1 to 2", "version: 1 to 2",
	}, b.trail(t, ledger.TrailAgents, call.RequestID))

	call = b.call(operator)
	email, name := "lovelace@example.com", "Ada"
	_, err = b.ChangeUser(t.Context(), call, b.user.ID, ledger.UserChange{Email: &email, DisplayName: &name})
	require.NoError(t, err)
	require.Equal(t, []string{`display_name: "" to "Ada"`, `email: "ada@example.com" to "lovelace@example.com"`}, b.trail(t, ledger.TrailUsers, call.RequestID))

	call = b.call(operator)
	four := 4
	_, err = b.PutInteraction(t.Context(), call, b.user.ID, b.agent.ID, ledger.InteractionInput{Rating: &four})
	require.NoError(t, err)
	_, err = b.PutInteraction(t.Context(), b.call(operator), b.user.ID, b.agent.ID, ledger.InteractionInput{Rating: &four, IsFavorite: true})
	require.NoError(t, err)
	list, err := b.Audit(t.Context(), operator, ledger.TrailUsers, ledger.AuditFilter{EntityID: b.user.ID}, ledger.Page{Limit: 1})
	require.NoError(t, err)
	require.Equal(t, b.agent.ID.String()+".is_favorite", list.Items[0].Field)
	require.NotEmpty(t, list.Next)
}

// trail is what a request changed, oldest first, without some fields.
func (b *bundle) trail(t *testing.T, trail ledger.Trail, request string, without ...string) (changes []string) {
	t.Helper()
	rows, err := b.connect(t).Query(t.Context(), "SELECT field || ': ' || coalesce(old_value::text, 'null') || ' to ' || coalesce(new_value::text, 'null') FROM ledger."+string(trail)+
		" WHERE request_id = $1 AND changed_by = $2 AND NOT field = ANY ($3) ORDER BY field, id", request, operator.Principal, append([]string{}, without...))
	require.NoError(t, err)
	changes, err = pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return changes
}

// audited are tables with their trail, and the columns that it does not tell.
var audited = []struct {
	table, trail, id, prefix string
	without                  []string
}{
	{"users", "user_audit_logs", "id", "''", nil},
	{"user_agent_interactions", "user_audit_logs", "user_id", "agent_id || '.'", nil},
	{"agents", "agent_audit_logs", "id", "''", nil},
	{"mandates", "mandate_audit_logs", "id", "''", nil},
	{"transactions", "audit_logs", "id", "''", []string{"metadata", "receipt"}},
	{"approvals", "audit_logs", "id", "''", nil},
	{"api_keys", "audit_logs", "id", "''", []string{"secret_hash", "last_used_at"}},
	{"credit_grants", "audit_logs", "id", "''", []string{"remaining", "open"}},
}

// replays fails unless the audit trails, played from the beginning, make the rows that are there now.
func (b *bundle) replays(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, b.url)
	require.NoError(t, err)
	defer conn.Close(ctx)
	for _, a := range audited {
		without := append([]string{"updated_at", "row_version"}, a.without...)
		present := rowsByKey(ctx, t, conn, "SELECT "+a.id+"::text || ' ' || "+a.prefix+", to_jsonb(r) - $1::text[] FROM ledger."+a.table+" r", without)
		played := map[string]map[string]any{}
		rows, err := conn.Query(ctx, "SELECT entity_id::text, field, new_value FROM ledger."+a.trail+" WHERE entity = $1 ORDER BY id", a.table)
		require.NoError(t, err)
		var id, field string
		var value any
		_, err = pgx.ForEachRow(rows, []any{&id, &field, &value}, func() error {
			prefix := ""
			if a.prefix != "''" {
				i := strings.LastIndex(field, ".") + 1
				prefix, field = field[:i], field[i:]
			}
			key := id + " " + prefix
			if field == "*" {
				require.NotContains(t, played, key, "made twice")
				played[key], _ = value.(map[string]any)
				return nil
			}
			require.Contains(t, played, key, "changed before it was made")
			played[key][field] = value
			return nil
		})
		require.NoError(t, err)
		require.Equal(t, normal(t, present), normal(t, played), a.table)
	}
	b.replaysVersions(ctx, t, conn)
}

// replaysVersions does the same for the rules and versions that count.
func (b *bundle) replaysVersions(ctx context.Context, t *testing.T, conn *pgx.Conn) {
	t.Helper()
	present := rowsByKey(ctx, t, conn, `SELECT DISTINCT ON (mandate_id) mandate_id::text, rules || jsonb_build_object('version', version) - $1::text[] FROM ledger.mandate_versions ORDER BY mandate_id, version DESC`, []string{})
	played := rowsByKey(ctx, t, conn, `SELECT entity_id::text, jsonb_object_agg(replace(field, 'rules.', ''), new_value) FROM (
		SELECT DISTINCT ON (entity_id, field) entity_id, field, new_value FROM ledger.mandate_audit_logs WHERE entity = 'mandate_versions' AND NOT field = ANY ($1) ORDER BY entity_id, field, id DESC) l
		WHERE new_value IS NOT NULL GROUP BY 1`, []string{"effective_at"})
	require.Equal(t, normal(t, present), normal(t, played), "rules")
	present = rowsByKey(ctx, t, conn, `SELECT DISTINCT ON (agent_id) agent_id::text, to_jsonb(v) - $1::text[] FROM ledger.agent_versions v ORDER BY agent_id, version DESC`, []string{"agent_id", "created_at", "created_by"})
	played = rowsByKey(ctx, t, conn, `SELECT entity_id::text, jsonb_object_agg(field, new_value) - $1::text[] FROM (
		SELECT DISTINCT ON (entity_id, field) entity_id, field, new_value FROM ledger.agent_audit_logs WHERE entity = 'agent_versions' ORDER BY entity_id, field, id DESC) l GROUP BY 1`, []string{})
	require.Equal(t, normal(t, present), normal(t, played), "versions of agents")
}

func rowsByKey(ctx context.Context, t *testing.T, conn *pgx.Conn, sql string, args ...any) map[string]map[string]any {
	t.Helper()
	rows, err := conn.Query(ctx, sql, args...)
	require.NoError(t, err)
	byKey := map[string]map[string]any{}
	var key string
	var value map[string]any
	_, err = pgx.ForEachRow(rows, []any{&key, &value}, func() error {
		byKey[key] = value
		value = nil
		return nil
	})
	require.NoError(t, err)
	return byKey
}

// normal leaves out nulls, for a column that is null and one that was set to null are the same.
func normal(t *testing.T, rows map[string]map[string]any) map[string]string {
	t.Helper()
	texts := map[string]string{}
	for key, row := range rows {
		for name, value := range row {
			if value == nil {
				delete(row, name)
			}
		}
		text, err := json.Marshal(row)
		require.NoError(t, err)
		texts[key] = string(text)
	}
	return texts
}

// sealed seals until every row that is there has a block. Two passes: the first one marks how far.
func (b *bundle) sealed(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(20 * time.Millisecond) { // All transactions of the server hold it up, those of other tests, too.
		require.NoError(t, b.SealAudit(context.Background()))
		unsealed := int64(0)
		for _, trail := range ledger.Trails() {
			r, err := b.VerifyAudit(context.Background(), operator, trail)
			require.NoError(t, err)
			require.Empty(t, r.Problems)
			unsealed += r.Unsealed
		}
		if unsealed == 0 {
			return
		}
		require.True(t, time.Now().Before(deadline), "%d rows stay unsealed", unsealed)
	}
}

func TestVerifyFindsTampering(t *testing.T) {
	t.Parallel()
	b := setup(t, pgstore.Settings{})
	conn := b.connect(t)
	name := ""
	for i := range 6 {
		name += string(rune('a' + i))
		_, err := b.ChangeUser(t.Context(), b.call(operator), b.user.ID, ledger.UserChange{DisplayName: &name})
		require.NoError(t, err)
		if i%2 == 1 {
			b.sealed(t)
		}
	}
	problems := func() []string {
		r, err := b.VerifyAudit(t.Context(), operator, ledger.TrailUsers)
		require.NoError(t, err)
		return r.Problems
	}
	whole, err := b.VerifyAudit(t.Context(), operator, ledger.TrailUsers)
	require.NoError(t, err)
	require.Empty(t, whole.Problems)
	require.GreaterOrEqual(t, whole.Blocks, 3)

	for what, tamper := range map[string]string{
		"an old value":            `UPDATE ledger.user_audit_logs SET old_value = '"x"' WHERE id = (SELECT max(id) FROM ledger.user_audit_logs)`,
		"a new value":             `UPDATE ledger.user_audit_logs SET new_value = '"x"' WHERE id = (SELECT max(id) FROM ledger.user_audit_logs)`,
		"a value that was null":   `UPDATE ledger.user_audit_logs SET old_value = '""' WHERE id = 1`,
		"who":                     `UPDATE ledger.user_audit_logs SET changed_by = 'key:other' WHERE id = 2`,
		"which request":           `UPDATE ledger.user_audit_logs SET request_id = NULL WHERE id = 2`,
		"of what":                 `UPDATE ledger.user_audit_logs SET entity_id = gen_random_uuid() WHERE id = 3`,
		"which field":             `UPDATE ledger.user_audit_logs SET field = 'email' WHERE id = 3`,
		"when, by a microsecond":  `UPDATE ledger.user_audit_logs SET "timestamp" = "timestamp" + interval '1 microsecond' WHERE id = 3`,
		"a row removed":           `DELETE FROM ledger.user_audit_logs WHERE id = 3`,
		"all removed":             `DELETE FROM ledger.user_audit_logs`,
		"a row added":             `INSERT INTO ledger.user_audit_logs SELECT id, 'users', entity_id, 'x', NULL, NULL, 'x', NULL, "timestamp" + interval '1 second' FROM ledger.user_audit_logs WHERE id = 3`,
		"two rows changed places": `UPDATE ledger.user_audit_logs SET id = 5 - id WHERE id IN (2, 3)`,
		"text moved to the next":  `UPDATE ledger.user_audit_logs SET entity = 'user', field = 's' || field WHERE id = 3`,
		"a block removed":         `DELETE FROM ledger.audit_blocks WHERE trail = 'user_audit_logs' AND seq = 2`,
		"a block's hash":          `UPDATE ledger.audit_blocks SET hash = sha256('x') WHERE trail = 'user_audit_logs' AND seq = 2`,
		"a block's row count":     `UPDATE ledger.audit_blocks SET rows = rows + 1 WHERE trail = 'user_audit_logs' AND seq = 2`,
		"a block's end":           `UPDATE ledger.audit_blocks SET upto_id = upto_id - 1 WHERE trail = 'user_audit_logs' AND seq = 2`,
		"two blocks changed places": `UPDATE ledger.audit_blocks SET seq = CASE seq WHEN 2 THEN 103 ELSE 102 END WHERE trail = 'user_audit_logs' AND seq IN (2, 3);
			UPDATE ledger.audit_blocks SET seq = seq - 100 WHERE trail = 'user_audit_logs' AND seq > 100`,
	} {
		// Whoever owns the database can make its triggers be silent.
		_, err := conn.Exec(t.Context(), "CREATE TABLE logs AS TABLE ledger.user_audit_logs; CREATE TABLE blocks AS TABLE ledger.audit_blocks; SET session_replication_role = replica; "+tamper, pgx.QueryExecModeSimpleProtocol)
		require.NoError(t, err, what)
		require.NotEmpty(t, problems(), what)
		_, err = conn.Exec(t.Context(), `DELETE FROM ledger.user_audit_logs; INSERT INTO ledger.user_audit_logs TABLE logs; DELETE FROM ledger.audit_blocks; INSERT INTO ledger.audit_blocks TABLE blocks;
			DROP TABLE logs, blocks; RESET session_replication_role`, pgx.QueryExecModeSimpleProtocol)
		require.NoError(t, err)
		require.Empty(t, problems(), "put back after %s", what)
	}

	// Who makes all hashes anew as well is found by the head that was kept elsewhere.
	_, err = conn.Exec(t.Context(), "SET session_replication_role = replica; UPDATE ledger.user_audit_logs SET changed_by = 'key:other' WHERE id = 2; DELETE FROM ledger.audit_blocks", pgx.QueryExecModeSimpleProtocol)
	require.NoError(t, err)
	b.sealed(t)
	forged, err := b.VerifyAudit(t.Context(), operator, ledger.TrailUsers)
	require.NoError(t, err)
	require.Empty(t, forged.Problems)
	require.NotEqual(t, whole.Head, forged.Head)
}

// A row whose transaction ends after a block was made must not be missing in it.
func TestSealWaitsForTransactions(t *testing.T) {
	t.Parallel()
	b := setup(t, pgstore.Settings{})
	b.sealed(t)
	open := b.connect(t)
	tx, err := open.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "SELECT set_config('app.actor', 'system:slow', true)")
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "INSERT INTO ledger.users (id, email) VALUES (gen_random_uuid(), 'slow@example.com')")
	require.NoError(t, err)
	b.newUser(t, "fast@example.com") // Has the higher id and is there first.
	for range 3 {
		require.NoError(t, b.SealAudit(t.Context()))
	}
	r, err := b.VerifyAudit(t.Context(), operator, ledger.TrailUsers)
	require.NoError(t, err)
	require.EqualValues(t, 1, r.Unsealed, "the fast one waits for the slow one")
	require.NoError(t, tx.Commit(t.Context()))
	b.sealed(t)
}

// A block stands for so many rows at most.
func TestSealManyRows(t *testing.T) {
	t.Parallel()
	b := setup(t, pgstore.Settings{})
	_, err := b.connect(t).Exec(t.Context(), `SET app.actor = 'system:test'; INSERT INTO ledger.user_audit_logs (entity, entity_id, field, changed_by) SELECT 'users', gen_random_uuid(), 'x', 'x' FROM generate_series(1, 250000)`, pgx.QueryExecModeSimpleProtocol)
	require.NoError(t, err)
	b.sealed(t)
	r, err := b.VerifyAudit(t.Context(), operator, ledger.TrailUsers)
	require.NoError(t, err)
	require.GreaterOrEqual(t, r.Blocks, 3)
	require.EqualValues(t, 250_001, r.Sealed)
}
