package httpapi_test

import (
	"fmt"
	"testing"

	"github.com/google/uuid"

	"github.com/agenttrail/agenttrail/internal/stripetest"
)

// samples make, for each operation of the description, a request that succeeds.
var samples = map[string]func(c *customer) call{
	"authorize": func(c *customer) call {
		return call{method: "POST", path: "/v1/authorizations", body: map[string]any{
			"userId": c.user, "mandateId": c.mandate, "agent": c.slug, "amount": "1", "executionId": "run-" + uuid.NewString(),
			"ttlSeconds": 600, "metadata": map[string]any{"order": 7},
		}}
	},
	"listHolds": func(c *customer) call {
		return call{method: "GET", path: "/v1/holds?userId=" + c.user + "&mandateId=" + c.mandate + "&status=active&limit=10"}
	},
	"getHold": func(c *customer) call {
		return call{method: "GET", path: "/v1/holds/" + c.w.hold(c.t, c, "1")}
	},
	"captureHold": func(c *customer) call {
		return call{method: "POST", path: "/v1/holds/" + c.w.hold(c.t, c, "1") + "/capture", body: map[string]any{"amount": "0.5"}}
	},
	"releaseHold": func(c *customer) call {
		return call{method: "POST", path: "/v1/holds/" + c.w.hold(c.t, c, "1") + "/release"}
	},
	"listTransactions": func(c *customer) call {
		return call{method: "GET", path: "/v1/transactions?userId=" + c.user + "&agentId=" + c.agent + "&mandateId=" + c.mandate +
			"&kind=execution&status=authorized&executionId=x&from=2026-01-01T00:00:00Z&until=2030-01-01T00:00:00Z"}
	},
	"getTransaction": func(c *customer) call {
		return call{method: "GET", path: "/v1/transactions/" + c.w.captured(c.t, c, "1")}
	},
	"refund": func(c *customer) call {
		return call{method: "POST", path: "/v1/transactions/" + c.w.captured(c.t, c, "1") + "/refunds", body: map[string]any{"amount": "0.5", "reason": "because"}}
	},
	"listEntries": func(c *customer) call {
		return call{method: "GET", path: "/v1/entries?userId=" + c.user + "&transactionId=" + c.w.captured(c.t, c, "1") + "&from=2026-01-01T00:00:00Z"}
	},
	"listApprovals": func(c *customer) call {
		return call{method: "GET", path: "/v1/approvals?userId=" + c.user + "&status=pending"}
	},
	"getApproval": func(c *customer) call {
		return call{method: "GET", path: "/v1/approvals/" + c.w.approval(c.t, c)}
	},
	"approve": func(c *customer) call {
		return call{method: "POST", path: "/v1/approvals/" + c.w.approval(c.t, c) + "/approve", body: map[string]any{"reason": "fine"}}
	},
	"reject": func(c *customer) call {
		return call{method: "POST", path: "/v1/approvals/" + c.w.approval(c.t, c) + "/reject", body: map[string]any{"reason": "no"}}
	},
	"createMandate": func(c *customer) call {
		return call{method: "POST", path: "/v1/mandates", body: map[string]any{
			"id": uuid.NewString(), "userId": c.user, "name": "Mandate", "rules": allRules(c), "effectiveAt": "2036-01-01T00:00:00Z",
		}}
	},
	"listMandates": func(c *customer) call {
		return call{method: "GET", path: "/v1/mandates?userId=" + c.user + "&status=active"}
	},
	"getMandate": func(c *customer) call {
		return call{method: "GET", path: "/v1/mandates/" + c.mandate}
	},
	"replaceRules": func(c *customer) call {
		id := c.w.mandate(c.t, c.user, nil0)
		return call{method: "POST", path: "/v1/mandates/" + id + "/versions", body: map[string]any{"rules": allRules(c)}, header: map[string]string{"If-Match": c.w.etag(c.t, "/v1/mandates/"+id)}}
	},
	"listMandateVersions": func(c *customer) call {
		return call{method: "GET", path: "/v1/mandates/" + c.mandate + "/versions?limit=5"}
	},
	"getMandateUsage": func(c *customer) call {
		return call{method: "GET", path: "/v1/mandates/" + c.mandate + "/usage"}
	},
	"evaluateMandate": func(c *customer) call {
		return call{method: "GET", path: "/v1/mandates/" + c.mandate + "/evaluation?userId=" + c.user + "&agent=" + c.slug + "&amount=1"}
	},
	"suspendMandate": func(c *customer) call {
		return call{method: "POST", path: "/v1/mandates/" + c.w.mandate(c.t, c.user, nil0) + "/suspend", body: map[string]any{"reason": "why"}}
	},
	"resumeMandate": func(c *customer) call {
		id := c.w.mandate(c.t, c.user, nil0)
		c.w.must(c.t, call{method: "POST", path: "/v1/mandates/" + id + "/suspend"})
		return call{method: "POST", path: "/v1/mandates/" + id + "/resume", body: map[string]any{"reason": "why"}}
	},
	"revokeMandate": func(c *customer) call {
		return call{method: "POST", path: "/v1/mandates/" + c.w.mandate(c.t, c.user, nil0) + "/revoke", body: map[string]any{"reason": "why", "releaseHolds": true}}
	},
	"grant": func(c *customer) call {
		return call{method: "POST", path: "/v1/grants", body: map[string]any{
			"userId": c.user, "category": "paid", "amount": "10", "priority": 5, "expiresAt": "2036-01-01T00:00:00Z", "amountCents": 1000,
			"currency": "EUR", "stripePi": "pi_" + uuid.NewString(), "reason": "bought",
		}}
	},
	"listGrants": func(c *customer) call {
		return call{method: "GET", path: "/v1/grants?userId=" + c.user + "&category=paid&open=true"}
	},
	"getGrant": func(c *customer) call {
		return call{method: "GET", path: "/v1/grants/" + c.w.grant(c.t, c.user, "1")}
	},
	"voidGrant": func(c *customer) call {
		return call{method: "POST", path: "/v1/grants/" + c.w.grant(c.t, c.user, "1") + "/void", body: map[string]any{"reason": "by mistake"}}
	},
	"listPackages": func(*customer) call { return call{method: "GET", path: "/v1/packages"} },
	"topUp": func(c *customer) call {
		return call{method: "POST", path: "/v1/topups", body: map[string]any{"userId": c.user, "package": "starter", "paymentMethod": stripetest.CardPays}}
	},
	"listTopUps": func(c *customer) call {
		return call{method: "GET", path: "/v1/topups?userId=" + c.user + "&status=succeeded"}
	},
	"getTopUp": func(c *customer) call {
		return call{method: "GET", path: "/v1/topups/" + c.w.topUp(c.t, c, stripetest.CardPays)}
	},
	"cancelTopUp": func(c *customer) call {
		return call{method: "POST", path: "/v1/topups/" + c.w.topUp(c.t, c, "") + "/cancel"}
	},
	"refundTopUp": func(c *customer) call {
		return call{method: "POST", path: "/v1/topups/" + c.w.topUp(c.t, c, stripetest.CardPays) + "/refunds", body: map[string]any{"amountCents": 300, "reason": "because"}}
	},
	"createUser": func(c *customer) call {
		return call{method: "POST", path: "/v1/users", body: map[string]any{
			"id": uuid.NewString(), "email": newEmail(), "displayName": "New", "profile": map[string]any{"plan": "pro"},
		}}
	},
	"listUsers": func(c *customer) call {
		return call{method: "GET", path: "/v1/users?email=a@example.com&status=active"}
	},
	"getUser": func(c *customer) call {
		return call{method: "GET", path: "/v1/users/" + c.user}
	},
	"changeUser": func(c *customer) call {
		return call{method: "PATCH", path: "/v1/users/" + c.user, header: map[string]string{"If-Match": c.w.etag(c.t, "/v1/users/"+c.user)}, body: map[string]any{
			"email": newEmail(), "displayName": "Other", "profile": map[string]any{"plan": "free"},
		}}
	},
	"closeUser": func(c *customer) call {
		return call{method: "POST", path: "/v1/users/" + c.w.newUser(c.t) + "/close"}
	},
	"getBalance": func(c *customer) call {
		return call{method: "GET", path: "/v1/users/" + c.user + "/balance"}
	},
	"listInteractions": func(c *customer) call {
		return call{method: "GET", path: "/v1/users/" + c.user + "/interactions?favorites=true"}
	},
	"getInteraction": func(c *customer) call {
		return call{method: "GET", path: "/v1/users/" + c.user + "/interactions/" + c.agent}
	},
	"putInteraction": func(c *customer) call {
		path := "/v1/users/" + c.user + "/interactions/" + c.agent
		return call{method: "PUT", path: path, header: map[string]string{"If-Match": c.w.etag(c.t, path)}, body: map[string]any{"rating": 4, "feedback": "good", "isFavorite": true}}
	},
	"registerAgent": func(c *customer) call {
		return call{method: "POST", path: "/v1/agents", body: map[string]any{
			"id": uuid.NewString(), "slug": newSlug(), "name": "Agent", "category": "research", "description": "It runs", "ownerId": c.user, "status": "active",
			"version": fullVersion(),
		}}
	},
	"listAgents": func(c *customer) call {
		return call{method: "GET", path: "/v1/agents?ownerId=" + c.user + "&category=research&status=active"}
	},
	"getAgent": func(c *customer) call {
		return call{method: "GET", path: "/v1/agents/" + c.slug}
	},
	"changeAgent": func(c *customer) call {
		return call{method: "PATCH", path: "/v1/agents/" + c.agent, header: map[string]string{"If-Match": c.w.etag(c.t, "/v1/agents/"+c.agent)}, body: map[string]any{
			"name": "Other", "category": "research", "description": "It runs on", "status": "active",
		}}
	},
	"publishVersion": func(c *customer) call {
		return call{method: "POST", path: "/v1/agents/" + c.agent + "/versions", header: map[string]string{"If-Match": c.w.etag(c.t, "/v1/agents/"+c.agent)}, body: fullVersion()}
	},
	"changePrice": func(c *customer) call {
		return call{method: "POST", path: "/v1/agents/" + c.agent + "/prices", header: map[string]string{"If-Match": c.w.etag(c.t, "/v1/agents/"+c.agent)}, body: map[string]any{
			"perExecution": "1", "perThousandTokens": "0.001",
		}}
	},
	"listVersions": func(c *customer) call {
		return call{method: "GET", path: "/v1/agents/" + c.agent + "/versions?limit=5"}
	},
	"getCoverage": func(*customer) call { return call{method: "GET", path: "/v1/coverage"} },
	"createKey": func(c *customer) call {
		return call{method: "POST", path: "/v1/keys", body: map[string]any{"name": "new", "scopes": []string{"execute"}, "userId": c.user, "expiresAt": "2036-01-01T00:00:00Z"}}
	},
	"listKeys": func(c *customer) call {
		return call{method: "GET", path: "/v1/keys?live=true&userId=" + c.user}
	},
	"getKey": func(c *customer) call {
		return call{method: "GET", path: "/v1/keys/" + c.w.keyID(c.t)}
	},
	"getOwnKey": func(c *customer) call { return call{method: "GET", path: "/v1/key"} },
	"revokeKey": func(c *customer) call {
		return call{method: "POST", path: "/v1/keys/" + c.w.keyID(c.t) + "/revoke"}
	},
	"rotateKey": func(c *customer) call {
		return call{method: "POST", path: "/v1/keys/" + c.w.keyID(c.t) + "/rotate", body: map[string]any{"graceSeconds": 60}}
	},
	"listAudit": func(c *customer) call {
		return call{method: "GET", path: "/v1/audit/user_audit_logs?entityId=" + c.user + "&field=email&changedBy=x&from=2026-01-01T00:00:00Z&until=2030-01-01T00:00:00Z"}
	},
	"verifyAudit": func(c *customer) call {
		return call{method: "GET", path: "/v1/audit/mandate_audit_logs/verification"}
	},
}

var nil0 = map[string]any{}

func allRules(c *customer) map[string]any {
	return map[string]any{
		"maxPerExecution": "30", "maxPerDay": "50", "maxPerWeek": "100", "maxPerMonth": "200", "maxTotal": "500", "maxCountPerDay": 100, "maxConcurrent": 10,
		"allowAgents": []any{c.slug}, "denyAgents": []any{"bad-agent"}, "allowCategories": []any{"research"}, "denyCategories": []any{"spam"},
		"allowProviders": []any{"anthropic"}, "denyProviders": []any{"nobody"}, "validFrom": "2026-01-01T00:00:00Z", "validUntil": "2036-01-01T00:00:00Z",
		"approvalOver": "20", "singleUse": false, "timeZone": "Europe/Berlin",
	}
}

func fullVersion() map[string]any {
	return map[string]any{
		"provider": "anthropic", "config": map[string]any{"temperature": 0.2}, "pricing": map[string]any{"perExecution": "1", "perThousandTokens": "0.001"},
		"inputSchema": map[string]any{"type": "object"}, "outputSchema": map[string]any{"type": "object"},
	}
}

func newEmail() string { return fmt.Sprintf("new-%d@example.com", customers.Add(1)) }

func newSlug() string { return fmt.Sprintf("new-%d", customers.Add(1)) }

func (w *world) newUser(t *testing.T) string {
	t.Helper()
	return w.must(t, call{method: "POST", path: "/v1/users", body: map[string]any{"email": newEmail()}}).text1("id")
}
