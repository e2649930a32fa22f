package marketplace

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/agenttrail/agenttrail/ledger"
	"github.com/agenttrail/agenttrail/sdk/ledgerclient"
)

// desk is the marketplace's side of the ledger: who works there, each with a key of their own, and what things cost.
type desk struct {
	owner   *ledgerclient.Client // Has the key that the demo was given.
	runtime *ledgerclient.Client // Authorizes runs and settles them.
	api     *ledgerclient.Client // Writes down what users say.
	pricing *ledgerclient.Client // Changes prices and agents.
	support *ledgerclient.Client // Gives credits, and changes limits.
	boss    *ledgerclient.Client // Decides about what needs an approval.
	members []member             // Users who do things themselves.
	keys    []uuid.UUID          // That the demo has made.

	mu     sync.Mutex
	prices map[string]ledger.Pricing // By slug.
}

// member is a user with an own key.
type member struct {
	*user
	client *ledgerclient.Client
}

// memberCount is how many users have keys of their own.
const memberCount = 5

// openDesk makes the keys. Each demo has its own, and revokes them when it ends. The desk is to be closed also after an error.
func openDesk(ctx context.Context, cfg *Config) (d *desk, err error) {
	d = &desk{prices: map[string]ledger.Pricing{}}
	if d.owner, err = newClient(cfg, cfg.LedgerKey, ""); err != nil { //nolint:contextcheck // It has no outbox.
		return d, err
	}
	for _, k := range []struct {
		client **ledgerclient.Client
		name   string
		scope  ledger.Scope
		outbox string
	}{
		{&d.runtime, "demo: agent runtime", ledger.ScopeExecute, cfg.OutboxDir},
		{&d.api, "demo: marketplace API", ledger.ScopeManage, ""},
		{&d.pricing, "demo: Nora, pricing", ledger.ScopeManage, ""},
		{&d.support, "demo: Sam, support", ledger.ScopeAdmin, ""},
		{&d.boss, "demo: Lea, approvals", ledger.ScopeApprove, ""},
	} {
		if *k.client, err = d.issue(ctx, cfg, ledgerclient.Key{Name: k.name, Scopes: []ledger.Scope{k.scope}}, k.outbox); err != nil {
			return d, err
		}
	}
	return d, nil
}

// issue makes a key and a client that has it.
func (d *desk) issue(ctx context.Context, cfg *Config, k ledgerclient.Key, outbox string) (*ledgerclient.Client, error) {
	// A key that was made is known, so that it is revoked, also when the demo is interrupted meanwhile.
	issued, err := d.owner.CreateKey(context.WithoutCancel(ctx), k)
	if err != nil {
		return nil, fmt.Errorf("make API key %q of the demo: %w", k.Name, err)
	}
	d.keys = append(d.keys, issued.Key.ID)
	return newClient(cfg, issued.Secret, outbox) //nolint:contextcheck // The outbox works until close.
}

func newClient(cfg *Config, secret, outbox string) (*ledgerclient.Client, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 64
	return ledgerclient.New(ledgerclient.Config{
		URL: cfg.LedgerURL, Key: secret, OutboxDir: outbox, HTTPClient: &http.Client{Transport: transport, Timeout: 10 * time.Second},
	})
}

// close revokes the keys. What is not settled yet stays in the outbox.
func (d *desk) close(ctx context.Context) error {
	var errs []error
	if d.runtime != nil {
		errs = append(errs, d.runtime.Close(ctx))
	}
	for _, id := range d.keys {
		if _, err := d.owner.RevokeKey(ctx, id); err != nil {
			errs = append(errs, fmt.Errorf("revoke API key of the demo: %w", err))
		}
	}
	d.keys = nil
	return errors.Join(errs...)
}

// price is what an agent costs now, micro-credits for each thousand tokens.
func (d *desk) price(a *agent) int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return int64(d.prices[a.slug].PerThousandTokens)
}

func (d *desk) setPrice(slug string, p ledger.Pricing) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.prices[slug] = p
}

// pricing is the price of an agent whose thousand tokens cost so many micro-credits. What is held for a run is enough for
// nearly all of them.
func (a *agent) pricing(perThousand int64) ledger.Pricing {
	tokens := int64(a.turns) * int64(a.inputTokens*3/2+a.outputTokens*17/10)
	return ledger.Pricing{PerExecution: ledger.Credits(tokens * perThousand / 1000 * 8 / 10), PerThousandTokens: ledger.Credits(perThousand)}
}
