package pgstore

import (
	"context"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// measureTimeout bounds one question of the coverage scorecard.
const measureTimeout = 2 * time.Minute

// Measure runs SQL that gives one row of two numbers, and can change nothing. It implements coverage.Asker.
func (s *Store) Measure(ctx context.Context, sql string) (total, offenders int64, err error) {
	err = s.unit(ctx, true, func(conn *pgxpool.Conn) error {
		return pgx.BeginTxFunc(ctx, conn, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, "SELECT set_config('statement_timeout', $1, true)", strconv.FormatInt(measureTimeout.Milliseconds(), 10)); err != nil {
				return err
			}
			return tx.QueryRow(ctx, sql).Scan(&total, &offenders)
		})
	})
	return total, offenders, err
}
