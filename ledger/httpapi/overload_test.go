package httpapi_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/ledger/httpapi"
	"github.com/agenttrail/agenttrail/ledger/pgstore"
)

// lockWallet keeps everything that changes the user's credits waiting, until the function is called.
func (w *world) lockWallet(t *testing.T, user string) (unlock func()) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), w.url)
	require.NoError(t, err)
	tx, err := conn.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "SELECT FROM ledger.wallets WHERE user_id = $1 FOR UPDATE", user)
	require.NoError(t, err)
	return sync.OnceFunc(func() {
		require.NoError(t, tx.Rollback(context.Background()))
		require.NoError(t, conn.Close(context.Background()))
	})
}

// waiting is how many statements wait for a lock.
func (w *world) waiting(t *testing.T) (n int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), w.url)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(context.Background())) }()
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'").Scan(&n))
	return n
}

// TestTooMuch fills up what is bounded, and lets go: who is turned away is told when to come back, and never that the
// service has failed.
func TestTooMuch(t *testing.T) {
	t.Parallel()

	t.Run("PoolExhausted", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		c := w.customer(t)
		small, err := pgstore.Open(t.Context(), pgstore.Settings{URL: w.url, MaxConns: 2, AcquireTimeout: 100 * time.Millisecond, LockTimeout: patience, StatementTimeout: patience})
		require.NoError(t, err)
		defer small.Close()
		full := w.behind(t, small, nil)
		unlock := full.lockWallet(t, c.user)
		defer unlock()
		var wg sync.WaitGroup
		statuses := make(chan int, 2)
		for range 2 {
			wg.Go(func() {
				for { // To connect may take longer than a request waits for a connection.
					r, err := full.send(t.Context(), full.authorizeCall(c, nil))
					if err == nil && r.status == http.StatusServiceUnavailable {
						continue
					}
					if err == nil {
						statuses <- r.status
					}
					return
				}
			})
		}
		soon(t, "both connections wait", func() bool { return full.waiting(t) == 2 })
		r := full.do(t, full.authorizeCall(c, nil))
		require.Equal(t, http.StatusServiceUnavailable, r.status, r.text)
		require.Equal(t, "temporarily-unavailable", r.problem())
		require.NotEmpty(t, r.header.Get("Retry-After"))
		require.Equal(t, http.StatusServiceUnavailable, full.do(t, call{method: "GET", path: "/readyz"}).status, "it is not ready either")
		require.Equal(t, http.StatusOK, full.do(t, call{method: "GET", path: "/healthz"}).status, "but alive")
		unlock()
		wg.Wait()
		require.Equal(t, http.StatusCreated, <-statuses)
		require.Equal(t, http.StatusCreated, <-statuses)
		soon(t, "there is room again", func() bool { return full.do(t, full.authorizeCall(c, nil)).status == http.StatusCreated })
		w.checkBooks(t)
	})

	t.Run("InFlight", func(t *testing.T) {
		t.Parallel()
		w := setup(t, func(s *httpapi.Settings) { s.MaxInFlight, s.MaxInFlightPerKey = 2, 1 })
		c := w.customer(t)
		unlock := w.lockWallet(t, c.user)
		defer unlock()
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = w.send(t.Context(), w.authorizeCall(c, nil)) })
		soon(t, "the first waits", func() bool { return w.waiting(t) == 1 })
		r := w.do(t, w.authorizeCall(c, nil))
		require.Equal(t, http.StatusTooManyRequests, r.status, r.text)
		require.Equal(t, "too-many-requests", r.problem())
		require.NotEmpty(t, r.header.Get("Retry-After"))

		second := w.authorizeCall(c, nil)
		second.key = w.admin
		wg.Go(func() { _, _ = w.send(t.Context(), second) })
		soon(t, "the second waits", func() bool { return w.waiting(t) == 2 })
		r = w.do(t, call{method: "GET", path: "/v1/key", key: w.manage})
		require.Equal(t, http.StatusServiceUnavailable, r.status, r.text)
		require.NotEmpty(t, r.header.Get("Retry-After"))
		unlock()
		wg.Wait()
		require.Equal(t, http.StatusCreated, w.do(t, w.authorizeCall(c, nil)).status)
	})

	t.Run("SameKeyInProgress", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		c := w.customer(t)
		unlock := w.lockWallet(t, c.user)
		defer unlock()
		run := w.authorizeCall(c, nil)
		setHeader(&run, "Idempotency-Key", "twice")
		var wg sync.WaitGroup
		var first reply
		wg.Go(func() { first, _ = w.send(t.Context(), run) })
		soon(t, "the first waits", func() bool { return w.waiting(t) == 1 })
		r := w.do(t, run)
		require.Equal(t, http.StatusConflict, r.status, r.text)
		require.Equal(t, "request-in-progress", r.problem())
		require.NotEmpty(t, r.header.Get("Retry-After"))
		unlock()
		wg.Wait()
		require.Equal(t, http.StatusCreated, first.status, first.text)
		r = w.do(t, run)
		require.Equal(t, first.text, r.text)
		require.Equal(t, "true", r.header.Get("Idempotency-Replayed"))
	})

	t.Run("LockTimeout", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		c := w.customer(t)
		hasty, err := pgstore.Open(t.Context(), pgstore.Settings{URL: w.url, MaxConns: 2, LockTimeout: 50 * time.Millisecond})
		require.NoError(t, err)
		defer hasty.Close()
		w = w.behind(t, hasty, nil)
		defer w.lockWallet(t, c.user)()
		r := w.do(t, w.authorizeCall(c, nil))
		require.Equal(t, http.StatusServiceUnavailable, r.status, r.text)
		require.NotEmpty(t, r.header.Get("Retry-After"))
	})

	t.Run("RequestTimeout", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		c := w.customer(t)
		defer w.lockWallet(t, c.user)()
		w = w.behind(t, w.store, func(s *httpapi.Settings) { s.RequestTimeout = 100 * time.Millisecond })
		r := w.do(t, w.authorizeCall(c, nil))
		require.Equal(t, http.StatusServiceUnavailable, r.status, r.text)
	})

	t.Run("NoOtherTimeout", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		c := w.customer(t)
		unlock := w.lockWallet(t, c.user)
		defer unlock()
		answer := make(chan reply, 1)
		go func() {
			r, _ := w.send(t.Context(), w.authorizeCall(c, nil))
			answer <- r
		}()
		select {
		case r := <-answer:
			require.FailNow(t, "it was given up, though its time was not over", r.text)
		case <-time.After(6 * time.Second): // The framework bounds reading a body by 5 s, unless told otherwise.
		}
		unlock()
		r := <-answer
		require.Equal(t, http.StatusCreated, r.status, r.text)
	})

	t.Run("DatabaseGone", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		key := w.admin
		gone, err := pgstore.Open(t.Context(), pgstore.Settings{URL: strings.Replace(w.url, "127.0.0.1", "127.0.0.99", 1), AcquireTimeout: 200 * time.Millisecond})
		require.NoError(t, err)
		defer gone.Close()
		w = w.behind(t, gone, nil)
		r := w.do(t, call{method: "GET", path: "/v1/users", key: key})
		require.Equal(t, http.StatusServiceUnavailable, r.status, r.text)
		require.NotEmpty(t, r.header.Get("Retry-After"))
		require.NotContains(t, r.text, "127.0.0.99", "clients learn nothing of the database")
		require.Equal(t, http.StatusServiceUnavailable, w.do(t, call{method: "GET", path: "/readyz"}).status)
		require.Contains(t, w.do(t, call{method: "GET", path: "/metrics"}).text, "agenttrail_ledger_database_up 0")
	})

	t.Run("SlowBody", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		w.server.Config.ReadTimeout = 200 * time.Millisecond
		w.server.Config.ReadHeaderTimeout = time.Minute // It is the body that is slow, whenever the header arrives.
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", w.server.Listener.Addr().String())
		require.NoError(t, err)
		defer func() { _ = conn.Close() }()
		_, err = conn.Write([]byte("POST /v1/users HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + w.admin + "\r\nIdempotency-Key: slow\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"))
		require.NoError(t, err)
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(time.Minute)))
		answer := make([]byte, 4096)
		n, err := conn.Read(answer)
		require.NoError(t, err)
		require.Contains(t, string(answer[:n]), "408")
		require.Contains(t, string(answer[:n]), "/problems/request-timeout")
	})
}
