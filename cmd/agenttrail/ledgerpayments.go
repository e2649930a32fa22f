package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/agenttrail/agenttrail/ledger"
	"github.com/agenttrail/agenttrail/ledger/jobs"
	"github.com/agenttrail/agenttrail/ledger/pgstore"
	"github.com/agenttrail/agenttrail/ledger/stripepay"
)

// Environment variables for what should be in no file.
const (
	envStripeKey     = "AGENTTRAIL_STRIPE_KEY"
	envStripeSecrets = "AGENTTRAIL_STRIPE_WEBHOOK_SECRETS"
	envStripeURL     = "AGENTTRAIL_STRIPE_URL"
)

// stripeConfig is what users set of Stripe. ledger.yaml describes it.
type stripeConfig struct {
	APIKey           string        `yaml:"api_key"`
	WebhookSecrets   []string      `yaml:"webhook_secrets"`
	WebhookTolerance time.Duration `yaml:"webhook_tolerance"`
	APIURL           string        `yaml:"api_url"`
	SweepEvery       time.Duration `yaml:"sweep_every"`
	EventsEvery      time.Duration `yaml:"events_every"`
}

// packageConfig is something that is for sale.
type packageConfig struct {
	ID             string         `yaml:"id"`
	Name           string         `yaml:"name"`
	AmountCents    int64          `yaml:"amount_cents"`
	Currency       string         `yaml:"currency"`
	Credits        ledger.Credits `yaml:"credits"`
	ValidDays      int            `yaml:"valid_days"`
	BonusCredits   ledger.Credits `yaml:"bonus_credits"`
	BonusValidDays int            `yaml:"bonus_valid_days"`
}

// samplePackages are for sale where nobody has said what is, and no real money can be paid.
var samplePackages = []packageConfig{
	{ID: "sample-100", Name: "100 credits", AmountCents: 1000, Currency: "EUR", Credits: 100 * ledger.Credit, ValidDays: 365},
	{ID: "sample-500", Name: "500 credits and 50 on top", AmountCents: 5000, Currency: "EUR", Credits: 500 * ledger.Credit, ValidDays: 365, BonusCredits: 50 * ledger.Credit, BonusValidDays: 90},
}

// override sets what the environment says where the file says nothing.
func (c *stripeConfig) override() {
	c.APIKey = cmp.Or(c.APIKey, os.Getenv(envStripeKey))
	c.APIURL = cmp.Or(c.APIURL, os.Getenv(envStripeURL))
	if secrets := os.Getenv(envStripeSecrets); len(c.WebhookSecrets) == 0 && secrets != "" {
		c.WebhookSecrets = strings.Split(secrets, ",")
	}
}

// stripeSettings are the settings as far as they are configured.
func (c *ledgerConfig) stripeSettings() stripepay.Settings {
	s := stripepay.Settings{
		APIKey: c.Stripe.APIKey, APIURL: c.Stripe.APIURL, WebhookSecrets: c.Stripe.WebhookSecrets, Tolerance: c.Stripe.WebhookTolerance,
	}
	for _, p := range c.Packages {
		s.Packages = append(s.Packages, ledger.Package{
			ID: p.ID, Name: cmp.Or(p.Name, p.ID), AmountCents: p.AmountCents, Currency: p.Currency, Credits: p.Credits, ValidDays: p.ValidDays,
			BonusCredits: p.BonusCredits, BonusDays: p.BonusValidDays,
		})
	}
	return s
}

// validatePayments names every key of payments that is wrong.
func (c *ledgerConfig) validatePayments() []error {
	var errs []error
	if c.Stripe.WebhookTolerance == 0 {
		errs = append(errs, errors.New("stripe::webhook_tolerance: must be more than 0"))
	}
	if c.Stripe.SweepEvery < time.Second || c.Stripe.EventsEvery < time.Second {
		errs = append(errs, errors.New("stripe::sweep_every, stripe::events_every: must be at least 1s"))
	}
	return append(errs, c.stripeSettings().Validate())
}

// sales is what sells credits, with its jobs.
type sales struct {
	service *stripepay.Service
	cfg     stripeConfig
	runner  *jobs.Runner // set before anything is served
}

// newPayments makes what sells credits.
func (s *ledgerService) newPayments(store *pgstore.Store, registry prometheus.Registerer) (*sales, error) {
	out := &sales{cfg: s.cfg.Stripe}
	settings := s.cfg.stripeSettings()
	settings.Book, settings.Logger, settings.Registry = store, s.logger, registry
	settings.Enqueue = func(ctx context.Context, tx pgx.Tx, event string) error {
		return out.runner.InsertTx(ctx, tx, stripepay.EventArgs{Event: event}, nil)
	}
	var err error
	if out.service, err = stripepay.New(settings); err != nil {
		return nil, fmt.Errorf("set up payments: %w", err)
	}
	return out, nil
}

func (s *sales) workers() []jobs.Registration {
	return []jobs.Registration{jobs.Work(&stripepay.Worker{Service: s.service})}
}

func (s *sales) jobs() []jobs.Job {
	if !s.service.Enabled() {
		return nil
	}
	return []jobs.Job{
		{Name: "stripe_payments", Every: s.cfg.SweepEvery, Timeout: sweepTimeout, Run: s.service.SweepPayments},
		{Name: "stripe_events", Every: s.cfg.EventsEvery, Timeout: sweepTimeout, Run: s.service.SweepEvents},
	}
}

// sweepTimeout bounds a sweep, most of which is waiting for Stripe.
const sweepTimeout = 10 * time.Minute
