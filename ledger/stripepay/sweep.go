package stripepay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/stripe/stripe-go/v76"

	"github.com/agenttrail/agenttrail/ledger"
)

const (
	// sweepBatch is how many top-ups are compared with Stripe in one go.
	sweepBatch = 50
	// leftFor is how long a job has for an event before the sweep takes it.
	leftFor = time.Minute
	// undeliveredFor is how far back Stripe can be asked for events. See
	// https://docs.stripe.com/webhooks/process-undelivered-events.
	undeliveredFor = 30 * 24 * time.Hour
	// recently is how far back refunds and disputes are compared whether or not there was an event.
	recently = 3 * 24 * time.Hour
	// maxListed bounds what one sweep reads of a list; the newest come first, and the next sweep goes on.
	maxListed = 2000
)

// SweepPayments compares top-ups with Stripe of which something is open, and works on events that no job has worked on.
func (s *Service) SweepPayments(ctx context.Context) (done int, more bool, err error) {
	if s.client == nil {
		return 0, false, nil
	}
	due, err := s.book.ClaimPayments(ctx, sweepBatch)
	if err != nil {
		return 0, false, err
	}
	var errs []error
	for _, id := range due {
		if err := s.recover(ctx, id); err != nil {
			errs = append(errs, fmt.Errorf("compare top-up %s: %w", id, s.noted(ctx, err)))
			continue
		}
		done++
	}
	pending, err := s.book.PendingEvents(ctx, leftFor, sweepBatch)
	if err != nil {
		return done, false, errors.Join(append(errs, err)...)
	}
	for _, id := range pending {
		if err := s.Process(ctx, id); err != nil {
			errs = append(errs, err)
			continue
		}
		done++
	}
	return done, len(errs) == 0 && len(due) == sweepBatch, errors.Join(errs...)
}

// recover brings a top-up to where its payment is, whatever was lost.
func (s *Service) recover(ctx context.Context, id uuid.UUID) error {
	t, err := s.book.TopUpByID(ctx, system(), id)
	if err != nil {
		return err
	}
	intent := t.StripePI
	if intent == "" {
		if intent, err = s.client.findIntent(ctx, t); err != nil {
			return err
		}
	}
	switch {
	case intent == "" && s.settings.Now().Sub(t.CreatedAt) < keySafe:
		_, err = s.reach(ctx, t)
		if outcomeOf(err) == refused && !errors.As(err, new(*ledger.Error)) {
			err = nil // It is canceled.
		}
		return err
	case intent == "":
		_, err = s.book.ApplyPayment(ctx, id, t.Checks, ledger.PaymentReport{
			Status: ledger.StatusCanceled, Failure: &ledger.PaymentFailure{Code: "not_at_stripe", Message: "the payment never reached Stripe"},
		})
		return err
	}
	// That also finds refunds which Stripe has and we do not know of.
	if t, err = s.settle(ctx, id, intent, false); err != nil {
		return err
	}
	for _, r := range t.Refunds {
		if r.Status == ledger.StatusProcessing && r.StripeID == "" {
			if _, err := s.refund(ctx, id, r.ID); err != nil && outcomeOf(err) != refused {
				return err
			}
		}
	}
	return nil
}

// SweepEvents asks Stripe for events that it could not deliver, and for recent refunds and disputes, of which there may
// never have been an event.
func (s *Service) SweepEvents(ctx context.Context) (done int, more bool, err error) {
	if s.client == nil {
		return 0, false, nil
	}
	var errs []error
	for _, sweep := range []func(context.Context) (int, error){s.sweepUndelivered, s.sweepReversals} {
		n, err := sweep(ctx)
		done += n
		if err != nil {
			errs = append(errs, s.noted(ctx, err))
		}
	}
	return done, false, errors.Join(append(errs, s.book.PurgeEvents(ctx))...)
}

// sweepUndelivered stores and works on events that Stripe could not deliver.
func (s *Service) sweepUndelivered(ctx context.Context) (done int, err error) {
	p := &stripe.EventListParams{
		DeliverySuccess: new(false), Types: stripe.StringSlice(eventTypes()),
		CreatedRange: &stripe.RangeQueryParams{GreaterThanOrEqual: s.settings.Now().Add(-undeliveredFor).Unix()},
	}
	p.Context, p.Limit = ctx, stripe.Int64(pageSize)
	all := s.client.events.List(p)
	found := map[string]*stripe.Event{}
	ids := []string{}
	for len(ids) < maxListed && all.Next() {
		e := all.Event()
		found[e.ID] = e
		ids = append(ids, e.ID)
	}
	if err := all.Err(); err != nil {
		return 0, fmt.Errorf("list undelivered events: %w", err)
	}
	unknown, err := s.book.UnknownEvents(ctx, ids)
	if err != nil {
		return 0, err
	}
	for _, id := range unknown {
		e, err := eventOf(found[id])
		if err != nil {
			return done, err
		}
		if err := s.store(ctx, e, "swept"); err != nil {
			return done, err
		}
		done++
	}
	return done, nil
}

// sweepReversals settles the top-ups of recent refunds and disputes that are not written down.
func (s *Service) sweepReversals(ctx context.Context) (done int, err error) {
	since := &stripe.RangeQueryParams{GreaterThanOrEqual: s.settings.Now().Add(-recently).Unix()}
	intents := map[string]string{} // of each refund or dispute
	rp := &stripe.RefundListParams{CreatedRange: since}
	rp.Context, rp.Limit = ctx, stripe.Int64(pageSize)
	refunds := s.client.refunds.List(rp)
	for len(intents) < maxListed && refunds.Next() {
		if r := refunds.Refund(); r.PaymentIntent != nil {
			intents[r.ID] = r.PaymentIntent.ID
		}
	}
	if err := refunds.Err(); err != nil {
		return 0, fmt.Errorf("list refunds: %w", err)
	}
	dp := &stripe.DisputeListParams{CreatedRange: since}
	dp.Context, dp.Limit = ctx, stripe.Int64(pageSize)
	disputes := s.client.disputes.List(dp)
	for len(intents) < 2*maxListed && disputes.Next() {
		if d := disputes.Dispute(); d.PaymentIntent != nil {
			if _, counts := disputeReport(d, ledger.Money{}); counts {
				intents[d.ID] = d.PaymentIntent.ID
			}
		}
	}
	if err := disputes.Err(); err != nil {
		return 0, fmt.Errorf("list disputes: %w", err)
	}
	ids := make([]string, 0, len(intents))
	for id := range intents {
		ids = append(ids, id)
	}
	unknown, err := s.book.UnknownReversals(ctx, ids)
	if err != nil {
		return 0, err
	}
	seen := map[string]bool{}
	for _, id := range unknown {
		intent := intents[id]
		if seen[intent] {
			continue
		}
		seen[intent] = true
		topUp, err := s.topUpOf(ctx, intent)
		if ledger.CodeOf(err) == ledger.CodeNotFound {
			continue // Of something else that is sold with the same account.
		}
		if err == nil {
			_, err = s.settle(ctx, topUp, intent, true)
		}
		if err != nil {
			return done, err
		}
		done++
	}
	return done, nil
}
