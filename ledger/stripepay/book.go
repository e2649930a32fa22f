package stripepay

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/agenttrail/agenttrail/ledger"
)

// Book is where payments are written down. What it is told about a payment may come in any order and any number of
// times.
type Book interface {
	// OpenTopUp writes a top-up down before Stripe hears of it. A replayed call gives the one that it made.
	OpenTopUp(ctx context.Context, call *ledger.Call, in ledger.NewTopUp) (ledger.TopUp, error)
	// OpenCardRefund writes a refund down, and takes the credits for it, before Stripe hears of it.
	OpenCardRefund(ctx context.Context, call *ledger.Call, topUp uuid.UUID, in ledger.NewCardRefund) (ledger.Reversal, error)
	// OpenCancel looks whether a top-up can be canceled, before Stripe is asked to. Errors: CodeConflict if it was paid.
	OpenCancel(ctx context.Context, call *ledger.Call, id uuid.UUID) (ledger.TopUp, error)
	// ApplyPayment brings a top-up to where Stripe says that its payment is, and no step back. The report must have been
	// asked for after the top-up was read with this number of Checks; otherwise it is refused with CodeVersionMismatch.
	ApplyPayment(ctx context.Context, id uuid.UUID, checks int64, r ledger.PaymentReport) (ledger.TopUp, error)
	// FailCardRefund says that Stripe will not make the refund. The credits are given back.
	FailCardRefund(ctx context.Context, topUp, refund uuid.UUID, why ledger.PaymentFailure) (ledger.TopUp, error)
	// SetStripeCustomer keeps the customer of a user, and returns the one that was there first.
	SetStripeCustomer(ctx context.Context, user uuid.UUID, customer string) (string, error)

	TopUpByID(ctx context.Context, actor ledger.Actor, id uuid.UUID) (ledger.TopUp, error)
	TopUps(ctx context.Context, actor ledger.Actor, f ledger.TopUpFilter, p ledger.Page) (ledger.List[ledger.TopUp], error)
	User(ctx context.Context, actor ledger.Actor, id uuid.UUID) (ledger.User, error)
	// TopUpByPayment finds the top-up of a PaymentIntent. Errors: CodeNotFound.
	TopUpByPayment(ctx context.Context, paymentIntent string) (uuid.UUID, error)
	// ClaimPayments gives top-ups of which something is open and that are due to be compared with Stripe, and puts them off,
	// so that two instances do not do the same, nor one again and again what fails.
	ClaimPayments(ctx context.Context, limit int) ([]uuid.UUID, error)
	// UnknownReversals are those of the refunds or disputes, by their ids at Stripe, that are not written down.
	UnknownReversals(ctx context.Context, ids []string) ([]string, error)

	// SaveEvent keeps an event unless it is there, and runs then in the same transaction. It tells whether it was new.
	SaveEvent(ctx context.Context, e ledger.Event, then func(ctx context.Context, tx pgx.Tx) error) (fresh bool, err error)
	Event(ctx context.Context, id string) (ledger.Event, error)
	// EndEvent says what became of an event. An empty state leaves it pending, with why as the error of this attempt.
	EndEvent(ctx context.Context, id string, state ledger.EventState, why string) error
	// PendingEvents are the oldest that came so long ago and are not done with.
	PendingEvents(ctx context.Context, age time.Duration, limit int) ([]string, error)
	UnknownEvents(ctx context.Context, ids []string) ([]string, error)
	// PurgeEvents removes those that were done with so long ago that Stripe cannot send them any more.
	PurgeEvents(ctx context.Context) error
	// PaymentTotals are figures for metrics.
	PaymentTotals(ctx context.Context) (ledger.PaymentTotals, error)
}
