package pgstore_test

import (
	"cmp"
	"slices"
	"time"

	"github.com/agenttrail/agenttrail/ledger"
)

// model is a ledger of one user, as simple as can be: everything is added up anew each time.
type model struct {
	now      time.Time
	grants   []*modelGrant
	mandates []*modelMandate
	runs     []*modelRun
}

type modelGrant struct {
	left     ledger.Credits
	priority int
	expires  *time.Time
	voided   bool
	refund   bool
}

type modelMandate struct {
	status   ledger.MandateStatus
	versions []ledger.MandateVersion
}

type modelRun struct {
	mandate            *modelMandate
	amount             ledger.Credits
	captured, refunded ledger.Credits
	status             ledger.HoldStatus // empty while it waits for an approval, or never was held
	at, expires        time.Time
	ttl                time.Duration
	approval           ledger.ApprovalStatus // empty if none was needed
	asked              time.Time
}

// mandate is the mandate as the judgment takes it.
func (m *model) mandate(own *modelMandate) ledger.Mandate {
	now := ledger.Mandate{Status: own.status, Rules: own.versions[0].Rules, EffectiveAt: own.versions[0].EffectiveAt}
	for _, v := range own.versions {
		if !v.EffectiveAt.After(m.now) {
			now.Version, now.Rules, now.EffectiveAt = v.Version, v.Rules, v.EffectiveAt
		}
	}
	return now
}

func (m *model) held() (sum ledger.Credits) {
	for _, r := range m.runs {
		if r.status == ledger.HoldActive {
			sum += r.amount
		}
	}
	return sum
}

// burn are the grants in the order in which they are spent.
func (m *model) burn() []*modelGrant {
	order := slices.Clone(m.grants)
	slices.SortStableFunc(order, func(a, b *modelGrant) int {
		far := time.Unix(1<<40, 0)
		at := func(g *modelGrant) time.Time {
			if g.expires == nil {
				return far
			}
			return *g.expires
		}
		return cmp.Or(cmp.Compare(a.priority, b.priority), at(a).Compare(at(b)))
	})
	return order
}

// sweep takes away what has expired and is not on hold.
func (m *model) sweep() {
	cover := m.held()
	for _, g := range m.burn() {
		covered := min(cover, g.left)
		cover -= covered
		if g.voided || g.expires != nil && !g.expires.After(m.now) {
			g.left = covered
		}
	}
}

func (m *model) posted() (sum ledger.Credits) {
	for _, g := range m.grants {
		sum += g.left
	}
	return sum
}

func (m *model) available() ledger.Credits {
	m.sweep()
	return m.posted() - m.held()
}

func (m *model) usage(own *modelMandate) ledger.Usage {
	loc, err := m.mandate(own).Rules.Location()
	if err != nil {
		panic("BUG: " + err.Error())
	}
	w := ledger.WindowsAt(m.now, loc)
	var u ledger.Usage
	for _, r := range m.runs {
		if r.mandate != own || r.status != ledger.HoldActive && r.status != ledger.HoldCaptured {
			continue
		}
		counts := r.captured
		if r.status == ledger.HoldActive {
			counts = r.amount
			u.Active++
		}
		u.Total += counts
		u.Count++
		if !r.at.Before(w.DayStart) {
			u.Day += counts
			u.DayCount++
		}
		if !r.at.Before(w.WeekStart) {
			u.Week += counts
		}
		if !r.at.Before(w.MonthStart) {
			u.Month += counts
		}
	}
	return u
}

func (m *model) judge(own *modelMandate, amount ledger.Credits) ledger.Decision {
	return ledger.Evaluate(m.mandate(own), m.usage(own), m.available(), ledger.Spend{Amount: amount, AgentSlug: "planner", Category: "travel", Provider: "openai", At: m.now})
}

// authorize judges a run and adds it unless it is refused.
func (m *model) authorize(own *modelMandate, amount ledger.Credits, ttl time.Duration) (*modelRun, ledger.Decision) {
	d := m.judge(own, amount)
	r := &modelRun{mandate: own, amount: amount, ttl: ttl, asked: m.now}
	switch d.Outcome {
	case ledger.OutcomeAllowed:
		r.hold(m.now)
	case ledger.OutcomeNeedsApproval:
		r.approval = ledger.ApprovalPending
	default:
		return nil, d
	}
	m.runs = append(m.runs, r)
	return r, d
}

func (r *modelRun) hold(now time.Time) {
	r.status, r.at, r.expires = ledger.HoldActive, now, now.Add(r.ttl)
}

// approve decides an approval; refused is the judgment if it was refused now.
func (m *model) approve(r *modelRun, yes bool) (code ledger.Code, refused *ledger.Decision) {
	switch {
	case r.approval == ledger.ApprovalExpired:
		return ledger.CodeApprovalExpired, nil
	case r.approval != ledger.ApprovalPending:
		return ledger.CodeApprovalDecided, nil
	case !m.now.Before(r.asked.Add(ledger.ApprovalLifetime)):
		r.approval = ledger.ApprovalExpired
		return ledger.CodeApprovalExpired, nil
	case !yes:
		r.approval = ledger.ApprovalRejected
		return "", nil
	}
	r.approval = ledger.ApprovalApproved
	if d := m.judge(r.mandate, r.amount); d.Outcome == ledger.OutcomeRefused {
		return codeOf(d), &d
	}
	r.hold(m.now)
	return "", nil
}

func codeOf(d ledger.Decision) ledger.Code {
	if len(d.Violations) == 1 && d.Rule == ledger.RuleCredits {
		return ledger.CodeInsufficientFunds
	}
	return ledger.CodeMandateDenied
}

// settle captures or releases; amount is nil for all.
func (m *model) settle(r *modelRun, capture bool, amount *ledger.Credits) ledger.Code {
	if r.status != ledger.HoldActive {
		return ledger.Code("hold-" + string(r.status))
	}
	if !m.now.Before(r.expires) {
		r.status = ledger.HoldExpired
		return ledger.CodeHoldExpired
	}
	if !capture {
		r.status = ledger.HoldReleased
		return ""
	}
	if amount == nil {
		amount = &r.amount
	}
	if *amount > r.amount {
		return ledger.CodeCaptureExceedsHold
	}
	rest := *amount
	for _, g := range m.burn() {
		part := min(rest, g.left)
		g.left -= part
		rest -= part
	}
	if rest > 0 {
		panic("BUG: the model has held more than there is")
	}
	r.status, r.captured = ledger.HoldCaptured, *amount
	return ""
}

func (m *model) refund(r *modelRun, amount ledger.Credits) ledger.Code {
	if r.status != ledger.HoldCaptured || amount > r.captured-r.refunded {
		return ledger.CodeRefundExceeds
	}
	r.refunded += amount
	m.grants = append(m.grants, &modelGrant{left: amount, priority: ledger.DefaultPriority, refund: true})
	return ""
}

// expire lets everything expire that is due.
func (m *model) expire() {
	for _, r := range m.runs {
		if r.status == ledger.HoldActive && !m.now.Before(r.expires) {
			r.status = ledger.HoldExpired
		}
		if r.approval == ledger.ApprovalPending && !m.now.Before(r.asked.Add(ledger.ApprovalLifetime)) {
			r.approval = ledger.ApprovalExpired
		}
	}
	m.sweep()
}
