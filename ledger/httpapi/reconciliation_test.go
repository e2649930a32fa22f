package httpapi_test

import (
	"net/url"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/ledger"
)

// differing charges a run, has telemetry say that it used something else, and returns its execution id.
func (c *customer) differing(captured, used string) string {
	c.t.Helper()
	id := "run / " + uuid.NewString()
	run := c.w.must(c.t, c.w.authorizeCall(c, map[string]any{"executionId": id, "amount": captured}))
	c.w.must(c.t, call{method: "POST", path: "/v1/holds/" + run.text1("hold", "id") + "/capture", key: c.w.execute})
	c.used(id, run.text1("transaction", "id"), captured, used)
	return id
}

// used writes down how a run compares.
func (c *customer) used(id, transaction, captured, used string) {
	c.t.Helper()
	charged, err := ledger.ParseCredits(captured)
	require.NoError(c.t, err)
	consumed, err := ledger.ParseCredits(used)
	require.NoError(c.t, err)
	tx := uuid.MustParse(transaction)
	_, err = c.w.store.SaveCompared(c.t.Context(), time.Now(), []ledger.Compared{{
		ExecutionID: id, TransactionID: &tx, UserID: c.user, Agent: c.slug, Figures: ledger.Figures{Captured: charged, Consumed: &consumed, Rows: 1},
	}})
	require.NoError(c.t, err)
}

// pending asks, as somebody else, for a correction that needs an approval, and returns its id and the run's.
func (c *customer) pending(captured, used string) (id, execution string) {
	c.t.Helper()
	execution = c.differing(captured, used)
	d, err := c.w.store.Adjust(c.t.Context(), &ledger.Call{Actor: ledger.System("test")}, execution, ledger.AdjustInput{Reason: "by hand"})
	require.NoError(c.t, err)
	require.Equal(c.t, ledger.DecisionPending, d.Status)
	return d.ID.String(), execution
}

func adjustCall(execution string) call {
	return call{method: "POST", path: "/v1/reconciliation/" + url.PathEscape(execution) + "/adjustments", body: map[string]any{"reason": "metered wrongly"}}
}

func decideCall(id, how string) call {
	return call{method: "POST", path: "/v1/reconciliation/decisions/" + id + "/" + how, body: map[string]any{"reason": "checked"}}
}

// refundAll gives back all that was captured for a run.
func (c *customer) refundAll(execution string) {
	c.t.Helper()
	list := c.w.must(c.t, call{method: "GET", path: "/v1/transactions?executionId=" + url.QueryEscape(execution)})
	id := list.at("items").([]any)[0].(map[string]any)["id"].(string)
	c.w.must(c.t, call{method: "POST", path: "/v1/transactions/" + id + "/refunds", body: map[string]any{"reason": "support"}})
}

// spendAll leaves the user nothing.
func (c *customer) spendAll() {
	c.t.Helper()
	balance := c.w.must(c.t, call{method: "GET", path: "/v1/users/" + c.user + "/balance"})
	other := *c
	other.mandate = c.w.mandate(c.t, c.user, nil0)
	c.w.captured(c.t, &other, balance.text1("available"))
}

// reconciliationStates are the refusals of corrections, of which some come at once and all at the approval.
func reconciliationStates() map[string][]state {
	approve := func(pend func(c *customer) (id, execution string), change func(c *customer, execution string)) func(c *customer) call {
		return func(c *customer) call {
			id, execution := pend(c)
			change(c, execution)
			return decideCall(id, "approve")
		}
	}
	more := func(c *customer) (string, string) { return c.pending("1", "15") }
	less := func(c *customer) (string, string) { return c.pending("15", "1") }
	decided := func(how string) []state {
		return []state{
			{"decided before", "approval-decided", func(c *customer) call {
				id, _ := more(c)
				c.w.must(c.t, decideCall(id, "reject"))
				return decideCall(id, how)
			}},
			{"asked for by the same key", "own-approval", func(c *customer) call {
				d := c.w.must(c.t, adjustCall(c.differing("1", "15")))
				return decideCall(d.text1("id"), how)
			}},
		}
	}
	return map[string][]state{
		"adjust": {
			{"it agrees by now", "conflict", func(c *customer) call {
				id := c.differing("1", "2")
				c.w.must(c.t, adjustCall(id))
				return adjustCall(id)
			}},
			{"more than the user has", "insufficient-credits", func(c *customer) call {
				id := c.differing("1", "2")
				c.spendAll()
				return adjustCall(id)
			}},
			{"more than is left of the run", "refund-exceeds-captured", func(c *customer) call {
				id := c.differing("2", "1")
				c.refundAll(id)
				return adjustCall(id)
			}},
			{"closed user", "user-closed", func(c *customer) call {
				id := c.differing("1", "2")
				c.w.close(c.t, c.user)
				return adjustCall(id)
			}},
			{"more than the drift", "invalid-request", func(c *customer) call {
				sent := adjustCall(c.differing("1", "2"))
				sent.body = map[string]any{"reason": "why", "amount": "1.000001"}
				return sent
			}},
			{"more than an amount can be", "amount-out-of-range", func(c *customer) call {
				sent := adjustCall(c.differing("1", "2"))
				sent.body = map[string]any{"reason": "why", "amount": "-9223372036854.775809"}
				return sent
			}},
		},
		"waive": {
			{"waived before", "conflict", func(c *customer) call {
				id := c.differing("1", "2")
				sent := call{method: "POST", path: "/v1/reconciliation/" + url.PathEscape(id) + "/waivers", body: map[string]any{"reason": "so what"}}
				c.w.must(c.t, sent)
				return sent
			}},
		},
		"approveAdjustment": append(decided("approve"),
			state{"the drift is another one by now", "conflict", approve(more, func(c *customer, id string) {
				list := c.w.must(c.t, call{method: "GET", path: "/v1/transactions?executionId=" + url.QueryEscape(id)})
				c.used(id, list.at("items").([]any)[0].(map[string]any)["id"].(string), "1", "2")
			})},
			state{"more than the user has", "insufficient-credits", approve(more, func(c *customer, _ string) { c.spendAll() })},
			state{"more than is left of the run", "refund-exceeds-captured", approve(less, func(c *customer, id string) { c.refundAll(id) })},
			state{"closed user", "user-closed", approve(more, func(c *customer, _ string) { c.w.close(c.t, c.user) })},
		),
		"rejectAdjustment": decided("reject"),
	}
}

// reconciliationSamples are requests that succeed, as samples are.
func reconciliationSamples() map[string]func(c *customer) call {
	return map[string]func(c *customer) call{
		"listDifferences": func(c *customer) call {
			return call{method: "GET", path: "/v1/reconciliation?state=drift&open=true&executionId=" + url.QueryEscape(c.differing("1", "2")) + "&from=2026-01-01T00:00:00Z&until=2036-01-01T00:00:00Z"}
		},
		"listReconciliations": func(*customer) call { return call{method: "GET", path: "/v1/reconciliation/runs?limit=5"} },
		"listDecisions": func(c *customer) call {
			_, execution := c.pending("1", "15")
			return call{method: "GET", path: "/v1/reconciliation/decisions?status=pending&executionId=" + url.QueryEscape(execution)}
		},
		"adjust": func(c *customer) call {
			sent := adjustCall(c.differing("2", "1"))
			sent.body.(map[string]any)["amount"] = "-0.5"
			return sent
		},
		"waive": func(c *customer) call {
			return call{method: "POST", path: "/v1/reconciliation/" + url.PathEscape(c.differing("1", "2")) + "/waivers", body: map[string]any{"reason": "so what"}}
		},
		"approveAdjustment": func(c *customer) call { id, _ := c.pending("1", "15"); return decideCall(id, "approve") },
		"rejectAdjustment":  func(c *customer) call { id, _ := c.pending("1", "15"); return decideCall(id, "reject") },
		"getAgentStatistics": func(c *customer) call {
			return call{method: "GET", path: "/v1/agents/" + c.agent + "/statistics"}
		},
		"listUsageStatistics": func(c *customer) call {
			return call{method: "GET", path: "/v1/users/" + c.user + "/statistics?limit=5"}
		},
		"getUserForecast": func(c *customer) call {
			c.w.captured(c.t, c, "1")
			_, err := c.w.store.AddUpSpending(c.t.Context())
			require.NoError(c.t, err)
			return call{method: "GET", path: "/v1/users/" + c.user + "/forecast?windowHours=24"}
		},
		"getAgentForecast": func(c *customer) call {
			c.w.captured(c.t, c, "1")
			_, err := c.w.store.AddUpSpending(c.t.Context())
			require.NoError(c.t, err)
			return call{method: "GET", path: "/v1/agents/" + c.agent + "/forecast?windowHours=24"}
		},
		"getGuard": func(c *customer) call {
			return call{method: "GET", path: "/v1/mandates/" + c.mandate + "/guard"}
		},
		"putGuard": func(c *customer) call {
			path := "/v1/mandates/" + c.mandate + "/guard"
			c.w.must(c.t, call{method: "PUT", path: path, header: map[string]string{"If-Match": "*"}, body: map[string]any{"leftSeconds": 3600}})
			return call{method: "PUT", path: path, header: map[string]string{"If-Match": c.w.etag(c.t, path)}, body: map[string]any{"leftSeconds": 7200}}
		},
	}
}
