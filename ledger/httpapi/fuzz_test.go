package httpapi_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/ledger"
)

var (
	fuzzRequests = flag.Int("api-fuzz-requests", 6000, "how many requests TestFuzzDescription sends")
	fuzzSeed     = flag.Uint64("api-fuzz-seed", 0, "seed of TestFuzzDescription; 0 takes another each time")
)

// TestFuzzDescription sends requests that are made of the description at random: good ones, such with strange values, and
// such that are wrong in several places, on resources that exist and do not, in four threads. No answer may be a failure of
// the service, each must be one that the description has, and at the end the books must agree.
func TestFuzzDescription(t *testing.T) {
	t.Parallel()
	seed := *fuzzSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("play it again with -run TestFuzzDescription -api-fuzz-seed %d -api-fuzz-requests %d", seed, *fuzzRequests)
	w := setup(t)
	d := w.describe(t)
	known := &pool{ids: map[string][]string{}}
	for range 4 {
		c := w.customer(t)
		known.add("userId", c.user)
		known.add("agentId", c.agent)
		known.add("agent", c.slug)
		known.add("mandateId", c.mandate)
		known.add("executionId", c.differing("1", "2"))
		decision, execution := c.pending("1", "15")
		known.add("decisionId", decision)
		known.add("executionId", execution)
		known.add("key", c.key)
	}
	for _, secret := range []string{w.admin, w.admin, w.admin, w.admin, w.execute, w.manage, w.approve, w.revoked, "nonsense"} {
		known.add("key", secret)
	}
	ops := d.operations()
	var mu sync.Mutex
	statuses := map[int]int{}
	succeeded := map[string]int{}
	var wg sync.WaitGroup
	const threads = 4
	for i := range threads {
		wg.Go(func() {
			f := &fuzzer{d: d, rng: rand.New(rand.NewPCG(seed, uint64(i))), known: known}
			for range *fuzzRequests / threads {
				op := ops[f.rng.IntN(len(ops))]
				c := f.call(op)
				r, err := w.send(t.Context(), c)
				if err != nil {
					// Go's client refuses to send some headers; nothing was asked.
					continue
				}
				mu.Lock()
				statuses[r.status]++
				if r.status < 300 {
					succeeded[op.ID]++
				}
				mu.Unlock()
				body, _ := json.Marshal(c.body)
				if !checkAnswer(op, r) {
					t.Errorf("seed %d: %s %s %q\n%s\nanswer %d %s", seed, c.method, c.path, c.header, body, r.status, r.text)
				}
				if err := w.conforms(op, r); err != nil && r.status != 503 {
					t.Errorf("seed %d: %s %s: %v in answer %d %s", seed, c.method, c.path, err, r.status, r.text)
				}
				known.learn(op, r)
			}
		})
	}
	wg.Wait()
	t.Logf("answers by status: %v; operations that succeeded: %d of %d", statuses, len(succeeded), len(ops))
	if *fuzzRequests >= 6000 {
		require.Greater(t, len(succeeded), len(ops)*2/3, "requests that get nowhere test nothing: %v", succeeded)
	}
	w.checkBooks(t)
	for _, trail := range ledger.Trails() {
		require.NoError(t, w.store.SealAudit(t.Context()))
		report, err := w.store.VerifyAudit(t.Context(), ledger.System("test"), trail)
		require.NoError(t, err)
		require.Empty(t, report.Problems)
	}
}

// checkAnswer tells whether an answer is one that the description has.
func checkAnswer(op *described, r reply) bool {
	if r.status == 503 { // Four threads may wait for each other; the answer says when to come back.
		return r.header.Get("Retry-After") != ""
	}
	if r.status >= 500 || op.Responses[fmt.Sprint(r.status)] == nil {
		return false
	}
	if r.status >= 300 {
		return slices.Contains(op.Problems, r.problem()) && r.at("title") != nil
	}
	return r.header.Get("Content-Type") == "application/json" && r.json != nil
}

// pool is what the fuzzer knows to exist.
type pool struct {
	mu  sync.Mutex
	ids map[string][]string
}

func (p *pool) add(name, value string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if list := p.ids[name]; len(list) < 200 {
		p.ids[name] = append(list, value)
	} else {
		list[len(value)%len(list)] = value
	}
}

func (p *pool) pick(rng *rand.Rand, name string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if list := p.ids[name]; len(list) > 0 {
		return list[rng.IntN(len(list))]
	}
	return uuid.NewString()
}

// learn takes ids from answers.
func (p *pool) learn(op *described, r reply) {
	if r.status >= 300 {
		return
	}
	for _, place := range [][]string{
		{"hold", "id", "holdId"},
		{"approval", "id", "approvalId"},
		{"transaction", "id", "transactionId"},
		{"key", "id", "keyId"},
	} {
		if id, ok := r.at(place[0], place[1]).(string); ok {
			p.add(place[2], id)
		}
	}
	if id, ok := r.at("id").(string); ok {
		name := map[string]string{"createUser": "userId", "registerAgent": "agentId", "createMandate": "mandateId", "grant": "grantId"}[op.ID]
		if name != "" {
			p.add(name, id)
		}
	}
	if tag := r.header.Get("ETag"); tag != "" {
		p.add("etag", tag)
	}
}

// fuzzer makes requests.
type fuzzer struct {
	d     *description
	rng   *rand.Rand
	known *pool
}

// odds is true once in n times.
func (f *fuzzer) odds(n int) bool { return f.rng.IntN(n) == 0 }

func (f *fuzzer) call(op *described) call {
	c := call{method: op.method, path: op.path, key: f.known.pick(f.rng, "key"), header: map[string]string{}}
	query := url.Values{}
	for _, p := range op.Parameters {
		switch p.In {
		case "path":
			value := f.text(p.Schema, p.Name)
			if value == "" {
				value = "-"
			}
			c.path = strings.ReplaceAll(c.path, "{"+p.Name+"}", url.PathEscape(value))
		case "query":
			if p.Required && !f.odds(20) || f.odds(4) {
				query.Set(p.Name, f.text(p.Schema, p.Name))
			}
		case "header":
			switch p.Name {
			case "If-Match":
				c.header["If-Match"] = []string{"*", "*", f.known.pick(f.rng, "etag"), `"1"`, "", "?"}[f.rng.IntN(6)]
			case "Idempotency-Key":
				if f.odds(8) {
					c.header["Idempotency-Key"] = fmt.Sprintf("again-%d", f.rng.IntN(40))
				}
			}
		}
	}
	if len(query) > 0 {
		c.path += "?" + query.Encode()
	}
	if op.RequestBody != nil && (op.RequestBody.Required || f.odds(2)) {
		schema := op.RequestBody.Content["application/json"].Schema
		c.body = f.value(schema, "")
		if f.odds(15) {
			text, _ := json.Marshal(c.body)
			c.body = f.damage(text)
		}
	}
	return c
}

// damage changes bytes of a body.
func (f *fuzzer) damage(text []byte) []byte {
	for range 1 + f.rng.IntN(3) {
		if len(text) == 0 {
			break
		}
		i := f.rng.IntN(len(text))
		switch f.rng.IntN(3) {
		case 0:
			text[i] = byte(f.rng.UintN(256))
		case 1:
			text = slices.Delete(text, i, i+1)
		default:
			text = slices.Insert(text, i, `"{}[],:\u`[f.rng.IntN(9)])
		}
	}
	return text
}

// value makes something for a schema, mostly of the right kind.
func (f *fuzzer) value(schema map[string]any, name string) any {
	schema = f.d.resolve(schema)
	if f.odds(40) {
		return []any{nil, true, 7, -1, 1.5, "x", []any{}, map[string]any{}, json.RawMessage("1e400"), json.RawMessage("-0")}[f.rng.IntN(10)]
	}
	switch kind(schema) {
	case "object":
		if schema["additionalProperties"] == true {
			return f.document(3)
		}
		out := map[string]any{}
		required, _ := schema["required"].([]any)
		properties := schema["properties"].(map[string]any)
		for _, member := range slices.Sorted(maps.Keys(properties)) {
			always := slices.Contains(required, any(member))
			if always && !f.odds(40) || !always && f.odds(3) {
				out[member] = f.value(properties[member].(map[string]any), member)
			}
		}
		if f.odds(60) {
			out[f.strange()] = 1
		}
		return out
	case "array":
		out := []any{}
		for range f.rng.IntN(3) {
			out = append(out, f.value(schema["items"].(map[string]any), name))
		}
		return out
	case "integer":
		low, high := int64(-3), int64(1000)
		if n, ok := schema["minimum"].(float64); ok {
			low = int64(n)
		}
		if n, ok := schema["maximum"].(float64); ok {
			high = int64(n)
		}
		switch f.rng.IntN(12) {
		case 0:
			return high
		case 1:
			return low - 1
		case 2:
			return json.RawMessage("99999999999999999999")
		}
		return low + f.rng.Int64N(high-low+1)
	case "boolean":
		return f.odds(2)
	default:
		return f.text(schema, name)
	}
}

// text makes one for a schema: of the pool, of its form, or strange.
func (f *fuzzer) text(schema map[string]any, name string) string {
	schema = f.d.resolve(schema)
	if f.odds(25) {
		return f.strange()
	}
	switch kind(schema) {
	case "integer":
		return fmt.Sprint(f.rng.IntN(60))
	case "boolean":
		return fmt.Sprint(f.odds(2))
	}
	if values, ok := schema["enum"].([]any); ok {
		return values[f.rng.IntN(len(values))].(string)
	}
	switch schema["format"] {
	case "uuid":
		switch name {
		case "id":
			return uuid.NewString()
		case "ownerId":
			name = "userId"
		}
		if f.odds(20) {
			return uuid.NewString()
		}
		return f.known.pick(f.rng, name)
	case "date-time":
		return []string{
			"2026-01-01T00:00:00Z", "2036-01-01T00:00:00+02:00", "0001-01-01T00:00:00Z", "0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-12-31T23:59:60Z",
			time.Now().Add(time.Hour).Format(time.RFC3339Nano),
		}[f.rng.IntN(7)]
	case "email":
		return fmt.Sprintf("fuzz-%d@example.com", f.rng.IntN(1000))
	}
	if p, ok := schema["pattern"].(string); ok {
		switch {
		case strings.HasPrefix(p, "^[0-9]"):
			return []string{"0", "1", "0.5", "2", "3.000001", "21", "9223372036854.775807", "9223372036854.775808", "9999999999999", "0.000000"}[f.rng.IntN(10)]
		case strings.HasPrefix(p, "^[A-Z]"):
			return "EUR"
		default:
			return fmt.Sprintf("fuzz-%d", f.rng.IntN(1000))
		}
	}
	switch name {
	case "agent":
		return f.known.pick(f.rng, "agent")
	case "timeZone":
		return []string{"Europe/Berlin", "UTC", "America/New_York", "Nowhere/None", "Local", "../../etc/passwd"}[f.rng.IntN(6)]
	}
	return []string{"a text", "", "research", f.strange()}[f.rng.IntN(4)]
}

// strange makes a text that programs stumble over.
func (f *fuzzer) strange() string {
	return []string{
		"", " ", "'; DROP TABLE ledger.users; --", "%00", "%s%n", "\u202e\u0000", "ä\u0301", "\U0001f600", strings.Repeat("é", 300), "../..", "null", "\r\n",
		"\\u0000", "\ufffd", "-1", "1e400", "NaN", "{}", "$1", "\x7f",
	}[f.rng.IntN(20)]
}

func (f *fuzzer) document(depth int) map[string]any {
	out := map[string]any{}
	for range f.rng.IntN(4) {
		var v any = f.strange()
		switch f.rng.IntN(5) {
		case 0:
			v = json.RawMessage([]string{"1e300", "-0", "1e-400", "123456789012345678901234567890", "0.1"}[f.rng.IntN(5)])
		case 1:
			if depth > 0 {
				v = f.document(depth - 1)
			}
		case 2:
			v = []any{nil, true, f.strange()}
		}
		out[f.strange()] = v
	}
	return out
}
