package httpapi_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/ledger"
	"github.com/agenttrail/agenttrail/ledger/httpapi"
)

//go:generate go test . -run ^TestEveryEndpoint$ -update

var update = flag.Bool("update", false, "write docs/api.md anew")

const apiDocument = "../../docs/api.md"

// describe reads the description as clients do.
func (w *world) describe(t *testing.T) *description {
	t.Helper()
	var d description
	require.NoError(t, json.Unmarshal([]byte(w.do(t, call{method: "GET", path: "/openapi.json"}).text), &d))
	return &d
}

// elsewhere are the problems that any operation can have and that have tests of their own.
var elsewhere = []string{"internal", "temporarily-unavailable", "too-many-requests", "request-timeout", "request-in-progress", "payments-disabled"}

// finding is a bad input with the problem that it got.
type finding struct{ where, what, problem string }

// TestEveryEndpoint sends to each operation of the description everything that is wrong by it, requests of keys that may
// not send them, and what its state does not permit. Each must get the problem that docs/api.md lists, and the description
// must list each problem of the operation and no other. "make generate" writes the document anew.
func TestEveryEndpoint(t *testing.T) { //nolint:tparallel // The group ends when all below it have.
	t.Parallel()
	w := setup(t)
	d := w.describe(t)
	var mu sync.Mutex
	found := map[string][]finding{}
	t.Run("Operations", func(t *testing.T) {
		for _, op := range d.operations() {
			t.Run(op.ID, func(t *testing.T) {
				t.Parallel()
				list := checkOperation(t, w, d, op)
				mu.Lock()
				defer mu.Unlock()
				found[op.ID] = list
			})
		}
	})
	if t.Failed() {
		return
	}
	w.checkBooks(t)
	want := writeDocument(d, found)
	if *update {
		require.NoError(t, os.WriteFile(apiDocument, []byte(want), 0o644))
	}
	have, err := os.ReadFile(apiDocument)
	require.NoError(t, err)
	require.Equal(t, want, string(have), "docs/api.md is stale: run \"make generate\"")
}

func checkOperation(t *testing.T, w *world, d *description, op *described) []finding {
	t.Helper()
	sample, ok := samples[op.ID]
	if !ok {
		sample, ok = reconciliationSamples()[op.ID]
	}
	require.True(t, ok, "there is no sample of %s", op.ID)
	c := w.customer(t)
	var list []finding
	seen := map[string]bool{}
	expect := func(in badInput, sent call) {
		t.Helper()
		r := w.do(t, sent)
		text, _ := json.Marshal(sent.body)
		require.Equal(t, in.problem, r.problem(), "%s %s: %s\n%.300s\nanswer %d: %.500s", in.where, in.what, sent.path, text, r.status, r.text)
		p := problemOf(t, in.problem)
		require.Equal(t, p.Status, r.status)
		require.Equal(t, p.Title, r.at("title"))
		require.InDelta(t, p.Status, r.at("status"), 0)
		require.Equal(t, "urn:uuid:"+r.header.Get("X-Request-Id"), r.at("instance"))
		require.Contains(t, op.Problems, in.problem, "the description of %s lists it", op.ID)
		require.Contains(t, op.Responses, fmt.Sprint(p.Status))
		if in.problem == invalid {
			require.NotEmpty(t, r.at("errors"), "%s %s: %s", in.where, in.what, r.text)
		}
		require.NoError(t, w.conforms(op, r), r.text)
		seen[in.problem] = true
		if f := (finding{in.where, in.what, in.problem}); !slices.Contains(list, f) {
			list = append(list, f)
		}
	}

	// Keys come first: they need nothing else to be right.
	good := sample(c)
	for _, k := range []struct{ what, secret, problem string }{
		{"missing", "", "unauthenticated"},
		{"unknown", "at_0123456789abcdef", "unauthenticated"},
		{"revoked", w.revoked, "key-revoked"},
		{"expired", w.expired, "key-expired"},
	} {
		sent := good
		sent.key = k.secret
		expect(badInput{where: "API key", what: k.what, problem: k.problem}, sent)
	}
	if len(op.Scopes) > 0 {
		for scope, secret := range map[string]string{"execute": w.execute, "manage": w.manage, "approve": w.approve} {
			if slices.Contains(op.Scopes, scope) {
				continue
			}
			sent := good
			sent.key = secret
			expect(badInput{where: "API key", what: "without the scope", problem: "forbidden"}, sent)
			sent.path = withQuery(sent.path, "surprise", "1") // It comes before all that is wrong with the request.
			expect(badInput{where: "API key", what: "without the scope", problem: "forbidden"}, sent)
		}
	}
	for _, in := range d.badInputs(op, good) {
		sent := good
		sent.key, sent.body = w.admin, clone(good.body)
		in.change(&sent)
		expect(in, sent)
	}

	// The request was good all the time.
	good.key = w.admin
	if op.method == "POST" {
		setHeader(&good, "Idempotency-Key", "once-"+uuid.NewString())
	}
	first := w.do(t, good)
	require.Less(t, first.status, 300, "%s: %s", op.ID, first.text)
	require.NoError(t, w.conforms(op, first), first.text)
	if op.method == "POST" {
		again := w.do(t, good)
		require.Equal(t, first.status, again.status)
		require.Equal(t, "true", again.header.Get("Idempotency-Replayed"))
		require.Empty(t, first.header.Get("Idempotency-Replayed"))
		require.Equal(t, first.header.Get("ETag"), again.header.Get("ETag"))
		require.Equal(t, first.header.Get("Location"), again.header.Get("Location"))
		want := first.text
		if secret, ok := first.at("secret").(string); ok {
			want = strings.Replace(want, `,"secret":"`+secret+`"`, "", 1)
		}
		require.Equal(t, want, again.text)
		other := good
		other.body = anotherBody(good.body)
		expect(badInput{where: "header.Idempotency-Key", what: "used for another body", problem: "idempotency-key-reused"}, other)
	}
	for _, s := range slices.Concat(states[op.ID], reconciliationStates()[op.ID]) {
		sent := s.make(w.customer(t))
		if sent.key == "" {
			sent.key = w.admin
		}
		expect(badInput{where: "state", what: s.what, problem: s.problem}, sent)
	}
	if !slices.Contains(ownerless, op.ID) {
		// What belongs to another user, for a key with every scope that acts for one.
		stranger := w.customer(t)
		sent := sample(c)
		sent.key = w.key(t, new(uuid.MustParse(stranger.user)), ledger.ScopeExecute, ledger.ScopeManage, ledger.ScopeApprove, ledger.ScopeAdmin)
		problem := "not-found"
		if slices.Contains([]string{"changeAgent", "publishVersion", "changePrice"}, op.ID) {
			problem = "forbidden" // That there is the agent, everybody may know.
		}
		expect(badInput{where: "API key", what: "acts for another user", problem: problem}, sent)
	}
	for _, p := range op.Problems {
		if !slices.Contains(elsewhere, p) {
			require.True(t, seen[p], "the description of %s lists %s, and nothing got it", op.ID, p)
		}
	}
	return list
}

// anotherBody changes what a POST says, without making it wrong.
func anotherBody(body any) any {
	m, ok := clone(body).(map[string]any)
	if !ok {
		return map[string]any{}
	}
	for _, name := range []string{"reason", "name", "displayName", "executionId", "provider", "paymentMethod"} {
		if text, ok := m[name].(string); ok {
			m[name] = text + " too"
			return m
		}
	}
	for _, name := range []string{"amount", "perExecution"} {
		if _, ok := m[name]; ok {
			m[name] = "0.25"
			return m
		}
	}
	if _, ok := m["graceSeconds"]; ok {
		m["graceSeconds"] = 61
		return m
	}
	m["rules"] = map[string]any{"maxTotal": "7"}
	return m
}

func problemOf(t *testing.T, code string) *httpapi.Problem {
	t.Helper()
	for _, p := range httpapi.Problems() {
		if string(p.Code) == code {
			return p
		}
	}
	require.FailNow(t, "there is no problem "+code)
	return nil
}
