package pgstore

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/agenttrail/agenttrail/ledger"
)

// maxBlock is the most rows that one block covers.
const maxBlock = 100_000

// block is what is kept of a stretch of a trail.
type block struct {
	seq, after, upto, rows int64
	prev, hash             []byte
}

// SealAudit implements [ledger.Jobs].
//
// Ids are given out before transactions end, so a lower one can become visible after a higher one. A trail is therefore
// marked first: with the last id that was given out, and with the first transaction of the database that has not begun.
// Once all transactions before that one have ended, nothing up to the mark can come any more, and it is sealed. Whoever
// draws an id has changed a row before, so the id's transaction has begun.
func (s *Store) SealAudit(ctx context.Context) error {
	for _, trail := range ledger.Trails() {
		for more := true; more; {
			err := s.unit(ctx, true, func(conn *pgxpool.Conn) (err error) {
				more, err = sealTrail(ctx, conn, trail)
				return err
			})
			if err != nil {
				return fmt.Errorf("seal %s: %w", trail, err)
			}
		}
	}
	return nil
}

// sealTrail adds a block if there is something to seal, marks the trail anew, and tells whether there may be more.
func sealTrail(ctx context.Context, conn *pgxpool.Conn, trail ledger.Trail) (more bool, err error) {
	tx, err := conn.Begin(ctx)
	if err != nil {
		return false, err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // Does nothing after a commit.
	// A block may be large.
	if _, err := tx.Exec(ctx, "SELECT set_config('statement_timeout', '0', true)"); err != nil {
		return false, err
	}
	var mine bool
	if err := tx.QueryRow(ctx, "SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0))", "ledger.seal."+string(trail)).Scan(&mine); err != nil || !mine {
		return false, err
	}
	last, err := lastBlock(ctx, tx, trail)
	if err != nil {
		return false, err
	}
	var mark int64
	err = tx.QueryRow(ctx, "SELECT upto_id FROM ledger.audit_marks WHERE trail = $1 AND horizon <= pg_snapshot_xmin(pg_current_snapshot())", string(trail)).Scan(&mark)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return false, err
	}
	ripe := err == nil
	if ripe && mark > last.upto {
		if more, err = addBlock(ctx, tx, trail, last, mark); err != nil {
			return false, err
		}
	}
	if !more {
		if _, err := tx.Exec(ctx, `INSERT INTO ledger.audit_marks AS m (trail, upto_id, horizon)
			SELECT $1, CASE WHEN q.is_called THEN q.last_value ELSE 0 END, pg_snapshot_xmax(pg_current_snapshot()) FROM ledger.`+string(trail)+`_id_seq q
			ON CONFLICT (trail) DO UPDATE SET upto_id = excluded.upto_id, horizon = excluded.horizon WHERE $2`, string(trail), ripe); err != nil {
			return false, err
		}
	}
	return more, tx.Commit(ctx)
}

func lastBlock(ctx context.Context, q querier, trail ledger.Trail) (block, error) {
	b, err := queryOne(ctx, q, "block", selectBlock+" WHERE b.trail = $1 ORDER BY b.seq DESC LIMIT 1", []any{string(trail)}, scanBlock)
	if ledger.CodeOf(err) == ledger.CodeNotFound {
		return block{}, nil
	}
	return b, err
}

const selectBlock = `SELECT b.seq, b.after_id, b.upto_id, b.rows, b.prev, b.hash FROM ledger.audit_blocks b`

func scanBlock(row pgx.CollectableRow) (block, error) {
	var b block
	return b, row.Scan(&b.seq, &b.after, &b.upto, &b.rows, &b.prev, &b.hash)
}

// addBlock seals rows up to the mark, or the first ones if there are many.
func addBlock(ctx context.Context, tx pgx.Tx, trail ledger.Trail, last block, mark int64) (more bool, err error) {
	b := block{seq: last.seq + 1, after: last.upto, upto: mark, prev: last.hash}
	if b.prev == nil {
		b.prev = []byte{}
	}
	var end *int64
	if err := tx.QueryRow(ctx, "SELECT max(id), count(*) FROM (SELECT id FROM ledger."+string(trail)+" WHERE id > $1 AND id <= $2 ORDER BY id LIMIT $3) l", b.after, mark, maxBlock).Scan(&end, &b.rows); err != nil || b.rows == 0 {
		return false, err // Ids without rows are those of transactions that were rolled back.
	}
	if b.rows == maxBlock {
		b.upto = *end
	}
	if b.rows, b.hash, err = digest(ctx, tx, trail, b); err != nil {
		return false, err
	}
	_, err = tx.Exec(ctx, "INSERT INTO ledger.audit_blocks (trail, seq, after_id, upto_id, rows, prev, hash) VALUES ($1, $2, $3, $4, $5, $6, $7)",
		string(trail), b.seq, b.after, b.upto, b.rows, b.prev, b.hash)
	return b.upto < mark, err
}

// digest hashes the rows of a block after the hash of the one before. Everything goes in with its length or its absence,
// so that no two trails run together. The time goes in as microseconds, documents as Postgres writes them.
func digest(ctx context.Context, q querier, trail ledger.Trail, b block) (rows int64, sum []byte, err error) {
	h := sha256.New()
	add(h, b.prev)
	cursor, err := q.Query(ctx, `SELECT l.id::text, l.entity, l.entity_id::text, l.field, l.old_value::text, l.new_value::text, l.changed_by, l.request_id, (extract(epoch FROM l."timestamp") * 1000000)::bigint::text
		FROM ledger.`+string(trail)+` l WHERE l.id > $1 AND l.id <= $2 ORDER BY l.id, l."timestamp"`, b.after, b.upto)
	if err != nil {
		return 0, nil, err
	}
	defer cursor.Close()
	for cursor.Next() {
		rows++
		for _, column := range cursor.RawValues() {
			add(h, column)
		}
	}
	return rows, h.Sum(nil), cursor.Err()
}

func add(h hash.Hash, column []byte) {
	length := int64(-1)
	if column != nil {
		length = int64(len(column))
	}
	_ = binary.Write(h, binary.BigEndian, length)
	h.Write(column)
}

// VerifyAudit implements [ledger.Audits].
func (s *Store) VerifyAudit(ctx context.Context, actor ledger.Actor, trail ledger.Trail) (ledger.AuditReport, error) {
	report := ledger.AuditReport{Trail: trail}
	if err := platformAdmin(actor); err != nil {
		return report, err
	}
	if err := checkTrail(trail); err != nil {
		return report, err
	}
	err := s.unit(ctx, true, func(conn *pgxpool.Conn) error {
		tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // There is nothing to commit.
		// A block may be large.
		if _, err := tx.Exec(ctx, "SELECT set_config('statement_timeout', '0', true)"); err != nil {
			return err
		}
		report = ledger.AuditReport{Trail: trail}
		return verifyTrail(ctx, tx, &report)
	})
	return report, err
}

func verifyTrail(ctx context.Context, tx pgx.Tx, report *ledger.AuditReport) error {
	rows, err := tx.Query(ctx, selectBlock+" WHERE b.trail = $1 ORDER BY b.seq", string(report.Trail))
	if err != nil {
		return err
	}
	blocks, err := pgx.CollectRows(rows, scanBlock)
	if err != nil {
		return err
	}
	problem := func(format string, args ...any) {
		report.Problems = append(report.Problems, fmt.Sprintf(format, args...))
	}
	last := block{}
	for _, b := range blocks {
		switch {
		case b.seq != last.seq+1:
			problem("block %d follows block %d: blocks are missing", b.seq, last.seq)
		case b.after != last.upto || hex.EncodeToString(b.prev) != hex.EncodeToString(last.hash):
			problem("block %d does not continue block %d", b.seq, last.seq)
		}
		n, sum, err := digest(ctx, tx, report.Trail, b)
		if err != nil {
			return err
		}
		switch {
		case n != b.rows:
			problem("block %d covers %d rows with ids %d to %d, but there are %d", b.seq, b.rows, b.after+1, b.upto, n)
		case hex.EncodeToString(sum) != hex.EncodeToString(b.hash):
			problem("block %d: a row with an id from %d to %d was changed", b.seq, b.after+1, b.upto)
		}
		report.Blocks++
		report.Sealed += b.rows
		last = b
	}
	report.Head = hex.EncodeToString(last.hash)
	return tx.QueryRow(ctx, "SELECT count(*) FROM ledger."+string(report.Trail)+" WHERE id > $1", last.upto).Scan(&report.Unsealed)
}
