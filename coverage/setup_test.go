package coverage_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/coverage"
	"github.com/agenttrail/agenttrail/internal/enginetest"
	"github.com/agenttrail/agenttrail/internal/stripetest"
	"github.com/agenttrail/agenttrail/ledger"
	"github.com/agenttrail/agenttrail/ledger/chread"
	"github.com/agenttrail/agenttrail/ledger/pgstore"
	"github.com/agenttrail/agenttrail/ledger/reconcile"
	"github.com/agenttrail/agenttrail/ledger/stripepay"
	"github.com/agenttrail/agenttrail/ledger/usage"
	"github.com/agenttrail/agenttrail/schema"
)

// platform is a platform of which everything is recorded: each check has something to measure, and finds nothing.
type platform struct {
	ch       *enginetest.CH
	database string
	reader   *chread.Reader
	store    *pgstore.Store
	url      string    // of Postgres
	now      time.Time // when it is measured: later than everything that must have settled
}

// later is how long after the platform was begun it is measured. Trails have 10 minutes to be sealed, so it may take as many
// to make it.
const later = 20 * time.Minute

// telemetryTables are those that checks look at.
var telemetryTables = []string{"AgentExecution", "Span", "AgentLog", "RequestLog", "SystemErrors", "SystemMetrics", "SecurityEvents"}

// telemetry makes four runs that are older than 15 minutes when they are measured, two of which fail. {t} is that time, and
// {old} and {new} are when components reported.
const telemetry = `
INSERT INTO {db}.AgentExecution (id, traceId, spanId, agentId, agentName, agentVersion, userId, sessionId, status, startedAt, duration, errorCode, errorMessage, serviceName, creditsConsumed) VALUES
	('r1', 't1', 's1', 'planner', 'Planner', '1', 'ada', 'c1', 'success', {t}, 100, '', '', 'runtime', 1),
	('r2', 't2', 's2', 'planner', 'Planner', '1', 'ada', 'c1', 'success', {t}, 100, '', '', 'runtime', 0),
	('r3', 't3', 's3', 'planner', 'Planner', '1', 'bob', 'c2', 'failed', {t}, 100, 'no_answer', 'it has none', 'runtime', 0),
	('r4', 't4', 's4', 'planner', 'Planner', '1', 'bob', 'c2', 'timeout', {t}, 100, 'timeout', 'too slow', 'runtime', 0);
INSERT INTO {db}.Span (traceId, spanId, name, startedAt, status, operation, provider, model, inputTokens, outputTokens, cost, executionId) VALUES
	('t1', 'm1', 'chat', {t}, 'unset', 'inference', 'openai', 'gpt-5-mini', 100, 10, 0.001, 'r1'),
	('t2', 'm2', 'chat', {t}, 'unset', 'inference', 'openai', 'gpt-5-mini', 100, 10, 0.001, 'r2'),
	('t3', 'm3', 'chat', {t}, 'error', 'inference', 'openai', 'gpt-5-mini', 0, 0, NULL, 'r3');
INSERT INTO {db}.AgentLog (id, timestamp, executionId, agentId, userId, traceId, category, level, message, serviceName) VALUES
	(generateUUIDv4(), {t}, 'r1', 'planner', 'ada', 't1', 'user_action', 'info', 'run requested', 'api'),
	(generateUUIDv4(), {t}, 'r1', 'planner', 'ada', 't1', 'execution', 'info', 'started', 'runtime'),
	(generateUUIDv4(), {t}, 'r2', 'planner', 'ada', 't2', 'user_action', 'info', 'run requested', 'api'),
	(generateUUIDv4(), {t}, 'r3', 'planner', 'bob', 't3', 'execution', 'info', 'started', 'runtime'),
	(generateUUIDv4(), {t}, 'r4', 'planner', 'bob', 't4', 'execution', 'info', 'started', 'runtime');
INSERT INTO {db}.RequestLog (id, timestamp, method, path, route, httpStatus, errorCode, agentId, executionId, userId, ipAddress, userAgent, traceId, serviceName) VALUES
	(generateUUIDv4(), {t}, 'POST', '/runs', '/runs', 200, '', 'planner', 'r1', 'ada', '203.0.113.1', 'cli/1', 't1', 'api'),
	(generateUUIDv4(), {t}, 'POST', '/runs', '/runs', 200, '', 'planner', 'r2', 'ada', '203.0.113.1', 'cli/1', 't2', 'api'),
	(generateUUIDv4(), {t}, 'POST', '/runs', '/runs', 500, '500', 'planner', 'r3', 'bob', '203.0.113.1', 'cli/1', 't3', 'api'),
	(generateUUIDv4(), {t}, 'POST', '/runs', '/runs', 504, 'timeout', 'planner', '', 'bob', '203.0.113.1', 'cli/1', 't4', 'api'),
	(generateUUIDv4(), {t}, 'GET', '/nothing', '', 404, '', '', '', '', '203.0.113.1', 'cli/1', 't5', 'api'),
	(generateUUIDv4(), {t}, 'GET', '/runs', '/runs', 401, '', '', '', '', '203.0.113.1', 'cli/1', 't6', 'api');
INSERT INTO {db}.SystemErrors (id, timestamp, errorCode, severity, component, executionId, traceId, fingerprint, message) VALUES
	(generateUUIDv4(), {t}, 'no_answer', 'error', 'runtime', 'r3', 't3', 1, 'it has none'),
	(generateUUIDv4(), {t}, 'timeout', 'error', 'runtime', 'r4', 't4', 2, 'too slow'),
	(generateUUIDv4(), {t}, 'timeout', 'error', 'runtime', 'r4', 't4', 3, 'the tool was slow'),
	(generateUUIDv4(), {t}, 'disk_full', 'critical', 'api', '', 't7', 4, 'the disk is full');
INSERT INTO {db}.SystemMetrics (id, timestamp, metric, kind, value, unit, component) VALUES
	(generateUUIDv4(), {old}, 'process.memory.usage', 'gauge', 1, 'By', 'api'), (generateUUIDv4(), {new}, 'process.memory.usage', 'gauge', 1, 'By', 'api'),
	(generateUUIDv4(), {old}, 'process.memory.usage', 'gauge', 1, 'By', 'runtime'), (generateUUIDv4(), {new}, 'process.memory.usage', 'gauge', 1, 'By', 'runtime'),
	(generateUUIDv4(), {old}, 'process.threads', 'gauge', 1, '{thread}', 'runtime'), (generateUUIDv4(), {new}, 'process.threads', 'gauge', 1, '{thread}', 'runtime');
INSERT INTO {db}.SecurityEvents (id, timestamp, type, severity, outcome, actor, userId, ipAddress, traceId) VALUES
	(generateUUIDv4(), {t}, 'auth.denied', 'warning', 'denied', 'nobody', '', '203.0.113.1', 't6'),
	(generateUUIDv4(), {t}, 'auth.login', 'info', 'success', '', 'ada', '203.0.113.1', 't8')`

func newPlatform(t *testing.T) *platform {
	t.Helper()
	ch, pg := enginetest.ClickHouse(t), enginetest.Postgres(t)
	p := &platform{ch: ch, database: ch.Database(t), url: pg.Database(t), now: time.Now().UTC().Add(later)}
	_, err := schema.MigrateClickHouse(t.Context(), ch.URL, schema.ClickHouseConfig{Database: p.database})
	require.NoError(t, err)
	_, err = schema.MigratePostgres(t.Context(), p.url)
	require.NoError(t, err)
	p.reader = p.open(t, p.database)
	p.store = openStore(t, p.url)
	p.exec(t, p.database, telemetry)
	p.charge(t)
	_, err = usage.Sync(t.Context(), p.reader, p.store)
	require.NoError(t, err)
	soon := func() time.Time { return time.Now().Add(time.Second) } // The engine's clock may be a moment ahead.
	run, err := reconcile.New(p.store, p.reader, reconcile.Config{Grace: -1, Now: soon}).Run(t.Context(), nil)
	require.NoError(t, err)
	require.Positive(t, run.Executions)
	p.seal(t)
	return p
}

// seal covers all rows of the trails by hashes. One call marks how far the next may go, and all transactions of the server
// that had begun must end in between, those of other tests and of its own housekeeping, too.
func (p *platform) seal(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		require.NoError(t, p.store.SealAudit(t.Context()))
		unsealed := int64(0)
		for _, trail := range ledger.Trails() {
			report, err := p.store.VerifyAudit(t.Context(), ledger.System("test"), trail)
			require.NoError(t, err)
			unsealed += report.Unsealed
		}
		return unsealed == 0
	}, time.Minute, 50*time.Millisecond)
}

func (p *platform) open(t *testing.T, database string) *chread.Reader {
	t.Helper()
	r, err := chread.Open(chread.Settings{URL: p.ch.URL, Database: database})
	require.NoError(t, err)
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// patience is how long the database may take: on a machine that is busy nothing is to fail for that.
const patience = time.Minute

func openStore(t *testing.T, url string) *pgstore.Store {
	t.Helper()
	s, err := pgstore.Open(t.Context(), pgstore.Settings{URL: url, AcquireTimeout: patience, LockTimeout: patience, StatementTimeout: patience})
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

// exec runs statements on one of the databases.
func (p *platform) exec(t *testing.T, database, sql string) {
	t.Helper()
	at := func(ago time.Duration) string {
		return "'" + p.now.Add(-ago).Format("2006-01-02 15:04:05.000") + "'"
	}
	sql = strings.NewReplacer("{db}", database, "{t}", at(20*time.Minute), "{old}", at(30*time.Minute), "{new}", at(time.Minute)).Replace(sql)
	for statement := range strings.SplitSeq(sql, ";\n") {
		p.ch.Exec(t, statement, "mutations_sync", "2")
	}
}

// charge has users buy credits, spend some on a run, and change what there is.
func (p *platform) charge(t *testing.T) {
	t.Helper()
	var calls atomic.Int64
	operator := ledger.Actor{Principal: "key:operator", Scopes: []ledger.Scope{ledger.ScopeAdmin}}
	call := func() *ledger.Call {
		key := fmt.Sprintf("call-%d", calls.Add(1))
		return &ledger.Call{Actor: operator, RequestID: "request-" + key, Key: key, Fingerprint: []byte(key)}
	}
	ctx := t.Context()
	user, err := p.store.CreateUser(ctx, call(), ledger.UserInput{Email: "ada@example.com"})
	require.NoError(t, err)
	_, err = p.store.CreateUser(ctx, call(), ledger.UserInput{Email: "bob@example.com"})
	require.NoError(t, err)
	_, err = p.store.RegisterAgent(ctx, call(), ledger.AgentInput{
		Slug: "planner", Name: "Planner", Category: "work", OwnerID: user.ID, Version: &ledger.VersionInput{Pricing: &ledger.Pricing{PerExecution: ledger.Credit}},
	})
	require.NoError(t, err)
	mandate, err := p.store.CreateMandate(ctx, call(), ledger.MandateInput{UserID: user.ID})
	require.NoError(t, err)
	_, err = p.store.CreateKey(ctx, call(), ledger.KeyInput{Name: "runner", Scopes: []ledger.Scope{ledger.ScopeExecute}})
	require.NoError(t, err)

	stripe := stripetest.New(t)
	payments, err := stripepay.New(stripepay.Settings{
		Book: p.store, Logger: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry(), APIKey: stripetest.Key, APIURL: stripe.URL, WebhookSecrets: []string{stripetest.Secret},
		Packages: []ledger.Package{{ID: "starter", Name: "Starter", AmountCents: 1000, Currency: "EUR", Credits: 100 * ledger.Credit}},
	})
	require.NoError(t, err)
	top, err := payments.TopUp(ctx, call(), ledger.TopUpInput{UserID: user.ID, Package: "starter", PaymentMethod: stripetest.CardPays})
	require.NoError(t, err)
	require.Equal(t, ledger.StatusSucceeded, top.Status)

	a, err := p.store.Authorize(ctx, call(), ledger.AuthorizeInput{UserID: user.ID, MandateID: mandate.ID, Agent: "planner", ExecutionID: "r1"})
	require.NoError(t, err)
	_, err = p.store.Capture(ctx, call(), a.Hold.ID, ledger.CaptureInput{})
	require.NoError(t, err)
	// A run that is under way, with a hold until after everything is measured.
	_, err = p.store.Authorize(ctx, call(), ledger.AuthorizeInput{UserID: user.ID, MandateID: mandate.ID, Agent: "planner", ExecutionID: "r9", TTL: time.Hour})
	require.NoError(t, err)
}

// copyTelemetry makes another database with the same telemetry.
func (p *platform) copyTelemetry(t *testing.T) string {
	t.Helper()
	database := p.ch.Database(t)
	for _, table := range telemetryTables {
		p.ch.Exec(t, "CREATE TABLE "+database+"."+table+" CLONE AS "+p.database+"."+table)
	}
	return database
}

// measure gives the values of all checks, nil for those that have nothing to measure.
func (p *platform) measure(t *testing.T, clickHouse, postgres coverage.Asker, database string) map[string]*float64 {
	t.Helper()
	card, err := coverage.Measure(t.Context(), coverage.Settings{ClickHouse: clickHouse, Postgres: postgres, Database: database, Now: func() time.Time { return p.now }})
	require.NoError(t, err)
	values := map[string]*float64{}
	for _, category := range card.Categories {
		for _, c := range category.Checks {
			require.NotContains(t, values, c.Check)
			values[c.Check] = c.Value
			if c.Offenders > 0 {
				p.list(t, clickHouse, postgres, c)
			}
		}
	}
	return values
}

// list runs the query of offenders, which must find some, unless it is about there being nothing.
func (p *platform) list(t *testing.T, clickHouse, postgres coverage.Asker, c coverage.CheckScore) {
	t.Helper()
	asker := clickHouse
	if c.Database == coverage.Postgres {
		asker = postgres
	}
	n, _, err := asker.Measure(t.Context(), "SELECT "+map[coverage.Database]string{coverage.ClickHouse: "count(), toUInt64(0)", coverage.Postgres: "count(*), 0"}[c.Database]+" FROM (\n"+c.Query+"\n) AS q")
	require.NoError(t, err, c.Query)
	require.Positive(t, n, c.Query)
}

// remember gives an asker that asks each question once. A defect of one database leaves the other as it is, where the same
// questions would get the same answers.
func remember(asker coverage.Asker) coverage.Asker {
	return &memory{asker: asker, answers: map[string][2]int64{}}
}

type memory struct {
	asker coverage.Asker

	mu      sync.Mutex
	answers map[string][2]int64
}

func (m *memory) Measure(ctx context.Context, sql string) (total, offenders int64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if a, ok := m.answers[sql]; ok {
		return a[0], a[1], nil
	}
	if total, offenders, err = m.asker.Measure(ctx, sql); err == nil {
		m.answers[sql] = [2]int64{total, offenders}
	}
	return total, offenders, err
}

// txAsker asks within a transaction, so that defects that the test made there are seen and can be taken back.
type txAsker struct{ pgx.Tx }

func (a txAsker) Measure(ctx context.Context, sql string) (total, offenders int64, err error) {
	return total, offenders, a.QueryRow(ctx, sql).Scan(&total, &offenders)
}
