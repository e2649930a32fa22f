package marketplace

import (
	"context"
	"encoding/json"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/agenttrail/agenttrail/ledger"
	agenttrail "github.com/agenttrail/agenttrail/sdk"
	"github.com/agenttrail/agenttrail/sdk/ledgerclient"
)

// How often administrators do something: the first tasks, which have piled up, come quickly.
const (
	firstTasks    = 24
	firstTaskTime = 60 * time.Millisecond
	taskTime      = 900 * time.Millisecond
)

// suspension is how long a mandate stays suspended.
const suspension = 6 * time.Second

// administer is what those do who run the marketplace, and users with their own data, until ctx ends. Each change has a row
// in an audit trail, with who made it.
func (m *market) administer(ctx context.Context) {
	suspended := map[uuid.UUID]time.Time{}
	defer func() {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		m.resume(ending, suspended, time.Time{})
	}()
	for n := 0; ; n++ {
		pause := taskTime
		if n < firstTasks {
			pause = firstTaskTime
		}
		if m.wait(ctx, time.Now().Add(pause)) != nil {
			return
		}
		m.resume(ctx, suspended, time.Now().Add(-suspension))
		what, err := m.task(ctx, n, suspended)
		if err != nil {
			if ctx.Err() == nil {
				m.complain(ctx, what, err)
			}
			continue
		}
		m.tally.count(&m.tally.changes)
	}
}

// task does the n-th task.
func (m *market) task(ctx context.Context, n int, suspended map[uuid.UUID]time.Time) (what string, err error) {
	u, a := &m.users[m.draw(len(m.users))], &m.agents[m.draw(len(m.agents))]
	switch n % 10 {
	case 0, 5:
		price := a.pricing(a.price * int64(80+m.draw(41)) / 100)
		if _, err = m.desk.pricing.ChangePrice(ctx, a.id, ledgerclient.AnyVersion, price); err == nil {
			m.desk.setPrice(a.slug, price)
		}
		return "change a price", err
	case 1, 6:
		rules := rulesOf(m.indexOf(u))
		limit := ledger.Credits(1000+100*m.draw(20)) * ledger.Credit
		rules.MaxPerDay = &limit
		_, err = m.desk.support.ReplaceRules(ctx, u.mandate, ledgerclient.AnyVersion, ledgerclient.MandateVersion{Rules: rules})
		return "change a limit", err
	case 2:
		description := a.name + ", revised on " + time.Now().UTC().Format("2 January at 15:04:05")
		_, err = m.desk.pricing.ChangeAgent(ctx, a.id, ledgerclient.AnyVersion, ledgerclient.AgentChange{Description: &description})
		return "describe an agent", err
	case 3, 8:
		return "change a profile", m.changeProfile(ctx)
	case 4:
		if _, is := suspended[u.mandate]; is {
			return "suspend a mandate", nil
		}
		if _, err = m.desk.support.SuspendMandate(ctx, u.mandate, ledgerclient.AnyVersion, "unusual use"); err == nil {
			suspended[u.mandate] = time.Now()
		}
		return "suspend a mandate", err
	case 7:
		_, err = m.desk.support.Grant(ctx, ledgerclient.Grant{UserID: u.id, Category: ledger.GrantGoodwill, Amount: ledger.Credits(1+m.draw(10)) * ledger.Credit, Reason: "sorry for the trouble"})
		return "give credits", err
	default:
		return "refund a run", m.refund(ctx)
	}
}

// changeProfile lets a user change what the marketplace knows of them.
func (m *market) changeProfile(ctx context.Context) error {
	if len(m.desk.members) == 0 {
		return nil
	}
	who := m.desk.members[m.draw(len(m.desk.members))]
	profile, err := json.Marshal(map[string]string{"plan": []string{"free", "pro", "team"}[m.draw(3)], "language": []string{"en", "de", "fr", "es"}[m.draw(4)]})
	if err != nil {
		return err
	}
	_, err = who.client.ChangeUser(ctx, who.id, ledgerclient.AnyVersion, ledgerclient.UserChange{Profile: profile})
	return err
}

// refund gives back half of what the newest paid run has cost.
func (m *market) refund(ctx context.Context) error {
	for t, err := range m.desk.support.Transactions(ctx, ledger.TransactionFilter{Kind: ledger.KindExecution, Status: ledger.StatusSucceeded}) {
		if err != nil {
			return err
		}
		if half := t.Settled / 2; half > 0 {
			_, err := m.desk.support.Refund(ctx, t.ID, &half, "the answer was of no use")
			return err
		}
	}
	return nil
}

// resume lets mandates permit runs again that were suspended before a moment, all of them when it is zero.
func (m *market) resume(ctx context.Context, suspended map[uuid.UUID]time.Time, before time.Time) {
	for id, since := range suspended {
		if before.IsZero() || since.Before(before) {
			delete(suspended, id)
			if _, err := m.desk.support.ResumeMandate(ctx, id, ledgerclient.AnyVersion, "it was all right"); err != nil {
				m.complain(ctx, "resume a mandate", err)
			}
		}
	}
}

// complain logs what the ledger did not do.
func (m *market) complain(ctx context.Context, what string, err error) {
	agenttrail.Log(m.apiTrail.Context(ctx), slog.LevelWarn, agenttrail.CategoryExecution, "could not "+what+": "+err.Error())
}
