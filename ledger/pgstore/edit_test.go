package pgstore_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/ledger"
	"github.com/agenttrail/agenttrail/ledger/pgstore"
)

// An edit of what somebody else has changed meanwhile is refused, and a replay has the ETag of its time.
func TestEditsNameTheirVersion(t *testing.T) {
	t.Parallel()
	b := setup(t, pgstore.Settings{})
	ctx := t.Context()
	m := b.mandate(t, b.user.ID, ledger.Rules{})
	name := "new"
	for what, edit := range map[string]func(c *ledger.Call, version int) (int, error){
		"user": func(c *ledger.Call, v int) (int, error) {
			u, err := b.ChangeUser(ctx, c, b.user.ID, ledger.UserChange{IfVersion: v, DisplayName: &name})
			return u.RowVersion, err
		},
		"agent": func(c *ledger.Call, v int) (int, error) {
			a, err := b.ChangeAgent(ctx, c, b.agent.ID, ledger.AgentChange{IfVersion: v, Name: &name})
			return a.RowVersion, err
		},
		"price": func(c *ledger.Call, v int) (int, error) {
			a, err := b.ChangePrice(ctx, c, b.agent.ID, v, ledger.Pricing{PerExecution: 1})
			return a.RowVersion, err
		},
		"mandate": func(c *ledger.Call, v int) (int, error) {
			m, err := b.ReplaceRules(ctx, c, m.ID, ledger.MandateVersionInput{IfVersion: v})
			return m.RowVersion, err
		},
		"interaction": func(c *ledger.Call, v int) (int, error) {
			i, err := b.PutInteraction(ctx, c, b.user.ID, b.agent.ID, ledger.InteractionInput{IfVersion: v, IsFavorite: true})
			return i.RowVersion, err
		},
	} {
		before, err := edit(b.call(operator), 0)
		require.NoError(t, err, what)
		call := keyed(operator, what, what)
		after, err := edit(call, before)
		require.NoError(t, err, what)
		require.Equal(t, before+1, after, what)
		_, err = edit(b.call(operator), before)
		require.Equal(t, ledger.CodeVersionMismatch, ledger.CodeOf(err), what)
		_, err = edit(b.call(operator), after)
		require.NoError(t, err, what)
		again, err := edit(call, before)
		require.NoError(t, err, what)
		require.True(t, call.Replayed, what)
		require.Equal(t, after, again, what)
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	b := setup(t, pgstore.Settings{})
	m := b.mandate(t, b.user.ID, ledger.Rules{})
	b.grant(t, b.user.ID, 100*ledger.Credit)
	for i := range 7 {
		b.newUser(t, fmt.Sprintf("page%d@example.com", i))
		_, err := b.authorize(t.Context(), m, ledger.Credit)
		require.NoError(t, err)
	}
	pages(t, 3, 8, func(p ledger.Page) ([]uuid.UUID, string, error) {
		l, err := b.Users(t.Context(), operator, ledger.UserFilter{}, p)
		return ids(l, func(u ledger.User) uuid.UUID { return u.ID }), l.Next, err
	})
	pages(t, 3, 7, func(p ledger.Page) ([]uuid.UUID, string, error) {
		l, err := b.Transactions(t.Context(), operator, ledger.TransactionFilter{Kind: ledger.KindExecution, UserID: b.user.ID, From: time.Now().Add(-time.Hour)}, p)
		return ids(l, func(x ledger.Transaction) uuid.UUID { return x.ID }), l.Next, err
	})
	pages(t, 4, 7, func(p ledger.Page) ([]uuid.UUID, string, error) {
		l, err := b.Holds(t.Context(), operator, ledger.HoldFilter{MandateID: m.ID, Status: ledger.HoldActive}, p)
		return ids(l, func(h ledger.Hold) uuid.UUID { return h.ID }), l.Next, err
	})
	pages(t, 7, 8, func(p ledger.Page) ([]uuid.UUID, string, error) {
		l, err := b.Audit(t.Context(), operator, ledger.TrailUsers, ledger.AuditFilter{Field: "*"}, p)
		return ids(l, func(e ledger.AuditEntry) uuid.UUID { return e.EntityID }), l.Next, err
	})
	for _, p := range []ledger.Page{{Limit: -1}, {Limit: ledger.MaxPageLimit + 1}, {Cursor: "%"}, {Cursor: "eA"}} {
		for _, list := range []func() error{
			func() error { _, err := b.Users(t.Context(), operator, ledger.UserFilter{}, p); return err },
			func() error {
				_, err := b.Transactions(t.Context(), operator, ledger.TransactionFilter{}, p)
				return err
			},
			func() error {
				_, err := b.Audit(t.Context(), operator, ledger.TrailUsers, ledger.AuditFilter{}, p)
				return err
			},
		} {
			require.Equal(t, ledger.CodeInvalid, ledger.CodeOf(list()), "%v", p)
		}
	}
}

func ids[T any](l ledger.List[T], id func(T) uuid.UUID) []uuid.UUID {
	all := make([]uuid.UUID, 0, len(l.Items))
	for _, item := range l.Items {
		all = append(all, id(item))
	}
	return all
}

// pages reads a list of n things page by page: each comes once.
func pages(t *testing.T, limit, n int, list func(p ledger.Page) ([]uuid.UUID, string, error)) {
	t.Helper()
	seen := map[uuid.UUID]bool{}
	p := ledger.Page{Limit: limit}
	for {
		items, next, err := list(p)
		require.NoError(t, err)
		for _, id := range items {
			require.False(t, seen[id], "%s comes twice", id)
			seen[id] = true
		}
		if next == "" {
			break
		}
		require.Len(t, items, limit)
		p.Cursor = next
	}
	require.Len(t, seen, n)
}

func TestCloseUser(t *testing.T) {
	t.Parallel()
	b := setup(t, pgstore.Settings{})
	b.grant(t, b.user.ID, 5*ledger.Credit)
	m := b.mandate(t, b.user.ID, ledger.Rules{})
	a, err := b.authorize(t.Context(), m, ledger.Credit)
	require.NoError(t, err)
	_, err = b.CloseUser(t.Context(), b.call(operator), b.user.ID, 0)
	refused(t, err, ledger.CodeConflict)
	_, err = b.Release(t.Context(), b.call(runner), a.Hold.ID)
	require.NoError(t, err)
	u, err := b.CloseUser(t.Context(), b.call(operator), b.user.ID, 0)
	require.NoError(t, err)
	require.Equal(t, ledger.UserClosed, u.Status)
	_, err = b.authorize(t.Context(), m, ledger.Credit)
	refused(t, err, ledger.CodeUserClosed)
	_, err = b.CreateMandate(t.Context(), b.call(operator), ledger.MandateInput{UserID: b.user.ID})
	refused(t, err, ledger.CodeUserClosed)
	_, err = b.Grant(t.Context(), b.call(operator), ledger.GrantInput{UserID: b.user.ID, Category: ledger.GrantPromo, Amount: 1})
	refused(t, err, ledger.CodeUserClosed)
	now, err := b.Mandate(t.Context(), operator, m.ID)
	require.NoError(t, err)
	require.Equal(t, ledger.MandateRevoked, now.Status)
	b.settled(t)
}

// What the store keeps in memory of an agent or a mandate is never used once it has changed, whoever changed it.
func TestCopiesAreNeverOld(t *testing.T) {
	t.Parallel()
	b := setup(t, pgstore.Settings{})
	elsewhere := open(t, pgstore.Settings{URL: b.url})
	b.grant(t, b.user.ID, 100*ledger.Credit)
	m := b.mandate(t, b.user.ID, ledger.Rules{})
	in := ledger.AuthorizeInput{UserID: b.user.ID, MandateID: m.ID, Agent: "planner"}
	a, err := b.Authorize(t.Context(), b.call(runner), in)
	require.NoError(t, err)
	require.Equal(t, ledger.Credit, a.Hold.Amount)

	_, err = elsewhere.ChangePrice(t.Context(), b.call(operator), b.agent.ID, 0, ledger.Pricing{PerExecution: 3 * ledger.Credit})
	require.NoError(t, err)
	a, err = b.Authorize(t.Context(), b.call(runner), in)
	require.NoError(t, err)
	require.Equal(t, 3*ledger.Credit, a.Hold.Amount)
	require.Equal(t, 2, a.Hold.AgentVersion)

	_, err = elsewhere.ReplaceRules(t.Context(), b.call(operator), m.ID, ledger.MandateVersionInput{Rules: ledger.Rules{DenyAgents: []string{"planner"}}})
	require.NoError(t, err)
	_, err = b.Authorize(t.Context(), b.call(runner), in)
	refused(t, err, ledger.CodeMandateDenied)
	_, err = elsewhere.ReplaceRules(t.Context(), b.call(operator), m.ID, ledger.MandateVersionInput{})
	require.NoError(t, err)
	_, err = b.Authorize(t.Context(), b.call(runner), in)
	require.NoError(t, err, "a refusal by an old copy is not believed either")

	status := ledger.AgentSuspended
	_, err = elsewhere.ChangeAgent(t.Context(), b.call(operator), b.agent.ID, ledger.AgentChange{Status: &status})
	require.NoError(t, err)
	_, err = b.Authorize(t.Context(), b.call(runner), in)
	refused(t, err, ledger.CodeAgentUnavailable)
}
