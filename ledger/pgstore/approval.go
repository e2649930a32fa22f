package pgstore

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/agenttrail/agenttrail/ledger"
)

const selectApproval = `SELECT p.id, p.transaction_id, p.user_id, p.amount, p.status, p.requested_by, p.requested_at, p.expires_at, coalesce(p.decided_by, ''), p.decided_at, p.reason,
	CASE p.status WHEN 'approved' THEN (SELECT h.id FROM ledger.holds h WHERE h.id = p.transaction_id) END, p.principal, p.hold_seconds FROM ledger.approvals p`

// storedApproval is an approval with what only the store needs.
type storedApproval struct {
	ledger.Approval
	principal string
	ttl       time.Duration
}

func scanApproval(row pgx.CollectableRow) (storedApproval, error) {
	var a storedApproval
	var seconds int64
	err := row.Scan(&a.ID, &a.TransactionID, &a.UserID, (*int64)(&a.Amount), &a.Status, &a.RequestedBy, &a.RequestedAt, &a.ExpiresAt, &a.DecidedBy, &a.DecidedAt, &a.Reason, &a.HoldID, &a.principal, &seconds)
	a.ttl = time.Duration(seconds) * time.Second
	return a, err
}

func readApproval(ctx context.Context, q querier, id uuid.UUID) (ledger.Approval, error) {
	a, err := queryOne(ctx, q, "approval", selectApproval+" WHERE p.id = $1", []any{id}, scanApproval)
	return a.Approval, err
}

// decide runs f with a pending approval whose user's wallet is locked.
func decide[T any](ctx context.Context, s *Store, call *ledger.Call, id uuid.UUID, in ledger.DecisionInput, f func(ctx context.Context, w *work, a storedApproval, at time.Time) (T, error)) (T, error) {
	var none T
	if err := call.Actor.Require(ledger.ScopeApprove); err != nil {
		return none, err
	}
	if err := ledger.ValidateReason(in.Reason); err != nil {
		return none, err
	}
	return write(ctx, s, call, func(ctx context.Context, w *work) (T, error) {
		a, err := queryOne(ctx, w, "approval", selectApproval+" WHERE p.id = $1", []any{id}, scanApproval)
		if err == nil && call.Actor.MayTouch(a.UserID) != nil {
			err = notFound("approval")
		}
		if err == nil {
			_, err = w.lockWallet(ctx, a.UserID)
		}
		if err == nil {
			a, err = queryOne(ctx, w, "approval", selectApproval+" WHERE p.id = $1", []any{id}, scanApproval)
		}
		if err != nil {
			return none, err
		}
		at, err := w.clock(ctx)
		if err != nil {
			return none, err
		}
		at = latest(at, a.RequestedAt)
		switch {
		case a.Status == ledger.ApprovalExpired:
			return none, ledger.Errorf(ledger.CodeApprovalExpired, "the approval has expired")
		case a.Status != ledger.ApprovalPending:
			return none, ledger.Errorf(ledger.CodeApprovalDecided, "the approval is %s", a.Status)
		case !at.Before(a.ExpiresAt):
			if err := w.closeApproval(ctx, a, ledger.ApprovalExpired, ledger.StatusExpired, "", at); err != nil {
				return none, err
			}
			return none, refusal{ledger.Errorf(ledger.CodeApprovalExpired, "the approval has expired")}
		case a.principal == call.Actor.Principal:
			return none, ledger.Errorf(ledger.CodeOwnApproval, "who asked for the run may not decide it")
		default:
			return f(ctx, w, a, at)
		}
	})
}

// closeApproval ends an approval. Its transaction follows, unless it has already.
func (w *work) closeApproval(ctx context.Context, a storedApproval, to ledger.ApprovalStatus, status ledger.TransactionStatus, reason string, at time.Time) error {
	if _, err := w.Exec(ctx, "UPDATE ledger.approvals SET status = $2, decided_by = $3, decided_at = $4, reason = $5, row_version = row_version + 1 WHERE id = $1",
		a.ID, string(to), w.call.Actor.String(), at, reason); err != nil {
		return err
	}
	if status == ledger.StatusAuthorized {
		return nil
	}
	_, err := w.Exec(ctx, "UPDATE ledger.transactions SET status = $2, reason = $3, updated_at = $4, row_version = row_version + 1 WHERE id = $1", a.TransactionID, string(status), reason, at)
	return err
}

// Approve implements [ledger.Approvals].
func (s *Store) Approve(ctx context.Context, call *ledger.Call, id uuid.UUID, in ledger.DecisionInput) (ledger.Authorization, error) {
	return decide(ctx, s, call, id, in, func(ctx context.Context, w *work, a storedApproval, at time.Time) (ledger.Authorization, error) {
		var none ledger.Authorization
		t, err := readTransaction(ctx, w, a.TransactionID)
		if err != nil {
			return none, err
		}
		run := ledger.AuthorizeInput{UserID: t.UserID, MandateID: *t.MandateID, Agent: t.AgentID.String(), Amount: &t.Credits}
		j, err := w.judge(ctx, run)
		if known := ledger.CodeOf(err); known == ledger.CodeUserClosed || known == ledger.CodeAgentUnavailable {
			refused := &ledger.Error{Code: known, Message: err.Error()}
			if err := w.closeApproval(ctx, a, ledger.ApprovalApproved, ledger.StatusFailed, in.Reason, at); err != nil {
				return none, err
			}
			return none, refusal{refused}
		}
		if err != nil {
			return none, err
		}
		receipt := j.receipt()
		if j.decision.Outcome == ledger.OutcomeRefused {
			if err := w.judgeAgain(ctx, t.ID, ledger.StatusFailed, j, receipt, at); err != nil {
				return none, err
			}
			if err := w.closeApproval(ctx, a, ledger.ApprovalApproved, ledger.StatusAuthorized, in.Reason, at); err != nil {
				return none, err
			}
			return none, refusal{refusalOf(receipt)}
		}
		receipt.Outcome = ledger.OutcomeAllowed
		if err := w.judgeAgain(ctx, t.ID, ledger.StatusAuthorized, j, receipt, at); err != nil {
			return none, err
		}
		answer, err := w.hold(ctx, t.ID, j, a.ttl)
		if err != nil {
			return none, err
		}
		if err := w.closeApproval(ctx, a, ledger.ApprovalApproved, ledger.StatusAuthorized, in.Reason, at); err != nil {
			return none, err
		}
		decided, err := readApproval(ctx, w, id)
		answer.Approval = &decided
		return answer, err
	})
}

// judgeAgain writes down what became of a run that had waited.
func (w *work) judgeAgain(ctx context.Context, id uuid.UUID, status ledger.TransactionStatus, j *judged, receipt ledger.Receipt, at time.Time) error {
	text, err := json.Marshal(factsOf(receipt))
	if err != nil {
		return fmt.Errorf("write receipt: %w", err)
	}
	_, err = w.Exec(ctx, "UPDATE ledger.transactions SET status = $2, agent_version = $3, mandate_version = $4, receipt = $5, updated_at = $6, row_version = row_version + 1 WHERE id = $1",
		id, string(status), j.agent.version, max(j.mandate.Version, 1), text, at)
	return err
}

// Reject implements [ledger.Approvals].
func (s *Store) Reject(ctx context.Context, call *ledger.Call, id uuid.UUID, in ledger.DecisionInput) (ledger.Approval, error) {
	return decide(ctx, s, call, id, in, func(ctx context.Context, w *work, a storedApproval, at time.Time) (ledger.Approval, error) {
		if err := w.closeApproval(ctx, a, ledger.ApprovalRejected, ledger.StatusCanceled, in.Reason, at); err != nil {
			return ledger.Approval{}, err
		}
		return readApproval(ctx, w, id)
	})
}

// Approval implements [ledger.Approvals].
func (s *Store) Approval(ctx context.Context, actor ledger.Actor, id uuid.UUID) (ledger.Approval, error) {
	q := query{}
	q.where("p.id = $", id)
	q.owner("p.user_id", actor)
	a, err := readOne(ctx, s, "approval", selectApproval+q.conditionsSQL(), q.args, scanApproval)
	return a.Approval, err
}

// Approvals implements [ledger.Approvals].
func (s *Store) Approvals(ctx context.Context, actor ledger.Actor, f ledger.ApprovalFilter, p ledger.Page) (ledger.List[ledger.Approval], error) {
	q := query{}
	q.owner("p.user_id", actor)
	q.whereUser("p.user_id", f.UserID)
	q.whereText("p.status", string(f.Status))
	return list(ctx, s, selectApproval, q, byTime{"p.requested_at", "p.id"}, p, func(row pgx.CollectableRow) (ledger.Approval, error) {
		a, err := scanApproval(row)
		return a.Approval, err
	}, func(a ledger.Approval) string { return timeCursor(a.RequestedAt, a.ID) })
}
