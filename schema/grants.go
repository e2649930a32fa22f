package schema

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// PostgresRoles are the roles that work with the database and do not own it. An empty one is left alone.
type PostgresRoles struct {
	Ledger string // Of the service.
	Reader string // Of dashboards.
}

// What triggers forbid for good is not granted either: bits of pg_trigger.tgtype.
const (
	onDelete = 8
	onUpdate = 16
)

// GrantPostgres gives roles what they need of the database at url, whose schema must be up to date, and takes back what they
// had before. The address is that of the owner of the tables. A ledger can then neither change tables nor what is
// append-only, and never remove a user, a posting or a line of a trail, whatever is made of its password.
func GrantPostgres(ctx context.Context, url string, roles PostgresRoles) (err error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return fmt.Errorf("open postgres: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	tx, err := conn.Begin(ctx)
	if err != nil {
		return fmt.Errorf("begin grants: %w", err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // Does nothing after a commit.
	if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock(hashtextextended('agenttrail.grants', 0))"); err != nil {
		return fmt.Errorf("wait for grants of another: %w", err)
	}
	if roles.Ledger != "" {
		if err := grantLedger(ctx, tx, roles.Ledger); err != nil {
			return err
		}
	}
	if roles.Reader != "" {
		if err := grantReader(ctx, tx, roles.Reader); err != nil {
			return err
		}
	}
	if err := tx.Commit(ctx); err != nil {
		return fmt.Errorf("end grants: %w", err)
	}
	return nil
}

func grantLedger(ctx context.Context, tx pgx.Tx, role string) error {
	to := pgx.Identifier{role}.Sanitize()
	if err := grant(ctx, tx, role,
		"REVOKE ALL ON ALL TABLES IN SCHEMA ledger, "+riverSchema+" FROM "+to,
		"GRANT USAGE ON SCHEMA ledger, "+riverSchema+" TO "+to,
		"GRANT SELECT ON ALL TABLES IN SCHEMA ledger, "+riverSchema+" TO "+to,
		"GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "+riverSchema+" TO "+to,
		"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA ledger, "+riverSchema+" TO "+to,
		// The one job that makes tables. It runs as their owner, who is the only one to make it do so.
		"ALTER FUNCTION ledger.make_audit_partitions(int) SECURITY DEFINER SET search_path = pg_catalog, pg_temp",
		"REVOKE ALL ON FUNCTION ledger.make_audit_partitions(int) FROM PUBLIC",
		"GRANT EXECUTE ON FUNCTION ledger.make_audit_partitions(int) TO "+to,
		"REVOKE INSERT, UPDATE, DELETE ON "+postgresVersionTable+", "+riverSchema+".river_migration FROM "+to,
	); err != nil {
		return err
	}
	rows, err := tx.Query(ctx, `SELECT c.relname, coalesce(bool_or(t.tgtype & $1 > 0), false), coalesce(bool_or(t.tgtype & $2 > 0), false)
		FROM pg_class c LEFT JOIN pg_trigger t ON t.tgrelid = c.oid AND t.tgfoid = 'ledger.deny_change'::regproc
		WHERE c.relnamespace = 'ledger'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.oid != $3::regclass
		GROUP BY 1 ORDER BY 1`, onUpdate, onDelete, postgresVersionTable)
	if err != nil {
		return fmt.Errorf("list tables of the ledger: %w", err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct {
		Name               string
		NoUpdate, NoDelete bool
	}])
	if err != nil {
		return fmt.Errorf("list tables of the ledger: %w", err)
	}
	for _, t := range tables {
		rights := "INSERT"
		if !t.NoUpdate {
			rights += ", UPDATE"
		}
		if !t.NoDelete {
			rights += ", DELETE"
		}
		if err := grant(ctx, tx, role, "GRANT "+rights+" ON "+pgx.Identifier{"ledger", t.Name}.Sanitize()+" TO "+to); err != nil {
			return err
		}
	}
	return nil
}

// grantReader leaves out what could be used: hashes of keys, and answers that clients can have repeated.
func grantReader(ctx context.Context, tx pgx.Tx, role string) error {
	to := pgx.Identifier{role}.Sanitize()
	return grant(ctx, tx, role,
		"REVOKE ALL ON ALL TABLES IN SCHEMA ledger, "+riverSchema+" FROM "+to,
		"GRANT USAGE ON SCHEMA ledger, "+riverSchema+" TO "+to,
		"GRANT SELECT ON ALL TABLES IN SCHEMA ledger, "+riverSchema+" TO "+to,
		"REVOKE SELECT ON ledger.api_keys, ledger.idempotency_keys FROM "+to,
		"GRANT SELECT (id, name, prefix, scopes, user_id, created_at, created_by, expires_at, last_used_at, revoked_at, replaced_by, row_version) ON ledger.api_keys TO "+to,
	)
}

func grant(ctx context.Context, tx pgx.Tx, role string, statements ...string) error {
	for _, s := range statements {
		if _, err := tx.Exec(ctx, s); err != nil {
			if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok && pgErr.Code == "42704" {
				return fmt.Errorf("there is no role %s in postgres: make it first, as deploy/postgres/roles.sql does", role)
			}
			return fmt.Errorf("grant to %s: %w", role, err)
		}
	}
	return nil
}
