package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/agenttrail/agenttrail/schema"
)

// versionTables are written by migrations and not copied.
const versionTables = "('ledger.schema_migration'::regclass, 'river.river_migration'::regclass)"

// backupPostgres copies the rows of one moment.
func backupPostgres(ctx context.Context, dir, url string) (out *Postgres, err error) {
	out = &Postgres{}
	if out.Schema, err = schema.AppliedPostgres(ctx, url); err != nil {
		return nil, err
	}
	if out.Schema.Ledger == 0 || out.Schema.Queue == 0 {
		return nil, errors.New("there is no ledger in this postgres database: name another one")
	}
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("open postgres: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return nil, fmt.Errorf("begin backup of postgres: %w", err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // It has read only.
	if err := tx.QueryRow(ctx, "SHOW server_version").Scan(&out.Server); err != nil {
		return nil, fmt.Errorf("read version of postgres: %w", err)
	}
	if out.Tables, err = relations(ctx, tx); err != nil {
		return nil, err
	}
	for i := range out.Tables {
		t := &out.Tables[i]
		t.File, err = compressed(dir, path.Join("postgres", t.Schema+"."+t.Name+".copy.zst"), func(w io.Writer) error {
			tag, err := conn.PgConn().CopyTo(ctx, w, "COPY (SELECT "+quoteAll(t.Columns)+" FROM "+t.name()+") TO STDOUT")
			t.Rows = tag.RowsAffected()
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	if out.Partitions, err = collect[Month](ctx, tx, `SELECT p.relname, c.relname, pg_get_expr(c.relpartbound, c.oid)
		FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent JOIN pg_class c ON c.oid = i.inhrelid
		WHERE p.relnamespace = 'ledger'::regnamespace AND p.relkind = 'p' ORDER BY 1, 2`); err != nil {
		return nil, err
	}
	// After the rows: sequences are outside of transactions, and must not be behind the ids in rows.
	out.Sequences, err = collect[Sequence](ctx, tx, `SELECT schemaname, sequencename, last_value FROM pg_sequences WHERE schemaname IN ('ledger', 'river') ORDER BY 1, 2`)
	return out, err
}

// relations are the tables that hold rows of their own, with the columns that can be written.
func relations(ctx context.Context, tx pgx.Tx) ([]Relation, error) {
	rows, err := tx.Query(ctx, `SELECT n.nspname, c.relname, array_agg(a.attname::text ORDER BY a.attnum)
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
		WHERE n.nspname IN ('ledger', 'river') AND c.relkind IN ('r', 'p') AND NOT c.relispartition
			AND c.oid NOT IN `+versionTables+` AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
		GROUP BY 1, 2 ORDER BY 1, 2`)
	if err != nil {
		return nil, fmt.Errorf("list tables of postgres: %w", err)
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r Relation, err error) {
		return r, row.Scan(&r.Schema, &r.Name, &r.Columns)
	})
	if err != nil {
		return nil, fmt.Errorf("list tables of postgres: %w", err)
	}
	return all, nil
}

func collect[T any](ctx context.Context, tx pgx.Tx, sql string) ([]T, error) {
	rows, err := tx.Query(ctx, sql)
	if err != nil {
		return nil, fmt.Errorf("read catalog of postgres: %w", err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[T])
	if err != nil {
		return nil, fmt.Errorf("read catalog of postgres: %w", err)
	}
	return all, nil
}

func (r Relation) name() string { return pgx.Identifier{r.Schema, r.Name}.Sanitize() }

func quoteAll(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = pgx.Identifier{n}.Sanitize()
	}
	return strings.Join(quoted, ", ")
}
