package marketplace

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/agenttrail/agenttrail/ledger"
	"github.com/agenttrail/agenttrail/sdk/ledgerclient"
)

// atOnce is how many requests furnishing has under way.
const atOnce = 8

// furnish makes users with credits and mandates, agents with prices, and keys for some users. What an earlier demo has made
// stays as it is.
func (d *desk) furnish(ctx context.Context, cfg *Config, users []user, agents []agent) error {
	// An agent's owner must be there before it.
	if err := each(ctx, len(users), func(ctx context.Context, i int) error { return d.welcome(ctx, i, &users[i]) }); err != nil {
		return fmt.Errorf("make users: %w", err)
	}
	if err := each(ctx, len(agents), func(ctx context.Context, i int) error { return d.offer(ctx, &agents[i], users[i%len(users)].id) }); err != nil {
		return fmt.Errorf("make agents: %w", err)
	}
	for a, err := range d.owner.Agents(ctx, ledger.AgentFilter{}) {
		if err != nil {
			return fmt.Errorf("read prices: %w", err)
		}
		if a.Version != nil {
			d.setPrice(a.Slug, a.Version.Pricing)
		}
	}
	for i := range users[:min(memberCount, len(users))] {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		u := &users[i]
		client, err := d.issue(ctx, cfg, ledgerclient.Key{Name: "demo: " + u.name, Scopes: []ledger.Scope{ledger.ScopeManage}, UserID: &u.id}, "")
		if err != nil {
			return err
		}
		d.members = append(d.members, member{u, client})
	}
	return nil
}

func each(ctx context.Context, n int, f func(context.Context, int) error) error {
	all, ctx := errgroup.WithContext(ctx)
	all.SetLimit(atOnce)
	for i := range n {
		all.Go(func() error { return f(ctx, i) })
	}
	return all.Wait()
}

// once lets the next call have one effect, however many demos make it.
func once(ctx context.Context, what string, id uuid.UUID) context.Context {
	return ledgerclient.WithIdempotencyKey(ctx, "demo-"+what+"-"+id.String())
}

// welcome makes the i-th user, with promotional credits, some that were bought by bank transfer, and a mandate.
func (d *desk) welcome(ctx context.Context, i int, u *user) error {
	profile, err := json.Marshal(map[string]string{"plan": []string{"free", "pro", "team"}[i%3], "language": []string{"en", "de", "fr", "es"}[i%4]})
	if err != nil {
		return fmt.Errorf("write profile: %w", err)
	}
	_, err = d.owner.CreateUser(once(ctx, "user", u.id), ledgerclient.User{ID: u.id, Email: u.email, DisplayName: u.name, Profile: profile})
	if err := unlessThere(err); err != nil {
		return err
	}
	first := 0 // Promotional credits are spent first.
	promo := 25 * ledger.Credit
	_, err = d.owner.Grant(once(ctx, "promo", u.id), ledgerclient.Grant{UserID: u.id, Category: ledger.GrantPromo, Amount: promo, Priority: &first, Reason: "welcome"})
	if err := unlessThere(err); err != nil {
		return err
	}
	if !u.isBroke(i) {
		bought := ledger.Credits(200+40*(i%20)) * ledger.Credit
		_, err = d.owner.Grant(once(ctx, "first", u.id), purchase(u, bought, "bank transfer, first order"))
		if err := unlessThere(err); err != nil {
			return err
		}
	}
	_, err = d.owner.CreateMandate(once(ctx, "mandate", u.id), ledgerclient.Mandate{ID: u.mandate, UserID: u.id, Name: "marketplace", Rules: rulesOf(i)})
	return unlessThere(err)
}

// isBroke tells whether a user has no more than what is given to everybody.
func (*user) isBroke(i int) bool { return i%25 == 4 }

// centsPerCredit is what a credit costs, cents of a euro.
const centsPerCredit = 2

// purchase is credits that were bought without a card: the demo has none.
func purchase(u *user, amount ledger.Credits, why string) ledgerclient.Grant {
	cents := int64(amount/ledger.Credit) * centsPerCredit
	return ledgerclient.Grant{UserID: u.id, Category: ledger.GrantPaid, Amount: amount, AmountCents: &cents, Currency: "EUR", Reason: why}
}

// rulesOf is what the mandate of the i-th user permits. Most permit whatever somebody needs in a day; some refuse.
func rulesOf(i int) ledger.Rules {
	credits := func(n int64) *ledger.Credits { c := ledger.Credits(n) * ledger.Credit; return &c }
	atOnce := int64(4)
	rules := ledger.Rules{MaxPerDay: credits(2000), MaxConcurrent: &atOnce, TimeZone: "Europe/Berlin"}
	switch i % 10 {
	case 3:
		rules.DenyCategories = []string{"legal", "hiring"}
	case 5:
		rules.MaxPerExecution = credits(20)
	case 7:
		rules.MaxPerDay = credits(80)
	case 9:
		rules.ApprovalOver = credits(12)
	}
	return rules
}

// offer registers an agent.
func (d *desk) offer(ctx context.Context, a *agent, owner uuid.UUID) error {
	pricing := a.pricing(a.price)
	config, err := json.Marshal(map[string]any{"model": a.model.name, "tools": a.tools, "temperature": 0.2})
	if err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	_, err = d.owner.RegisterAgent(once(ctx, "agent", a.id), ledgerclient.Agent{
		ID: a.id, Slug: a.slug, Name: a.name, Category: a.category, Description: a.name + " of the demo's marketplace", OwnerID: owner,
		Version: &ledgerclient.Version{Provider: &a.model.provider, Config: config, Pricing: &pricing},
	})
	return unlessThere(err)
}

// unlessThere forgives that something is there already, from an earlier demo, perhaps of another version.
func unlessThere(err error) error {
	if p, ok := errors.AsType[*ledgerclient.Problem](err); ok && (p.Code == ledger.CodeAlreadyExists || p.Code == ledger.CodeKeyReused) {
		return nil
	}
	return err
}
