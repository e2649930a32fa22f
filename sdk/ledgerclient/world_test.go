package ledgerclient_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	lognoop "go.opentelemetry.io/otel/log/noop"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/agenttrail/agenttrail/internal/enginetest"
	"github.com/agenttrail/agenttrail/ledger"
	"github.com/agenttrail/agenttrail/ledger/httpapi"
	"github.com/agenttrail/agenttrail/ledger/pgstore"
	"github.com/agenttrail/agenttrail/schema"
	agenttrail "github.com/agenttrail/agenttrail/sdk"
	"github.com/agenttrail/agenttrail/sdk/ledgerclient"
)

func TestMain(m *testing.M) { enginetest.Main(m) }

// credit is one credit.
const credit = ledger.Credit

// world is a ledger of the test's own behind its real API, with a user who has ten credits, an agent that costs two, and a
// mandate that permits it; and a program with telemetry that keeps its spans.
type world struct {
	store   *pgstore.Store
	url     string
	secret  string
	user    uuid.UUID
	mandate uuid.UUID
	wire    *wire
	client  *ledgerclient.Client
	admin   *ledgerclient.Client // What the test itself looks at and makes.
	trail   *agenttrail.Trail
	spans   *tracetest.SpanRecorder
}

func setup(t *testing.T, change ...func(*ledgerclient.Config)) *world {
	t.Helper()
	return setupAt(t, nil, change...)
}

// setupAt gives the ledger another clock than that of its database.
func setupAt(t *testing.T, now func() time.Time, change ...func(*ledgerclient.Config)) *world {
	t.Helper()
	db := enginetest.Postgres(t).Database(t)
	_, err := schema.MigratePostgres(t.Context(), db)
	require.NoError(t, err)
	w := &world{wire: &wire{}, spans: tracetest.NewSpanRecorder()}
	w.store, err = pgstore.Open(t.Context(), pgstore.Settings{URL: db, MaxConns: 8, Now: now})
	require.NoError(t, err)
	t.Cleanup(w.store.Close)
	api, err := httpapi.New(httpapi.Settings{Service: w.store, Logger: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(), Version: "test"})
	require.NoError(t, err)
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	w.url = server.URL
	key, err := w.store.CreateKey(t.Context(), &ledger.Call{Actor: ledger.System("test")}, ledger.KeyInput{Name: "test", Scopes: []ledger.Scope{ledger.ScopeAdmin}})
	require.NoError(t, err)
	w.secret = key.Secret
	w.client, w.admin = w.newClient(t, change...), w.newClient(t)
	w.populate(t)
	w.trail, err = agenttrail.Init(t.Context(), agenttrail.WithProviders(agenttrail.Providers{
		Tracer: sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(w.spans)), Logger: lognoop.NewLoggerProvider(), Meter: metricnoop.NewMeterProvider(),
	}))
	require.NoError(t, err)
	return w
}

// newClient makes another client of the same ledger, as another process would.
func (w *world) newClient(t *testing.T, change ...func(*ledgerclient.Config)) *ledgerclient.Client {
	t.Helper()
	cfg := ledgerclient.Config{URL: w.url, Key: w.secret, HTTPClient: &http.Client{Transport: w.wire}, Patience: time.Minute}
	for _, c := range change {
		c(&cfg)
	}
	client, err := ledgerclient.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close(context.Background())) })
	return client
}

func (w *world) populate(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	user, err := w.admin.CreateUser(ctx, ledgerclient.User{Email: "ada@example.com", DisplayName: "Ada"})
	require.NoError(t, err)
	w.user = user.ID
	_, err = w.admin.RegisterAgent(ctx, ledgerclient.Agent{
		Slug: "triage", Name: "Triage", Category: "support", OwnerID: user.ID,
		Version: &ledgerclient.Version{Pricing: &ledger.Pricing{PerExecution: 2 * credit}},
	})
	require.NoError(t, err)
	cents := int64(500)
	_, err = w.admin.Grant(ctx, ledgerclient.Grant{UserID: user.ID, Category: ledger.GrantPaid, Amount: 10 * credit, AmountCents: &cents, Currency: "EUR"})
	require.NoError(t, err)
	over := 5 * credit
	mandate, err := w.admin.CreateMandate(ctx, ledgerclient.Mandate{UserID: user.ID, Name: "support", Rules: ledger.Rules{ApprovalOver: &over}})
	require.NoError(t, err)
	w.mandate = mandate.ID
}

// run is a paid run of the agent.
func (w *world) run() ledgerclient.PaidRun {
	return ledgerclient.PaidRun{Run: agenttrail.Run{Agent: agenttrail.Agent{ID: "triage"}, UserID: w.user.String()}, MandateID: w.mandate}
}

func (w *world) balance(t *testing.T) ledger.Balance {
	t.Helper()
	b, err := w.admin.Balance(t.Context(), w.user)
	require.NoError(t, err)
	return b
}

// holds are all holds, oldest first.
func (w *world) holds(t *testing.T) []ledger.Hold {
	t.Helper()
	var all []ledger.Hold
	for h, err := range w.admin.Holds(t.Context(), ledger.HoldFilter{UserID: w.user}) {
		require.NoError(t, err)
		all = append([]ledger.Hold{h}, all...)
	}
	return all
}

// told returns what telemetry says of the only run that has ended.
func (w *world) told(t *testing.T) map[string]any {
	t.Helper()
	require.Len(t, w.spans.Ended(), 1)
	return attributesOf(w.spans.Ended()[0].Attributes())
}

func attributesOf(attrs []attribute.KeyValue) map[string]any {
	m := map[string]any{}
	for _, kv := range attrs {
		m[string(kv.Key)] = kv.Value.AsInterface()
	}
	return m
}

var errWire = errors.New("the connection broke")

// wire breaks requests whose path has a certain part.
type wire struct {
	mu    sync.Mutex
	part  string
	times int  // How often yet.
	after bool // The request arrives, its answer does not.
	seen  int
}

// breakNext breaks the next requests.
func (w *wire) breakNext(part string, times int, after bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.part, w.times, w.after, w.seen = part, times, after, 0
}

func (w *wire) broken() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	breaks := w.times > 0 && strings.Contains(r.URL.Path, w.part)
	after := w.after
	if breaks {
		w.times--
		w.seen++
	}
	w.mu.Unlock()
	if breaks && !after {
		return nil, errWire
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if breaks && err == nil {
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		return nil, errWire
	}
	return resp, err
}
