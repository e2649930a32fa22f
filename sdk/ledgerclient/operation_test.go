package ledgerclient_test

import (
	"context"
	"encoding/json"
	"io"
	"iter"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/ledger"
	"github.com/agenttrail/agenttrail/sdk/ledgerclient"
)

// all goes through a list and returns its error.
func all[T any](list iter.Seq2[T, error]) error {
	for _, err := range list {
		if err != nil {
			return err
		}
	}
	return nil
}

func second[T any](_ T, err error) error { return err }

// everything is a call of each operation with all that it can be told, by the operation's id in the description.
func everything() map[string]func(context.Context, *ledgerclient.Client) error {
	type client = ledgerclient.Client
	type operations = map[string]func(context.Context, *client) error
	id, text, amount, at, n := uuid.New(), "x", ledger.Credit, time.Now(), int64(1)
	object, pricing := json.RawMessage(`{}`), ledger.Pricing{PerExecution: 1, PerThousandTokens: 1}
	version := ledgerclient.Version{Provider: &text, Config: object, Pricing: &pricing, InputSchema: object, OutputSchema: object}
	names := []string{"a"}
	rules := ledger.Rules{
		MaxPerExecution: &amount, MaxPerDay: &amount, MaxPerWeek: &amount, MaxPerMonth: &amount, MaxTotal: &amount, MaxCountPerDay: &n, MaxConcurrent: &n,
		AllowAgents: names, DenyAgents: names, AllowCategories: names, DenyCategories: names, AllowProviders: names, DenyProviders: names,
		ValidFrom: &at, ValidUntil: &at, ApprovalOver: &amount, SingleUse: true, TimeZone: "UTC",
	}
	one, active := 1, ledger.AgentActive
	ifMatch := ledgerclient.IfVersion(3)
	parts := []operations{
		{ // Users, interactions, keys.
			"createUser": func(ctx context.Context, c *client) error {
				return second(c.CreateUser(ctx, ledgerclient.User{ID: id, Email: text, DisplayName: text, Profile: object}))
			},
			"listUsers": func(ctx context.Context, c *client) error {
				return all(c.Users(ctx, ledger.UserFilter{Email: text, Status: ledger.UserActive}))
			},
			"getUser": func(ctx context.Context, c *client) error { return second(c.User(ctx, id)) },
			"changeUser": func(ctx context.Context, c *client) error {
				return second(c.ChangeUser(ctx, id, ifMatch, ledgerclient.UserChange{Email: &text, DisplayName: &text, Profile: object}))
			},
			"closeUser":        func(ctx context.Context, c *client) error { return second(c.CloseUser(ctx, id, ifMatch)) },
			"getBalance":       func(ctx context.Context, c *client) error { return second(c.Balance(ctx, id)) },
			"listInteractions": func(ctx context.Context, c *client) error { return all(c.Interactions(ctx, id, true)) },
			"getInteraction":   func(ctx context.Context, c *client) error { return second(c.Interaction(ctx, id, id)) },
			"putInteraction": func(ctx context.Context, c *client) error {
				return second(c.PutInteraction(ctx, id, id, ifMatch, ledgerclient.Interaction{Rating: &one, Feedback: text, IsFavorite: true}))
			},
			"createKey": func(ctx context.Context, c *client) error {
				return second(c.CreateKey(ctx, ledgerclient.Key{Name: text, Scopes: []ledger.Scope{ledger.ScopeAdmin}, UserID: &id, ExpiresAt: &at}))
			},
			"listKeys": func(ctx context.Context, c *client) error {
				return all(c.Keys(ctx, ledger.KeyFilter{UserID: id, Live: true}))
			},
			"getKey":    func(ctx context.Context, c *client) error { return second(c.Key(ctx, id)) },
			"getOwnKey": func(ctx context.Context, c *client) error { return second(c.OwnKey(ctx)) },
			"revokeKey": func(ctx context.Context, c *client) error { return second(c.RevokeKey(ctx, id)) },
			"rotateKey": func(ctx context.Context, c *client) error { return second(c.RotateKey(ctx, id, time.Minute)) },
		},
		{ // Agents, statistics, forecasts.
			"registerAgent": func(ctx context.Context, c *client) error {
				return second(c.RegisterAgent(ctx, ledgerclient.Agent{ID: id, Slug: text, Name: text, Category: text, Description: text, OwnerID: id, Status: active, Version: &version}))
			},
			"listAgents": func(ctx context.Context, c *client) error {
				return all(c.Agents(ctx, ledger.AgentFilter{OwnerID: id, Category: text, Status: active}))
			},
			"getAgent": func(ctx context.Context, c *client) error { return second(c.Agent(ctx, text)) },
			"changeAgent": func(ctx context.Context, c *client) error {
				return second(c.ChangeAgent(ctx, id, ifMatch, ledgerclient.AgentChange{Name: &text, Category: &text, Description: &text, Status: &active}))
			},
			"publishVersion":      func(ctx context.Context, c *client) error { return second(c.PublishVersion(ctx, id, ifMatch, version)) },
			"changePrice":         func(ctx context.Context, c *client) error { return second(c.ChangePrice(ctx, id, ifMatch, pricing)) },
			"listVersions":        func(ctx context.Context, c *client) error { return all(c.Versions(ctx, id)) },
			"getAgentStatistics":  func(ctx context.Context, c *client) error { return second(c.AgentStatistics(ctx, id)) },
			"listUsageStatistics": func(ctx context.Context, c *client) error { return all(c.Statistics(ctx, id)) },
			"getUserForecast":     func(ctx context.Context, c *client) error { return second(c.UserForecast(ctx, id, time.Hour)) },
			"getAgentForecast":    func(ctx context.Context, c *client) error { return second(c.AgentForecast(ctx, id, time.Hour)) },
		},
		{ // Mandates, guards, approvals.
			"createMandate": func(ctx context.Context, c *client) error {
				return second(c.CreateMandate(ctx, ledgerclient.Mandate{ID: id, UserID: id, Name: text, Rules: rules, EffectiveAt: at}))
			},
			"listMandates": func(ctx context.Context, c *client) error {
				return all(c.Mandates(ctx, ledger.MandateFilter{UserID: id, Status: ledger.MandateActive}))
			},
			"getMandate": func(ctx context.Context, c *client) error { return second(c.Mandate(ctx, id)) },
			"replaceRules": func(ctx context.Context, c *client) error {
				return second(c.ReplaceRules(ctx, id, ifMatch, ledgerclient.MandateVersion{Rules: rules, EffectiveAt: at}))
			},
			"listMandateVersions": func(ctx context.Context, c *client) error { return all(c.MandateVersions(ctx, id)) },
			"getMandateUsage":     func(ctx context.Context, c *client) error { return second(c.MandateUsage(ctx, id)) },
			"evaluateMandate": func(ctx context.Context, c *client) error {
				return second(c.EvaluateMandate(ctx, id, ledgerclient.Evaluation{UserID: id, Agent: text, Amount: &amount}))
			},
			"suspendMandate": func(ctx context.Context, c *client) error { return second(c.SuspendMandate(ctx, id, ifMatch, text)) },
			"resumeMandate":  func(ctx context.Context, c *client) error { return second(c.ResumeMandate(ctx, id, ifMatch, text)) },
			"revokeMandate": func(ctx context.Context, c *client) error {
				return second(c.RevokeMandate(ctx, id, ifMatch, ledgerclient.Revocation{Reason: text, ReleaseHolds: true}))
			},
			"getGuard": func(ctx context.Context, c *client) error { return second(c.Guard(ctx, id)) },
			"putGuard": func(ctx context.Context, c *client) error { return second(c.PutGuard(ctx, id, ifMatch, time.Hour)) },
			"listApprovals": func(ctx context.Context, c *client) error {
				return all(c.Approvals(ctx, ledger.ApprovalFilter{UserID: id, Status: ledger.ApprovalPending}))
			},
			"getApproval": func(ctx context.Context, c *client) error { return second(c.Approval(ctx, id)) },
			"approve":     func(ctx context.Context, c *client) error { return second(c.Approve(ctx, id, text)) },
			"reject":      func(ctx context.Context, c *client) error { return second(c.Reject(ctx, id, text)) },
		},
		{ // Runs, transactions.
			"authorize": func(ctx context.Context, c *client) error {
				return second(c.Authorize(ctx, ledgerclient.Authorize{UserID: id, MandateID: id, Agent: text, Amount: &amount, ExecutionID: text, TTL: time.Minute, Metadata: object}))
			},
			"listHolds": func(ctx context.Context, c *client) error {
				return all(c.Holds(ctx, ledger.HoldFilter{UserID: id, MandateID: id, Status: ledger.HoldActive}))
			},
			"getHold":     func(ctx context.Context, c *client) error { return second(c.Hold(ctx, id)) },
			"captureHold": func(ctx context.Context, c *client) error { return second(c.Capture(ctx, id, &amount)) },
			"releaseHold": func(ctx context.Context, c *client) error { return second(c.Release(ctx, id)) },
			"listTransactions": func(ctx context.Context, c *client) error {
				return all(c.Transactions(ctx, ledger.TransactionFilter{UserID: id, AgentID: id, MandateID: id, Kind: ledger.KindGrant, Status: ledger.StatusSucceeded, ExecutionID: text, From: at, Until: at}))
			},
			"getTransaction": func(ctx context.Context, c *client) error { return second(c.Transaction(ctx, id)) },
			"refund":         func(ctx context.Context, c *client) error { return second(c.Refund(ctx, id, &amount, text)) },
			"listEntries": func(ctx context.Context, c *client) error {
				return all(c.Entries(ctx, ledger.EntryFilter{UserID: id, TransactionID: id, From: at, Until: at}))
			},
		},
		{ // Grants, payments.
			"grant": func(ctx context.Context, c *client) error {
				return second(c.Grant(ctx, ledgerclient.Grant{UserID: id, Category: ledger.GrantPaid, Amount: amount, Priority: &one, ExpiresAt: &at, AmountCents: &n, Currency: "EUR", StripePI: text, Reason: text}))
			},
			"listGrants": func(ctx context.Context, c *client) error {
				return all(c.Grants(ctx, ledger.GrantFilter{UserID: id, Category: ledger.GrantPaid, Open: true}))
			},
			"getGrant":     func(ctx context.Context, c *client) error { return second(c.GrantByID(ctx, id)) },
			"voidGrant":    func(ctx context.Context, c *client) error { return second(c.VoidGrant(ctx, id, ifMatch, text)) },
			"listPackages": func(ctx context.Context, c *client) error { return all(c.Packages(ctx)) },
			"topUp": func(ctx context.Context, c *client) error {
				return second(c.TopUp(ctx, ledgerclient.TopUp{UserID: id, Package: text, PaymentMethod: text}))
			},
			"listTopUps": func(ctx context.Context, c *client) error {
				return all(c.TopUps(ctx, ledger.TopUpFilter{UserID: id, Status: ledger.StatusSucceeded}))
			},
			"getTopUp":    func(ctx context.Context, c *client) error { return second(c.TopUpByID(ctx, id)) },
			"cancelTopUp": func(ctx context.Context, c *client) error { return second(c.CancelTopUp(ctx, id)) },
			"refundTopUp": func(ctx context.Context, c *client) error { return second(c.RefundTopUp(ctx, id, &n, text)) },
		},
		{ // Coverage, reconciliation, audit.
			"getCoverage": func(ctx context.Context, c *client) error { return second(c.Coverage(ctx)) },
			"listDifferences": func(ctx context.Context, c *client) error {
				return all(c.Differences(ctx, ledger.ReconFilter{State: ledger.ReconDrift, Open: true, ExecutionID: text, From: at, Until: at}))
			},
			"listReconciliations": func(ctx context.Context, c *client) error { return all(c.Reconciliations(ctx)) },
			"listDecisions": func(ctx context.Context, c *client) error {
				return all(c.Decisions(ctx, ledger.DecisionFilter{ExecutionID: text, Status: ledger.DecisionPending}))
			},
			"adjust":            func(ctx context.Context, c *client) error { return second(c.Adjust(ctx, "run/ä 1", &amount, text)) },
			"waive":             func(ctx context.Context, c *client) error { return second(c.Waive(ctx, "run?1", text)) },
			"approveAdjustment": func(ctx context.Context, c *client) error { return second(c.ApproveAdjustment(ctx, id, text)) },
			"rejectAdjustment":  func(ctx context.Context, c *client) error { return second(c.RejectAdjustment(ctx, id, text)) },
			"listAudit": func(ctx context.Context, c *client) error {
				return all(c.Audit(ctx, ledger.TrailUsers, ledger.AuditFilter{EntityID: id, Field: text, ChangedBy: text, From: at, Until: at}))
			},
			"verifyAudit": func(ctx context.Context, c *client) error { return second(c.VerifyAudit(ctx, ledger.TrailUsers)) },
		},
	}
	calls := operations{}
	for _, p := range parts {
		maps.Copy(calls, p)
	}
	return calls
}

// bodySchema is what the description says of a body.
type bodySchema struct {
	Ref        string                `json:"$ref"`
	Properties map[string]bodySchema `json:"properties"`
}

// description is what the ledger serves.
type description struct {
	Paths map[string]map[string]struct {
		OperationID string
		Parameters  []struct{ Name, In string }
		RequestBody struct {
			Content map[string]struct{ Schema bodySchema }
		}
	}
	Components struct{ Schemas map[string]bodySchema }
}

// names are the members of a body, those of objects in it after a dot.
func (d *description) names(s bodySchema, prefix string) (all []string) {
	if s.Ref != "" {
		s = d.Components.Schemas[s.Ref[strings.LastIndexByte(s.Ref, '/')+1:]]
	}
	for name, member := range s.Properties {
		if name == "$schema" {
			continue
		}
		below := d.names(member, prefix+name+".")
		if len(below) == 0 {
			below = []string{prefix + name}
		}
		all = append(all, below...)
	}
	return all
}

// members are those of a body that was sent, likewise.
func members(v any, prefix string) (all []string) {
	object, _ := v.(map[string]any)
	for name, member := range object {
		below := members(member, prefix+name+".")
		if len(below) == 0 {
			below = []string{prefix + name}
		}
		all = append(all, below...)
	}
	return all
}

// TestEveryOperation compares the client with the description that the ledger serves: each operation has a method, and each
// method sends all that the description knows, and nothing else.
func TestEveryOperation(t *testing.T) {
	t.Parallel()
	w := setup(t)
	resp, err := http.Get(w.url + "/openapi.json")
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	var d description
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&d))

	var sent *http.Request
	var body []byte
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent = r
		body, _ = io.ReadAll(r.Body)
		_, _ = io.WriteString(w, "{}")
	}))
	defer server.Close()
	client, err := ledgerclient.New(ledgerclient.Config{URL: server.URL, Key: "k"})
	require.NoError(t, err)

	calls := everything()
	for path, methods := range d.Paths {
		if !strings.HasPrefix(path, "/v1/") {
			continue
		}
		for method, op := range methods {
			call := calls[op.OperationID]
			require.NotNil(t, call, "%s %s, %s: the client has no method for it, or this test does not call it", method, path, op.OperationID)
			delete(calls, op.OperationID)
			require.NoError(t, call(t.Context(), client), op.OperationID)
			require.Equal(t, strings.ToUpper(method), sent.Method, op.OperationID)
			pattern := "^" + regexp.MustCompile(`\\\{[^/]+\\\}`).ReplaceAllString(regexp.QuoteMeta(path), "[^/]+") + "$"
			require.Regexp(t, pattern, sent.URL.EscapedPath(), op.OperationID)
			described := map[string][]string{}
			for _, p := range op.Parameters {
				described[p.In] = append(described[p.In], p.Name)
			}
			query := slices.DeleteFunc(described["query"], func(name string) bool { return name == "cursor" }) // Not of the first page.
			require.ElementsMatch(t, query, slices.Collect(maps.Keys(sent.URL.Query())), "%s: query", op.OperationID)
			for _, header := range []string{"Idempotency-Key", "If-Match"} {
				require.Equal(t, slices.Contains(described["header"], header), sent.Header.Get(header) != "", "%s: header %s", op.OperationID, header)
			}
			var told any
			if len(body) > 0 {
				require.NoError(t, json.Unmarshal(body, &told))
			}
			require.ElementsMatch(t, d.names(op.RequestBody.Content["application/json"].Schema, ""), members(told, ""), "%s: body", op.OperationID)
		}
	}
	require.Empty(t, calls, "operations that the ledger does not have")
	// Close, Call and PaidRun are no operations.
	require.Equal(t, len(everything())+3, reflect.TypeFor[*ledgerclient.Client]().NumMethod(), "methods that this test does not call")
}
