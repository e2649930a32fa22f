package pgstore_test

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/internal/enginetest"
	"github.com/agenttrail/agenttrail/ledger"
	"github.com/agenttrail/agenttrail/ledger/pgstore"
	"github.com/agenttrail/agenttrail/schema"
)

// bundle is a ledger of one test.
type bundle struct {
	*pgstore.Store
	url   string
	user  ledger.User
	agent ledger.Agent
	calls atomic.Int64
}

var (
	operator = ledger.Actor{Principal: "key:operator", Scopes: []ledger.Scope{ledger.ScopeAdmin}}
	runner   = ledger.Actor{Principal: "key:runner", Scopes: []ledger.Scope{ledger.ScopeExecute}}
	approver = ledger.Actor{Principal: "key:approver", Scopes: []ledger.Scope{ledger.ScopeApprove}}
)

// setup makes a ledger with one user and one agent, planner, whose runs cost 1 credit. Settings may leave out the URL.
func setup(t *testing.T, settings pgstore.Settings) *bundle {
	t.Helper()
	b := &bundle{url: enginetest.Postgres(t).Database(t)}
	_, err := schema.MigratePostgres(t.Context(), b.url)
	require.NoError(t, err)
	if settings.URL == "" {
		settings.URL = asLedger(t, b.url)
	}
	b.Store = open(t, settings)
	b.user = b.newUser(t, "ada@example.com")
	b.agent = b.newAgent(t, "planner", "travel", "openai", ledger.Credit)
	return b
}

// ledgerRole is a role with the rights of a ledger in production, which the tests of this package work with.
const ledgerRole = "least_ledger"

var makeLedgerRole sync.Once

// asLedger gives the role its rights in a database and returns the address with it.
func asLedger(t *testing.T, database string) string {
	t.Helper()
	makeLedgerRole.Do(func() {
		conn, err := pgx.Connect(t.Context(), database)
		require.NoError(t, err)
		_, err = conn.Exec(t.Context(), "CREATE ROLE "+ledgerRole+" LOGIN PASSWORD 'test' NOSUPERUSER")
		require.NoError(t, err)
		require.NoError(t, conn.Close(t.Context()))
	})
	require.NoError(t, schema.GrantPostgres(t.Context(), database, schema.PostgresRoles{Ledger: ledgerRole}))
	u, err := url.Parse(database)
	require.NoError(t, err)
	u.User = url.UserPassword(ledgerRole, "test")
	return u.String()
}

// open opens a store that waits for long, unless told otherwise: on a machine that is busy nothing is to fail for that.
func open(t *testing.T, settings pgstore.Settings) *pgstore.Store {
	t.Helper()
	settings.AcquireTimeout = cmp.Or(settings.AcquireTimeout, time.Minute)
	settings.LockTimeout = cmp.Or(settings.LockTimeout, time.Minute)
	settings.StatementTimeout = cmp.Or(settings.StatementTimeout, time.Minute)
	s, err := pgstore.Open(t.Context(), settings)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

// call is a request that has not come before.
func (b *bundle) call(actor ledger.Actor) *ledger.Call {
	return keyed(actor, fmt.Sprintf("call-%d", b.calls.Add(1)), "any")
}

// keyed is a request with an idempotency key that asks for something.
func keyed(actor ledger.Actor, key, what string) *ledger.Call {
	sum := sha256.Sum256([]byte(what))
	return &ledger.Call{Actor: actor, Key: key, Fingerprint: sum[:], RequestID: "request of " + key}
}

func (b *bundle) newUser(t *testing.T, email string) ledger.User {
	t.Helper()
	u, err := b.CreateUser(t.Context(), b.call(operator), ledger.UserInput{Email: email})
	require.NoError(t, err)
	return u
}

func (b *bundle) newAgent(t *testing.T, slug, category, provider string, price ledger.Credits) ledger.Agent {
	t.Helper()
	a, err := b.RegisterAgent(t.Context(), b.call(operator), ledger.AgentInput{
		Slug: slug, Name: slug, Category: category, OwnerID: b.user.ID,
		Version: &ledger.VersionInput{Provider: &provider, Pricing: &ledger.Pricing{PerExecution: price}},
	})
	require.NoError(t, err)
	return a
}

func (b *bundle) grant(t *testing.T, user uuid.UUID, amount ledger.Credits) ledger.Grant {
	t.Helper()
	g, err := b.Grant(t.Context(), b.call(operator), ledger.GrantInput{UserID: user, Category: ledger.GrantPromo, Amount: amount})
	require.NoError(t, err)
	return g
}

func (b *bundle) mandate(t *testing.T, user uuid.UUID, rules ledger.Rules) ledger.Mandate {
	t.Helper()
	m, err := b.CreateMandate(t.Context(), b.call(operator), ledger.MandateInput{UserID: user, Rules: rules})
	require.NoError(t, err)
	return m
}

// authorize asks for a run of the planner.
func (b *bundle) authorize(ctx context.Context, m ledger.Mandate, amount ledger.Credits) (ledger.Authorization, error) {
	return b.Authorize(ctx, b.call(runner), ledger.AuthorizeInput{UserID: m.UserID, MandateID: m.ID, Agent: "planner", Amount: &amount})
}

func (b *bundle) balance(t *testing.T, user uuid.UUID) ledger.Balance {
	t.Helper()
	balance, err := b.Balance(t.Context(), operator, user)
	require.NoError(t, err)
	return balance
}

// connect opens a connection beside the store.
func (b *bundle) connect(t *testing.T) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), b.url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// settled fails unless the books agree.
func (b *bundle) settled(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	problems, err := b.VerifyBooks(ctx, operator)
	require.NoError(t, err)
	require.Empty(t, problems)
}

func credits(n int64) *ledger.Credits { c := ledger.Credits(n) * ledger.Credit; return &c }
