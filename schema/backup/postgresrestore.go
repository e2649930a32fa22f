package backup

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/agenttrail/agenttrail/schema"
)

// RestorePostgres puts the rows into the database at url, which must hold none, and brings the schema up to date. It is one
// transaction, but for the schema. Triggers and foreign keys do not work meanwhile: the rows, trails included, are to be
// what they were. That takes a superuser, or one with the right to set session_replication_role.
func (m *Manifest) RestorePostgres(ctx context.Context, dir, url string) (err error) {
	if err := schema.MigratePostgresTo(ctx, url, m.Postgres.Schema); err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return fmt.Errorf("open postgres: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	tx, err := conn.Begin(ctx)
	if err != nil {
		return fmt.Errorf("begin restore of postgres: %w", err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // Does nothing after a commit.
	if _, err := tx.Exec(ctx, "SET LOCAL session_replication_role = replica"); err != nil {
		if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok && pgErr.Code == "42501" {
			return errors.New("restore postgres: this user may not switch triggers off: use a superuser, or GRANT SET ON PARAMETER session_replication_role to this one")
		}
		return fmt.Errorf("switch triggers off: %w", err)
	}
	if err := m.Postgres.load(ctx, tx, dir); err != nil {
		return err
	}
	if err := tx.Commit(ctx); err != nil {
		return fmt.Errorf("end restore of postgres: %w", err)
	}
	_, err = schema.MigratePostgres(ctx, url)
	return err
}

func (p *Postgres) load(ctx context.Context, tx pgx.Tx, dir string) error {
	there, err := relations(ctx, tx)
	if err != nil {
		return err
	}
	for _, t := range there {
		if err := mustHaveNoRows(ctx, tx, t); err != nil {
			return err
		}
	}
	for _, month := range p.Partitions {
		if err := month.make(ctx, tx); err != nil {
			return err
		}
	}
	for _, t := range p.Tables {
		if err := t.load(ctx, tx, dir); err != nil {
			return fmt.Errorf("restore table %s.%s of postgres: %w", t.Schema, t.Name, err)
		}
	}
	for _, s := range p.Sequences {
		if s.Last == nil {
			continue
		}
		if _, err := tx.Exec(ctx, "SELECT setval($1::regclass, $2)", pgx.Identifier{s.Schema, s.Name}.Sanitize(), *s.Last); err != nil {
			return fmt.Errorf("restore sequence %s.%s: %w", s.Schema, s.Name, err)
		}
	}
	// These are transactions of the server that the backup was made of. All of them have ended, while here their numbers
	// may be yet to come.
	if _, err := tx.Exec(ctx, ForgetTransactions); err != nil {
		return fmt.Errorf("forget transactions of the old server: %w", err)
	}
	return nil
}

// ForgetTransactions must be run wherever rows of the ledger came to another server, as by pg_dump. It is in docs/backup.md.
const ForgetTransactions = `UPDATE ledger.audit_marks SET horizon = '3'; UPDATE ledger.outbox SET xid = '3'`

// mustHaveNoRows refuses a database that is in use. What migrations have put in is not counted.
func mustHaveNoRows(ctx context.Context, tx pgx.Tx, t Relation) error {
	if t.Schema != "ledger" || t.Name == "accounts" {
		return nil
	}
	var some bool
	if err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM "+t.name()+")").Scan(&some); err != nil {
		return fmt.Errorf("look for rows in %s: %w", t.name(), err)
	}
	if some {
		return fmt.Errorf("table %s.%s has rows: a backup is restored into an empty database only", t.Schema, t.Name)
	}
	return nil
}

func (r Relation) load(ctx context.Context, tx pgx.Tx, dir string) error {
	if _, err := tx.Exec(ctx, "DELETE FROM "+r.name()); err != nil { // What migrations have put in.
		return err
	}
	file, err := r.File.open(dir)
	if err != nil {
		return err
	}
	defer file.Close()
	tag, err := tx.Conn().PgConn().CopyFrom(ctx, file, "COPY "+r.name()+" ("+quoteAll(r.Columns)+") FROM STDIN")
	if err != nil {
		return err
	}
	if tag.RowsAffected() != r.Rows {
		return fmt.Errorf("%d rows came, of %d", tag.RowsAffected(), r.Rows)
	}
	return nil
}

// boundRule is what Postgres itself says of the bounds of a month.
var boundRule = regexp.MustCompile(`^FOR VALUES FROM \('[^']+'\) TO \('[^']+'\)$`)

// make makes the table of a month, as ledger.make_audit_partitions does.
func (m Month) make(ctx context.Context, tx pgx.Tx) error {
	if !boundRule.MatchString(m.Bound) {
		return nil // The default one, which is there.
	}
	var there bool
	name, parent := pgx.Identifier{"ledger", m.Name}.Sanitize(), pgx.Identifier{"ledger", m.Parent}.Sanitize()
	if err := tx.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", name).Scan(&there); err != nil || there {
		return err
	}
	for _, s := range []string{
		"CREATE TABLE " + name + " (LIKE " + parent + " INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING COMMENTS)",
		"ALTER TABLE " + parent + " ATTACH PARTITION " + name + " " + m.Bound,
		"CREATE TRIGGER no_truncate BEFORE TRUNCATE ON " + name + " FOR EACH STATEMENT EXECUTE FUNCTION ledger.deny_change()",
	} {
		if _, err := tx.Exec(ctx, s); err != nil {
			return fmt.Errorf("make table %s: %w", m.Name, err)
		}
	}
	return nil
}
