package main

import (
	"context"
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"time"

	"github.com/google/uuid"

	"github.com/agenttrail/agenttrail/ledger"
	"github.com/agenttrail/agenttrail/sdk/ledgerclient"
)

// user is somebody who runs agents.
type user struct {
	id, mandate uuid.UUID
	token       string // With which the user logs in.
}

// listed is an agent on offer.
type listed struct {
	id   uuid.UUID
	slug string
}

// catalog is who is there.
type catalog struct {
	users   []user
	byToken map[string]user
	agents  []listed
}

// userCount is how many people there are. The last of them have few credits, or mandates that permit little.
const userCount = 12

// furnish makes users, agents, credits and mandates in the ledger, new ones each time.
func furnish(ctx context.Context, c *ledgerclient.Client) (catalog, error) {
	out := catalog{byToken: map[string]user{}}
	batch := rand.Text()[:6]
	for i := range userCount {
		u, err := c.CreateUser(ctx, ledgerclient.User{Email: fmt.Sprintf("user%02d-%s@example.com", i, batch), DisplayName: fmt.Sprintf("User %02d", i)})
		if err != nil {
			return out, fmt.Errorf("create user: %w", err)
		}
		credits, rules := 500*ledger.Credit, ledger.Rules{TimeZone: "Europe/Berlin"}
		switch i {
		case userCount - 1:
			credits = 3 * ledger.Credit // Runs out of credits.
		case userCount - 2:
			limit := 5 * ledger.Credit // Runs into a limit.
			rules.MaxPerDay = &limit
		case userCount - 3:
			rules.DenyAgents = []string{slugOf("coder", batch)}
		}
		cents := int64(credits / ledger.Credit)
		if _, err := c.Grant(ctx, ledgerclient.Grant{UserID: u.ID, Category: ledger.GrantPaid, Amount: credits, AmountCents: &cents, Currency: "EUR"}); err != nil {
			return out, fmt.Errorf("grant credits: %w", err)
		}
		m, err := c.CreateMandate(ctx, ledgerclient.Mandate{UserID: u.ID, Name: "marketplace", Rules: rules})
		if err != nil {
			return out, fmt.Errorf("create mandate: %w", err)
		}
		known := user{u.ID, m.ID, rand.Text()}
		out.users, out.byToken[known.token] = append(out.users, known), known
	}
	for kind := range kinds {
		a, err := c.RegisterAgent(ctx, ledgerclient.Agent{
			Slug: slugOf(kind, batch), Name: kind, Category: "demo", OwnerID: out.users[0].id,
			Version: &ledgerclient.Version{Pricing: &ledger.Pricing{PerExecution: 2 * ledger.Credit}},
		})
		if err != nil {
			return out, fmt.Errorf("register agent: %w", err)
		}
		out.agents = append(out.agents, listed{a.ID, a.Slug})
	}
	return out, nil
}

func slugOf(kind, batch string) string { return kind + "-" + lower(batch) }

func lower(s string) string {
	b := []byte(s)
	for i := range b {
		if b[i] >= 'A' && b[i] <= 'Z' {
			b[i] += 'a' - 'A'
		}
	}
	return string(b)
}

// administer changes prices and limits, and tops up who has little.
func (m *market) administer(ctx context.Context) {
	rng := mathrand.New(mathrand.NewPCG(m.s.Seed, 3)) //nolint:gosec // It needs to be repeatable.
	ctx = m.trail.Context(ctx)
	log := logger(m.trail)
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(500 * time.Millisecond):
		}
		u, a := m.catalog.users[rng.IntN(userCount)], m.catalog.agents[rng.IntN(len(m.catalog.agents))]
		var err error
		switch rng.IntN(3) {
		case 0:
			_, err = m.client.ChangePrice(ctx, a.id, ledgerclient.AnyVersion, ledger.Pricing{PerExecution: ledger.Credit + ledger.Credits(rng.Int64N(int64(2*ledger.Credit)))})
			m.note(func(h *happened) { h.Prices++ })
		case 1:
			limit := ledger.Credits(5+rng.IntN(500)) * ledger.Credit
			_, err = m.client.ReplaceRules(ctx, u.mandate, ledgerclient.AnyVersion, ledgerclient.MandateVersion{Rules: ledger.Rules{MaxPerDay: &limit, TimeZone: "Europe/Berlin"}})
			m.note(func(h *happened) { h.Limits++ })
		default:
			_, err = m.client.Grant(ctx, ledgerclient.Grant{UserID: u.id, Category: ledger.GrantGoodwill, Amount: ledger.Credits(1+rng.IntN(9)) * ledger.Credit / 3, Reason: "top up"})
			m.note(func(h *happened) { h.TopUps++ })
		}
		if err != nil && ctx.Err() == nil {
			log.WarnContext(ctx, "administrator could not do it", "error", err)
		}
	}
}
