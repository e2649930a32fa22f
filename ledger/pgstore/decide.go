package pgstore

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/agenttrail/agenttrail/ledger"
)

const selectDecision = `SELECT d.id, d.execution_id, d.kind, d.amount, d.status, d.reason, d.requested_by, d.requested_at, coalesce(d.decided_by, ''), d.decided_at, d.transaction_id, d.row_version, d.principal
	FROM ledger.reconciliation_decisions d`

// storedDecision is a decision with who asked for it.
type storedDecision struct {
	ledger.ReconDecision
	principal string
}

func scanDecision(row pgx.CollectableRow) (storedDecision, error) {
	var d storedDecision
	return d, row.Scan(&d.ID, &d.ExecutionID, &d.Kind, (*int64)(&d.Amount), &d.Status, &d.Reason, &d.RequestedBy, &d.RequestedAt, &d.DecidedBy, &d.DecidedAt, &d.TransactionID, &d.RowVersion, &d.principal)
}

func readDecision(ctx context.Context, q querier, id uuid.UUID) (storedDecision, error) {
	return queryOne(ctx, q, "decision", selectDecision+" WHERE d.id = $1", []any{id}, scanDecision)
}

// disputed is a run that does not agree, with whom to charge for it. Its wallet is locked.
type disputed struct {
	ledger.ReconItem
	user, agent uuid.UUID
	run         *ledger.Transaction // nil where the ledger does not know the run
	own         wallet
}

// dispute reads a run that does not agree, locks the wallet of whom it is about and the run's row, and makes sure that the
// figures are those of now.
func (w *work) dispute(ctx context.Context, execution string) (disputed, error) {
	const byID = selectReconItem + " WHERE r.execution_id = $1"
	d := disputed{}
	var err error
	if d.ReconItem, err = queryOne(ctx, w, "difference", byID, []any{execution}, scanReconItem); err != nil {
		return d, err
	}
	run, err := queryOne(ctx, w, "run", "SELECT "+runColumns+" FROM ledger.transactions t WHERE t.execution_id = $1", []any{execution}, scanTransaction)
	switch ledger.CodeOf(err) {
	case "":
		d.run, d.user, d.agent = &run, run.UserID, *run.AgentID
	case ledger.CodeNotFound:
		if d.user, err = uuid.Parse(d.UserID); err != nil {
			return d, ledger.Errorf(ledger.CodeConflict, "telemetry names no user of the ledger")
		}
		err := w.QueryRow(ctx, "SELECT id FROM ledger.agents WHERE slug = $1", d.Agent).Scan(&d.agent)
		if errors.Is(err, pgx.ErrNoRows) {
			return d, ledger.Errorf(ledger.CodeConflict, "telemetry names no agent of the ledger")
		}
		if err != nil {
			return d, err
		}
	default:
		return d, err
	}
	if d.own, err = w.lockWallet(ctx, d.user); err != nil {
		if ledger.CodeOf(err) == ledger.CodeNotFound {
			return d, ledger.Errorf(ledger.CodeConflict, "telemetry names no user of the ledger")
		}
		return d, err
	}
	if d.ReconItem, err = queryOne(ctx, w, "difference", byID+" FOR UPDATE", []any{execution}, scanReconItem); err != nil {
		return d, err
	}
	if d.run != nil {
		if run, err = readTransaction(ctx, w, d.run.ID); err != nil {
			return d, err
		}
		d.run = &run
	}
	switch {
	case !d.State.Open():
		return d, ledger.Errorf(ledger.CodeConflict, "the run is %s", d.State)
	case d.run != nil && d.run.Status == ledger.StatusAuthorized:
		return d, ledger.Errorf(ledger.CodeConflict, "the run's hold is active: capture or release it")
	case d.run != nil && d.run.Status == ledger.StatusRequiresApproval:
		return d, ledger.Errorf(ledger.CodeConflict, "the run waits for an approval: decide that first")
	case d.run == nil && d.Captured != 0, d.run != nil && d.run.Settled != d.Captured:
		return d, ledger.Errorf(ledger.CodeConflict, "the figures have changed since they were compared: reconcile again")
	}
	return d, nil
}

// Adjust implements [ledger.Reconciliations].
func (s *Store) Adjust(ctx context.Context, call *ledger.Call, execution string, in ledger.AdjustInput) (ledger.ReconDecision, error) {
	if err := platformAdmin(call.Actor); err != nil {
		return ledger.ReconDecision{}, err
	}
	if err := in.Validate(); err != nil {
		return ledger.ReconDecision{}, err
	}
	return write(ctx, s, call, func(ctx context.Context, w *work) (ledger.ReconDecision, error) {
		none := ledger.ReconDecision{}
		d, err := w.dispute(ctx, execution)
		if err != nil {
			return none, err
		}
		amount := d.Drift
		switch {
		case in.Amount != nil:
			amount = *in.Amount
		case d.Rows > 1:
			return none, ledger.Errorf(ledger.CodeConflict, "telemetry has %d rows of the run, which say %s together: say the amount, or waive it", d.Rows, *d.Consumed)
		}
		if err := within(amount, d.Drift); err != nil {
			return none, err
		}
		if err := w.noPending(ctx, execution); err != nil {
			return none, err
		}
		if max(amount, -amount) > s.settings.adjustOver() {
			return w.addDecision(ctx, d, ledger.DecisionAdjust, amount, in.Reason, false, nil)
		}
		posting, err := w.correct(ctx, d, amount, in.Reason)
		if err != nil {
			return none, err
		}
		return w.addDecision(ctx, d, ledger.DecisionAdjust, amount, in.Reason, true, &posting)
	})
}

// within refuses an amount that would make the difference larger, or turn it round.
func within(amount, drift ledger.Credits) error {
	if (amount > 0) != (drift > 0) || max(amount, -amount) > max(drift, -drift) {
		return ledger.Invalid("amount", "must be between 0 and the drift, "+drift.String())
	}
	return nil
}

func (w *work) noPending(ctx context.Context, execution string) error {
	var pending bool
	err := w.QueryRow(ctx, "SELECT EXISTS (SELECT FROM ledger.reconciliation_decisions WHERE execution_id = $1 AND status = 'pending')", execution).Scan(&pending)
	if err == nil && pending {
		return ledger.Errorf(ledger.CodeConflict, "a correction of the run waits for an approval")
	}
	return err
}

// addDecision writes a decision down. One that is done closes the difference, as far as it goes.
func (w *work) addDecision(ctx context.Context, d disputed, kind ledger.DecisionKind, amount ledger.Credits, reason string, done bool, posting *uuid.UUID) (ledger.ReconDecision, error) {
	at, err := w.clock(ctx)
	if err != nil {
		return ledger.ReconDecision{}, err
	}
	id, status, actor := newID(), ledger.DecisionPending, w.call.Actor.String()
	var by *string
	decidedAt := &at
	if done {
		status, by = ledger.DecisionDone, &actor
	} else {
		decidedAt = nil
	}
	if _, err := w.Exec(ctx, `INSERT INTO ledger.reconciliation_decisions (id, execution_id, kind, amount, status, reason, principal, requested_by, requested_at, decided_by, decided_at, transaction_id)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
		id, d.ExecutionID, string(kind), int64(amount), string(status), reason, w.call.Actor.Principal, actor, at, by, decidedAt, posting); err != nil {
		return ledger.ReconDecision{}, err
	}
	if done {
		if err := w.closeDispute(ctx, d, kind, amount); err != nil {
			return ledger.ReconDecision{}, err
		}
	}
	stored, err := readDecision(ctx, w, id)
	return stored.ReconDecision, err
}

// closeDispute makes a run's row follow a decision that is done.
func (w *work) closeDispute(ctx context.Context, d disputed, kind ledger.DecisionKind, amount ledger.Credits) error {
	f, state := d.Figures, ledger.ReconWaived
	if kind == ledger.DecisionAdjust {
		f.Adjusted += amount
		state = f.State()
	}
	at, err := w.clock(ctx)
	if err != nil {
		return err
	}
	_, err = w.Exec(ctx, `UPDATE ledger.reconciliation SET state = $2, adjusted = $3, changed_at = $4, published = false, row_version = row_version + 1, resolved_at = CASE WHEN $5 THEN NULL ELSE $4::timestamptz END WHERE execution_id = $1`,
		d.ExecutionID, string(state), int64(f.Adjusted), at, state.Open())
	return err
}

// correct posts the amount: an adjustment where the user pays, a refund where the user gets it back.
func (w *work) correct(ctx context.Context, d disputed, amount ledger.Credits, reason string) (posting uuid.UUID, err error) {
	if d.own.closed {
		return posting, refusedBecause(ledger.CodeUserClosed)
	}
	at, err := w.clock(ctx)
	if err != nil {
		return posting, err
	}
	posting = newID()
	if amount < 0 {
		if rest := d.run.Settled - d.run.Refunded; -amount > rest {
			return posting, ledger.Errorf(ledger.CodeRefundExceeds, "%s can be given back: %s were captured and %s refunded before", rest, d.run.Settled, d.run.Refunded)
		}
		if _, err := w.Exec(ctx, `INSERT INTO ledger.transactions (id, user_id, kind, status, credits, settled, agent_id, parent_id, reason, created_at, updated_at)
			VALUES ($1, $2, 'refund', 'succeeded', $3, $3, $4, $5, $6, $7, $7)`, posting, d.user, int64(-amount), d.agent, d.run.ID, reason, at); err != nil {
			return posting, err
		}
		_, err := w.give(ctx, d.user, posting, ledger.GrantRefund, -amount, ledger.DefaultPriority, nil, at)
		return posting, err
	}
	// What has expired is gone before it could pay.
	if _, err := w.Exec(ctx, "SELECT ledger.sweep($1, $2)", d.user, at); err != nil {
		return posting, err
	}
	own, err := w.lockWallet(ctx, d.user)
	if err != nil {
		return posting, err
	}
	if available := own.posted - own.held; amount > available {
		return posting, ledger.Errorf(ledger.CodeInsufficientFunds, "the user has %s, the run used %s more than was captured", available, amount)
	}
	var parent *uuid.UUID
	if d.run != nil {
		parent = &d.run.ID
	}
	_, err = w.Exec(ctx, `INSERT INTO ledger.transactions (id, user_id, kind, status, credits, settled, agent_id, parent_id, reason, metadata, created_at, updated_at)
		VALUES ($1, $2, 'adjustment', 'succeeded', $3, $3, $4, $5, $6, jsonb_build_object('executionId', $7::text), $8, $8)`, posting, d.user, int64(amount), d.agent, parent, reason, d.ExecutionID, at)
	return posting, err
}

// Waive implements [ledger.Reconciliations].
func (s *Store) Waive(ctx context.Context, call *ledger.Call, execution string, in ledger.WaiveInput) (ledger.ReconDecision, error) {
	if err := platformAdmin(call.Actor); err != nil {
		return ledger.ReconDecision{}, err
	}
	if err := in.Validate(); err != nil {
		return ledger.ReconDecision{}, err
	}
	return write(ctx, s, call, func(ctx context.Context, w *work) (ledger.ReconDecision, error) {
		var d disputed
		var err error
		d.ReconItem, err = queryOne(ctx, w, "difference", selectReconItem+" WHERE r.execution_id = $1 FOR UPDATE", []any{execution}, scanReconItem)
		if err == nil && !d.State.Open() {
			err = ledger.Errorf(ledger.CodeConflict, "the run is %s", d.State)
		}
		if err == nil {
			err = w.noPending(ctx, execution)
		}
		if err != nil {
			return ledger.ReconDecision{}, err
		}
		return w.addDecision(ctx, d, ledger.DecisionWaive, d.Drift, in.Reason, true, nil)
	})
}

// ApproveAdjustment implements [ledger.Reconciliations].
func (s *Store) ApproveAdjustment(ctx context.Context, call *ledger.Call, id uuid.UUID, in ledger.DecisionInput) (ledger.ReconDecision, error) {
	return s.endDecision(ctx, call, id, in, ledger.DecisionDone, func(ctx context.Context, w *work, stored storedDecision) (*uuid.UUID, error) {
		d, err := w.dispute(ctx, stored.ExecutionID)
		if err != nil {
			return nil, err
		}
		if within(stored.Amount, d.Drift) != nil {
			return nil, ledger.Errorf(ledger.CodeConflict, "the drift is %s by now: reject this correction", d.Drift)
		}
		posting, err := w.correct(ctx, d, stored.Amount, stored.Reason)
		if err != nil {
			return nil, err
		}
		return &posting, w.closeDispute(ctx, d, ledger.DecisionAdjust, stored.Amount)
	})
}

// RejectAdjustment implements [ledger.Reconciliations].
func (s *Store) RejectAdjustment(ctx context.Context, call *ledger.Call, id uuid.UUID, in ledger.DecisionInput) (ledger.ReconDecision, error) {
	return s.endDecision(ctx, call, id, in, ledger.DecisionRejected, func(context.Context, *work, storedDecision) (*uuid.UUID, error) { return nil, nil }) //nolint:nilnil // There is no posting.
}

// endDecision ends a pending decision, unless f refuses.
func (s *Store) endDecision(ctx context.Context, call *ledger.Call, id uuid.UUID, in ledger.DecisionInput, to ledger.DecisionStatus, f func(context.Context, *work, storedDecision) (*uuid.UUID, error)) (ledger.ReconDecision, error) {
	none := ledger.ReconDecision{}
	if err := call.Actor.Require(ledger.ScopeApprove); err != nil {
		return none, err
	}
	if call.Actor.UserID != uuid.Nil {
		return none, ledger.Errorf(ledger.CodeForbidden, "a key that acts for a user cannot decide this")
	}
	if err := ledger.ValidateReason(in.Reason); err != nil {
		return none, err
	}
	return write(ctx, s, call, func(ctx context.Context, w *work) (ledger.ReconDecision, error) {
		stored, err := readDecision(ctx, w, id)
		if err != nil {
			return none, err
		}
		if stored.Status != ledger.DecisionPending {
			return none, ledger.Errorf(ledger.CodeApprovalDecided, "the correction is %s", stored.Status)
		}
		if stored.principal == call.Actor.Principal {
			return none, ledger.Errorf(ledger.CodeOwnApproval, "who asked for the correction may not decide it")
		}
		posting, err := f(ctx, w, stored)
		if err != nil {
			return none, err
		}
		at, err := w.clock(ctx)
		if err != nil {
			return none, err
		}
		tag, err := w.Exec(ctx, "UPDATE ledger.reconciliation_decisions SET status = $2, decided_by = $3, decided_at = $4, transaction_id = $5, row_version = row_version + 1 WHERE id = $1 AND status = 'pending'",
			id, string(to), call.Actor.String(), at, posting)
		if err != nil {
			return none, err
		}
		if tag.RowsAffected() == 0 {
			return none, ledger.Errorf(ledger.CodeApprovalDecided, "somebody else has decided meanwhile")
		}
		stored, err = readDecision(ctx, w, id)
		return stored.ReconDecision, err
	})
}

// Decisions implements [ledger.Reconciliations].
func (s *Store) Decisions(ctx context.Context, actor ledger.Actor, f ledger.DecisionFilter, p ledger.Page) (ledger.List[ledger.ReconDecision], error) {
	if actor.UserID != uuid.Nil {
		return ledger.List[ledger.ReconDecision]{}, ledger.Errorf(ledger.CodeForbidden, "a key that acts for a user cannot read this")
	}
	if err := actor.Require(ledger.ScopeApprove); err != nil { // Who approves must see what.
		return ledger.List[ledger.ReconDecision]{}, err
	}
	q := query{}
	q.whereText("d.execution_id", f.ExecutionID)
	q.whereText("d.status", string(f.Status))
	return list(ctx, s, selectDecision, q, byTime{"d.requested_at", "d.id"}, p, func(row pgx.CollectableRow) (ledger.ReconDecision, error) {
		d, err := scanDecision(row)
		return d.ReconDecision, err
	}, func(d ledger.ReconDecision) string { return timeCursor(d.RequestedAt, d.ID) })
}
