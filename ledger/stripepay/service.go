package stripepay

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/agenttrail/agenttrail/ledger"
)

// Service implements [ledger.Payments] at Stripe.
type Service struct {
	settings Settings
	book     Book
	client   *client // nil without a key
	logger   *slog.Logger
	metrics  *metrics
	warned   atomic.Int64 // when events with bad signatures were last logged, in Unix seconds
}

var _ ledger.Payments = (*Service)(nil)

// New makes a service. It asks nothing of Stripe.
func New(s Settings) (*Service, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	s.Tolerance = cmp.Or(s.Tolerance, DefaultTolerance)
	if s.Now == nil {
		s.Now = time.Now
	}
	m, err := newMetrics(s.Registry, s.Book)
	if err != nil {
		return nil, err
	}
	p := &Service{settings: s, book: s.Book, logger: s.Logger, metrics: m}
	if s.APIKey != "" {
		p.client = newClient(s.APIKey, s.url(), &transport{next: http.DefaultTransport.(*http.Transport).Clone(), metrics: m}) //nolint:forcetypeassert // It is.
	}
	return p, nil
}

// Enabled tells whether there is a key for Stripe.
func (s *Service) Enabled() bool { return s.client != nil }

// system is who does what nobody has asked for.
func system() ledger.Actor { return ledger.System("stripe") }

// Packages implements [ledger.Payments].
func (s *Service) Packages(context.Context, ledger.Actor) ([]ledger.Package, error) {
	return slices.Clone(s.settings.Packages), nil
}

// TopUpByID implements [ledger.Payments].
func (s *Service) TopUpByID(ctx context.Context, actor ledger.Actor, id uuid.UUID) (ledger.TopUp, error) {
	return s.book.TopUpByID(ctx, actor, id)
}

// TopUps implements [ledger.Payments].
func (s *Service) TopUps(ctx context.Context, actor ledger.Actor, f ledger.TopUpFilter, p ledger.Page) (ledger.List[ledger.TopUp], error) {
	return s.book.TopUps(ctx, actor, f, p)
}

// maxStale is how often a payment is read again because somebody else has applied what they read meanwhile.
const maxStale = 20

// settle reads a payment at Stripe and brings its top-up to where it is. The PaymentIntent may be one that the top-up does
// not know of yet. Returned says that money may have gone back, which the payment itself does not tell of a refund that
// has failed since. The secret lets the user pay what is not paid yet.
func (s *Service) settle(ctx context.Context, id uuid.UUID, intent string, returned bool) (t ledger.TopUp, err error) {
	for range maxStale {
		if t, err = s.book.TopUpByID(ctx, system(), id); err != nil {
			return t, err
		}
		report, pi, err := s.client.report(ctx, cmp.Or(t.StripePI, intent), returned || len(t.Refunds)+len(t.Disputes) > 0)
		if err != nil {
			return t, err
		}
		t, err = s.book.ApplyPayment(ctx, id, t.Checks, report)
		if ledger.CodeOf(err) == ledger.CodeVersionMismatch {
			continue
		}
		if err == nil && !t.Paid() && t.Status != ledger.StatusCanceled {
			t.ClientSecret = pi.ClientSecret
		}
		return t, err
	}
	return t, &ledger.Error{Code: ledger.CodeUnavailable, Message: "the payment is being compared by others", RetryAfter: retryAfter}
}

// report of metrics and logs what went wrong with the key, which a person has to see to.
func (s *Service) noted(ctx context.Context, err error) error {
	if ledger.CodeOf(answerOf(err)) == ledger.CodePaymentsDisabled && err != nil {
		s.logger.LogAttrs(ctx, slog.LevelError, "Stripe does not take the key: check stripe.api_key and its permissions", slog.String("error", redactText(err.Error())))
	}
	return answerOf(err)
}

func (s *Service) packageByID(id string) (ledger.Package, error) {
	i := slices.IndexFunc(s.settings.Packages, func(p ledger.Package) bool { return p.ID == id })
	if i < 0 {
		return ledger.Package{}, ledger.Invalid("package", fmt.Sprintf("%q is not for sale", id))
	}
	return s.settings.Packages[i], nil
}
