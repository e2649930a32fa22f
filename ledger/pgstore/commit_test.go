package pgstore_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/ledger"
	"github.com/agenttrail/agenttrail/ledger/pgstore"
)

// cutter stands between a store and its database, and resets the connection at a statement: when the statement comes by,
// so that the database never sees it, or when the answer to it does, so that nobody but the database knows of the commit.
type cutter struct {
	t     *testing.T
	proxy *toxiproxy.Proxy

	mu     sync.Mutex
	at     string // Beginning of the statement; empty for none.
	stream string // upstream or downstream
	added  bool
	cuts   int
}

// newCutter puts itself before the database at this URL and gives the URL to use instead.
func newCutter(t *testing.T, database string) (*cutter, string) {
	t.Helper()
	zerolog.SetGlobalLevel(zerolog.Disabled) // It would tell of each connection.
	u, err := url.Parse(database)
	require.NoError(t, err)
	c := &cutter{t: t, proxy: toxiproxy.NewProxy(toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()), "postgres", "127.0.0.1:0", u.Host)}
	require.NoError(t, c.proxy.Start())
	t.Cleanup(c.proxy.Stop)
	u.Host = c.proxy.Listen
	return c, u.String()
}

// arm has the next statement that begins so be cut.
func (c *cutter) arm(statement, stream string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at, c.stream = statement, stream
}

// TraceQueryStart implements [pgx.QueryTracer].
func (c *cutter) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.at == "" || !strings.HasPrefix(strings.ToLower(data.SQL), strings.ToLower(c.at)) {
		return ctx
	}
	c.at, c.added = "", true
	c.cuts++
	text, err := json.Marshal(map[string]any{"name": "cut", "type": "reset_peer", "stream": c.stream, "toxicity": 1, "attributes": map[string]any{"timeout": 0}})
	if err == nil {
		_, err = c.proxy.Toxics.AddToxicJson(bytes.NewReader(text))
	}
	if err != nil {
		c.t.Error(err)
	}
	return ctx
}

// TraceQueryEnd implements [pgx.QueryTracer].
func (c *cutter) TraceQueryEnd(_ context.Context, _ *pgx.Conn, data pgx.TraceQueryEndData) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.added {
		return
	}
	c.added = false
	if data.Err == nil {
		c.t.Error("the connection was not cut")
	}
	if err := c.proxy.Toxics.RemoveToxic(context.Background(), "cut"); err != nil {
		c.t.Error(err)
	}
}

// rowCounts is how much there is of everything.
const rowCounts = `SELECT jsonb_build_object('transactions', (SELECT count(*) FROM ledger.transactions), 'holds', (SELECT jsonb_object_agg(status, n) FROM (SELECT status, count(*) AS n FROM ledger.holds GROUP BY 1) h),
	'journal', (SELECT count(*) FROM ledger.journal), 'grants', (SELECT count(*) FROM ledger.credit_grants), 'mandates', (SELECT count(*) FROM ledger.mandates), 'versions', (SELECT count(*) FROM ledger.mandate_versions),
	'decided', (SELECT count(*) FROM ledger.approvals WHERE status <> 'pending'), 'keys', (SELECT count(*) FROM ledger.idempotency_keys), 'posted', (SELECT sum(posted) FROM ledger.wallets),
	'held', (SELECT sum(held) FROM ledger.wallets), 'api', (SELECT count(*) FROM ledger.api_keys))::text`

// The connection dies at the commit of every kind of operation, before and after the database has seen it. Each has its
// effect once, the caller has the answer, and so has who asks again.
func TestConnectionDiesAtCommit(t *testing.T) {
	t.Parallel()
	direct := setup(t, pgstore.Settings{})
	cut, proxied := newCutter(t, direct.url)
	// One connection, which knows all statements after the first round, so that what is cut is the statement itself.
	through := open(t, pgstore.Settings{URL: proxied, MaxConns: 1, Tracer: cut})
	direct.grant(t, direct.user.ID, 1000*ledger.Credit)
	m := direct.mandate(t, direct.user.ID, ledger.Rules{MaxTotal: credits(900)}) // Of a day it would be anew at midnight.
	waiting := direct.mandate(t, direct.user.ID, ledger.Rules{ApprovalOver: credits(0)})
	conn := direct.connect(t)
	ctx := t.Context()

	counts := func() map[string]any {
		var text string
		require.NoError(t, conn.QueryRow(ctx, rowCounts).Scan(&text))
		var n map[string]any
		require.NoError(t, json.Unmarshal([]byte(text), &n))
		return n
	}
	hold := func(captured bool) uuid.UUID {
		a, err := direct.authorize(ctx, m, 2*ledger.Credit)
		require.NoError(t, err)
		if captured {
			_, err = direct.Capture(ctx, direct.call(runner), a.Hold.ID, ledger.CaptureInput{})
			require.NoError(t, err)
		}
		return a.Hold.ID
	}
	const authorizing, settling, committing = "SELECT outcome, coalesce(at", "SELECT r.outcome", "commit"
	for _, op := range []struct {
		name, at string
		prepare  func() uuid.UUID
		run      func(c *ledger.Call, id uuid.UUID) (any, error)
	}{
		{"authorize", authorizing, nil, func(c *ledger.Call, _ uuid.UUID) (any, error) {
			return through.Authorize(ctx, c, ledger.AuthorizeInput{UserID: m.UserID, MandateID: m.ID, Agent: "planner"})
		}},
		{"authorize what is refused", "INSERT INTO ledger.idempotency_keys", nil, func(c *ledger.Call, _ uuid.UUID) (any, error) {
			a, err := through.Authorize(ctx, c, ledger.AuthorizeInput{UserID: m.UserID, MandateID: m.ID, Agent: "planner", Amount: credits(899)})
			require.Equal(t, ledger.CodeMandateDenied, ledger.CodeOf(err))
			return a, nil
		}},
		{"authorize what waits", committing, nil, func(c *ledger.Call, _ uuid.UUID) (any, error) {
			return through.Authorize(ctx, c, ledger.AuthorizeInput{UserID: m.UserID, MandateID: waiting.ID, Agent: "planner"})
		}},
		{"capture", settling, func() uuid.UUID { return hold(false) }, func(c *ledger.Call, id uuid.UUID) (any, error) {
			return through.Capture(ctx, c, id, ledger.CaptureInput{Amount: credits(1)})
		}},
		{"release", settling, func() uuid.UUID { return hold(false) }, func(c *ledger.Call, id uuid.UUID) (any, error) { return through.Release(ctx, c, id) }},
		{"refund", committing, func() uuid.UUID { return hold(true) }, func(c *ledger.Call, id uuid.UUID) (any, error) {
			return through.Refund(ctx, c, id, ledger.RefundInput{})
		}},
		{"grant", committing, nil, func(c *ledger.Call, _ uuid.UUID) (any, error) {
			return through.Grant(ctx, c, ledger.GrantInput{UserID: m.UserID, Category: ledger.GrantPromo, Amount: ledger.Credit})
		}},
		{"approve", committing, func() uuid.UUID {
			a, err := direct.authorize(ctx, waiting, ledger.Credit)
			require.NoError(t, err)
			return a.Approval.ID
		}, func(c *ledger.Call, id uuid.UUID) (any, error) {
			c.Actor = approver
			return through.Approve(ctx, c, id, ledger.DecisionInput{})
		}},
		{"mandate", committing, nil, func(c *ledger.Call, _ uuid.UUID) (any, error) {
			c.Actor = operator
			return through.CreateMandate(ctx, c, ledger.MandateInput{UserID: m.UserID})
		}},
		{"rules", committing, nil, func(c *ledger.Call, _ uuid.UUID) (any, error) {
			c.Actor = operator
			return through.ReplaceRules(ctx, c, m.ID, ledger.MandateVersionInput{Rules: m.Rules})
		}},
		{"key", committing, nil, func(c *ledger.Call, _ uuid.UUID) (any, error) {
			issued, err := through.CreateKey(ctx, c, ledger.KeyInput{Name: "k", Scopes: []ledger.Scope{ledger.ScopeExecute}})
			return issued.Key, err
		}},
	} {
		once := func(key string) (answer any, replayed bool, change map[string]any) {
			id := uuid.Nil
			if op.prepare != nil {
				id = op.prepare()
			}
			before := counts()
			call := func() *ledger.Call {
				c := keyed(operator, key, op.name)
				c.Actor.Scopes = ledger.Scopes()
				return c
			}
			c := call()
			answer, err := op.run(c, id)
			require.NoError(t, err, op.name)
			change = difference(before, counts())
			again := call()
			same, err := op.run(again, id)
			require.NoError(t, err, op.name)
			require.True(t, again.Replayed, op.name)
			want, err := json.Marshal(answer)
			require.NoError(t, err)
			got, err := json.Marshal(same)
			require.NoError(t, err)
			require.Equal(t, string(want), string(got), op.name)
			require.Equal(t, change, difference(before, counts()), "%s: asking again changes nothing", op.name)
			return answer, c.Replayed, change
		}
		_, _, undisturbed := once(op.name + " undisturbed")
		require.NotEmpty(t, undisturbed)
		for stream, committed := range map[string]bool{"upstream": false, "downstream": true} {
			once(op.name + " warm " + stream)
			retries := through.Retries()
			cut.arm(op.at, stream)
			_, replayed, change := once(op.name + " cut " + stream)
			require.Equal(t, undisturbed, change, "%s %s", op.name, stream)
			require.Equal(t, committed, replayed, "%s %s: whether the answer is that of the first try", op.name, stream)
			require.Equal(t, retries+1, through.Retries(), "%s %s", op.name, stream)
		}
	}
	require.Equal(t, 2*11, cut.cuts)
	direct.settled(t)
	direct.replays(t)
}

// difference is what has changed of counts, flat.
func difference(before, after map[string]any) map[string]any {
	changed := map[string]any{}
	for name, value := range after {
		if inner, ok := value.(map[string]any); ok {
			old, _ := before[name].(map[string]any)
			for status, n := range inner {
				changed[name+" "+status] = fmt.Sprint(number(n) - number(old[status]))
			}
			continue
		}
		changed[name] = fmt.Sprint(number(value) - number(before[name]))
	}
	for name, n := range changed {
		if n == "0" {
			delete(changed, name)
		}
	}
	return changed
}

func number(v any) float64 {
	n, _ := v.(float64)
	return n
}
