package schema_test

import (
	"database/sql"
	"os"
	"testing"

	"github.com/pressly/goose/v3"
	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/internal/enginetest"
	"github.com/agenttrail/agenttrail/schema"
)

// Users and agents that were there before the ledger had wallets get what the others have.
func TestMigratePostgresWithRows(t *testing.T) {
	t.Parallel()
	url := enginetest.Postgres(t).Database(t)
	db, err := sql.Open("pgx", url)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	_, err = db.ExecContext(t.Context(), "CREATE SCHEMA ledger")
	require.NoError(t, err)
	old, err := goose.NewProvider(goose.DialectPostgres, db, os.DirFS("postgres"), goose.WithTableName("ledger.schema_migration"), goose.WithDisableGlobalRegistry(true))
	require.NoError(t, err)
	_, err = old.UpTo(t.Context(), 1)
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), `INSERT INTO ledger.users (id, email, status) VALUES ('0198c0de-0000-7000-8000-000000000001', 'old@example.com', 'active'), ('0198c0de-0000-7000-8000-000000000002', 'gone@example.com', 'closed');
		INSERT INTO ledger.agents (id, slug, name, category, owner_user_id) VALUES ('0198c0de-0000-7000-8000-000000000003', 'old', 'Old', 'x', '0198c0de-0000-7000-8000-000000000001')`)
	require.NoError(t, err)

	_, err = schema.MigratePostgres(t.Context(), url)
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), `BEGIN; SELECT set_config('app.actor', 'system:test', true); INSERT INTO ledger.users (id, email) VALUES ('0198c0de-0000-7000-8000-000000000004', 'new@example.com'); COMMIT`)
	require.NoError(t, err)
	var wallets, closed, revenues int
	require.NoError(t, db.QueryRowContext(t.Context(), `SELECT (SELECT count(*) FROM ledger.wallets w JOIN ledger.accounts a ON a.id = w.account_id AND a.owner_id = w.user_id AND a.purpose = 'wallet'),
		(SELECT count(*) FROM ledger.wallets WHERE closed), (SELECT count(*) FROM ledger.accounts WHERE purpose = 'revenue')`).Scan(&wallets, &closed, &revenues))
	require.Equal(t, []int{3, 1, 1}, []int{wallets, closed, revenues})
}

// Each column says what it means.
func TestPostgresColumnsAreCommented(t *testing.T) {
	t.Parallel()
	url := enginetest.Postgres(t).Database(t)
	_, err := schema.MigratePostgres(t.Context(), url)
	require.NoError(t, err)
	db, err := sql.Open("pgx", url)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	rows, err := db.QueryContext(t.Context(), `SELECT c.relname || '.' || a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
		WHERE c.relnamespace = 'ledger'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname <> 'schema_migration' AND col_description(c.oid, a.attnum) IS NULL ORDER BY 1`)
	require.NoError(t, err)
	defer func() { require.NoError(t, rows.Close()) }()
	var missing []string
	for rows.Next() {
		var name string
		require.NoError(t, rows.Scan(&name))
		missing = append(missing, name)
	}
	require.NoError(t, rows.Err())
	require.Empty(t, missing)
}
