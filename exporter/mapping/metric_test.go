package mapping

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/agenttrail/agenttrail/exporter/frompdata"
	"github.com/agenttrail/agenttrail/exporter/record"
	"github.com/agenttrail/agenttrail/exporter/row"
)

// TestMetricFacts says by hand what must be in the rows of testdata/handmade-metrics.metrics.json.
func TestMetricFacts(t *testing.T) {
	t.Parallel()
	got := mapFile(t, "testdata/handmade-metrics")
	for i, want := range []facts{
		{"metric": "queue.length", "kind": "gauge", "value": 7.0, "unit": "{job}", "component": "shop", "environment": "prod", "scopeName": "meter", "timestamp": "2026-12-01T11:58:20Z", "startedAt": "2026-12-01T11:56:40Z", "attributes": map[string]string{"queue": "a"}, "temporality": nil, "monotonic": nil},
		{"metric": "queue.length", "value": 2.5},
		{"metric": "queue.length", "value": 7.0},
		{"metric": "big", "value": 9223372036854775808.0},
		{"metric": "big", "value": 9007199254740992.0},
		// A cumulative sum stays one: 1000 since startedAt.
		{"metric": "requests", "kind": "sum", "temporality": "cumulative", "monotonic": true, "value": 1000.0, "startedAt": "2026-12-01T11:56:40Z"},
		{"metric": "balance", "kind": "sum", "temporality": "delta", "monotonic": nil, "value": -3.5},
		// 15 / 6
		{"kind": "histogram", "count": uint64(6), "sum": 15.0, "value": 2.5, "min": 0.5, "max": 9.0, "bounds": []float64{1, 5}, "counts": []uint64{1, 3, 2}, "temporality": "cumulative"},
		{"kind": "histogram", "count": uint64(4), "sum": nil, "min": nil, "bounds": nil, "counts": []uint64{4}, "startedAt": nil},
		{"kind": "histogram", "count": uint64(3), "value": 2.0, "bounds": nil, "counts": []uint64{3}},
		{"kind": "histogram", "count": uint64(3), "sum": nil, "value": nil, "bounds": nil, "counts": []uint64{3}},
		{"kind": "histogram", "count": nil, "value": nil, "counts": []uint64{0}},
		// Base 2. Negative bucket 1 is [-4, -2); the zero bucket is [-0.25, 0.25]; positive bucket -1 is (0.5, 1], 0 is
		// (1, 2], 1 is (2, 4].
		{
			"kind": "exponential_histogram", "temporality": "delta", "count": uint64(7), "value": 1.0,
			"bounds": []float64{-4, -2, -0.25, 0.25, 0.5, 1, 2, 4},
			"counts": []uint64{0, 3, 0, 1, 0, 1, 0, 2, 0},
		},
		// Base sqrt(2): bucket 0 is (1, sqrt 2], bucket 1 is (sqrt 2, 2].
		{"kind": "exponential_histogram", "bounds": []float64{0, 1, math.Sqrt2, 2}, "counts": []uint64{0, 0, 1, 2, 0}},
		{"kind": "exponential_histogram", "bounds": []float64{0}, "counts": []uint64{0, 0}},
		{"kind": "summary", "count": uint64(4), "sum": 10.0, "value": 2.5, "bounds": []float64{0.5, 0.99}, "quantileValues": []float64{2, 4}, "counts": nil, "unit": "ms"},
		{"kind": "summary", "count": nil, "bounds": []float64{1}, "quantileValues": []float64{0}},
		{"metric": "times", "value": 1.0, "timestamp": "2026-12-01T12:00:00Z", "startedAt": nil, "attributes": nil},
		{"metric": "times", "value": 2.0, "timestamp": "2026-12-01T12:00:00Z", "startedAt": nil, "attributes": map[string]string{"a": "1", KeyOriginalTime: "1999999999000000000"}},
		{"metric": "no service", "component": nil, "environment": "dev", "attributes": map[string]string{"deployment.environment": "dev", "twice": "2"}},
	} {
		require.Greater(t, len(got.Metrics), i)
		for k, v := range want {
			require.Equal(t, v, got.Metrics[i][k], "row %d: %s\n%s", i, k, show(got.Metrics[i]))
		}
	}
	require.Len(t, got.Metrics, 20)
	require.NotEqual(t, got.Metrics[0]["id"], got.Metrics[2]["id"], "equal points have ids of their own")
	require.Equal(t, map[string]int{
		"metrics": 20, "no_value": 2, "not_finite": 4, "bad_buckets": 2, "rounded": 2, "missing_time": 1, "future_time": 2, "duplicate_key": 1,
	}, got.Stats)
}

func exponential(scale, offset int32, counts ...uint64) *record.Point {
	return &record.Point{Scale: scale, Positive: record.Buckets{Offset: offset, Counts: counts}}
}

func TestExponentialBucketsAtTheEdges(t *testing.T) {
	t.Parallel()
	ones := func(n int) []uint64 { return slices.Repeat([]uint64{1}, n) }
	for name, c := range map[string]struct {
		in     *record.Point
		bounds []float64
		counts []uint64
	}{
		// Base 2^(2^2) = 16.
		"negative scale":       {exponential(-2, -1, 5, 6), []float64{0, 1. / 16, 1, 16}, []uint64{0, 0, 5, 6, 0}},
		"empty ends":           {exponential(0, 0, 0, 0, 9, 0), []float64{0, 4, 8}, []uint64{0, 0, 9, 0}},
		"beyond float64":       {exponential(0, 1022, 1, 2, 3), []float64{0, math.Ldexp(1, 1022), math.Ldexp(1, 1023)}, []uint64{0, 0, 1, 5}},
		"below float64":        {exponential(0, -2000, 7), []float64{0}, []uint64{7, 0}},
		"smallest scale":       {exponential(math.MinInt32, -1, 3, 4), []float64{0, 1}, []uint64{0, 3, 4}},
		"far away":             {exponential(0, math.MaxInt32, 3), []float64{0}, []uint64{0, 3}},
		"far below":            {exponential(3, math.MinInt32, 3), []float64{0}, []uint64{3, 0}},
		"zero threshold above": {&record.Point{ZeroThreshold: 1, ZeroCount: 2, Positive: record.Buckets{Counts: ones(1)}}, []float64{-1, 1, 2}, []uint64{0, 2, 1, 0}},
		// The zero bucket reaches into bucket 0, (1, 2]: what that has is above the threshold.
		"zero threshold within":           {&record.Point{ZeroThreshold: 1.5, ZeroCount: 2, Positive: record.Buckets{Counts: ones(1)}}, []float64{-1.5, 1.5, 2}, []uint64{0, 2, 1, 0}},
		"zero threshold within, negative": {&record.Point{ZeroThreshold: 1.5, ZeroCount: 2, Negative: record.Buckets{Counts: ones(1)}}, []float64{-2, -1.5, 1.5}, []uint64{0, 1, 2, 0}},
		"no zero threshold":               {&record.Point{ZeroThreshold: math.NaN(), ZeroCount: 2, Negative: record.Buckets{Counts: ones(2)}}, []float64{-4, -2, -1, 0}, []uint64{0, 1, 1, 2, 0}},
		"all negative far":                {&record.Point{Negative: record.Buckets{Offset: 5000, Counts: ones(2)}, ZeroCount: 1}, []float64{0}, []uint64{3, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bounds, counts := New(Config{}).exponentialBuckets(c.in)
			require.Equal(t, c.bounds, bounds)
			require.Equal(t, c.counts, counts)
		})
	}
}

func TestBoundariesAreTheNearestNumbers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		scale, i int64
		want     float64 // exp(i * ln(2) / 2^scale), computed with 100 digits.
	}{
		{1, 1, 1.4142135623730951},
		{2, 3, 1.681792830507429},
		{3, -5, 0.6484197773255048},
		{3, 7, 1.8340080864093424},
		{5, 31, 1.9571441241754002},
		{5, 1001, 2609723833.8332267},
		{8, -777, 0.12199075726443614},
		{8, 255, 1.9945921121709402},
		{20, 1, 1.0000006610368821},
		{20, 1048575, 1.9999986779271097},
		{20, 123456789, 2.7703831813017167e+35},
		{13, 4095, 1.4140939070174434},
	} {
		require.Equal(t, c.want, boundary(c.scale, c.i), "%d at scale %d", c.i, c.scale) //nolint:testifylint // The very bits.
	}
}

func TestManyExponentialBucketsAreJoined(t *testing.T) {
	t.Parallel()
	// 1000 buckets of scale 5 are 250 of scale 3: a quarter of the scale's resolution, twice halved.
	in := exponential(5, 0, slices.Repeat([]uint64{1}, 1000)...)
	bounds, counts := New(Config{}).exponentialBuckets(in)
	require.Len(t, bounds, 1+1+250)
	require.Len(t, counts, len(bounds)+1)
	require.Equal(t, 1.0, bounds[1])                 //nolint:testifylint // Exact.
	require.Equal(t, 2.0, bounds[1+8])               //nolint:testifylint // 8 buckets of scale 3 double.
	require.Equal(t, math.Ldexp(1, 31), bounds[249]) //nolint:testifylint // Exact.
	for _, n := range counts[2 : len(counts)-1] {
		require.Equal(t, uint64(4), n)
	}
	// Scale 30 is more than is kept: 2^10 buckets become one of scale 20.
	bounds, counts = New(Config{}).exponentialBuckets(exponential(30, 0, slices.Repeat([]uint64{1}, 2048)...))
	require.Len(t, bounds, 4)
	require.Equal(t, []uint64{0, 0, 1024, 1024, 0}, counts)
	require.InEpsilon(t, 1+math.Ln2/(1<<20), bounds[2], 1e-12)
}

// TestExponentialBucketsHoldTheirValues puts values into an exponential histogram the way an SDK does and asks whether
// each bucket of the row holds as many of them.
func TestExponentialBucketsHoldTheirValues(t *testing.T) {
	t.Parallel()
	for _, scale := range []int32{-3, -1, 0, 1, 4, 8} {
		p := &record.Point{Scale: scale, Positive: record.Buckets{Offset: -2000}, Negative: record.Buckets{Offset: -2000}}
		p.Positive.Counts, p.Negative.Counts = make([]uint64, 4000), make([]uint64, 4000)
		var values []float64
		for i := range 500 {
			v := math.Exp(math.Sin(float64(i))*3) * 1.000123
			side := p.Positive.Counts
			if i%3 == 0 {
				side = p.Negative.Counts
				values = append(values, -v)
			} else {
				values = append(values, v)
			}
			// The index of a value, as the data model of OTLP gives it: ceil(log_base(v)) - 1.
			index := int(math.Ceil(math.Log2(v)*math.Exp2(float64(scale)))) - 1
			side[index+2000]++
		}
		bounds, counts := New(Config{}).exponentialBuckets(p)
		require.True(t, slices.IsSorted(bounds))
		want := make([]uint64, len(counts))
		for _, v := range values {
			i, _ := slices.BinarySearch(bounds, v)
			want[i]++
		}
		require.Equal(t, want, counts, "scale %d", scale)
	}
}

func TestImpliedBoundsOfHistograms(t *testing.T) {
	t.Parallel()
	m := New(Config{})
	bounds, counts := m.explicitBuckets(&record.Point{Bounds: []float64{math.Inf(-1), 1, 2, math.Inf(1)}, Counts: []uint64{1, 2, 3, 4, 5}})
	require.Equal(t, []float64{1, 2}, bounds)
	require.Equal(t, []uint64{3, 3, 9}, counts)
	require.Zero(t, m.stats.Adjusted[ReasonBadBuckets])
}

// TestRecordedMetrics maps what real emitters sent. The truth is the files' own text: one row per point, with its
// count and sum.
func TestRecordedMetrics(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/recorded/*.metrics.json")
	require.NoError(t, err)
	require.Greater(t, len(files), 30)
	for _, f := range files {
		t.Run(filepath.Base(f), func(t *testing.T) {
			t.Parallel()
			raw, err := os.ReadFile(f)
			require.NoError(t, err)
			md, err := (&pmetric.JSONUnmarshaler{}).UnmarshalMetrics(raw)
			require.NoError(t, err)
			var in record.Metrics
			frompdata.Metrics(md, &in)
			got, again := &rows{}, &rows{}
			stats := New(Config{}).Metrics(&in, receivedAt, got)
			require.Len(t, got.Metrics, md.DataPointCount())
			require.Equal(t, [NumReasons]uint64{}, stats.Adjusted)
			New(Config{}).Metrics(&in, receivedAt, again)
			require.Equal(t, got, again)
			for _, r := range got.Metrics {
				require.Contains(t, string(raw), `"`+r["metric"].(string)+`"`)
				require.Contains(t, string(raw), `"`+r["component"].(string)+`"`)
				require.Equal(t, "histogram", r["kind"])
				total := uint64(0)
				for _, n := range r["counts"].([]uint64) {
					total += n
				}
				require.Equal(t, r["count"], total)
				require.InDelta(t, r["sum"], r["value"].(float64)*float64(total), 1e-9)
				require.False(t, strings.HasPrefix(r["timestamp"].(string), "1970"))
			}
		})
	}
}

func TestSecurityFacts(t *testing.T) {
	t.Parallel()
	got := mapFile(t, "testdata/handmade-security")
	want := []facts{
		{"type": "key.revoked", "outcome": "success", "severity": "critical", "actor": "admin-1", "resource": "key-9", "userId": "u-1", "executionId": "run-1", "message": "key was revoked", "component": "gateway", "environment": "prod"},
		{"type": "auth.login", "outcome": "failure", "severity": "warning", "actor": "u-2", "userId": "u-2", "ipAddress": "203.0.113.9", "userAgent": "curl/8"},
		{"type": "auth.denied", "outcome": "denied", "severity": "error", "actor": "eve", "userId": "u-3", "ipAddress": "198.51.100.7", "resource": "/admin"},
		{"type": "policy.violation", "outcome": "unknown", "severity": "critical", "message": "security.policy.violation"},
		{"type": "auth.login", "outcome": "failure", "severity": "info", "actor": "root", "ipAddress": "192.0.2.1"},
		{"type": "iam.added-user-account", "outcome": "success", "resource": "bob", "actor": "alice"},
		{"type": "rule.match", "outcome": "unknown", "severity": "warning"},
		{"type": "auth.login", "outcome": "failure"},
		{"type": "auth.denied", "outcome": "denied", "severity": "critical"},
		{"type": "rule.match"},
		{"type": "auth.token.issued", "outcome": "unknown"},
	}
	require.Len(t, got.Security, len(want), show(got.Security))
	for i, w := range want {
		for k, v := range w {
			require.Equal(t, v, got.Security[i][k], "row %d: %s\n%s", i, k, show(got.Security[i]))
		}
		require.Equal(t, got.Logs[i]["id"], got.Security[i]["id"], "the event stays a log record, with the same id")
	}
	require.Len(t, got.Logs, 16)
	require.Equal(t, 1, got.Stats["unknown_value"])
}

func TestNamesOfSecurityEvents(t *testing.T) {
	t.Parallel()
	type told struct {
		kind    string
		outcome row.Outcome
	}
	for name, want := range map[string]told{
		"":                              {},
		"security.":                     {},
		"security.scan.failed":          {"scan.failed", row.OutcomeFailure},
		"security.auth.login.success":   {"auth.login", row.OutcomeSuccess},
		"auth.login_failed":             {"auth.login", row.OutcomeFailure},
		"auth.failed":                   {"auth.failed", row.OutcomeFailure},
		"auth.login.denied":             {"auth.login.denied", row.OutcomeDenied},
		"user.logged_in":                {"auth.login", row.OutcomeSuccess},
		"user.login":                    {"auth.login", row.OutcomeUnknown},
		"user.logins":                   {},
		"author.created":                {},
		"authn_login_successafterfail":  {"auth.login", row.OutcomeSuccess},
		"authn_password_change_fail:jo": {"authn_password_change", row.OutcomeFailure},
		"malicious_cors:1.2.3.4":        {"malicious_cors", row.OutcomeUnknown},
		"prompt_injection.blocked":      {"prompt_injection.blocked", row.OutcomeDenied},
		"key.pressed":                   {},
		"session.start":                 {},
		"gen_ai.client.token.usage":     {},
	} {
		kind, outcome := securityOfName(name)
		require.Equal(t, want, told{kind, outcome}, name)
	}
}

// TestDenialsAreNotJustFailures: ECS knows no outcome denied, so what is denied says failure, or success of who denies.
func TestDenialsAreNotJustFailures(t *testing.T) {
	t.Parallel()
	text := func(kv ...string) record.Attrs {
		var attrs record.Attrs
		for i := 0; i < len(kv); i += 2 {
			attrs = append(attrs, record.Attr{Key: kv[i], Value: record.String(kv[i+1])})
		}
		return attrs
	}
	for _, c := range []struct {
		name       string
		attrs      record.Attrs
		kind, want string
	}{
		{"auth.denied", text("event.outcome", "failure"), "auth.denied", "denied"},
		{"auth.denied", text("event.outcome", "success"), "auth.denied", "success"},
		{"", text("event.category", "authentication", "event.type", "denied", "event.outcome", "failure"), "auth.denied", "denied"},
		{"", text("event.category", `["session","iam"]`, "event.type", `["user","denied"]`, "event.outcome", "success"), "iam.user", "denied"},
		{"", text("event.category", "malware", "event.type", "allowed"), "malware.allowed", "success"},
		{"auth.denied", text(KeySecurityOutcome, "failure"), "auth.denied", "failure"},
	} {
		in := record.Logs{Resources: make([]record.Resource, 1), Scopes: make([]record.Scope, 1)}
		in.Records = []record.Log{{Time: 1, EventName: c.name, Attrs: c.attrs}}
		got := &rows{}
		New(Config{}).Logs(&in, receivedAt, got)
		require.Len(t, got.Security, 1, "%+v", c)
		require.Equal(t, []any{c.kind, c.want}, []any{got.Security[0]["type"], got.Security[0]["outcome"]}, "%+v", c)
	}
}

// TestPointsThatDifferHaveOtherIDs changes one thing at a time. A point alone in its request has no ordinal.
func TestPointsThatDifferHaveOtherIDs(t *testing.T) {
	t.Parallel()
	seen := map[any]int{}
	for i, change := range []func(*record.Metrics, *record.Point){
		func(*record.Metrics, *record.Point) {},
		func(_ *record.Metrics, p *record.Point) { p.Start = 5 },
		func(_ *record.Metrics, p *record.Point) { p.Time = 6 },
		func(_ *record.Metrics, p *record.Point) { p.Attrs = record.Attrs{{Key: "a", Value: record.Int(1)}} },
		func(_ *record.Metrics, p *record.Point) { p.Count = 9 },
		func(_ *record.Metrics, p *record.Point) { p.Sum = record.OptionalDouble{Known: true} },
		func(_ *record.Metrics, p *record.Point) { p.Min = record.OptionalDouble{Known: true} },
		func(_ *record.Metrics, p *record.Point) { p.Max = record.OptionalDouble{Known: true} },
		func(_ *record.Metrics, p *record.Point) { p.Scale = 1 },
		func(_ *record.Metrics, p *record.Point) { p.ZeroCount = 1 },
		func(_ *record.Metrics, p *record.Point) { p.ZeroThreshold = 1 },
		func(_ *record.Metrics, p *record.Point) { p.Positive.Counts = []uint64{1, 3} },
		func(_ *record.Metrics, p *record.Point) { p.Positive.Offset = 2 },
		func(_ *record.Metrics, p *record.Point) { p.Negative.Counts = []uint64{1, 2} },
		func(m *record.Metrics, _ *record.Point) { m.Metrics[0].Name = "other" },
		func(m *record.Metrics, _ *record.Point) { m.Metrics[0].Unit = "s" },
		func(m *record.Metrics, _ *record.Point) { m.Metrics[0].Temporality = record.TemporalityDelta },
		func(m *record.Metrics, _ *record.Point) { m.Scopes[0].Name = "scope" },
		func(m *record.Metrics, _ *record.Point) {
			m.Resources[0].Attrs = record.Attrs{{Key: "service.name", Value: record.String("s")}}
		},
	} {
		in := record.Metrics{Resources: make([]record.Resource, 1), Scopes: make([]record.Scope, 1)}
		in.Metrics = []record.Metric{{Name: "m", Kind: record.MetricExponentialHistogram}}
		in.Points = []record.Point{{Time: 1, Positive: record.Buckets{Counts: []uint64{1, 2}}}}
		change(&in, &in.Points[0])
		got := &rows{}
		New(Config{}).Metrics(&in, receivedAt, got)
		require.Len(t, got.Metrics, 1)
		require.NotContains(t, seen, got.Metrics[0]["id"], "changes %d and %d", i, seen[got.Metrics[0]["id"]])
		seen[got.Metrics[0]["id"]] = i
	}
}
