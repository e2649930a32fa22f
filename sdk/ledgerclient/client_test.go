package ledgerclient_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/ledger"
	"github.com/agenttrail/agenttrail/sdk/ledgerclient"
)

func files(t *testing.T, dir string) []os.DirEntry {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	return entries
}

// TestOperations does what an administrator of a marketplace does, against the real API.
func TestOperations(t *testing.T) {
	t.Parallel()
	w := setup(t)
	c, ctx := w.client, t.Context()

	user, err := c.User(ctx, w.user)
	require.NoError(t, err)
	require.Equal(t, "Ada", user.DisplayName)
	agent, err := c.Agent(ctx, "triage")
	require.NoError(t, err)
	agent, err = c.ChangePrice(ctx, agent.ID, ledgerclient.AnyVersion, ledger.Pricing{PerExecution: 3 * credit})
	require.NoError(t, err)
	require.Equal(t, 2, agent.Version.Version)
	provider := "anthropic"
	agent, err = c.PublishVersion(ctx, agent.ID, ledgerclient.AnyVersion, ledgerclient.Version{Provider: &provider})
	require.NoError(t, err)
	require.Equal(t, 3*credit, agent.Version.Pricing.PerExecution)

	day := 4 * credit
	mandate, err := c.ReplaceRules(ctx, w.mandate, ledgerclient.AnyVersion, ledgerclient.MandateVersion{Rules: ledger.Rules{MaxPerDay: &day}})
	require.NoError(t, err)
	require.Equal(t, 2, mandate.Version)
	_, err = c.SuspendMandate(ctx, w.mandate, ledgerclient.AnyVersion, "too much")
	require.NoError(t, err)
	_, err = c.Authorize(ctx, ledgerclient.Authorize{UserID: w.user, MandateID: w.mandate, Agent: "triage"})
	require.Equal(t, ledger.CodeMandateDenied, codeOf(err))
	_, err = c.ResumeMandate(ctx, w.mandate, "", "")
	require.NoError(t, err)
	mandate, err = c.Mandate(ctx, w.mandate)
	require.NoError(t, err)
	require.Equal(t, ledger.MandateActive, mandate.Status)

	one, err := c.Authorize(ctx, ledgerclient.Authorize{UserID: w.user, MandateID: w.mandate, Agent: "triage", ExecutionID: "run-1", TTL: time.Minute, Metadata: json.RawMessage(`{"a":1}`)})
	require.NoError(t, err)
	require.Equal(t, time.Minute, one.Hold.ExpiresAt.Sub(one.Hold.AuthorizedAt))
	_, err = c.Release(ctx, one.Hold.ID)
	require.NoError(t, err)
	two, err := c.Authorize(ctx, ledgerclient.Authorize{UserID: w.user, MandateID: w.mandate, Agent: "triage", ExecutionID: "run-2"})
	require.NoError(t, err)
	_, err = c.Capture(ctx, two.Hold.ID, nil)
	require.NoError(t, err)
	refund, err := c.Refund(ctx, two.Transaction.ID, nil, "it was wrong")
	require.NoError(t, err)
	require.Equal(t, 3*credit, refund.Credits)
	read, err := c.Transaction(ctx, two.Transaction.ID)
	require.NoError(t, err)
	require.Equal(t, ledger.StatusRefunded, read.Status)

	var kinds []ledger.TransactionKind
	for tx, err := range c.Transactions(ctx, ledger.TransactionFilter{UserID: w.user, From: time.Now().Add(-time.Hour)}) {
		require.NoError(t, err)
		kinds = append(kinds, tx.Kind)
	}
	require.Equal(t, []ledger.TransactionKind{ledger.KindRefund, ledger.KindExecution, ledger.KindExecution, ledger.KindGrant}, kinds)
	changes := 0
	for _, err := range c.Audit(ctx, ledger.TrailMandates, ledger.AuditFilter{EntityID: w.mandate}) {
		require.NoError(t, err)
		changes++
	}
	require.Positive(t, changes)
	var key map[string]any
	require.NoError(t, c.Call(ctx, http.MethodGet, "/v1/key", nil, nil, &key))
	require.Equal(t, "test", key["name"])
	user, err = c.CloseUser(ctx, w.user, "")
	require.NoError(t, err)
	require.Equal(t, ledger.UserClosed, user.Status)
	_, err = c.Authorize(ctx, ledgerclient.Authorize{UserID: w.user, MandateID: w.mandate, Agent: "triage"})
	require.Equal(t, ledger.CodeUserClosed, codeOf(err))
}

func codeOf(err error) ledger.Code {
	if p, ok := errors.AsType[*ledgerclient.Problem](err); ok {
		return p.Code
	}
	return ""
}

func TestListsGoThroughAllPages(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for range 203 {
		_, err := w.client.Grant(t.Context(), ledgerclient.Grant{UserID: w.user, Category: ledger.GrantPromo, Amount: 1})
		require.NoError(t, err)
	}
	count := func(limit int) (n int) {
		for _, err := range w.client.Transactions(t.Context(), ledger.TransactionFilter{Kind: ledger.KindGrant}) {
			require.NoError(t, err)
			if n++; n == limit {
				break
			}
		}
		return n
	}
	require.Equal(t, 204, count(0))
	require.Equal(t, 7, count(7))
}

// TestRetries has a ledger that answers badly at first.
func TestRetries(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status  int
		body    string
		retried bool
		code    ledger.Code
	}{
		"Unavailable":   {503, `{"type":"/problems/temporarily-unavailable","title":"no"}`, true, ""},
		"Broken":        {500, `{"type":"/problems/internal","title":"no"}`, true, ""},
		"ProxyPage":     {502, `<html>`, true, ""},
		"InProgress":    {409, `{"type":"/problems/request-in-progress","title":"no"}`, true, ""},
		"NoAnswer":      {200, `{"id":`, true, ""},
		"Conflict":      {409, `{"type":"/problems/conflict","title":"no","detail":"why"}`, false, ledger.CodeConflict},
		"Unauthorized":  {401, `{"type":"/problems/unauthenticated","title":"no"}`, false, ledger.CodeUnauthenticated},
		"AnotherServer": {404, `page not found`, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int64
			keys := map[string]bool{}
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				keys[r.Header.Get("Idempotency-Key")] = true // One request at a time.
				if asked.Add(1) <= 2 {
					w.WriteHeader(c.status)
					_, _ = io.WriteString(w, c.body)
					return
				}
				w.WriteHeader(http.StatusCreated)
				_, _ = io.WriteString(w, `{"email":"ada@example.com"}`)
			}))
			defer server.Close()
			client, err := ledgerclient.New(ledgerclient.Config{URL: server.URL, Key: "k"})
			require.NoError(t, err)
			user, err := client.CreateUser(t.Context(), ledgerclient.User{Email: "ada@example.com"})
			require.Len(t, keys, 1, "every attempt has the same key")
			if c.retried {
				require.NoError(t, err)
				require.EqualValues(t, 3, asked.Load())
				require.Equal(t, "ada@example.com", user.Email)
				return
			}
			require.EqualValues(t, 1, asked.Load())
			require.Equal(t, c.code, codeOf(err))
			problem, ok := errors.AsType[*ledgerclient.Problem](err)
			require.True(t, ok)
			require.Equal(t, string(c.code), problem.ErrorCode())
		})
	}
}

func TestPatienceEnds(t *testing.T) {
	t.Parallel()
	client, err := ledgerclient.New(ledgerclient.Config{URL: "http://127.0.0.1:1", Key: "k", Patience: 100 * time.Millisecond})
	require.NoError(t, err)
	_, err = client.Hold(t.Context(), uuid.New())
	_, ok := errors.AsType[*ledgerclient.UnknownError](err)
	require.True(t, ok, "%v", err)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err = client.Hold(ctx, uuid.New())
	require.Error(t, err)
}

func TestSettings(t *testing.T) {
	t.Parallel()
	for _, cfg := range []ledgerclient.Config{{}, {URL: "ledger:8080", Key: "k"}, {URL: "http://ledger:8080"}, {URL: "http://x", Key: "k", OutboxDir: "/dev/null/x"}} {
		_, err := ledgerclient.New(cfg)
		require.ErrorContains(t, err, "make ledger client: ")
	}
}
