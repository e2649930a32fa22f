package stripepay

import (
	"context"
	"strings"

	"github.com/google/uuid"
	"github.com/stripe/stripe-go/v76"

	"github.com/agenttrail/agenttrail/ledger"
)

// report reads a payment at Stripe, with its refunds and disputes if there are some, or returned says that there may be.
func (c *client) report(ctx context.Context, id string, returned bool) (ledger.PaymentReport, *stripe.PaymentIntent, error) {
	pi, err := c.intent(ctx, id)
	if err != nil {
		return ledger.PaymentReport{}, nil, err
	}
	receipt, err := redact(pi.LastResponse.RawJSON)
	if err != nil {
		return ledger.PaymentReport{}, nil, err
	}
	r := ledger.PaymentReport{
		StripePI: pi.ID, Status: statusOf(pi), StripeStatus: string(pi.Status), Receipt: receipt, Received: pi.AmountReceived,
		Amount: ledger.Money{AmountCents: pi.Amount, Currency: strings.ToUpper(string(pi.Currency))},
	}
	if e := pi.LastPaymentError; e != nil && r.Status != ledger.StatusSucceeded {
		f := failureOf(e)
		r.Failure = &f
	}
	charge := pi.LatestCharge
	if r.Status != ledger.StatusSucceeded || !returned && (charge == nil || charge.AmountRefunded == 0 && !charge.Disputed) {
		return r, pi, nil
	}
	refunds, err := c.refundsOf(ctx, id)
	if err != nil {
		return r, nil, err
	}
	for _, one := range refunds {
		r.Refunds = append(r.Refunds, refundReport(one))
	}
	disputes, err := c.disputesOf(ctx, id)
	if err != nil {
		return r, nil, err
	}
	for _, one := range disputes {
		if d, ok := disputeReport(one, r.Amount); ok {
			r.Disputes = append(r.Disputes, d)
		}
	}
	return r, pi, nil
}

// statusOf says where a payment is. A failed attempt is not the end: the payment waits for another one.
// See https://docs.stripe.com/payments/paymentintents/lifecycle.
func statusOf(pi *stripe.PaymentIntent) ledger.TransactionStatus {
	switch pi.Status {
	case stripe.PaymentIntentStatusSucceeded:
		return ledger.StatusSucceeded
	case stripe.PaymentIntentStatusCanceled:
		return ledger.StatusCanceled
	case stripe.PaymentIntentStatusProcessing, stripe.PaymentIntentStatusRequiresAction, stripe.PaymentIntentStatusRequiresCapture:
		return ledger.StatusProcessing
	case stripe.PaymentIntentStatusRequiresPaymentMethod, stripe.PaymentIntentStatusRequiresConfirmation:
		if pi.LastPaymentError != nil {
			return ledger.StatusFailed
		}
		return ledger.StatusCreated
	default:
		return ledger.StatusProcessing // One that was added since; it is not paid.
	}
}

func refundReport(r *stripe.Refund) ledger.ReversalReport {
	out := ledger.ReversalReport{StripeID: r.ID, StripeStatus: string(r.Status), AmountCents: r.Amount, Reason: string(r.Reason)}
	if id, err := uuid.Parse(r.Metadata[metaTransaction]); err == nil {
		out.TransactionID = id
	}
	switch r.Status {
	case stripe.RefundStatusSucceeded:
		out.Status = ledger.StatusSucceeded
	case stripe.RefundStatusFailed:
		out.Status = ledger.StatusFailed
		out.Failure = &ledger.PaymentFailure{Code: string(r.FailureReason), Message: "the refund has failed"}
	case stripe.RefundStatusCanceled:
		out.Status = ledger.StatusCanceled
	default: // pending, requires_action
		out.Status = ledger.StatusProcessing
	}
	out.Receipt = receiptOf(map[string]any{
		"id": r.ID, "object": "refund", "amount": r.Amount, "currency": r.Currency, "created": r.Created, "status": r.Status,
		"reason": r.Reason, "failure_reason": r.FailureReason, "receipt_number": r.ReceiptNumber, "metadata": r.Metadata,
	})
	return out
}

// disputeReport leaves out what is no dispute yet: an inquiry, which moves no money.
func disputeReport(d *stripe.Dispute, paid ledger.Money) (ledger.ReversalReport, bool) {
	out := ledger.ReversalReport{StripeID: d.ID, StripeStatus: string(d.Status), AmountCents: d.Amount, Reason: string(d.Reason)}
	switch d.Status {
	case stripe.DisputeStatusWarningNeedsResponse, stripe.DisputeStatusWarningUnderReview, stripe.DisputeStatusWarningClosed:
		return out, false
	case stripe.DisputeStatusWon:
		out.Status = ledger.StatusWon
	case stripe.DisputeStatusLost:
		out.Status = ledger.StatusLost
	default: // needs_response, under_review
		out.Status = ledger.StatusDisputed
	}
	if !strings.EqualFold(string(d.Currency), paid.Currency) || out.AmountCents <= 0 {
		out.AmountCents = paid.AmountCents
	}
	out.Receipt = receiptOf(map[string]any{
		"id": d.ID, "object": "dispute", "amount": d.Amount, "currency": d.Currency, "created": d.Created, "status": d.Status, "reason": d.Reason,
	})
	return out, true
}
