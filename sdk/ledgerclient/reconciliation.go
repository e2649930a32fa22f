package ledgerclient

import (
	"context"
	"iter"
	"net/url"

	"github.com/google/uuid"

	"github.com/agenttrail/agenttrail/ledger"
)

// Differences goes through runs whose charge and telemetry did not agree, those that changed last first.
func (c *Client) Differences(ctx context.Context, f ledger.ReconFilter) iter.Seq2[ledger.ReconItem, error] {
	return list[ledger.ReconItem](ctx, c, "/v1/reconciliation", filter("state", string(f.State), "open", yes(f.Open),
		"executionId", f.ExecutionID, "from", moment(f.From), "until", moment(f.Until)))
}

// Reconciliations goes through the comparisons of charges with telemetry, newest first.
func (c *Client) Reconciliations(ctx context.Context) iter.Seq2[ledger.ReconRun, error] {
	return list[ledger.ReconRun](ctx, c, "/v1/reconciliation/runs", url.Values{})
}

// Decisions goes through what was decided about runs that did not agree, newest first.
func (c *Client) Decisions(ctx context.Context, f ledger.DecisionFilter) iter.Seq2[ledger.ReconDecision, error] {
	return list[ledger.ReconDecision](ctx, c, "/v1/reconciliation/decisions", filter("executionId", f.ExecutionID, "status", string(f.Status)))
}

// Adjust corrects what was charged for a run by a new posting: amount is to be charged, or given back when it is less than
// 0; nil is the drift. A decision that is pending waits for somebody else to approve it.
func (c *Client) Adjust(ctx context.Context, executionID string, amount *ledger.Credits, why string) (ledger.ReconDecision, error) {
	return post[ledger.ReconDecision](ctx, c, "/v1/reconciliation/"+url.PathEscape(executionID)+"/adjustments", struct {
		settleBody
		reason
	}{settleBody{amount}, reason{why}}, "")
}

// Waive leaves what was charged for a run as it is, until the difference changes.
func (c *Client) Waive(ctx context.Context, executionID, why string) (ledger.ReconDecision, error) {
	return post[ledger.ReconDecision](ctx, c, "/v1/reconciliation/"+url.PathEscape(executionID)+"/waivers", reason{why}, "")
}

// ApproveAdjustment makes the posting of a pending decision.
func (c *Client) ApproveAdjustment(ctx context.Context, decision uuid.UUID, why string) (ledger.ReconDecision, error) {
	return post[ledger.ReconDecision](ctx, c, "/v1/reconciliation/decisions/"+decision.String()+"/approve", reason{why}, "")
}

// RejectAdjustment ends a pending decision without a posting.
func (c *Client) RejectAdjustment(ctx context.Context, decision uuid.UUID, why string) (ledger.ReconDecision, error) {
	return post[ledger.ReconDecision](ctx, c, "/v1/reconciliation/decisions/"+decision.String()+"/reject", reason{why}, "")
}
