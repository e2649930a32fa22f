package reconcile_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/internal/enginetest"
	"github.com/agenttrail/agenttrail/ledger"
	"github.com/agenttrail/agenttrail/ledger/chread"
	"github.com/agenttrail/agenttrail/ledger/pgstore"
	"github.com/agenttrail/agenttrail/ledger/reconcile"
	"github.com/agenttrail/agenttrail/schema"
)

// bundle is a ledger and telemetry of one test.
type bundle struct {
	*pgstore.Store
	url      string
	ch       *enginetest.CH
	database string
	reader   *chread.Reader
	users    []ledger.User
	mandates []ledger.Mandate
	calls    atomic.Int64
}

var (
	operator = ledger.Actor{Principal: "key:operator", Scopes: []ledger.Scope{ledger.ScopeAdmin}}
	approver = ledger.Actor{Principal: "key:approver", Scopes: []ledger.Scope{ledger.ScopeApprove}}
)

// patience is how long the database may take: on a machine that is busy nothing is to fail for that.
const patience = time.Minute

// agents are those of every bundle.
var agents = []string{"planner", "painter", "poet"}

func setup(tb testing.TB, ch *enginetest.CH, pg *enginetest.PG, users int) *bundle {
	tb.Helper()
	b := &bundle{url: pg.Database(tb), ch: ch, database: ch.Database(tb)}
	_, err := schema.MigratePostgres(tb.Context(), b.url)
	require.NoError(tb, err)
	_, err = schema.MigrateClickHouse(tb.Context(), ch.URL, schema.ClickHouseConfig{Database: b.database, Retention: schema.Retention{"AgentExecution": 18250}}) // Some rows have a fixed date.
	require.NoError(tb, err)
	b.Store, err = pgstore.Open(tb.Context(), pgstore.Settings{URL: b.url, AcquireTimeout: patience, LockTimeout: patience, StatementTimeout: patience})
	require.NoError(tb, err)
	tb.Cleanup(b.Close)
	b.reader, err = chread.Open(chread.Settings{URL: ch.URL, Database: b.database})
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = b.reader.Close() })
	for i := range users {
		u, err := b.CreateUser(tb.Context(), b.call(operator), ledger.UserInput{Email: fmt.Sprintf("user%d@example.com", i)})
		require.NoError(tb, err)
		_, err = b.Grant(tb.Context(), b.call(operator), ledger.GrantInput{UserID: u.ID, Category: ledger.GrantPromo, Amount: 1_000_000 * ledger.Credit})
		require.NoError(tb, err)
		m, err := b.CreateMandate(tb.Context(), b.call(operator), ledger.MandateInput{UserID: u.ID})
		require.NoError(tb, err)
		b.users, b.mandates = append(b.users, u), append(b.mandates, m)
	}
	for _, slug := range agents {
		_, err := b.RegisterAgent(tb.Context(), b.call(operator), ledger.AgentInput{
			Slug: slug, Name: slug, Category: "art", OwnerID: b.users[0].ID, Version: &ledger.VersionInput{Pricing: &ledger.Pricing{PerExecution: ledger.Credit}},
		})
		require.NoError(tb, err)
	}
	return b
}

// call is a request that has not come before.
func (b *bundle) call(actor ledger.Actor) *ledger.Call {
	key := fmt.Sprintf("call-%d", b.calls.Add(1))
	return &ledger.Call{Actor: actor, Key: key, Fingerprint: []byte(key)}
}

// authorize holds an amount for a run of the user with this number.
func (b *bundle) authorize(ctx context.Context, id string, user int, amount ledger.Credits) (uuid.UUID, error) {
	a, err := b.Authorize(ctx, b.call(operator), ledger.AuthorizeInput{
		UserID: b.users[user].ID, MandateID: b.mandates[user].ID, Agent: agents[len(id)%len(agents)], Amount: &amount, ExecutionID: id,
	})
	if err != nil {
		return uuid.Nil, err
	}
	return a.Hold.ID, nil
}

// charge authorizes a run and captures what it cost.
func (b *bundle) charge(tb testing.TB, id string, user int, amount ledger.Credits) {
	tb.Helper()
	hold, err := b.authorize(tb.Context(), id, user, amount)
	require.NoError(tb, err)
	_, err = b.Capture(tb.Context(), b.call(operator), hold, ledger.CaptureInput{})
	require.NoError(tb, err)
}

// use has telemetry store a run of the user with this number.
func (b *bundle) use(tb testing.TB, id string, user int, amount ledger.Credits) {
	tb.Helper()
	b.insert(tb, []string{b.row(id, user, amount)})
}

func (b *bundle) row(id string, user int, amount ledger.Credits) string {
	return fmt.Sprintf("%s\t%s\t%s\t%s\t%s\n", id, agents[len(id)%len(agents)], b.users[user].ID, time.Now().UTC().Format("2006-01-02 15:04:05.000000000"), amount)
}

func (b *bundle) insert(tb testing.TB, rows []string) {
	tb.Helper()
	b.ch.Exec(tb, "INSERT INTO "+b.database+".AgentExecution (id, agentId, userId, startedAt, creditsConsumed) FORMAT TabSeparated\n"+strings.Join(rows, ""))
}

// reconciler compares everything up to now.
func (b *bundle) reconciler(cfg reconcile.Config) *reconcile.Reconciler {
	if cfg.Now == nil {
		cfg.Now = func() time.Time { return time.Now().Add(time.Second) }
	}
	if cfg.Grace == 0 {
		cfg.Grace = -1
	}
	return reconcile.New(b.Store, b.reader, cfg)
}

// run compares, and gives the states of what does not agree.
func (b *bundle) run(tb testing.TB, cfg reconcile.Config) (ledger.ReconRun, map[string]ledger.ReconState) {
	tb.Helper()
	found := map[string]ledger.ReconState{}
	run, err := b.reconciler(cfg).Run(tb.Context(), func(c ledger.Compared, s ledger.ReconState) {
		require.NotContains(tb, found, c.ExecutionID, "each is told once")
		found[c.ExecutionID] = s
	})
	require.NoError(tb, err)
	return run, found
}

// item is what the ledger has written down of a run.
func (b *bundle) item(tb testing.TB, id string) ledger.ReconItem {
	tb.Helper()
	items, err := b.ReconItems(tb.Context(), operator, ledger.ReconFilter{ExecutionID: id}, ledger.Page{})
	require.NoError(tb, err)
	require.Len(tb, items.Items, 1)
	return items.Items[0]
}

// settled fails unless the books agree.
func (b *bundle) settled(tb testing.TB) {
	tb.Helper()
	problems, err := b.VerifyBooks(tb.Context(), operator)
	require.NoError(tb, err)
	require.Empty(tb, problems)
}

func (b *bundle) connect(tb testing.TB) *pgx.Conn {
	tb.Helper()
	conn, err := pgx.Connect(tb.Context(), b.url)
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}
