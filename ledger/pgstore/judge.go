package pgstore

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/agenttrail/agenttrail/ledger"
)

// authorize judges a run while the wallet is locked, and does what comes of it.
func (w *work) authorize(ctx context.Context, in ledger.AuthorizeInput, id uuid.UUID) (ledger.Authorization, error) {
	var answer ledger.Authorization
	j, err := w.judge(ctx, in)
	if err != nil {
		return answer, err
	}
	if j.decision.Outcome == ledger.OutcomeRefused {
		return answer, refusalOf(j.receipt())
	}
	status := ledger.StatusAuthorized
	if j.decision.Outcome == ledger.OutcomeNeedsApproval {
		status = ledger.StatusRequiresApproval
	}
	receipt, err := json.Marshal(factsOf(j.receipt()))
	if err != nil {
		return answer, fmt.Errorf("write receipt: %w", err)
	}
	if _, err := w.Exec(ctx, `INSERT INTO ledger.transactions (id, user_id, kind, status, credits, agent_id, agent_version, mandate_id, mandate_version, execution_id, metadata, created_at, updated_at, receipt)
		VALUES ($1, $2, 'execution', $3, $4, $5, $6, $7, $8, $9, $10, $11, $11, $12)`,
		id, in.UserID, string(status), int64(j.spend.Amount), j.agent.id, j.agent.version, j.mandate.ID, j.mandate.Version, executionID(in, id), orNullDoc(in.Metadata), j.spend.At, receipt); err != nil {
		return answer, err
	}
	if status == ledger.StatusAuthorized {
		return w.hold(ctx, id, j, holdFor(in))
	}
	approval := newID()
	if _, err := w.Exec(ctx, `INSERT INTO ledger.approvals (id, transaction_id, user_id, amount, hold_seconds, principal, requested_by, requested_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		approval, id, in.UserID, int64(j.spend.Amount), int64(holdFor(in)/time.Second), w.call.Actor.Principal, w.call.Actor.String(), j.spend.At, j.spend.At.Add(ledger.ApprovalLifetime)); err != nil {
		return answer, err
	}
	if answer.Transaction, err = readTransaction(ctx, w, id); err != nil {
		return answer, err
	}
	a, err := readApproval(ctx, w, approval)
	answer.Approval, answer.Receipt = &a, j.receipt()
	return answer, err
}

// hold puts the credits of an authorized transaction on hold.
func (w *work) hold(ctx context.Context, id uuid.UUID, j *judged, ttl time.Duration) (ledger.Authorization, error) {
	var answer ledger.Authorization
	if _, err := w.Exec(ctx, `INSERT INTO ledger.holds (id, user_id, agent_id, mandate_id, amount, authorized_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		id, j.mandate.UserID, j.agent.id, j.mandate.ID, int64(j.spend.Amount), j.spend.At, j.spend.At.Add(ttl.Truncate(time.Second))); err != nil {
		return answer, err
	}
	s, err := readSettlement(ctx, w, id)
	if err != nil {
		return answer, err
	}
	return ledger.Authorization{Transaction: s.Transaction, Hold: &s.Hold, Receipt: *s.Transaction.Receipt}, nil
}

// judged is a run with its judgment.
type judged struct {
	mandate  *mandateCopy
	agent    *agentCopy
	spend    ledger.Spend
	facts    facts
	decision ledger.Decision
}

func (j *judged) receipt() ledger.Receipt {
	return receiptOf(j.mandate, j.agent, j.spend, j.facts, j.decision)
}

// judge locks the wallet and judges a run by the rows themselves. Errors: CodeUserClosed, CodeAgentUnavailable,
// CodeNotFound.
func (w *work) judge(ctx context.Context, in ledger.AuthorizeInput) (*judged, error) {
	own, err := w.lockWallet(ctx, in.UserID)
	if err != nil {
		return nil, err
	}
	_, tell := w.store.now()
	var at time.Time
	if err := w.QueryRow(ctx, "SELECT greatest(coalesce($1, clock_timestamp()), (SELECT last_at FROM ledger.mandate_usage WHERE mandate_id = $2))", tell, in.MandateID).Scan(&at); err != nil {
		return nil, err
	}
	if own.closed {
		return nil, refusedBecause(ledger.CodeUserClosed)
	}
	if _, err := w.Exec(ctx, "SELECT ledger.sweep($1, $2) FROM ledger.wallets WHERE user_id = $1 AND next_expiry <= $2", in.UserID, at); err != nil {
		return nil, err
	}
	return evaluate(ctx, w, in, at, "roll_usage")
}

// evaluate judges a run by the rows that q sees. Usage is the function that gives what counts: usage_at, or roll_usage to
// keep it as well.
func evaluate(ctx context.Context, q querier, in ledger.AuthorizeInput, at time.Time, usage string) (*judged, error) {
	j := &judged{}
	var err error
	if j.mandate, err = copyMandate(ctx, q, in.MandateID, at); err != nil {
		return nil, err
	}
	if j.mandate.UserID != in.UserID {
		return nil, notFound("mandate")
	}
	if j.agent, err = copyAgent(ctx, q, in.Agent); err != nil {
		return nil, err
	}
	if j.spend, err = j.agent.spend(in, at); err != nil {
		return nil, err
	}
	f, win := &j.facts, j.mandate.windows
	err = q.QueryRow(ctx, `SELECT w.posted - w.held - (SELECT coalesce(sum(d.amount), 0) FROM ledger.due_credits(w.user_id, $6) d)::bigint,
			u.day_used, u.week_used, u.month_used, u.total_used, u.day_count, u.total_count, u.active
		FROM ledger.wallets w, ledger.`+usage+`($2, $3, $4, $5, $7) u WHERE w.user_id = $1`,
		in.UserID, in.MandateID, j.mandate.Rules.TimeZone, win.DayStart, win.WeekStart, at, win.MonthStart).
		Scan(&f.Available, &f.Day, &f.Week, &f.Month, &f.Total, &f.DayCount, &f.Count, &f.Active)
	if err != nil {
		return nil, err
	}
	j.decision = ledger.Evaluate(j.mandate.Mandate, f.usage(), ledger.Credits(f.Available), j.spend)
	f.Outcome, f.Rule, f.At = j.decision.Outcome, j.decision.Rule, at
	return j, nil
}

// EvaluateMandate implements [ledger.Mandates].
func (s *Store) EvaluateMandate(ctx context.Context, actor ledger.Actor, in ledger.AuthorizeInput) (ledger.Receipt, error) {
	var receipt ledger.Receipt
	if err := actor.Require(ledger.ScopeExecute, ledger.ScopeManage); err != nil {
		return receipt, err
	}
	if err := actor.MayTouch(in.UserID); err != nil {
		return receipt, err
	}
	if err := in.Validate(); err != nil {
		return receipt, err
	}
	at, _ := s.now()
	err := s.inTx(ctx, func(q querier) error {
		if s.settings.Now == nil {
			if err := q.QueryRow(ctx, "SELECT clock_timestamp()").Scan(&at); err != nil {
				return err
			}
		}
		closed := false
		if err := q.QueryRow(ctx, "SELECT coalesce((SELECT closed FROM ledger.wallets WHERE user_id = $1), false)", in.UserID).Scan(&closed); err != nil {
			return err
		}
		if closed {
			return refusedBecause(ledger.CodeUserClosed)
		}
		j, err := evaluate(ctx, q, in, at, "usage_at")
		if err == nil {
			receipt = j.receipt()
		}
		return err
	})
	return receipt, err
}
