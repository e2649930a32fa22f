package pgstore_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/ledger"
	"github.com/agenttrail/agenttrail/ledger/pgstore"
)

// lockWallet keeps a user's wallet from everybody until the test, or what it returns, ends it.
func (b *bundle) lockWallet(t *testing.T) (unlock func()) {
	t.Helper()
	tx, err := b.connect(t).Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "SELECT FROM ledger.wallets WHERE user_id = $1 FOR UPDATE", b.user.ID)
	require.NoError(t, err)
	return func() { require.NoError(t, tx.Rollback(context.Background())) }
}

func unavailable(t *testing.T, err error) {
	t.Helper()
	require.Positive(t, asRefusal(t, err, ledger.CodeUnavailable).RetryAfter)
}

func TestBusy(t *testing.T) {
	t.Parallel()
	b := setup(t, pgstore.Settings{})
	b.grant(t, b.user.ID, 10*ledger.Credit)
	m := b.mandate(t, b.user.ID, ledger.Rules{})
	in := ledger.AuthorizeInput{UserID: m.UserID, MandateID: m.ID, Agent: "planner"}
	unlock := b.lockWallet(t)

	impatient := open(t, pgstore.Settings{URL: b.url, LockTimeout: 50 * time.Millisecond})
	_, err := impatient.Authorize(t.Context(), b.call(runner), in)
	unavailable(t, err)
	_, err = impatient.SuspendMandate(t.Context(), b.call(operator), m.ID, ledger.MandateChange{})
	unavailable(t, err)
	hasty := open(t, pgstore.Settings{URL: b.url, StatementTimeout: 50 * time.Millisecond})
	_, err = hasty.Authorize(t.Context(), b.call(runner), in)
	unavailable(t, err)

	// The pool's only connection waits for the wallet, until the test lets go of it.
	small := open(t, pgstore.Settings{URL: b.url, MaxConns: 1, AcquireTimeout: 50 * time.Millisecond, LockTimeout: 5 * time.Minute, StatementTimeout: 5 * time.Minute})
	var waiting sync.WaitGroup
	call := b.call(runner)
	waiting.Go(func() {
		// Where the machine is busy, even to open the connection may take longer than that.
		if _, err := insist(call, func(c *ledger.Call) (ledger.Authorization, error) {
			return small.Authorize(context.Background(), c, in)
		}); err != nil {
			t.Error(err)
		}
	})
	watch := b.connect(t)
	require.Eventually(t, func() bool { return small.Pool().AcquiredConns() == 1 && waits(t, watch) == 1 }, time.Minute, 5*time.Millisecond, "the connection waits for the wallet")
	_, err = small.Balance(t.Context(), operator, b.user.ID)
	unavailable(t, err)
	unavailable(t, small.Ping(t.Context()))

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = b.Authorize(ctx, b.call(runner), in)
	refused(t, err, ledger.CodeUnavailable)
	unlock()
	waiting.Wait()

	nowhere := open(t, pgstore.Settings{URL: "postgres://nobody@127.0.0.1:1/none", Attempts: 2})
	unavailable(t, nowhere.Ping(t.Context()))
	b.settled(t)
}

// Of two transactions that wait for each other, Postgres ends ours; it is run again.
func TestDeadlockIsRunAgain(t *testing.T) {
	t.Parallel()
	b := setup(t, pgstore.Settings{LockTimeout: 10 * time.Second})
	b.grant(t, b.user.ID, 100*ledger.Credit)
	m := b.mandate(t, b.user.ID, ledger.Rules{})
	in := ledger.AuthorizeInput{UserID: m.UserID, MandateID: m.ID, Agent: "planner"}
	_, err := b.Authorize(t.Context(), b.call(runner), in)
	require.NoError(t, err)
	other, watch := b.connect(t), b.connect(t)
	runs, before := int64(1), b.Retries()
	// Postgres looks for a deadlock once, a second after a wait has begun. Where the machine is too busy for the other one to
	// wait by then, ours gives up, and it all begins anew.
	for begin := time.Now(); b.Retries() == before; runs++ {
		require.Less(t, time.Since(begin), 2*time.Minute, "there was no deadlock")
		// The other one takes the idempotency key, and then wants the wallet.
		key := fmt.Sprint("both ", runs)
		tx, err := other.Begin(t.Context())
		require.NoError(t, err)
		_, err = tx.Exec(t.Context(), "SET LOCAL deadlock_timeout = '1min'")
		require.NoError(t, err)
		_, err = tx.Exec(t.Context(), "INSERT INTO ledger.idempotency_keys (principal, key, fingerprint) VALUES ($1, $2, '')", runner.Principal, key)
		require.NoError(t, err)
		var ours sync.WaitGroup
		ours.Go(func() {
			if _, err := insist(keyed(runner, key, key), func(c *ledger.Call) (ledger.Authorization, error) {
				return b.Authorize(context.Background(), c, in)
			}); err != nil {
				t.Error(err)
			}
		})
		require.Eventually(t, func() bool { return waits(t, watch) == 1 }, time.Minute, 5*time.Millisecond, "ours waits for the key")
		_, err = tx.Exec(t.Context(), "SELECT FROM ledger.wallets WHERE user_id = $1 FOR UPDATE", b.user.ID)
		require.NoError(t, err)
		require.NoError(t, tx.Rollback(t.Context()))
		ours.Wait()
	}
	require.Equal(t, ledger.Credits(runs)*ledger.Credit, b.balance(t, b.user.ID).Held)
	b.settled(t)
}

// waits is how many backends wait for a transaction to end.
func waits(t *testing.T, conn *pgx.Conn) (n int) {
	t.Helper()
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'transactionid'").Scan(&n))
	return n
}

func TestMaintain(t *testing.T) {
	t.Parallel()
	b := setup(t, pgstore.Settings{})
	conn := b.connect(t)
	months := func() (names []string) {
		rows, err := conn.Query(t.Context(), `SELECT relid::text FROM pg_partition_tree('ledger.audit_logs') WHERE isleaf AND relid::text ~ '\d' ORDER BY 1`)
		require.NoError(t, err)
		names, err = pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		return names
	}
	begin := time.Now().UTC()
	for i, name := range months() {
		month := time.Date(begin.Year(), begin.Month()+time.Month(i), 1, 0, 0, 0, 0, time.UTC)
		require.Equal(t, month.Format("ledger.audit_logs_2006_01"), name)
	}
	require.Len(t, months(), 4)
	_, err := conn.Exec(t.Context(), `DROP TABLE ledger.audit_logs_`+begin.AddDate(0, 0, 1-begin.Day()).AddDate(0, 2, 0).Format("2006_01"))
	require.NoError(t, err)
	for _, age := range []string{"8 days", "6 days"} {
		_, err := conn.Exec(t.Context(), "INSERT INTO ledger.idempotency_keys (principal, key, fingerprint, created_at) VALUES ('x', $1::text, '', now() - $2::text::interval)", age, age)
		require.NoError(t, err)
		_, err = conn.Exec(t.Context(), "INSERT INTO ledger.outbox (topic, key, payload, created_at) VALUES ($1::text, gen_random_uuid(), '{}', now() - $2::text::interval)", age, age)
		require.NoError(t, err)
	}
	require.NoError(t, b.Maintain(t.Context()))
	require.NoError(t, b.Maintain(t.Context()))
	require.Len(t, months(), 4)
	var left string
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT (SELECT string_agg(key, ',') FROM ledger.idempotency_keys WHERE principal = 'x') || ' ' || (SELECT string_agg(topic, ',') FROM ledger.outbox WHERE payload = '{}')").Scan(&left))
	require.Equal(t, "6 days 6 days", left)
}
