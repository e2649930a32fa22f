package pgstore

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// unlockTimeout bounds giving a lock back; the connection, and the lock with it, is closed when that takes longer.
const unlockTimeout = 5 * time.Second

// Exclusive runs f while no other instance runs one under the same name. It does nothing, and says so, when another does.
// The lock is of one connection, which f does not get. When that connection is lost another instance may begin, so f must
// be harmless twice.
func (s *Store) Exclusive(ctx context.Context, name string, f func(ctx context.Context) error) (ran bool, err error) {
	err = s.once(ctx, func(conn *pgxpool.Conn) error {
		if err := conn.QueryRow(ctx, "SELECT pg_try_advisory_lock(hashtextextended($1, 0))", "ledger.job."+name).Scan(&ran); err != nil || !ran {
			return err
		}
		defer func() {
			ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), unlockTimeout)
			defer cancel()
			if _, err := conn.Exec(ending, "SELECT pg_advisory_unlock(hashtextextended($1, 0))", "ledger.job."+name); err != nil {
				_ = conn.Conn().Close(ending) // Closed or broken, it holds no lock.
			}
		}()
		return f(ctx)
	})
	return ran, translate(ctx, err)
}
