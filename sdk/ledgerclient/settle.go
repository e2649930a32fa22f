package ledgerclient

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/agenttrail/agenttrail/ledger"
)

// SettlementError says that a run is over, and that its hold was not settled as it should: it had expired or was settled by
// somebody else, or nobody knows, because there is no outbox to ask again.
type SettlementError struct {
	ExecutionID string
	Hold        *ledger.Hold // As it is now; nil when that is not known.
	Err         error
}

// Error implements error.
func (e *SettlementError) Error() string {
	if e.Hold != nil {
		return fmt.Sprintf("settle run %s: its hold is %s: %v", e.ExecutionID, e.Hold.Status, e.Err)
	}
	return fmt.Sprintf("settle run %s: %v", e.ExecutionID, e.Err)
}

// Unwrap returns the cause.
func (e *SettlementError) Unwrap() error { return e.Err }

// settleTime is how long a run waits for its settlement. What takes longer is left to the outbox.
const settleTime = 10 * time.Second

// settle does what a settlement says, and returns how many credits were captured. A hold that was settled before is read.
func (c *Client) settle(ctx context.Context, s settlement) (ledger.Credits, error) {
	var done ledger.Settlement
	var err error
	if s.Capture != nil {
		done, err = c.Capture(WithIdempotencyKey(ctx, "capture-"+s.HoldID.String()), s.HoldID, s.Capture)
	} else {
		done, err = c.Release(WithIdempotencyKey(ctx, "release-"+s.HoldID.String()), s.HoldID)
	}
	if err == nil {
		return done.Hold.Captured, nil
	}
	p, ok := errors.AsType[*Problem](err)
	if !ok || mayTryAgain(p) {
		return 0, err
	}
	switch p.Code {
	case codeHoldCaptured, codeHoldReleased, codeHoldExpired, codeKeyReused:
	default:
		return 0, err
	}
	hold, readErr := c.Hold(ctx, s.HoldID)
	if readErr != nil {
		return 0, errors.Join(err, readErr)
	}
	if s.Capture == nil && hold.Status != ledger.HoldCaptured || s.Capture != nil && hold.Status == ledger.HoldCaptured {
		return hold.Captured, nil // As it should be, by whomever.
	}
	return hold.Captured, &SettlementError{ExecutionID: s.ExecutionID, Hold: &hold, Err: err}
}

// settleKept settles what is in the outbox. An error means that it is not known what became of it.
func (c *Client) settleKept(ctx context.Context, s settlement) error {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	_, err := c.settle(ctx, s)
	if isUnknown(err) {
		return err
	}
	return nil // Refused for good is an answer, too: reconciliation tells of it.
}

// isUnknown reports whether a settlement may have had its effect or not.
func isUnknown(err error) bool {
	if err == nil {
		return false
	}
	if _, ok := errors.AsType[*SettlementError](err); ok {
		return false
	}
	p, ok := errors.AsType[*Problem](err)
	return !ok || mayTryAgain(p)
}
