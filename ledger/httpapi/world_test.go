package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/internal/enginetest"
	"github.com/agenttrail/agenttrail/internal/stripetest"
	"github.com/agenttrail/agenttrail/ledger"
	"github.com/agenttrail/agenttrail/ledger/httpapi"
	"github.com/agenttrail/agenttrail/ledger/pgstore"
	"github.com/agenttrail/agenttrail/ledger/stripepay"
	"github.com/agenttrail/agenttrail/schema"
)

// world is a ledger of the test's own, behind its API.
type world struct {
	url      string // of the database
	store    *pgstore.Store
	api      *httpapi.API
	registry *prometheus.Registry
	server   *httptest.Server
	logs     *lockedBuffer
	payments *stripepay.Service
	stripe   *stripetest.Fake

	// Secrets of keys. Those with a scope in their name have that alone and act for the platform.
	admin, execute, manage, approve string
	revoked, expired                string
}

// setup makes a world. change may alter the settings of its API.
func setup(t *testing.T, change ...func(*httpapi.Settings)) *world {
	t.Helper()
	w := &world{url: enginetest.Postgres(t).Database(t), registry: prometheus.NewRegistry(), logs: &lockedBuffer{}}
	_, err := schema.MigratePostgres(t.Context(), w.url)
	require.NoError(t, err)
	w.store = openStore(t, w.url)
	w.stripe = stripetest.New(t)
	w.payments, err = stripepay.New(stripepay.Settings{
		Book: w.store, Logger: slog.New(slog.NewTextHandler(w.logs, nil)), Registry: w.registry, APIKey: stripetest.Key, APIURL: w.stripe.URL,
		WebhookSecrets: []string{stripetest.Secret}, Packages: packages,
	})
	require.NoError(t, err)
	settings := httpapi.Settings{
		Service: w.store, Payments: w.payments, Logger: slog.New(slog.NewTextHandler(w.logs, nil)), Registry: w.registry, Version: "test", RequestTimeout: patience,
	}
	for _, c := range change {
		c(&settings)
	}
	w.api, err = httpapi.New(settings)
	require.NoError(t, err)
	w.server = httptest.NewServer(w.api)
	t.Cleanup(func() {
		w.server.Close()
		if t.Failed() {
			t.Logf("log of the ledger:\n%s", w.logs)
		}
	})
	w.admin = w.key(t, nil, ledger.ScopeAdmin)
	w.execute = w.key(t, nil, ledger.ScopeExecute)
	w.manage = w.key(t, nil, ledger.ScopeManage)
	w.approve = w.key(t, nil, ledger.ScopeApprove)
	w.revoked = w.key(t, nil, ledger.ScopeAdmin)
	_, err = w.store.RevokeKey(t.Context(), &ledger.Call{Actor: ledger.System("test")}, w.idOf(t, w.revoked))
	require.NoError(t, err)
	w.expired = w.key(t, nil, ledger.ScopeAdmin)
	w.asOwner(t, "UPDATE ledger.api_keys SET expires_at = created_at WHERE id = $1", w.idOf(t, w.expired))
	return w
}

// packages are what the test's ledgers sell. Stripe takes no payment of the second.
var packages = []ledger.Package{
	{ID: "starter", Name: "Starter", AmountCents: 1000, Currency: "EUR", Credits: 100 * ledger.Credit, BonusCredits: 10 * ledger.Credit, ValidDays: 365, BonusDays: 30},
	{ID: "tiny", Name: "Tiny", AmountCents: 1, Currency: "EUR", Credits: ledger.Credit},
}

// patience is how long the database may take: on a machine that is busy nothing is to fail for that.
const patience = time.Minute

func openStore(t *testing.T, url string) *pgstore.Store {
	t.Helper()
	store, err := pgstore.Open(t.Context(), pgstore.Settings{URL: url, MaxConns: 12, AcquireTimeout: patience, LockTimeout: patience, StatementTimeout: patience})
	require.NoError(t, err)
	t.Cleanup(store.Close)
	return store
}

// behind is the same ledger behind another API, on another store of the database.
func (w *world) behind(t *testing.T, store *pgstore.Store, change func(*httpapi.Settings)) *world {
	t.Helper()
	other := *w
	other.store, other.registry = store, prometheus.NewRegistry()
	settings := httpapi.Settings{
		Service: store, Payments: w.payments, Logger: slog.New(slog.NewTextHandler(w.logs, nil)), Registry: other.registry, Version: "test", RequestTimeout: patience,
	}
	if change != nil {
		change(&settings)
	}
	var err error
	other.api, err = httpapi.New(settings)
	require.NoError(t, err)
	other.server = httptest.NewServer(other.api)
	t.Cleanup(other.server.Close)
	return &other
}

// key makes an API key and returns its secret.
func (w *world) key(t *testing.T, user *uuid.UUID, scopes ...ledger.Scope) string {
	t.Helper()
	issued, err := w.store.CreateKey(t.Context(), &ledger.Call{Actor: ledger.System("test")}, ledger.KeyInput{Name: "test", Scopes: scopes, UserID: user})
	require.NoError(t, err)
	return issued.Secret
}

func (w *world) idOf(t *testing.T, secret string) uuid.UUID {
	t.Helper()
	k, err := w.store.Authenticate(t.Context(), secret)
	require.NoError(t, err)
	return k.ID
}

// asOwner changes one row behind the back of the ledger and its triggers, as nobody but the database's owner can.
func (w *world) asOwner(t *testing.T, sql string, args ...any) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), w.url)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(context.Background())) }()
	_, err = conn.Exec(t.Context(), "SET session_replication_role = replica")
	require.NoError(t, err)
	tag, err := conn.Exec(t.Context(), sql, args...)
	require.NoError(t, err)
	require.EqualValues(t, 1, tag.RowsAffected())
}

// call is a request as a test describes it.
type call struct {
	method, path string
	key          string            // secret of the API key
	body         any               // marshaled, unless it is []byte or nil
	header       map[string]string // "" removes one that is set by default
}

// reply is what came back.
type reply struct {
	status int
	header http.Header
	text   string
	json   map[string]any
}

// problem is the code of a problem's type, empty for none.
func (r reply) problem() string {
	if r.header.Get("Content-Type") != "application/problem+json" {
		return ""
	}
	code, _ := r.json["type"].(string)
	return code[len("/problems/"):]
}

func (r reply) at(path ...string) any {
	var v any = r.json
	for _, p := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[p]
	}
	return v
}

func (r reply) text1(path ...string) string { return fmt.Sprint(r.at(path...)) }

var idempotencyKeys atomic.Int64

// do sends a request. A POST gets a new idempotency key unless the call has one.
func (w *world) do(t *testing.T, c call) reply {
	t.Helper()
	r, err := w.send(t.Context(), c)
	require.NoError(t, err)
	return r
}

func (w *world) send(ctx context.Context, c call) (reply, error) {
	var body io.Reader
	switch b := c.body.(type) {
	case nil:
	case []byte:
		body = bytes.NewReader(b)
	default:
		text, err := json.Marshal(b)
		if err != nil {
			return reply{}, err
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, c.method, w.server.URL+c.path, body)
	if err != nil {
		return reply{}, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.key != "" {
		req.Header.Set("Authorization", "Bearer "+c.key)
	}
	if c.method == http.MethodPost {
		req.Header.Set("Idempotency-Key", fmt.Sprintf("test-%d", idempotencyKeys.Add(1)))
	}
	for name, value := range c.header {
		if value == "" {
			req.Header.Del(name)
			continue
		}
		req.Header.Set(name, value)
	}
	resp, err := w.server.Client().Do(req)
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return reply{}, err
	}
	r := reply{status: resp.StatusCode, header: resp.Header, text: string(text)}
	_ = json.Unmarshal(text, &r.json) // Checked by who looks at it.
	return r, nil
}

// must sends a request that succeeds.
func (w *world) must(t *testing.T, c call) reply {
	t.Helper()
	if c.key == "" {
		c.key = w.admin
	}
	r := w.do(t, c)
	require.Less(t, r.status, 300, "%s %s: %s", c.method, c.path, r.text)
	return r
}

// customer is a user with credits, an agent and a mandate.
type customer struct {
	user, agent, mandate string
	slug                 string
	w                    *world
	t                    *testing.T
	key                  string // acts for the user, with every scope but admin
}

var customers atomic.Int64

// customer makes one: 100 credits, an agent that costs 1, a mandate of 50 a day that wants an approval over 20.
func (w *world) customer(t *testing.T) *customer {
	t.Helper()
	n := customers.Add(1)
	c := &customer{slug: fmt.Sprintf("agent-%d", n), w: w, t: t}
	c.user = w.must(t, call{method: "POST", path: "/v1/users", body: map[string]any{"email": fmt.Sprintf("user-%d@example.com", n), "displayName": "User"}}).text1("id")
	c.agent = w.must(t, call{method: "POST", path: "/v1/agents", body: map[string]any{
		"slug": c.slug, "name": "Agent", "category": "research", "ownerId": c.user,
		"version": map[string]any{"provider": "anthropic", "pricing": map[string]any{"perExecution": "1"}},
	}}).text1("id")
	w.grant(t, c.user, "100")
	c.mandate = w.mandate(t, c.user, map[string]any{"maxPerDay": "50", "approvalOver": "20"})
	c.key = w.key(t, new(uuid.MustParse(c.user)), ledger.ScopeExecute, ledger.ScopeManage, ledger.ScopeApprove)
	return c
}

func (w *world) grant(t *testing.T, user, amount string) string {
	t.Helper()
	return w.must(t, call{method: "POST", path: "/v1/grants", body: map[string]any{"userId": user, "category": "paid", "amount": amount}}).text1("id")
}

func (w *world) mandate(t *testing.T, user string, rules map[string]any) string {
	t.Helper()
	return w.must(t, call{method: "POST", path: "/v1/mandates", body: map[string]any{"userId": user, "name": "Mandate", "rules": rules}}).text1("id")
}

// run authorizes one and returns the answer.
func (w *world) run(t *testing.T, c *customer, amount string) reply {
	t.Helper()
	return w.must(t, call{method: "POST", path: "/v1/authorizations", key: w.execute, body: map[string]any{
		"userId": c.user, "mandateId": c.mandate, "agent": c.slug, "amount": amount,
	}})
}

// topUp buys credits, with a payment method or none, and returns the id.
func (w *world) topUp(t *testing.T, c *customer, method string) string {
	t.Helper()
	return w.must(t, call{method: "POST", path: "/v1/topups", body: map[string]any{"userId": c.user, "package": "starter", "paymentMethod": method}}).text1("id")
}

// hold authorizes a run and returns the id of its hold.
func (w *world) hold(t *testing.T, c *customer, amount string) string {
	t.Helper()
	return w.run(t, c, amount).text1("hold", "id")
}

// captured runs to the end and returns the id of the transaction.
func (w *world) captured(t *testing.T, c *customer, amount string) string {
	t.Helper()
	return w.must(t, call{method: "POST", path: "/v1/holds/" + w.hold(t, c, amount) + "/capture", key: w.execute}).text1("transaction", "id")
}

// approval asks for a run that needs one and returns its id.
func (w *world) approval(t *testing.T, c *customer) string {
	t.Helper()
	return w.run(t, c, "21").text1("approval", "id")
}

// keyID makes an API key and returns its id.
func (w *world) keyID(t *testing.T) string {
	t.Helper()
	return w.must(t, call{method: "POST", path: "/v1/keys", body: map[string]any{"name": "spare", "scopes": []string{"execute"}}}).text1("key", "id")
}

// etag reads a resource's.
func (w *world) etag(t *testing.T, path string) string {
	t.Helper()
	return w.must(t, call{method: "GET", path: path}).header.Get("ETag")
}

// checkBooks adds everything up anew.
func (w *world) checkBooks(t *testing.T) {
	t.Helper()
	wrong, err := w.store.VerifyBooks(t.Context(), ledger.System("test"))
	require.NoError(t, err)
	require.Empty(t, wrong)
}

// soon waits for something that another goroutine does.
func soon(t *testing.T, what string, ok func() bool) {
	t.Helper()
	require.Eventually(t, ok, time.Minute, 2*time.Millisecond, what)
}

// expire puts the end of a hold or an approval into the past.
func (w *world) expire(t *testing.T, table, id string) {
	t.Helper()
	begin := map[string]string{"holds": "authorized_at", "approvals": "requested_at"}[table]
	w.asOwner(t, "UPDATE ledger."+table+" SET expires_at = "+begin+" + interval '1 microsecond' WHERE id = $1", id)
}
