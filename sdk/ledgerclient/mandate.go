package ledgerclient

import (
	"context"
	"iter"
	"net/url"
	"time"

	"github.com/google/uuid"

	"github.com/agenttrail/agenttrail/ledger"
)

// Mandate makes a mandate.
type Mandate struct {
	ID          uuid.UUID    `json:"id,omitzero"` // Chosen by the ledger when it is nil.
	UserID      uuid.UUID    `json:"userId"`
	Name        string       `json:"name,omitempty"`
	Rules       ledger.Rules `json:"rules"`
	EffectiveAt time.Time    `json:"effectiveAt,omitzero"` // Now when it is zero, and not before.
}

// MandateVersion gives a mandate other rules. What they do not name is not limited any more.
type MandateVersion struct {
	Rules       ledger.Rules `json:"rules"`
	EffectiveAt time.Time    `json:"effectiveAt,omitzero"` // Now when it is zero, and not before.
}

// Revocation ends a mandate.
type Revocation struct {
	Reason string `json:"reason,omitempty"`
	// ReleaseHolds also releases what is on hold; without it, runs that are under way can still be captured.
	ReleaseHolds bool `json:"releaseHolds,omitempty"`
}

func mandatePath(id uuid.UUID, rest string) string { return "/v1/mandates/" + id.String() + rest }

// CreateMandate makes a mandate.
func (c *Client) CreateMandate(ctx context.Context, in Mandate) (ledger.Mandate, error) {
	return post[ledger.Mandate](ctx, c, "/v1/mandates", in, "")
}

// Mandate reads a mandate with the rules in effect.
func (c *Client) Mandate(ctx context.Context, id uuid.UUID) (ledger.Mandate, error) {
	return get[ledger.Mandate](ctx, c, mandatePath(id, ""), nil)
}

// Mandates goes through mandates, newest first.
func (c *Client) Mandates(ctx context.Context, f ledger.MandateFilter) iter.Seq2[ledger.Mandate, error] {
	return list[ledger.Mandate](ctx, c, "/v1/mandates", filter("userId", f.UserID.String(), "status", string(f.Status)))
}

// ReplaceRules gives a mandate other rules. What was authorized under those before stays on hold, and counts.
func (c *Client) ReplaceRules(ctx context.Context, id uuid.UUID, ifMatch string, in MandateVersion) (ledger.Mandate, error) {
	return post[ledger.Mandate](ctx, c, mandatePath(id, "/versions"), in, ifMatch)
}

// MandateVersions goes through the versions of a mandate's rules, newest first.
func (c *Client) MandateVersions(ctx context.Context, id uuid.UUID) iter.Seq2[ledger.MandateVersion, error] {
	return list[ledger.MandateVersion](ctx, c, mandatePath(id, "/versions"), url.Values{})
}

// MandateUsage reads what counts against a mandate's limits now.
func (c *Client) MandateUsage(ctx context.Context, id uuid.UUID) (ledger.Usage, error) {
	return get[ledger.Usage](ctx, c, mandatePath(id, "/usage"), nil)
}

// Evaluation is a run that is judged and not authorized.
type Evaluation struct {
	UserID uuid.UUID
	Agent  string          // Slug or id.
	Amount *ledger.Credits // The agent's price of an execution when it is nil.
}

// EvaluateMandate judges a run as [Client.Authorize] would, and holds nothing.
func (c *Client) EvaluateMandate(ctx context.Context, id uuid.UUID, in Evaluation) (ledger.Receipt, error) {
	query := filter("userId", in.UserID.String(), "agent", in.Agent)
	if in.Amount != nil {
		query.Set("amount", in.Amount.String())
	}
	return get[ledger.Receipt](ctx, c, mandatePath(id, "/evaluation"), query)
}

// SuspendMandate stops a mandate until it is resumed.
func (c *Client) SuspendMandate(ctx context.Context, id uuid.UUID, ifMatch, why string) (ledger.Mandate, error) {
	return post[ledger.Mandate](ctx, c, mandatePath(id, "/suspend"), reason{why}, ifMatch)
}

// ResumeMandate lets a suspended mandate permit runs again.
func (c *Client) ResumeMandate(ctx context.Context, id uuid.UUID, ifMatch, why string) (ledger.Mandate, error) {
	return post[ledger.Mandate](ctx, c, mandatePath(id, "/resume"), reason{why}, ifMatch)
}

// RevokeMandate ends a mandate for good.
func (c *Client) RevokeMandate(ctx context.Context, id uuid.UUID, ifMatch string, in Revocation) (ledger.Mandate, error) {
	return post[ledger.Mandate](ctx, c, mandatePath(id, "/revoke"), in, ifMatch)
}

// Guard reads when a mandate is suspended by forecast; it is empty, with the RowVersion 0, when nothing was set yet.
func (c *Client) Guard(ctx context.Context, mandate uuid.UUID) (ledger.Guard, error) {
	return get[ledger.Guard](ctx, c, mandatePath(mandate, "/guard"), nil)
}

// PutGuard sets that a mandate is suspended once the forecast says that its credits last for less than this: whole seconds,
// a minute at least; 0 takes the guard away.
func (c *Client) PutGuard(ctx context.Context, mandate uuid.UUID, ifMatch string, left time.Duration) (ledger.Guard, error) {
	return put[ledger.Guard](ctx, c, mandatePath(mandate, "/guard"), struct {
		LeftSeconds int64 `json:"leftSeconds,omitempty"`
	}{int64(left / time.Second)}, ifMatch)
}

func approvalPath(id uuid.UUID, rest string) string { return "/v1/approvals/" + id.String() + rest }

// Approval reads a run that waits for a decision, or waited.
func (c *Client) Approval(ctx context.Context, id uuid.UUID) (ledger.Approval, error) {
	return get[ledger.Approval](ctx, c, approvalPath(id, ""), nil)
}

// Approvals goes through approvals, newest first.
func (c *Client) Approvals(ctx context.Context, f ledger.ApprovalFilter) iter.Seq2[ledger.Approval, error] {
	return list[ledger.Approval](ctx, c, "/v1/approvals", filter("userId", f.UserID.String(), "status", string(f.Status)))
}

// Approve decides that a run may start: it is judged again, and its credits are held.
func (c *Client) Approve(ctx context.Context, approval uuid.UUID, why string) (ledger.Authorization, error) {
	return post[ledger.Authorization](ctx, c, approvalPath(approval, "/approve"), reason{why}, "")
}

// Reject decides that a run does not start.
func (c *Client) Reject(ctx context.Context, approval uuid.UUID, why string) (ledger.Approval, error) {
	return post[ledger.Approval](ctx, c, approvalPath(approval, "/reject"), reason{why}, "")
}
