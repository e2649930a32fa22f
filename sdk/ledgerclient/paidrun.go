package ledgerclient

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/agenttrail/agenttrail/ledger"
	agenttrail "github.com/agenttrail/agenttrail/sdk"
)

// Policy says what a run costs that does not succeed.
type Policy int

const (
	// ReleaseOnFailure lets a run that does not succeed cost nothing.
	ReleaseOnFailure Policy = iota
	// ChargeOnFailure takes what a run has used until it failed, as [agenttrail.Execution.AddCredits] says; one that has said
	// nothing costs nothing.
	ChargeOnFailure
)

// PaidRun describes a run that costs credits.
type PaidRun struct {
	// Run is the run as telemetry tells of it. Its agent's id is the slug of the ledger, its user the user's id there.
	Run agenttrail.Run
	// MandateID is the mandate that permits the run.
	MandateID uuid.UUID
	// Amount is how many credits are held, and the most that the run can cost; the agent's price of an execution when it is
	// nil.
	Amount *ledger.Credits
	// TTL is how long they are held, and the most that the run can take; 15 minutes when it is 0. The run gets a tenth
	// less, at most 10 s, in which it is settled.
	TTL time.Duration
	// HoldID is a hold that is there already, for example of a run that was approved. Nothing is authorized then.
	HoldID uuid.UUID
	// OnFailure says what a run costs that does not succeed.
	OnFailure Policy
	// Metadata is kept with the transaction.
	Metadata json.RawMessage
}

// ApprovalRequiredError says that somebody has to decide before a run may start. Then it has a hold; see PaidRun.HoldID.
type ApprovalRequiredError struct{ Approval ledger.Approval }

// Error implements error.
func (e *ApprovalRequiredError) Error() string {
	return "the run waits for approval " + e.Approval.ID.String()
}

// ErrorCode makes it a code of requests that end with it.
func (*ApprovalRequiredError) ErrorCode() string { return "approval_required" }

// SettledError says that the hold of a run is settled already: the run was over before, or took too long to be started.
// It does not run once more.
type SettledError struct{ Hold ledger.Hold }

// Error implements error.
func (e *SettledError) Error() string {
	return fmt.Sprintf("run %s does not start: its hold is %s", e.Hold.ExecutionID, e.Hold.Status)
}

// ErrorCode makes it a code of requests that end with it.
func (e *SettledError) ErrorCode() string { return "hold_" + string(e.Hold.Status) }

// PaidRun holds credits for a run, calls f, and settles: a run that succeeds costs what f has said by
// [agenttrail.Execution.AddCredits], at most what is held, or all of that when it has said nothing. One that does not succeed, with
// an error, a panic, a deadline or a cancellation, is settled by the policy. Telemetry of the run has the id of the ledger and
// the credits that it took. The package's description tells what comes of crashes and lost answers.
//
// Errors: [*Problem] when the ledger refuses, [*ApprovalRequiredError], [*SettledError] and [*UnknownError] before f is called;
// that of f; and, joined with it, [*SettlementError] when the run is over and was not settled as it should.
func (c *Client) PaidRun(ctx context.Context, trail *agenttrail.Trail, p PaidRun, f func(context.Context, *agenttrail.Execution) error) (err error) {
	ctx = c.planned(ctx, trail, &p)
	asked := time.Now()
	hold, err := c.hold(ctx, &p)
	if err != nil {
		agenttrail.Log(ctx, slog.LevelWarn, agenttrail.CategoryExecution, "run does not start: "+err.Error(), slog.String("reason", codeOf(err)))
		return err
	}
	ctx, cancel := context.WithDeadline(ctx, deadline(asked, hold))
	defer cancel()

	runCtx, run := trail.StartExecution(ctx, p.Run)
	// Deferred calls also run when f panics or ends its goroutine: then runErr is what it is set to here.
	runErr := errors.New("the goroutine ended before the run returned")
	returned := false
	defer run.End(&runErr)
	defer func() {
		run.StopClock()
		succeeded := returned && run.StatusWith(runErr) == agenttrail.StatusSuccess
		err = errors.Join(err, c.finish(context.WithoutCancel(runCtx), run, hold, p.OnFailure, succeeded))
	}()
	runErr = f(runCtx, run)
	returned = true
	return runErr
}

// planned gives the run its id, unless it has one.
func (c *Client) planned(ctx context.Context, trail *agenttrail.Trail, p *PaidRun) context.Context {
	id := agenttrail.IdentityFrom(ctx)
	p.Run.UserID = cmp.Or(p.Run.UserID, id.UserID)
	if agenttrail.IsPlanned(ctx) && (p.Run.ID == "" || p.Run.ID == id.ExecutionID) {
		p.Run.ID = id.ExecutionID
		return trail.Context(ctx)
	}
	ctx, p.Run.ID = trail.PlanExecution(ctx, p.Run)
	return ctx
}

// hold gives the hold of a run, which is active.
func (c *Client) hold(ctx context.Context, p *PaidRun) (ledger.Hold, error) {
	if p.HoldID != uuid.Nil {
		return c.active(ctx, p.HoldID)
	}
	user, err := uuid.Parse(p.Run.UserID)
	if err != nil {
		return ledger.Hold{}, fmt.Errorf("authorize run: user %q is not an id of the ledger: %w", p.Run.UserID, err)
	}
	var out ledger.Authorization
	a, err := c.do(WithIdempotencyKey(ctx, "authorize-"+p.Run.ID), call{
		method: "POST", path: "/v1/authorizations",
		body: Authorize{UserID: user, MandateID: p.MandateID, Agent: p.Run.Agent.ID, Amount: p.Amount, ExecutionID: p.Run.ID, TTL: p.TTL, Metadata: p.Metadata},
	}, &out)
	switch {
	case err != nil:
		return ledger.Hold{}, fmt.Errorf("authorize run: %w", err)
	case out.Hold == nil && out.Approval != nil:
		return ledger.Hold{}, &ApprovalRequiredError{*out.Approval}
	case out.Hold == nil:
		return ledger.Hold{}, errors.New("authorize run: the answer has neither a hold nor an approval")
	case a.replayed: // It is as old as the first answer.
		return c.active(ctx, out.Hold.ID)
	}
	return *out.Hold, nil
}

func (c *Client) active(ctx context.Context, id uuid.UUID) (ledger.Hold, error) {
	hold, err := c.Hold(ctx, id)
	if err != nil {
		return hold, fmt.Errorf("read hold: %w", err)
	}
	if hold.Status != ledger.HoldActive || !time.Now().Before(hold.ExpiresAt) {
		return hold, &SettledError{hold}
	}
	return hold, nil
}

// deadline is when a run must have ended, so that its hold can still be settled. Of the two clocks the one that gives less
// counts.
func deadline(asked time.Time, hold ledger.Hold) time.Time {
	ttl := hold.ExpiresAt.Sub(hold.AuthorizedAt)
	end := asked.Add(ttl)
	if hold.ExpiresAt.Before(end) {
		end = hold.ExpiresAt
	}
	return end.Add(-min(ttl/10, settleTime))
}

// finish settles the hold of a run that is over, and tells telemetry what it cost.
func (c *Client) finish(ctx context.Context, run *agenttrail.Execution, hold ledger.Hold, policy Policy, succeeded bool) error {
	s := settlement{HoldID: hold.ID, ExecutionID: run.ID(), At: time.Now()}
	used, said := run.Credits()
	amount := ledger.Credits(used)
	if succeeded && !said {
		amount = hold.Amount
	}
	if succeeded || (policy == ChargeOnFailure && said) {
		if amount > hold.Amount {
			agenttrail.Log(ctx, slog.LevelWarn, agenttrail.CategoryExecution, "run used more than was held",
				slog.String("used", amount.String()), slog.String("held", hold.Amount.String()))
		}
		amount = min(max(amount, 0), hold.Amount)
		s.Capture = &amount
	}
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	captured, err := c.settleSafely(ctx, s)
	run.SetCredits(agenttrail.Credits(captured))
	if err != nil {
		agenttrail.Log(ctx, slog.LevelWarn, agenttrail.CategoryExecution, "run is not settled as it should: "+err.Error())
		return err
	}
	agenttrail.Log(ctx, slog.LevelInfo, agenttrail.CategoryExecution, "run settled", slog.String("captured", captured.String()))
	return nil
}

// settleSafely settles through the outbox, where there is one, and returns what was captured, or will be.
func (c *Client) settleSafely(ctx context.Context, s settlement) (ledger.Credits, error) {
	kept := c.outbox != nil && c.outbox.put(s) == nil
	captured, err := c.settle(ctx, s)
	switch {
	case !isUnknown(err):
		if kept {
			_ = c.outbox.remove(s.HoldID) // Else it is settled again, which is harmless.
		}
		return captured, err
	case kept:
		c.outbox.free(s.HoldID)
		if s.Capture == nil {
			return 0, nil
		}
		return *s.Capture, nil
	default:
		return 0, &SettlementError{ExecutionID: s.ExecutionID, Err: err}
	}
}

func codeOf(err error) string {
	if coded, ok := errors.AsType[agenttrail.CodedError](err); ok {
		return coded.ErrorCode()
	}
	return "error"
}
