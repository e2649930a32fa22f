package stripepay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stripe/stripe-go/v76"

	"github.com/agenttrail/agenttrail/ledger"
)

// DefaultTolerance is how far the time of a signature may be from ours, before or after.
const DefaultTolerance = 5 * time.Minute

// Settings say what a [Service] works with.
type Settings struct {
	Book     Book
	Logger   *slog.Logger
	Registry prometheus.Registerer

	// APIKey is a secret key of Stripe, sk_… or rk_…. Without one nothing can be bought.
	APIKey string
	// APIURL is where Stripe is; its own address if empty.
	APIURL string
	// WebhookSecrets sign events; whsec_…. There are several while one replaces another.
	WebhookSecrets []string
	// Tolerance bounds the age of signatures; DefaultTolerance if 0.
	Tolerance time.Duration
	// Packages are what is for sale.
	Packages []ledger.Package
	// Enqueue makes a job that processes the event, in the transaction that stores it. Nil leaves it to the sweep.
	Enqueue func(ctx context.Context, tx pgx.Tx, event string) error
	// Now replaces the clock, for tests.
	Now func() time.Time
}

// Validate names everything that is wrong.
func (s Settings) Validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if s.APIKey != "" && !strings.HasPrefix(s.APIKey, "sk_") && !strings.HasPrefix(s.APIKey, "rk_") {
		fail("stripe::api_key: must be a secret key, sk_… or rk_…")
	}
	if s.APIURL != "" {
		u, err := url.Parse(s.APIURL)
		switch {
		case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
			fail("stripe::api_url: must be http:// or https:// and a host")
		case s.live() && u.Scheme != "https":
			fail("stripe::api_url: must be https:// with a live key")
		}
	}
	for i, secret := range s.WebhookSecrets {
		if !strings.HasPrefix(secret, "whsec_") || len(secret) < len("whsec_")+8 {
			fail("stripe::webhook_secrets[%d]: must be a signing secret, whsec_…", i)
		}
	}
	if len(s.WebhookSecrets) > 0 && s.APIKey == "" {
		fail("stripe::webhook_secrets: need stripe::api_key, for events are read at Stripe")
	}
	if s.Tolerance < 0 || s.Tolerance > time.Hour {
		fail("stripe::webhook_tolerance: must be at most 1h")
	}
	seen := map[string]bool{}
	for i, p := range s.Packages {
		at := fmt.Sprintf("packages[%d]", i)
		if p.ID == "" || len(p.ID) > ledger.MaxName {
			fail("%s::id: must have 1 to %d bytes", at, ledger.MaxName)
		}
		if seen[p.ID] {
			fail("%s::id: %q is there twice", at, p.ID)
		}
		seen[p.ID] = true
		if p.AmountCents <= 0 {
			fail("%s::amount_cents: must be more than 0", at)
		} else if err := p.Price().Validate(); err != nil {
			fail("%s::currency: %w", at, err)
		}
		if p.Credits <= 0 || p.BonusCredits < 0 {
			fail("%s::credits: must be more than 0, and bonus_credits not less", at)
		}
		if p.ValidDays < 0 || p.BonusDays < 0 || p.ValidDays > maxDays || p.BonusDays > maxDays {
			fail("%s::valid_days, bonus_valid_days: must be 0 to %d", at, maxDays)
		}
	}
	return errors.Join(errs...)
}

// maxDays is a century.
const maxDays = 36_500

// live tells whether the key moves real money.
func (s Settings) live() bool { return strings.Contains(s.APIKey, "_live_") }

func (s Settings) url() string {
	if s.APIURL == "" {
		return stripe.APIURL
	}
	return strings.TrimRight(s.APIURL, "/")
}
