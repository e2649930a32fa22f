package column_test

import (
	"bytes"
	"context"
	"io"
	"math"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/uuid"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/exporter/column"
	"github.com/agenttrail/agenttrail/exporter/record"
	"github.com/agenttrail/agenttrail/exporter/row"
	"github.com/agenttrail/agenttrail/internal/enginetest"
	"github.com/agenttrail/agenttrail/schema"
)

func TestMain(m *testing.M) { enginetest.Main(m) }

// server is a database of the test's own, with all tables.
type server struct {
	url, database string
	conn          driver.Conn
}

func setup(t *testing.T, database string) server {
	t.Helper()
	ch := enginetest.ClickHouse(t)
	retention := schema.Retention{} // Rows have fixed times, and must not be too old one day.
	for table := range column.TableCount {
		retention[table.String()] = 50 * 365
	}
	_, err := schema.MigrateClickHouse(t.Context(), ch.URL, schema.ClickHouseConfig{Database: database, Retention: retention})
	require.NoError(t, err)
	conn, err := clickhouse.Open(&clickhouse.Options{Protocol: clickhouse.HTTP, Addr: []string{ch.Addr}, Auth: clickhouse.Auth{Database: database}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	return server{url: ch.URL, database: database, conn: conn}
}

func (s server) insert(ctx context.Context, t *testing.T, set *column.Set, table column.Table) {
	t.Helper()
	s.insertBlock(ctx, t, table.String(), table.Columns(), set.AppendNative(nil, table))
}

func (s server) insertBlock(ctx context.Context, t *testing.T, table string, columns []column.Column, native []byte) {
	t.Helper()
	q := url.Values{"query": {"INSERT INTO " + s.database + "." + table + " (" + names(columns) + ") FORMAT Native"}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/?"+q.Encode(), bytes.NewReader(native))
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode, string(text))
}

func names(columns []column.Column) string {
	var all []string
	for _, c := range columns {
		all = append(all, "`"+c.Name+"`")
	}
	return strings.Join(all, ", ")
}

func TestColumnsAreThoseOfTheSchema(t *testing.T) {
	t.Parallel()
	s := setup(t, "column_schema")
	for table := range column.TableCount {
		rows, err := s.conn.Query(t.Context(), "SELECT name, type FROM system.columns WHERE database = ? AND table = ? AND name != 'ingestedAt' ORDER BY position", s.database, table.String())
		require.NoError(t, err)
		var want []column.Column
		for rows.Next() {
			var c column.Column
			require.NoError(t, rows.Scan(&c.Name, &c.Type))
			want = append(want, c)
		}
		require.NoError(t, rows.Err())
		require.Equal(t, want, table.Columns(), table.String())
	}
}

var (
	traceID = row.TraceID{0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6, 0xa3, 0xce, 0x92, 0x9d, 0x0e, 0x0e, 0x47, 0x36}
	spanID  = row.SpanID{0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7}
	rowID   = uuid.MustParse("018f2a6e-1c2d-7abc-8def-0123456789ab")
)

func TestExtremesOfAnExecution(t *testing.T) {
	t.Parallel()
	s := setup(t, "column_execution")
	set := column.NewSet()
	at := time.Date(2026, 11, 3, 4, 5, 6, 123456789, time.UTC)
	set.Execution(&row.Execution{StartedAt: at.UnixNano()})
	set.Execution(&row.Execution{
		ID: "ünïcode \x00 \xff 'quoted'", TraceID: traceID, SpanID: spanID, ParentSpanID: spanID, Status: row.StatusTimeout,
		StartedAt: at.UnixNano() + 1, Duration: math.MaxFloat64, ResponseTime: math.SmallestNonzeroFloat64, ProcessingTime: math.Inf(1),
		HTTPStatus: math.MaxUint16, CreditsConsumed: 999_999_999_999_999_999, Tokens: row.Tokens{Input: math.MaxUint64},
		Cost: row.Cost{NanoUSD: -999_999_999_999_999_999, Known: true}, AgentID: strings.Repeat("a", 100_000),
		Attributes: record.Attrs{{Key: "k", Value: record.String("v")}, {Key: "", Value: record.Int(math.MinInt64)}},
	})
	set.Execution(&row.Execution{StartedAt: at.UnixNano() + 2, Duration: math.NaN(), Cost: row.Cost{NanoUSD: 1, Known: true}, CreditsConsumed: -1})
	s.insert(t.Context(), t, set, column.TableAgentExecution)

	type got struct {
		ID            string            `ch:"id"`
		TraceID       string            `ch:"traceId"`
		SpanID        string            `ch:"spanId"`
		Parent        string            `ch:"parentSpanId"`
		Status        string            `ch:"status"`
		StartedAt     time.Time         `ch:"startedAt"`
		Duration      float64           `ch:"duration"`
		ResponseTime  float64           `ch:"responseTime"`
		Processing    float64           `ch:"processingTime"`
		HTTPStatus    uint16            `ch:"httpStatus"`
		Credits       decimal.Decimal   `ch:"creditsConsumed"`
		InputTokens   uint64            `ch:"inputTokens"`
		Cost          *decimal.Decimal  `ch:"cost"`
		AgentID       string            `ch:"agentId"`
		Attributes    map[string]string `ch:"attributes"`
		IngestedAtAge int64             `ch:"age"`
	}
	var rows []got
	require.NoError(t, s.conn.Select(t.Context(), &rows, `SELECT id, traceId, spanId, parentSpanId, toString(status) AS status, startedAt, duration,
		responseTime, processingTime, httpStatus, creditsConsumed, inputTokens, cost, toString(agentId) AS agentId, attributes,
		dateDiff('second', ingestedAt, now()) AS age FROM AgentExecution ORDER BY startedAt`))
	require.Len(t, rows, 3)
	first, second, third := rows[0], rows[1], rows[2]
	require.Empty(t, first.TraceID+first.SpanID+first.Parent)
	require.Nil(t, first.Cost)
	require.Equal(t, at, first.StartedAt.UTC())
	require.Empty(t, first.Attributes)
	require.InDelta(t, 0, first.IngestedAtAge, 60)
	require.Equal(t, "ünïcode \x00 \xff 'quoted'", second.ID)
	require.Equal(t, "4bf92f3577b34da6a3ce929d0e0e4736", second.TraceID)
	require.Equal(t, "00f067aa0ba902b7", second.SpanID)
	require.Equal(t, "00f067aa0ba902b7", second.Parent)
	require.Equal(t, "timeout", second.Status)
	require.Equal(t, at.Add(1), second.StartedAt.UTC())
	require.Equal(t, 1e13, second.Duration)                            //nolint:testifylint // The very bits.
	require.Equal(t, math.SmallestNonzeroFloat64, second.ResponseTime) //nolint:testifylint // The very bits.
	require.True(t, math.IsInf(second.Processing, 1))
	require.Equal(t, uint16(math.MaxUint16), second.HTTPStatus)
	require.Equal(t, "999999999999.999999", second.Credits.String())
	require.Equal(t, uint64(math.MaxUint64), second.InputTokens)
	require.Equal(t, "-999999999.999999999", second.Cost.String())
	require.Len(t, second.AgentID, 100_000)
	require.Equal(t, map[string]string{"k": "v", "": "-9223372036854775808"}, second.Attributes)
	require.Zero(t, third.Duration, "a duration that is no number cannot be summed")
	require.Equal(t, "0.000000001", third.Cost.String())
	require.Equal(t, "-0.000001", third.Credits.String())
}

func TestSpansKeepTheirEventsAndLinks(t *testing.T) {
	t.Parallel()
	s := setup(t, "column_span")
	set := column.NewSet()
	at := time.Date(2026, 11, 3, 0, 0, 0, 1, time.UTC)
	attrs := func(k, v string) record.Attrs { return record.Attrs{{Key: k, Value: record.String(v)}} }
	set.Span(&row.Span{Name: "none", StartedAt: at.UnixNano()})
	set.Span(&row.Span{
		Name: "some", StartedAt: at.UnixNano() + 1, Kind: record.KindConsumer, Status: record.StatusError,
		ResourceAttributes: attrs("service.name", "s"), Attributes: attrs("a", "b"),
		Events: []record.Event{
			{Time: uint64(at.UnixNano()), Name: "e1", Attrs: attrs("x", "1")},
			{Time: uint64(at.UnixNano()) + 5, Name: "e2"},
			{Time: 0, Name: "e1", Attrs: append(attrs("x", "2"), attrs("y", "3")...)},
		},
		Links: []record.Link{{TraceID: traceID, SpanID: spanID, Attrs: attrs("l", "m")}, {}},
	})
	s.insert(t.Context(), t, set, column.TableSpan)

	var rows []struct {
		Name       string              `ch:"name"`
		Kind       string              `ch:"kind"`
		Status     string              `ch:"status"`
		Resource   map[string]string   `ch:"resourceAttributes"`
		Attributes map[string]string   `ch:"attributes"`
		Times      []time.Time         `ch:"times"`
		Names      []string            `ch:"names"`
		EventAttrs []map[string]string `ch:"eventAttrs"`
		LinkTraces []string            `ch:"linkTraces"`
		LinkSpans  []string            `ch:"linkSpans"`
		LinkAttrs  []map[string]string `ch:"linkAttrs"`
	}
	require.NoError(t, s.conn.Select(t.Context(), &rows, "SELECT toString(name) AS name, toString(kind) AS kind, toString(status) AS status, resourceAttributes, attributes, "+
		"`events.timestamp` AS times, `events.name` AS names, `events.attributes` AS eventAttrs, `links.traceId` AS linkTraces, `links.spanId` AS linkSpans, `links.attributes` AS linkAttrs FROM Span ORDER BY startedAt"))
	require.Len(t, rows, 2)
	require.Equal(t, "none", rows[0].Name)
	require.Empty(t, rows[0].Names)
	require.Empty(t, rows[0].LinkAttrs)
	require.Equal(t, "unspecified", rows[0].Kind)
	r := rows[1]
	require.Equal(t, []string{"some", "consumer", "error"}, []string{r.Name, r.Kind, r.Status})
	require.Equal(t, map[string]string{"service.name": "s"}, r.Resource)
	require.Equal(t, map[string]string{"a": "b"}, r.Attributes)
	require.Equal(t, []string{"e1", "e2", "e1"}, r.Names)
	require.Equal(t, []time.Time{at, at.Add(5), time.Unix(0, 0).UTC()}, []time.Time{r.Times[0].UTC(), r.Times[1].UTC(), r.Times[2].UTC()})
	require.Equal(t, []map[string]string{{"x": "1"}, {}, {"x": "2", "y": "3"}}, r.EventAttrs)
	require.Equal(t, []string{"4bf92f3577b34da6a3ce929d0e0e4736", ""}, r.LinkTraces)
	require.Equal(t, []string{"00f067aa0ba902b7", ""}, r.LinkSpans)
	require.Equal(t, []map[string]string{{"l": "m"}, {}}, r.LinkAttrs)
}

func TestIdsAndNumbersOfTheOtherTables(t *testing.T) {
	t.Parallel()
	s := setup(t, "column_other")
	set := column.NewSet()
	at := time.Date(2026, 11, 3, 0, 0, 0, 7, time.UTC)
	set.Log(&row.Log{ID: row.UUID(rowID), Timestamp: at.UnixNano(), Category: row.CategoryUserAction, Level: row.LevelWarn, SeverityNumber: 13, Context: "{}"})
	set.Request(&row.Request{ID: row.UUID(rowID), Timestamp: at.UnixNano(), HTTPStatus: 503, RequestBody: "body", RequestHeaders: record.Attrs{{Key: "a", Value: record.String("b")}}})
	set.Error(&row.Error{ID: row.UUID(rowID), Timestamp: at.UnixNano(), Severity: row.SeverityCritical, Fingerprint: math.MaxUint64, TraceID: traceID})
	for _, table := range []column.Table{column.TableAgentLog, column.TableRequestLog, column.TableSystemErrors} {
		s.insert(t.Context(), t, set, table)
		var id string
		var stored time.Time
		require.NoError(t, s.conn.QueryRow(t.Context(), "SELECT toString(id), timestamp FROM "+table.String()).Scan(&id, &stored))
		require.Equal(t, rowID.String(), id, table.String())
		require.Equal(t, at, stored.UTC())
	}
	var category, level, severity string
	var number uint8
	var fingerprint uint64
	require.NoError(t, s.conn.QueryRow(t.Context(), "SELECT toString(category), toString(level), severityNumber FROM AgentLog").Scan(&category, &level, &number))
	require.Equal(t, []any{"user_action", "warn", uint8(13)}, []any{category, level, number})
	require.NoError(t, s.conn.QueryRow(t.Context(), "SELECT toString(severity), fingerprint FROM SystemErrors").Scan(&severity, &fingerprint))
	require.Equal(t, []any{"critical", uint64(math.MaxUint64)}, []any{severity, fingerprint})
	var status uint16
	var body string
	var headers map[string]string
	require.NoError(t, s.conn.QueryRow(t.Context(), "SELECT httpStatus, requestBody, requestHeaders FROM RequestLog").Scan(&status, &body, &headers))
	require.Equal(t, []any{uint16(503), "body", map[string]string{"a": "b"}}, []any{status, body, headers})
}

func TestMetricsOfEveryKind(t *testing.T) {
	t.Parallel()
	s := setup(t, "column_metrics")
	set := column.NewSet()
	at := time.Date(2026, 11, 3, 0, 0, 0, 7, time.UTC)
	set.Metric(&row.Metric{ID: row.UUID(rowID), Timestamp: at.UnixNano(), Metric: "a", Kind: record.MetricGauge, Value: math.SmallestNonzeroFloat64})
	set.Metric(&row.Metric{
		Timestamp: at.UnixNano() + 1, StartedAt: at.UnixNano() - 1, Metric: "b", Kind: record.MetricExponentialHistogram, Temporality: record.TemporalityCumulative,
		Monotonic: true, Value: -1.5, Unit: "s", Component: "svc", Count: math.MaxUint64, Sum: math.MaxFloat64,
		Min: record.OptionalDouble{Value: -2, Known: true}, Max: record.OptionalDouble{Value: 0, Known: true},
		Bounds: []float64{-1, 0, 1e300}, Counts: []uint64{0, 1, math.MaxUint64, 3}, QuantileValues: []float64{4},
		Attributes: record.Attrs{{Key: "k", Value: record.Int(5)}}, ResourceAttributes: record.Attrs{{Key: "service.name", Value: record.String("svc")}},
		ScopeName: "scope", Environment: "prod",
	})
	set.Metric(&row.Metric{Timestamp: at.UnixNano() + 2, Metric: "c", Kind: record.MetricSummary, Bounds: []float64{0.5}, Counts: []uint64{9}})
	s.insert(t.Context(), t, set, column.TableSystemMetrics)
	var rows []struct {
		ID       string            `ch:"id"`
		Started  time.Time         `ch:"startedAt"`
		Metric   string            `ch:"metric"`
		Kind     string            `ch:"kind"`
		Tempo    string            `ch:"temporality"`
		Monotone bool              `ch:"monotonic"`
		Value    float64           `ch:"value"`
		Count    uint64            `ch:"count"`
		Sum      float64           `ch:"sum"`
		Min      *float64          `ch:"min"`
		Max      *float64          `ch:"max"`
		Bounds   []float64         `ch:"bounds"`
		Counts   []uint64          `ch:"counts"`
		Values   []float64         `ch:"quantileValues"`
		Attrs    map[string]string `ch:"attributes"`
		Resource map[string]string `ch:"resourceAttributes"`
		Texts    []string          `ch:"texts"`
	}
	require.NoError(t, s.conn.Select(t.Context(), &rows, `SELECT toString(id) AS id, startedAt, toString(metric) AS metric, toString(kind) AS kind,
		toString(temporality) AS temporality, monotonic, value, count, sum, min, max, bounds, counts, quantileValues, attributes, resourceAttributes,
		[toString(unit), toString(component), toString(scopeName), toString(environment)] AS texts FROM SystemMetrics ORDER BY timestamp`))
	require.Len(t, rows, 3)
	require.Equal(t, rowID.String(), rows[0].ID)
	require.Equal(t, math.SmallestNonzeroFloat64, rows[0].Value) //nolint:testifylint // The very bits.
	require.Equal(t, time.Unix(0, 0).UTC(), rows[0].Started.UTC())
	require.Nil(t, rows[0].Min)
	require.Empty(t, rows[0].Counts)
	r := rows[1]
	require.Equal(t, []any{"b", "exponential_histogram", "cumulative", true}, []any{r.Metric, r.Kind, r.Tempo, r.Monotone})
	require.Equal(t, []any{-1.5, uint64(math.MaxUint64), math.MaxFloat64, -2.0, 0.0}, []any{r.Value, r.Count, r.Sum, *r.Min, *r.Max})
	require.Equal(t, at.Add(-1), r.Started.UTC())
	require.Equal(t, []float64{-1, 0, 1e300}, r.Bounds)
	require.Equal(t, []uint64{0, 1, math.MaxUint64, 3}, r.Counts)
	require.Equal(t, []float64{4}, r.Values)
	require.Equal(t, map[string]string{"k": "5"}, r.Attrs)
	require.Equal(t, map[string]string{"service.name": "svc"}, r.Resource)
	require.Equal(t, []string{"s", "svc", "scope", "prod"}, r.Texts)
	require.Equal(t, []any{"summary", []float64{0.5}, []uint64{9}}, []any{rows[2].Kind, rows[2].Bounds, rows[2].Counts})
}

func TestSecurityEventsAreStoredAsGiven(t *testing.T) {
	t.Parallel()
	s := setup(t, "column_security")
	set := column.NewSet()
	at := time.Date(2026, 11, 3, 0, 0, 0, 7, time.UTC)
	set.SecurityEvent(&row.SecurityEvent{
		ID: row.UUID(rowID), Timestamp: at.UnixNano(), Type: "auth.denied", Severity: row.SeverityCritical, Outcome: row.OutcomeDenied, Actor: "actor",
		UserID: "user", IPAddress: "::1", UserAgent: "curl", Resource: "tool", Message: "no", Details: record.Attrs{{Key: "k", Value: record.Bool(true)}},
		TraceID: traceID, SpanID: spanID, ExecutionID: "run", Component: "svc", Environment: "prod",
	})
	set.SecurityEvent(&row.SecurityEvent{Timestamp: at.UnixNano() + 1, Type: "other", Severity: 9, Outcome: -1})
	s.insert(t.Context(), t, set, column.TableSecurityEvents)
	var texts []string
	var details map[string]string
	var stored time.Time
	const query = `SELECT [toString(id), toString(type), toString(severity), toString(outcome), actor, userId, ipAddress, userAgent, resource, message,
		traceId, spanId, executionId, toString(component), toString(environment)], details, timestamp FROM SecurityEvents WHERE type = `
	require.NoError(t, s.conn.QueryRow(t.Context(), query+"'auth.denied'").Scan(&texts, &details, &stored))
	require.Equal(t, []string{
		rowID.String(), "auth.denied", "critical", "denied", "actor", "user", "::1", "curl", "tool", "no",
		"4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", "run", "svc", "prod",
	}, texts)
	require.Equal(t, map[string]string{"k": "true"}, details)
	require.Equal(t, at, stored.UTC())
	require.NoError(t, s.conn.QueryRow(t.Context(), query+"'other'").Scan(&texts, &details, &stored))
	require.Equal(t, []string{"info", "unknown"}, texts[2:4], "numbers that the enum does not have")
}

func TestLargeBlocksWithManyDistinctValues(t *testing.T) {
	t.Parallel()
	s := setup(t, "column_large")
	set := column.NewSet()
	const n = 70_000 // Keys of 4 bytes.
	for i := range n {
		set.Log(&row.Log{Timestamp: int64(1_790_000_000_000_000_000) + int64(i), AgentID: uuid.NewString(), Message: strings.Repeat("m", i%50)})
	}
	s.insert(t.Context(), t, set, column.TableAgentLog)
	var count, distinct, length uint64
	require.NoError(t, s.conn.QueryRow(t.Context(), "SELECT count(), uniqExact(agentId), sum(length(message)) FROM AgentLog").Scan(&count, &distinct, &length))
	require.Equal(t, []uint64{n, n, n / 50 * (49 * 50 / 2)}, []uint64{count, distinct, length})
}
