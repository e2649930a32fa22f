package pgstore

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/agenttrail/agenttrail/ledger"
)

// Authorize implements [ledger.Runs].
func (s *Store) Authorize(ctx context.Context, call *ledger.Call, in ledger.AuthorizeInput) (ledger.Authorization, error) {
	var none ledger.Authorization
	if err := call.Actor.Require(ledger.ScopeExecute); err != nil {
		return none, err
	}
	if err := call.Actor.MayTouch(in.UserID); err != nil {
		return none, err
	}
	if err := in.Validate(); err != nil {
		return none, err
	}
	if err := checkKey(call); err != nil {
		return none, err
	}
	id := newID()
	var answer ledger.Authorization
	var answered error
	slow := false
	err := s.unit(ctx, call.Key != "", func(conn *pgxpool.Conn) (err error) {
		answer, answered, slow, err = s.authorizeFast(ctx, conn, call, in, id)
		return err
	})
	switch {
	case err != nil:
		return none, err
	case slow:
		return write(ctx, s, call, func(ctx context.Context, w *work) (ledger.Authorization, error) {
			return w.authorize(ctx, in, id)
		})
	default:
		return answer, answered
	}
}

// maxStale is how often a run may find that its copies are old before it is judged by the rows themselves.
const maxStale = 5

// authorizeFast authorizes with one statement. It leaves to others, as slow, what the mandate's rules refuse or let wait
// whatever was spent.
func (s *Store) authorizeFast(ctx context.Context, conn *pgxpool.Conn, call *ledger.Call, in ledger.AuthorizeInput, id uuid.UUID) (answer ledger.Authorization, answered error, slow bool, err error) {
	at, tell := s.now()
	for try, anew := 0, false; ; try, anew = try+1, true {
		if try == maxStale {
			return answer, nil, true, nil
		}
		m, a, err := s.copies(ctx, conn, in, at, anew)
		if err != nil {
			if ledger.CodeOf(err) == ledger.CodeNotFound && call.Key != "" {
				return answer, nil, true, nil // The key may have come before, with something that is there.
			}
			return answer, nil, false, err
		}
		spend, err := a.spend(in, at)
		if err != nil || ledger.Evaluate(m.Mandate, ledger.Usage{}, ledger.MaxCredits, spend).Outcome != ledger.OutcomeAllowed {
			if !anew {
				continue // Perhaps the copies are old.
			}
			return answer, nil, true, nil
		}
		o, err := callAuthorize(ctx, conn, call, in, id, m, a, spend, tell)
		if err != nil {
			return answer, nil, false, err
		}
		switch o.outcome {
		case "stale":
			if !o.at.IsZero() {
				s.learn(o.at)
				at = o.at
			}
			continue
		case "missing":
			return answer, notFound("user"), false, nil
		case "closed":
			return answer, nil, true, nil
		case "reused":
			return answer, errReused(), false, nil
		case "replay":
			answer, answered, err = s.replayAuthorize(ctx, conn, call, o.record)
			return answer, answered, false, err
		case "refused":
			spend.At = o.at
			refused := refuse(m, a, spend, o.facts)
			answer, answered, err = s.rememberRefusal(ctx, conn, call, refused)
			return answer, answered, false, err
		case "ok":
			in.Metadata = o.record.response // As it is stored.
			return authorized(in, id, m, a, spend, o.facts), nil, false, nil
		default:
			return answer, nil, false, fmt.Errorf("BUG: authorize said %q", o.outcome)
		}
	}
}

// outcome is what the function ledger.authorize answers.
type outcome struct {
	outcome string
	at      time.Time
	facts   facts
	record  record
}

const authorizeSQL = `SELECT outcome, coalesce(at, '-infinity'), coalesce(rule, ''), coalesce(available, 0), coalesce(day_used, 0), coalesce(week_used, 0), coalesce(month_used, 0),
	coalesce(total_used, 0), coalesce(day_count, 0), coalesce(total_count, 0), coalesce(active, 0), resource, code, response
	FROM ledger.authorize($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25)`

func callAuthorize(ctx context.Context, q querier, call *ledger.Call, in ledger.AuthorizeInput, id uuid.UUID, m *mandateCopy, a *agentCopy, spend ledger.Spend, tell *time.Time) (outcome, error) {
	var o outcome
	f := &o.facts
	var at maybeTime
	err := q.QueryRow(ctx, authorizeSQL,
		call.Actor.String(), call.RequestID, call.Actor.Principal, call.Key, call.Fingerprint,
		id, in.UserID, in.MandateID, m.RowVersion, m.Version, a.id, a.rowVersion, a.version,
		int64(spend.Amount), executionID(in, id), int64(holdFor(in)/time.Second), orNullDoc(in.Metadata),
		m.from, m.until, m.Rules.TimeZone, m.windows.DayStart, m.windows.WeekStart, m.windows.MonthStart,
		caps(m.Rules), tell,
	).Scan(&o.outcome, &at, &f.Rule, &f.Available, &f.Day, &f.Week, &f.Month, &f.Total, &f.DayCount, &f.Count, &f.Active, &o.record.resource, &o.record.code, &o.record.response)
	o.at = time.Time(at)
	f.Outcome, f.At = ledger.OutcomeAllowed, o.at
	o.record.fingerprint = call.Fingerprint
	return o, err
}

// caps are the limits in the order that the function takes.
func caps(r ledger.Rules) []*int64 {
	var once *int64
	if r.SingleUse {
		once = new(int64)
		*once = 1
	}
	amount := func(c *ledger.Credits) *int64 { return (*int64)(c) }
	return []*int64{
		amount(r.MaxPerExecution), amount(r.MaxPerDay), amount(r.MaxPerWeek), amount(r.MaxPerMonth), amount(r.MaxTotal),
		r.MaxCountPerDay, r.MaxConcurrent, once,
	}
}

func executionID(in ledger.AuthorizeInput, id uuid.UUID) string {
	if in.ExecutionID == "" {
		return id.String()
	}
	return in.ExecutionID
}

func holdFor(in ledger.AuthorizeInput) time.Duration { return orDefault(in.TTL, ledger.DefaultHold) }

func orNullDoc(doc json.RawMessage) []byte {
	if len(doc) == 0 {
		return nil
	}
	return doc
}

// authorized is the answer to a run that was just authorized, which the rows would tell as well.
func authorized(in ledger.AuthorizeInput, id uuid.UUID, m *mandateCopy, a *agentCopy, spend ledger.Spend, f facts) ledger.Authorization {
	t := ledger.Transaction{
		ID: id, UserID: in.UserID, Kind: ledger.KindExecution, Status: ledger.StatusAuthorized, Credits: spend.Amount, AgentID: &a.id, AgentVersion: a.version,
		MandateID: &m.ID, MandateVersion: m.Version, ExecutionID: executionID(in, id), Metadata: in.Metadata, CreatedAt: f.At, UpdatedAt: f.At, RowVersion: 1,
	}
	receipt := f.receipt(&t)
	t.Receipt = &receipt
	h := ledger.Hold{
		ID: id, UserID: in.UserID, AgentID: a.id, MandateID: m.ID, Amount: spend.Amount, Status: ledger.HoldActive,
		AuthorizedAt: f.At, ExpiresAt: f.At.Add(holdFor(in).Truncate(time.Second)), RowVersion: 1,
	}
	finishHold(&h, t)
	return ledger.Authorization{Transaction: t, Hold: &h, Receipt: receipt}
}

// refuse judges a run that is known to be refused, to name all reasons.
func refuse(m *mandateCopy, a *agentCopy, spend ledger.Spend, f facts) *ledger.Error {
	d := ledger.Evaluate(m.Mandate, f.usage(), ledger.Credits(f.Available), spend)
	if d.Outcome != ledger.OutcomeRefused {
		panic("BUG: the database refused what the judgment allows")
	}
	return refusalOf(receiptOf(m, a, spend, f, d))
}

func receiptOf(m *mandateCopy, a *agentCopy, spend ledger.Spend, f facts, d ledger.Decision) ledger.Receipt {
	return ledger.Receipt{
		Outcome: d.Outcome, Rule: d.Rule, Violations: d.Violations, MandateID: m.ID, MandateVersion: m.Version, AgentVersion: a.version,
		Requested: spend.Amount, Available: ledger.Credits(f.Available), Usage: f.usage(), At: spend.At,
	}
}

// refusalOf is the error for a receipt of a run that was refused.
func refusalOf(r ledger.Receipt) *ledger.Error {
	e := ledger.Errorf(ledger.CodeMandateDenied, "the mandate denies it: %s", r.Rule)
	if len(r.Violations) == 1 && r.Rule == ledger.RuleCredits {
		e = ledger.Errorf(ledger.CodeInsufficientFunds, "%s credits are needed, %s are available", r.Requested, r.Available)
	}
	e.Violations, e.Receipt = r.Violations, &r
	return e
}

// rememberRefusal keeps a refusal under the idempotency key. If another request has just taken the key, its answer counts.
func (s *Store) rememberRefusal(ctx context.Context, conn *pgxpool.Conn, call *ledger.Call, refused *ledger.Error) (answer ledger.Authorization, answered, err error) {
	if call.Key == "" {
		return answer, refused, nil
	}
	text, err := json.Marshal(refused)
	if err != nil {
		return answer, nil, fmt.Errorf("write answer: %w", err)
	}
	tag, err := conn.Exec(ctx, "INSERT INTO ledger.idempotency_keys (principal, key, fingerprint, code, response) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
		call.Actor.Principal, call.Key, call.Fingerprint, string(refused.Code), text)
	if err != nil || tag.RowsAffected() == 1 {
		return answer, refused, err
	}
	earlier, err := recall(ctx, conn, call)
	if err != nil {
		return answer, nil, err
	}
	return s.replayAuthorize(ctx, conn, call, earlier)
}

// replayAuthorize gives the answer of an earlier request. What one statement authorized is told by its rows, as they were
// then.
func (s *Store) replayAuthorize(ctx context.Context, q querier, call *ledger.Call, r record) (answer ledger.Authorization, answered, err error) {
	if r.resource == nil || r.code != nil {
		return replay[ledger.Authorization](call, r)
	}
	if err := r.check(call); err != nil {
		return answer, err, nil
	}
	rows, err := q.Query(ctx, selectSettlement+" WHERE h.id = $1", *r.resource)
	if err != nil {
		return answer, nil, err
	}
	now, err := pgx.CollectExactlyOneRow(rows, scanSettlement)
	if err != nil {
		return answer, nil, err
	}
	t, h := now.Transaction, now.Hold
	t.Status, t.Settled, t.Refunded, t.UpdatedAt, t.RowVersion = ledger.StatusAuthorized, 0, 0, t.CreatedAt, 1
	h.Status, h.Captured, h.ResolvedAt, h.RowVersion = ledger.HoldActive, 0, nil, 1
	return ledger.Authorization{Transaction: t, Hold: &h, Receipt: *t.Receipt}, nil, nil
}

// maybeTime is a time that the database may not have set.
type maybeTime time.Time

// ScanTimestamptz implements [pgtype.TimestamptzScanner].
func (t *maybeTime) ScanTimestamptz(v pgtype.Timestamptz) error {
	if v.Valid && v.InfinityModifier == pgtype.Finite {
		*t = maybeTime(v.Time)
	}
	return nil
}
