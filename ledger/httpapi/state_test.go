package httpapi_test

import (
	"maps"
	"testing"

	"github.com/google/uuid"

	"github.com/agenttrail/agenttrail/internal/stripetest"
	"github.com/agenttrail/agenttrail/ledger"
)

// state is a request that is right by itself and not permitted by what it is about.
type state struct {
	what, problem string
	make          func(c *customer) call
}

// ownerless are operations that have nothing that belongs to one user alone: lists show each key what it may see, agents
// are for all, and keys and trails are the platform's.
var ownerless = []string{
	"listPackages", "listTopUps", "listHolds", "listTransactions", "listEntries", "listApprovals", "listMandates", "listGrants", "listUsers", "listAgents", "listKeys",
	"listDifferences", "listReconciliations", "listDecisions", "adjust", "waive", "approveAdjustment", "rejectAdjustment", "getAgentStatistics", "getAgentForecast", "getCoverage",
	"closeUser", "getAgent", "listVersions", "getOwnKey", "createUser", "listAudit", "verifyAudit", "createKey", "getKey", "revokeKey", "rotateKey",
}

const nobody = "019bde24-89a1-7c3e-8f10-0242ac120002"

func (w *world) authorizeCall(c *customer, change map[string]any) call {
	body := map[string]any{"userId": c.user, "mandateId": c.mandate, "agent": c.slug, "amount": "1"}
	maps.Copy(body, change)
	return call{method: "POST", path: "/v1/authorizations", key: w.execute, body: body}
}

func (w *world) close(t *testing.T, user string) {
	t.Helper()
	w.must(t, call{method: "POST", path: "/v1/users/" + user + "/close"})
}

// states are the refusals of each operation that depend on what is stored.
var states = map[string][]state{
	"authorize": {
		{"more than the user has", "insufficient-credits", func(c *customer) call {
			return c.w.authorizeCall(c, map[string]any{"amount": "101", "mandateId": c.w.mandate(c.t, c.user, nil0)})
		}},
		{"more than the mandate permits", "mandate-denied", func(c *customer) call {
			return c.w.authorizeCall(c, map[string]any{"amount": "51"})
		}},
		{"mandate of nobody", "not-found", func(c *customer) call {
			return c.w.authorizeCall(c, map[string]any{"mandateId": nobody})
		}},
		{"user that is nobody", "not-found", func(c *customer) call {
			return c.w.authorizeCall(c, map[string]any{"userId": nobody})
		}},
		{"agent that is none", "not-found", func(c *customer) call {
			return c.w.authorizeCall(c, map[string]any{"agent": "no-such-agent"})
		}},
		{"execution id that is taken", "already-exists", func(c *customer) call {
			id := "run-" + uuid.NewString()
			c.w.must(c.t, c.w.authorizeCall(c, map[string]any{"executionId": id}))
			return c.w.authorizeCall(c, map[string]any{"executionId": id})
		}},
		{"closed user", "user-closed", func(c *customer) call {
			c.w.close(c.t, c.user)
			return c.w.authorizeCall(c, nil)
		}},
		{"suspended agent", "agent-unavailable", func(c *customer) call {
			c.w.must(c.t, call{method: "PATCH", path: "/v1/agents/" + c.agent, header: map[string]string{"If-Match": "*"}, body: map[string]any{"status": "suspended"}})
			return c.w.authorizeCall(c, nil)
		}},
	},
	"captureHold": append(settledStates("capture"), state{"more than is held", "capture-exceeds-hold", func(c *customer) call {
		return call{method: "POST", path: "/v1/holds/" + c.w.hold(c.t, c, "1") + "/capture", body: map[string]any{"amount": "1.000001"}}
	}}),
	"releaseHold": settledStates("release"),
	"refund": {
		{"more than was captured", "refund-exceeds-captured", func(c *customer) call {
			return call{method: "POST", path: "/v1/transactions/" + c.w.captured(c.t, c, "1") + "/refunds", body: map[string]any{"amount": "1.000001"}}
		}},
		{"run that was not captured", "refund-exceeds-captured", func(c *customer) call {
			return call{method: "POST", path: "/v1/transactions/" + c.w.run(c.t, c, "1").text1("transaction", "id") + "/refunds"}
		}},
		{"transaction that is no run", "conflict", func(c *customer) call {
			grant := c.w.must(c.t, call{method: "GET", path: "/v1/grants/" + c.w.grant(c.t, c.user, "1")})
			return call{method: "POST", path: "/v1/transactions/" + grant.text1("transactionId") + "/refunds"}
		}},
	},
	"approve": append(decidedStates("approve"),
		state{"more than the mandate permits now", "mandate-denied", func(c *customer) call {
			id := c.w.approval(c.t, c)
			c.w.must(c.t, call{method: "POST", path: "/v1/mandates/" + c.mandate + "/versions", header: map[string]string{"If-Match": "*"}, body: map[string]any{"rules": map[string]any{"maxTotal": "1"}}})
			return call{method: "POST", path: "/v1/approvals/" + id + "/approve"}
		}},
		state{"more than the user has now", "insufficient-credits", func(c *customer) call {
			id := c.w.approval(c.t, c)
			other := *c
			other.mandate = c.w.mandate(c.t, c.user, nil0)
			c.w.captured(c.t, &other, "100")
			return call{method: "POST", path: "/v1/approvals/" + id + "/approve"}
		}},
		state{"user that was closed", "user-closed", func(c *customer) call {
			id := c.w.approval(c.t, c)
			c.w.close(c.t, c.user)
			return call{method: "POST", path: "/v1/approvals/" + id + "/approve"}
		}},
		state{"agent that was suspended", "agent-unavailable", func(c *customer) call {
			id := c.w.approval(c.t, c)
			c.w.must(c.t, call{method: "PATCH", path: "/v1/agents/" + c.agent, header: map[string]string{"If-Match": "*"}, body: map[string]any{"status": "suspended"}})
			return call{method: "POST", path: "/v1/approvals/" + id + "/approve"}
		}},
	),
	"reject": decidedStates("reject"),
	"createMandate": {
		{"id that is taken", "already-exists", func(c *customer) call {
			return call{method: "POST", path: "/v1/mandates", body: map[string]any{"id": c.mandate, "userId": c.user, "rules": nil0}}
		}},
		{"time zone that is none", "invalid-request", func(c *customer) call {
			return call{method: "POST", path: "/v1/mandates", body: map[string]any{"userId": c.user, "rules": map[string]any{"timeZone": "Mars/Olympus"}}}
		}},
		{"time in the past", "invalid-request", func(c *customer) call {
			return call{method: "POST", path: "/v1/mandates", body: map[string]any{"userId": c.user, "rules": nil0, "effectiveAt": "2020-01-01T00:00:00Z"}}
		}},
		{"closed user", "user-closed", func(c *customer) call {
			c.w.close(c.t, c.user)
			return call{method: "POST", path: "/v1/mandates", body: map[string]any{"userId": c.user, "rules": nil0}}
		}},
	},
	"replaceRules": {
		{"revoked mandate", "conflict", func(c *customer) call {
			c.w.must(c.t, call{method: "POST", path: "/v1/mandates/" + c.mandate + "/revoke"})
			return call{method: "POST", path: "/v1/mandates/" + c.mandate + "/versions", header: map[string]string{"If-Match": "*"}, body: map[string]any{"rules": nil0}}
		}},
	},
	"evaluateMandate": {
		{"closed user", "user-closed", func(c *customer) call {
			c.w.close(c.t, c.user)
			return call{method: "GET", path: "/v1/mandates/" + c.mandate + "/evaluation?userId=" + c.user + "&agent=" + c.slug}
		}},
		{"suspended agent", "agent-unavailable", func(c *customer) call {
			c.w.must(c.t, call{method: "PATCH", path: "/v1/agents/" + c.agent, header: map[string]string{"If-Match": "*"}, body: map[string]any{"status": "suspended"}})
			return call{method: "GET", path: "/v1/mandates/" + c.mandate + "/evaluation?userId=" + c.user + "&agent=" + c.slug}
		}},
	},
	"suspendMandate": revokedStates("suspend"),
	"resumeMandate":  revokedStates("resume"),
	"revokeMandate":  revokedStates("revoke"),
	"grant": {
		{"payment that was used", "already-exists", func(c *customer) call {
			body := map[string]any{"userId": c.user, "category": "paid", "amount": "1", "stripePi": "pi_" + uuid.NewString()}
			c.w.must(c.t, call{method: "POST", path: "/v1/grants", body: body})
			return call{method: "POST", path: "/v1/grants", body: body}
		}},
		{"more than a wallet holds", "amount-out-of-range", func(c *customer) call {
			return call{method: "POST", path: "/v1/grants", body: map[string]any{"userId": c.user, "category": "promo", "amount": "9223372036854.775807"}}
		}},
		{"nothing", "invalid-request", func(c *customer) call {
			return call{method: "POST", path: "/v1/grants", body: map[string]any{"userId": c.user, "category": "promo", "amount": "0"}}
		}},
		{"closed user", "user-closed", func(c *customer) call {
			c.w.close(c.t, c.user)
			return call{method: "POST", path: "/v1/grants", body: map[string]any{"userId": c.user, "category": "promo", "amount": "1"}}
		}},
	},
	"voidGrant": {
		{"grant that was voided", "conflict", func(c *customer) call {
			id := c.w.grant(c.t, c.user, "1")
			c.w.must(c.t, call{method: "POST", path: "/v1/grants/" + id + "/void"})
			return call{method: "POST", path: "/v1/grants/" + id + "/void"}
		}},
	},
	"topUp": {
		{"package that is not for sale", "invalid-request", func(c *customer) call {
			return call{method: "POST", path: "/v1/topups", body: map[string]any{"userId": c.user, "package": "gold"}}
		}},
		{"user that is nobody", "not-found", func(c *customer) call {
			return call{method: "POST", path: "/v1/topups", body: map[string]any{"userId": nobody, "package": "starter"}}
		}},
		{"closed user", "user-closed", func(c *customer) call {
			c.w.close(c.t, c.user)
			return call{method: "POST", path: "/v1/topups", body: map[string]any{"userId": c.user, "package": "starter"}}
		}},
		{"price that Stripe does not take", "payment-refused", func(c *customer) call {
			return call{method: "POST", path: "/v1/topups", body: map[string]any{"userId": c.user, "package": "tiny"}}
		}},
	},
	"cancelTopUp": {
		{"top-up that was paid", "conflict", func(c *customer) call {
			return call{method: "POST", path: "/v1/topups/" + c.w.topUp(c.t, c, stripetest.CardPays) + "/cancel"}
		}},
	},
	"refundTopUp": {
		{"top-up that was not paid", "conflict", func(c *customer) call {
			return call{method: "POST", path: "/v1/topups/" + c.w.topUp(c.t, c, "") + "/refunds"}
		}},
		{"more than was paid", "refund-exceeds-captured", func(c *customer) call {
			return call{method: "POST", path: "/v1/topups/" + c.w.topUp(c.t, c, stripetest.CardPays) + "/refunds", body: map[string]any{"amountCents": 1001}}
		}},
		{"payment that was refunded in Stripe's dashboard", "payment-refused", func(c *customer) call {
			id := c.w.topUp(c.t, c, stripetest.CardPays)
			c.w.stripe.Refund(c.w.must(c.t, call{method: "GET", path: "/v1/topups/" + id}).text1("stripePi"), 1000)
			return call{method: "POST", path: "/v1/topups/" + id + "/refunds"}
		}},
	},
	"createUser": {
		{"address that is taken", "already-exists", func(c *customer) call {
			email := newEmail()
			c.w.must(c.t, call{method: "POST", path: "/v1/users", body: map[string]any{"email": email}})
			return call{method: "POST", path: "/v1/users", body: map[string]any{"email": email}}
		}},
		{"by a key that acts for a user", "forbidden", func(c *customer) call {
			return call{method: "POST", path: "/v1/users", key: c.key, body: map[string]any{"email": newEmail()}}
		}},
	},
	"changeUser": {
		{"address that is taken", "already-exists", func(c *customer) call {
			email := newEmail()
			c.w.must(c.t, call{method: "POST", path: "/v1/users", body: map[string]any{"email": email}})
			return call{method: "PATCH", path: "/v1/users/" + c.user, header: map[string]string{"If-Match": "*"}, body: map[string]any{"email": email}}
		}},
		{"closed user", "user-closed", func(c *customer) call {
			c.w.close(c.t, c.user)
			return call{method: "PATCH", path: "/v1/users/" + c.user, header: map[string]string{"If-Match": "*"}, body: map[string]any{"displayName": "x"}}
		}},
	},
	"closeUser": {
		{"by a key that acts for a user", "forbidden", func(c *customer) call {
			return call{method: "POST", path: "/v1/users/" + c.user + "/close", key: c.key}
		}},
		{"user with credits on hold", "conflict", func(c *customer) call {
			c.w.hold(c.t, c, "1")
			return call{method: "POST", path: "/v1/users/" + c.user + "/close"}
		}},
		{"closed user", "user-closed", func(c *customer) call {
			c.w.close(c.t, c.user)
			return call{method: "POST", path: "/v1/users/" + c.user + "/close"}
		}},
	},
	"putInteraction": {
		{"closed user", "user-closed", func(c *customer) call {
			c.w.close(c.t, c.user)
			return call{method: "PUT", path: "/v1/users/" + c.user + "/interactions/" + c.agent, header: map[string]string{"If-Match": "*"}, body: map[string]any{}}
		}},
	},
	"registerAgent": {
		{"slug that is taken", "already-exists", func(c *customer) call {
			return call{method: "POST", path: "/v1/agents", body: map[string]any{"slug": c.slug, "name": "Agent", "category": "x", "ownerId": c.user}}
		}},
	},
	"changeAgent":    retiredStates(call{method: "PATCH", path: "", body: map[string]any{"status": "active"}}),
	"publishVersion": retiredStates(call{method: "POST", path: "/versions", body: map[string]any{"provider": "other"}}),
	"changePrice":    retiredStates(call{method: "POST", path: "/prices", body: map[string]any{"perExecution": "2"}}),
	"createKey": {
		{"scope twice", "invalid-request", func(c *customer) call {
			return call{method: "POST", path: "/v1/keys", body: map[string]any{"name": "x", "scopes": []any{"execute", "execute"}}}
		}},
		{"user that is nobody", "invalid-request", func(c *customer) call {
			return call{method: "POST", path: "/v1/keys", body: map[string]any{"name": "x", "scopes": []any{"execute"}, "userId": nobody}}
		}},
		{"time in the past", "invalid-request", func(c *customer) call {
			return call{method: "POST", path: "/v1/keys", body: map[string]any{"name": "x", "scopes": []any{"execute"}, "expiresAt": "2020-01-01T00:00:00Z"}}
		}},
	},
	"revokeKey": {
		{"revoked key", "conflict", func(c *customer) call {
			id := c.w.keyID(c.t)
			c.w.must(c.t, call{method: "POST", path: "/v1/keys/" + id + "/revoke"})
			return call{method: "POST", path: "/v1/keys/" + id + "/revoke"}
		}},
	},
	"rotateKey": {
		{"revoked key", "conflict", func(c *customer) call {
			id := c.w.keyID(c.t)
			c.w.must(c.t, call{method: "POST", path: "/v1/keys/" + id + "/revoke"})
			return call{method: "POST", path: "/v1/keys/" + id + "/rotate"}
		}},
	},
}

// settledStates are those of a hold that is final.
func settledStates(verb string) []state {
	after := func(settle func(c *customer, id string)) func(c *customer) call {
		return func(c *customer) call {
			id := c.w.hold(c.t, c, "1")
			settle(c, id)
			return call{method: "POST", path: "/v1/holds/" + id + "/" + verb}
		}
	}
	return []state{
		{"captured hold", "hold-captured", after(func(c *customer, id string) {
			c.w.must(c.t, call{method: "POST", path: "/v1/holds/" + id + "/capture"})
		})},
		{"released hold", "hold-released", after(func(c *customer, id string) {
			c.w.must(c.t, call{method: "POST", path: "/v1/holds/" + id + "/release"})
		})},
		{"expired hold", "hold-expired", after(func(c *customer, id string) {
			c.w.expire(c.t, "holds", id)
		})},
	}
}

func decidedStates(verb string) []state {
	return []state{
		{"approval that was decided", "approval-decided", func(c *customer) call {
			id := c.w.approval(c.t, c)
			c.w.must(c.t, call{method: "POST", path: "/v1/approvals/" + id + "/reject"})
			return call{method: "POST", path: "/v1/approvals/" + id + "/" + verb}
		}},
		{"approval that has expired", "approval-expired", func(c *customer) call {
			id := c.w.approval(c.t, c)
			c.w.expire(c.t, "approvals", id)
			return call{method: "POST", path: "/v1/approvals/" + id + "/" + verb}
		}},
		{"run that the same key has asked for", "own-approval", func(c *customer) call {
			both := c.w.key(c.t, nil, ledger.ScopeExecute, ledger.ScopeApprove)
			asked := c.w.authorizeCall(c, map[string]any{"amount": "21"})
			asked.key = both
			id := c.w.must(c.t, asked).text1("approval", "id")
			return call{method: "POST", path: "/v1/approvals/" + id + "/" + verb, key: both}
		}},
	}
}

func revokedStates(verb string) []state {
	return []state{{"revoked mandate", "conflict", func(c *customer) call {
		c.w.must(c.t, call{method: "POST", path: "/v1/mandates/" + c.mandate + "/revoke"})
		return call{method: "POST", path: "/v1/mandates/" + c.mandate + "/" + verb}
	}}}
}

func retiredStates(change call) []state {
	return []state{{"retired agent", "conflict", func(c *customer) call {
		whatever := map[string]string{"If-Match": "*"}
		c.w.must(c.t, call{method: "PATCH", path: "/v1/agents/" + c.agent, header: whatever, body: map[string]any{"status": "retired"}})
		return call{method: change.method, path: "/v1/agents/" + c.agent + change.path, header: whatever, body: change.body}
	}}}
}
