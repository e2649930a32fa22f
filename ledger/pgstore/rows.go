package pgstore

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/agenttrail/agenttrail/ledger"
)

// runColumns are those of a transaction t, in the order in which scanTransaction takes them.
const runColumns = `t.id, t.user_id, t.kind, t.status, t.credits, t.settled, t.refunded, t.amount_cents, coalesce(t.currency, ''), coalesce(t.stripe_pi, ''),
	t.agent_id, coalesce(t.agent_version, 0), t.mandate_id, coalesce(t.mandate_version, 0), coalesce(t.execution_id, ''), t.parent_id, t.source_grant_id,
	t.reason, t.metadata, t.receipt, t.created_at, t.updated_at, t.row_version`

func transactionFields(t *ledger.Transaction, receipt *[]byte) []any {
	return []any{
		&t.ID, &t.UserID, &t.Kind, &t.Status, (*int64)(&t.Credits), (*int64)(&t.Settled), (*int64)(&t.Refunded), &t.AmountCents, &t.Currency, &t.StripePI,
		&t.AgentID, &t.AgentVersion, &t.MandateID, &t.MandateVersion, &t.ExecutionID, &t.ParentID, &t.GrantID,
		&t.Reason, (*[]byte)(&t.Metadata), receipt, &t.CreatedAt, &t.UpdatedAt, &t.RowVersion,
	}
}

func scanTransaction(row pgx.CollectableRow) (ledger.Transaction, error) {
	var t ledger.Transaction
	var receipt []byte
	if err := row.Scan(transactionFields(&t, &receipt)...); err != nil {
		return t, err
	}
	return t, finishTransaction(&t, receipt)
}

func finishTransaction(t *ledger.Transaction, receipt []byte) error {
	if receipt == nil {
		return nil
	}
	var f facts
	if err := json.Unmarshal(receipt, &f); err != nil {
		return fmt.Errorf("read receipt: %w", err)
	}
	r := f.receipt(t)
	t.Receipt = &r
	return nil
}

// facts are what of a receipt is no column of its transaction. The function ledger.authorize writes them, too.
type facts struct {
	Outcome   ledger.Outcome `json:"outcome"`
	Rule      ledger.Rule    `json:"rule"`
	Available int64          `json:"available"` // micro-credits, as all amounts here
	Day       int64          `json:"day"`
	Week      int64          `json:"week"`
	Month     int64          `json:"month"`
	Total     int64          `json:"total"`
	DayCount  int64          `json:"dayCount"`
	Count     int64          `json:"count"`
	Active    int64          `json:"active"`
	At        time.Time      `json:"at"`
	// Violations are those of a run that was approved and then refused.
	Violations []ledger.Violation `json:"violations,omitempty"`
}

func (f facts) usage() ledger.Usage {
	return ledger.Usage{
		Day: ledger.Credits(f.Day), Week: ledger.Credits(f.Week), Month: ledger.Credits(f.Month), Total: ledger.Credits(f.Total),
		DayCount: f.DayCount, Count: f.Count, Active: f.Active,
	}
}

func (f facts) receipt(t *ledger.Transaction) ledger.Receipt {
	r := ledger.Receipt{
		Outcome: f.Outcome, Rule: f.Rule, Violations: f.Violations, MandateVersion: t.MandateVersion, AgentVersion: t.AgentVersion,
		Requested: t.Credits, Available: ledger.Credits(f.Available), Usage: f.usage(), At: f.At.UTC(),
	}
	if t.MandateID != nil {
		r.MandateID = *t.MandateID
	}
	return r
}

func factsOf(r ledger.Receipt) facts {
	return facts{
		Outcome: r.Outcome, Rule: r.Rule, Available: int64(r.Available), Day: int64(r.Usage.Day), Week: int64(r.Usage.Week), Month: int64(r.Usage.Month),
		Total: int64(r.Usage.Total), DayCount: r.Usage.DayCount, Count: r.Usage.Count, Active: r.Usage.Active, At: r.At, Violations: r.Violations,
	}
}

// holdColumns are those of a hold h, in the order in which scanHold takes them; its transaction is t.
const holdColumns = `h.id, h.user_id, h.agent_id, h.mandate_id, h.amount, h.captured, h.status, h.authorized_at, h.expires_at, h.resolved_at, h.row_version`

func holdFields(h *ledger.Hold) []any {
	return []any{&h.ID, &h.UserID, &h.AgentID, &h.MandateID, (*int64)(&h.Amount), (*int64)(&h.Captured), &h.Status, &h.AuthorizedAt, &h.ExpiresAt, &h.ResolvedAt, &h.RowVersion}
}

// finishHold fills in what a hold has from its transaction.
func finishHold(h *ledger.Hold, t ledger.Transaction) {
	h.TransactionID, h.ExecutionID, h.AgentVersion, h.MandateVersion = t.ID, t.ExecutionID, t.AgentVersion, t.MandateVersion
}

func scanSettlement(row pgx.CollectableRow) (ledger.Settlement, error) {
	var s ledger.Settlement
	var receipt []byte
	if err := row.Scan(append(holdFields(&s.Hold), transactionFields(&s.Transaction, &receipt)...)...); err != nil {
		return s, err
	}
	if err := finishTransaction(&s.Transaction, receipt); err != nil {
		return s, err
	}
	finishHold(&s.Hold, s.Transaction)
	return s, nil
}

// orNull is nil for what is empty, so that NULL is stored.
func orNull[T comparable](v T) *T {
	var none T
	if v == none {
		return nil
	}
	return &v
}

// docOr is a JSON document, or another one if it is empty.
func docOr(doc json.RawMessage, otherwise string) []byte {
	if len(doc) == 0 {
		return []byte(otherwise)
	}
	return doc
}

func optionalID(id uuid.UUID) *uuid.UUID { return orNull(id) }
