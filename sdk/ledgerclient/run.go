package ledgerclient

import (
	"context"
	"encoding/json"
	"iter"
	"time"

	"github.com/google/uuid"

	"github.com/agenttrail/agenttrail/ledger"
)

// Authorize asks for credits for a run.
type Authorize struct {
	UserID      uuid.UUID       `json:"userId"`
	MandateID   uuid.UUID       `json:"mandateId"`
	Agent       string          `json:"agent"`            // Slug or id.
	Amount      *ledger.Credits `json:"amount,omitempty"` // The agent's price of an execution when it is nil.
	ExecutionID string          `json:"executionId,omitempty"`
	TTL         time.Duration   `json:"-"` // 15 minutes when it is 0; whole seconds.
	Metadata    json.RawMessage `json:"metadata,omitempty"`
}

// MarshalJSON writes the time in seconds.
func (a Authorize) MarshalJSON() ([]byte, error) {
	type plain Authorize
	return json.Marshal(struct {
		plain
		TTLSeconds int64 `json:"ttlSeconds,omitempty"`
	}{plain(a), int64(a.TTL / time.Second)})
}

// Authorize holds credits for a run. The answer has a hold, or an approval to wait for.
func (c *Client) Authorize(ctx context.Context, in Authorize) (ledger.Authorization, error) {
	return post[ledger.Authorization](ctx, c, "/v1/authorizations", in, "")
}

// settleBody is the body of a capture.
type settleBody struct {
	Amount *ledger.Credits `json:"amount,omitempty"`
}

func holdPath(id uuid.UUID, rest string) string { return "/v1/holds/" + id.String() + rest }

// Capture settles a hold with what the run cost; nil takes all that is held.
func (c *Client) Capture(ctx context.Context, hold uuid.UUID, amount *ledger.Credits) (ledger.Settlement, error) {
	return post[ledger.Settlement](ctx, c, holdPath(hold, "/capture"), settleBody{amount}, "")
}

// Release settles a hold by giving everything back.
func (c *Client) Release(ctx context.Context, hold uuid.UUID) (ledger.Settlement, error) {
	return post[ledger.Settlement](ctx, c, holdPath(hold, "/release"), nil, "")
}

// Hold reads a hold.
func (c *Client) Hold(ctx context.Context, id uuid.UUID) (ledger.Hold, error) {
	return get[ledger.Hold](ctx, c, holdPath(id, ""), nil)
}

// Holds goes through holds, newest first.
func (c *Client) Holds(ctx context.Context, f ledger.HoldFilter) iter.Seq2[ledger.Hold, error] {
	return list[ledger.Hold](ctx, c, "/v1/holds", filter("userId", f.UserID.String(), "mandateId", f.MandateID.String(), "status", string(f.Status)))
}

func transactionPath(id uuid.UUID, rest string) string {
	return "/v1/transactions/" + id.String() + rest
}

// Transaction reads a transaction.
func (c *Client) Transaction(ctx context.Context, id uuid.UUID) (ledger.Transaction, error) {
	return get[ledger.Transaction](ctx, c, transactionPath(id, ""), nil)
}

// Transactions goes through transactions, newest first.
func (c *Client) Transactions(ctx context.Context, f ledger.TransactionFilter) iter.Seq2[ledger.Transaction, error] {
	return list[ledger.Transaction](ctx, c, "/v1/transactions", filter("userId", f.UserID.String(), "agentId", f.AgentID.String(),
		"mandateId", f.MandateID.String(), "kind", string(f.Kind), "status", string(f.Status), "executionId", f.ExecutionID,
		"from", moment(f.From), "until", moment(f.Until)))
}

// Entries goes through the entries of the journal, newest first.
func (c *Client) Entries(ctx context.Context, f ledger.EntryFilter) iter.Seq2[ledger.Entry, error] {
	return list[ledger.Entry](ctx, c, "/v1/entries", filter("userId", f.UserID.String(), "transactionId", f.TransactionID.String(),
		"from", moment(f.From), "until", moment(f.Until)))
}

// Refund gives credits of a captured run back; nil gives back all that were not before.
func (c *Client) Refund(ctx context.Context, transaction uuid.UUID, amount *ledger.Credits, why string) (ledger.Transaction, error) {
	return post[ledger.Transaction](ctx, c, transactionPath(transaction, "/refunds"), struct {
		settleBody
		reason
	}{settleBody{amount}, reason{why}}, "")
}
