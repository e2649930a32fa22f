package stripepay

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/agenttrail/agenttrail/ledger"
)

// keySafe is for how long an idempotency key surely means the same request: Stripe may forget it after 24 hours. See
// https://docs.stripe.com/api/idempotent_requests.
const keySafe = 20 * time.Hour

// TopUp implements [ledger.Payments].
func (s *Service) TopUp(ctx context.Context, call *ledger.Call, in ledger.TopUpInput) (ledger.TopUp, error) {
	var none ledger.TopUp
	if s.client == nil {
		return none, errDisabled()
	}
	if err := cmp.Or(call.Actor.Require(ledger.ScopeManage), call.Actor.MayTouch(in.UserID), in.Validate()); err != nil {
		return none, err
	}
	pack, err := s.packageByID(in.Package)
	if err != nil {
		return none, err
	}
	customer, err := s.customer(ctx, call.Actor, in.UserID)
	if err != nil {
		return none, s.noted(ctx, err)
	}
	t, err := s.book.OpenTopUp(ctx, call, ledger.NewTopUp{UserID: in.UserID, Package: pack, Request: func(id uuid.UUID) (json.RawMessage, error) {
		return json.Marshal(newIntentRequest(customer, pack, in.PaymentMethod, id.String(), in.UserID.String()))
	}})
	if err != nil {
		return none, err
	}
	if t.StripePI != "" {
		t, err = s.settle(ctx, t.ID, "", false)
	} else {
		t, err = s.reach(ctx, t)
	}
	if err != nil {
		return none, s.noted(ctx, err)
	}
	return t, nil
}

// customer is the user's customer at Stripe, which is made if there is none.
func (s *Service) customer(ctx context.Context, actor ledger.Actor, user uuid.UUID) (string, error) {
	u, err := s.book.User(ctx, actor, user)
	if err != nil {
		return "", err
	}
	if u.Status == ledger.UserClosed {
		return "", ledger.Errorf(ledger.CodeUserClosed, "the user's account is closed")
	}
	if u.StripeCustomerID != "" {
		return u.StripeCustomerID, nil
	}
	id, err := s.client.findCustomer(ctx, u)
	if err == nil && id == "" {
		// The key stands for the parameters, of which the address can change.
		sum := sha256.Sum256([]byte(u.Email))
		id, err = s.client.createCustomer(ctx, u, "customer-"+u.ID.String()+"-"+hex.EncodeToString(sum[:8]))
	}
	if err != nil {
		return "", err
	}
	return s.book.SetStripeCustomer(ctx, user, id)
}

// reach makes Stripe have the payment of a top-up of which we do not know that it has, and settles it.
func (s *Service) reach(ctx context.Context, t ledger.TopUp) (ledger.TopUp, error) {
	if t.Status == ledger.StatusCanceled {
		return t, refusedBefore(t.Failure)
	}
	intent, err := s.client.createIntent(ctx, t)
	if err != nil {
		if outcomeOf(err) != refused {
			return t, err
		}
		failure := failureOf(err)
		if _, cancelErr := s.book.ApplyPayment(ctx, t.ID, t.Checks, ledger.PaymentReport{Status: ledger.StatusCanceled, Failure: &failure}); cancelErr != nil {
			return t, cancelErr
		}
		return t, err
	}
	return s.settle(ctx, t.ID, intent, false)
}

func refusedBefore(f *ledger.PaymentFailure) error {
	if f == nil {
		return ledger.Errorf(ledger.CodeConflict, "the top-up was canceled")
	}
	return ledger.Errorf(ledger.CodePaymentRefused, "Stripe refuses it: %s", f.Message)
}

// CancelTopUp implements [ledger.Payments].
func (s *Service) CancelTopUp(ctx context.Context, call *ledger.Call, id uuid.UUID) (ledger.TopUp, error) {
	var none ledger.TopUp
	if s.client == nil {
		return none, errDisabled()
	}
	t, err := s.book.OpenCancel(ctx, call, id)
	if err != nil {
		return none, err
	}
	if t.Status == ledger.StatusCanceled {
		return t, nil
	}
	if t.StripePI == "" {
		// What Stripe does not have yet it might be about to get.
		if t, err = s.reach(ctx, t); err != nil {
			return none, s.noted(ctx, err)
		}
	}
	cancelErr := s.client.cancelIntent(ctx, t)
	if cancelErr != nil && outcomeOf(cancelErr) != refused {
		return none, s.noted(ctx, cancelErr)
	}
	if t, err = s.settle(ctx, id, "", false); err != nil {
		return none, s.noted(ctx, err)
	}
	if t.Status != ledger.StatusCanceled {
		return none, ledger.Errorf(ledger.CodeConflict, "the top-up is %s and cannot be canceled", t.Status)
	}
	return t, nil
}

// RefundTopUp implements [ledger.Payments].
func (s *Service) RefundTopUp(ctx context.Context, call *ledger.Call, id uuid.UUID, in ledger.CardRefundInput) (ledger.TopUp, error) {
	var none ledger.TopUp
	if s.client == nil {
		return none, errDisabled()
	}
	made, err := s.book.OpenCardRefund(ctx, call, id, ledger.NewCardRefund{CardRefundInput: in, Request: func(refund uuid.UUID, intent string, cents int64) (json.RawMessage, error) {
		return json.Marshal(refundRequest{PaymentIntent: intent, Amount: cents, Metadata: map[string]string{metaTransaction: refund.String()}})
	}})
	if err != nil {
		return none, err
	}
	t, err := s.refund(ctx, id, made.ID)
	if err != nil {
		return none, s.noted(ctx, err)
	}
	return t, nil
}

// refund makes Stripe have a refund of which we do not know that it has, and settles its top-up.
func (s *Service) refund(ctx context.Context, topUp, refund uuid.UUID) (ledger.TopUp, error) {
	t, err := s.book.TopUpByID(ctx, system(), topUp)
	if err != nil {
		return t, err
	}
	i := slices.IndexFunc(t.Refunds, func(r ledger.Reversal) bool { return r.ID == refund })
	if i < 0 {
		return t, ledger.Errorf(ledger.CodeNotFound, "no such refund")
	}
	r := t.Refunds[i]
	if r.StripeID == "" && r.Status == ledger.StatusFailed {
		return t, refusedBefore(r.Failure)
	}
	if r.StripeID == "" {
		if err := s.client.createRefund(ctx, r); err != nil {
			if outcomeOf(err) == refused {
				if _, failErr := s.book.FailCardRefund(ctx, topUp, refund, failureOf(err)); failErr != nil {
					return t, failErr
				}
			}
			return t, err
		}
	}
	return s.settle(ctx, topUp, "", true)
}
