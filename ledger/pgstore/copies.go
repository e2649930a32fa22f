package pgstore

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/agenttrail/agenttrail/ledger"
)

// mandateCopy is a mandate as it is in effect for some time.
type mandateCopy struct {
	ledger.Mandate
	loc         *time.Location
	windows     ledger.Windows
	from, until time.Time // While the copy holds, as far as time goes.
}

// agentCopy is what of an agent matters for a run.
type agentCopy struct {
	id         uuid.UUID
	slug       string
	category   string
	status     ledger.AgentStatus
	rowVersion int
	version    int // 0 if none is published
	provider   string
	pricing    ledger.Pricing
}

// mandateColumns are those of a mandate m with the version v that is in effect, in the order in which mandateFields takes
// them.
const mandateColumns = `m.id, m.user_id, m.name, m.status, m.revoked_at, coalesce(m.revoked_by, ''), coalesce(m.revoke_reason, ''), m.created_at, m.updated_at, m.row_version,
	coalesce(v.version, 0), coalesce(v.rules, f.rules), coalesce(v.effective_at, f.effective_at)`

// mandateTables finds the version that is in effect at the time $1, now if that is null, and the first one of all for a mandate of which none
// is yet.
const mandateTables = `ledger.mandates m
	LEFT JOIN LATERAL (SELECT * FROM ledger.mandate_versions e WHERE e.mandate_id = m.id AND e.effective_at <= coalesce($1, clock_timestamp()) ORDER BY e.version DESC LIMIT 1) v ON true
	LEFT JOIN ledger.mandate_versions f ON f.mandate_id = m.id AND f.version = 1`

func mandateFields(m *ledger.Mandate) []any {
	return []any{
		&m.ID, &m.UserID, &m.Name, &m.Status, &m.RevokedAt, &m.RevokedBy, &m.RevokeReason, &m.CreatedAt, &m.UpdatedAt, &m.RowVersion,
		&m.Version, &m.Rules, &m.EffectiveAt,
	}
}

func scanMandate(row pgx.CollectableRow) (ledger.Mandate, error) {
	var m ledger.Mandate
	return m, row.Scan(mandateFields(&m)...)
}

// copyMandate reads a mandate as it is at some time. Errors: CodeNotFound.
func copyMandate(ctx context.Context, q querier, id uuid.UUID, at time.Time) (*mandateCopy, error) {
	m := &mandateCopy{}
	var next *time.Time
	err := q.QueryRow(ctx, `SELECT `+mandateColumns+`,
		(SELECT min(n.effective_at) FROM ledger.mandate_versions n WHERE n.mandate_id = m.id AND n.effective_at > $1 AND n.version > coalesce(v.version, 0))
		FROM `+mandateTables+` WHERE m.id = $2`, at, id).Scan(append(mandateFields(&m.Mandate), &next)...)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, notFound("mandate")
	}
	if err != nil {
		return nil, err
	}
	m.loc, err = m.Rules.Location()
	if err != nil {
		m.loc = time.UTC // The judgment denies it.
	}
	m.windows = ledger.WindowsAt(at, m.loc)
	m.from, m.until = latest(m.windows.DayStart, m.EffectiveAt), m.windows.DayEnd
	if m.Version == 0 {
		m.from = m.windows.DayStart
	}
	for _, edge := range []*time.Time{next, m.Rules.ValidFrom, m.Rules.ValidUntil} {
		switch {
		case edge == nil:
		case edge.After(at):
			m.until = earliest(m.until, *edge)
		default:
			m.from = latest(m.from, *edge)
		}
	}
	return m, nil
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earliest(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// copyAgent reads an agent by its slug or id. Errors: CodeNotFound.
func copyAgent(ctx context.Context, q querier, slugOrID string) (*agentCopy, error) {
	a := &agentCopy{}
	err := q.QueryRow(ctx, `SELECT a.id, a.slug, a.category, a.status, a.row_version, a.version, coalesce(v.provider, ''), coalesce(v.pricing, '{}')
		FROM ledger.agents a LEFT JOIN ledger.agent_versions v ON v.agent_id = a.id AND v.version = a.version WHERE `+agentCondition(slugOrID), slugOrID).
		Scan(&a.id, &a.slug, &a.category, &a.status, &a.rowVersion, &a.version, &a.provider, &a.pricing)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, notFound("agent")
	}
	return a, err
}

// agentCondition compares the right column of an agent a with $1. No slug is an id: it would be longer than 32 hexadecimal
// digits, and then have hyphens where only ids have them.
func agentCondition(slugOrID string) string {
	if _, err := uuid.Parse(slugOrID); err == nil && len(slugOrID) == 36 {
		return "a.id = $1::text::uuid OR a.slug = $1::text"
	}
	return "a.slug = $1"
}

// copies gives what a run is judged by: from memory, or anew.
func (s *Store) copies(ctx context.Context, q querier, in ledger.AuthorizeInput, at time.Time, anew bool) (*mandateCopy, *agentCopy, error) {
	m, ok := s.mandates.get(in.MandateID)
	if !ok || anew || at.Before(m.from) || !at.Before(m.until) {
		var err error
		if m, err = copyMandate(ctx, q, in.MandateID, at); err != nil {
			return nil, nil, err
		}
		s.mandates.put(in.MandateID, m)
	}
	a, ok := s.agents.get(in.Agent)
	if !ok || anew {
		var err error
		if a, err = copyAgent(ctx, q, in.Agent); err != nil {
			return nil, nil, err
		}
		s.agents.put(in.Agent, a)
	}
	if m.UserID != in.UserID {
		return nil, nil, notFound("mandate")
	}
	return m, a, nil
}

// spend is the run in the words of the judgment. Errors: CodeAgentUnavailable, CodeInvalid.
func (a *agentCopy) spend(in ledger.AuthorizeInput, at time.Time) (ledger.Spend, error) {
	s := ledger.Spend{AgentID: a.id, AgentSlug: a.slug, Category: a.category, Provider: a.provider, At: at}
	switch {
	case a.status != ledger.AgentActive:
		return s, ledger.Errorf(ledger.CodeAgentUnavailable, "the agent is %s", a.status)
	case a.version == 0:
		return s, ledger.Errorf(ledger.CodeAgentUnavailable, "the agent has no version yet")
	case in.Amount != nil:
		s.Amount = *in.Amount
	default:
		s.Amount = a.pricing.PerExecution
	}
	if s.Amount <= 0 {
		return s, ledger.Invalid("amount", "is needed, since the agent has no price of an execution")
	}
	return s, nil
}
