package ledger

import (
	"cmp"
	"context"
	"math"
	"slices"
	"time"

	"github.com/google/uuid"
)

// Windows that a forecast can look back.
const (
	DefaultForecastWindow = 7 * 24 * time.Hour
	MinForecastWindow     = time.Hour
	MaxForecastWindow     = 30 * 24 * time.Hour
)

// Burn is how fast credits were captured.
type Burn struct {
	Executions int64   `json:"executions"` // captured in the window
	Captured   Credits `json:"captured"`   // in the window
	PerDay     Credits `json:"perDay"`     // rounded down to a micro-credit
}

// NewBurn takes the rate over the window, or over what of it has passed since the first run if that is less, but at
// least over an hour: a user who began yesterday does not burn a seventh of what they do.
func NewBurn(executions int64, captured Credits, first, at time.Time, window time.Duration) Burn {
	over := min(window, max(at.Sub(first), MinForecastWindow))
	perDay := float64(captured) / over.Hours() * 24
	if perDay >= float64(MaxCredits) {
		perDay = float64(MaxCredits - 1<<10) // The next float below.
	}
	return Burn{Executions: executions, Captured: captured, PerDay: Credits(perDay)}
}

// UserForecast says when a user's credits run out if they go on to be spent as they were in the window.
type UserForecast struct {
	UserID    uuid.UUID         `json:"userId"`
	At        time.Time         `json:"at"`
	Window    Seconds           `json:"windowSeconds"`
	Available Credits           `json:"available"`
	Held      Credits           `json:"held"`
	Burn      Burn              `json:"burn"`
	RunsOutAt *time.Time        `json:"runsOutAt,omitempty"` // nil if never within MaxForecast; grants that expire are counted until then
	Agents    []AgentShare      `json:"agents"`              // those that were run, most first
	Mandates  []MandateForecast `json:"mandates"`            // those that are active
}

// AgentShare is what one agent takes of a user's credits.
type AgentShare struct {
	AgentID   uuid.UUID  `json:"agentId"`
	Agent     string     `json:"agent"` // slug
	Burn      Burn       `json:"burn"`
	RunsOutAt *time.Time `json:"runsOutAt,omitempty"` // if only this agent went on
}

// MandateForecast says when runs under a mandate end.
type MandateForecast struct {
	MandateID uuid.UUID  `json:"mandateId"`
	Burn      Burn       `json:"burn"`
	Left      *Credits   `json:"left,omitempty"`      // of maxTotal; nil without
	RunsOutAt *time.Time `json:"runsOutAt,omitempty"` // the user's credits or maxTotal, whichever comes first
	Guard     *Guard     `json:"guard,omitempty"`
}

// AgentForecast says how fast an agent is paid, and when the credits of those who pay it run out.
type AgentForecast struct {
	AgentID   uuid.UUID   `json:"agentId"`
	At        time.Time   `json:"at"`
	Window    Seconds     `json:"windowSeconds"`
	Burn      Burn        `json:"burn"`                // of all users, on this agent
	Users     int64       `json:"users"`               // who ran it in the window
	RunsOutAt *time.Time  `json:"runsOutAt,omitempty"` // when the first of TopUsers runs out of credits
	TopUsers  []UserShare `json:"topUsers"`            // who spend most on it
}

// UserShare is what one user spends on an agent.
type UserShare struct {
	UserID    uuid.UUID  `json:"userId"`
	Burn      Burn       `json:"burn"`                // on this agent
	RunsOutAt *time.Time `json:"runsOutAt,omitempty"` // by all that the user spends
}

// Seconds is a time in whole seconds.
type Seconds int64

// Guard suspends a mandate when credits would run out too soon.
type Guard struct {
	MandateID   uuid.UUID  `json:"mandateId"`
	LeftSeconds *Seconds   `json:"leftSeconds,omitempty"` // suspend once the forecast is below; nil for never
	TrippedAt   *time.Time `json:"trippedAt,omitempty"`   // when it did; gone again once the forecast is above
	RowVersion  int        `json:"-"`
}

// GuardInput sets a guard.
type GuardInput struct {
	IfVersion   int      // the RowVersion that was read, NoInteraction for 0; 0 replaces whatever is there
	LeftSeconds *Seconds // 60 to a year; nil takes it away
}

// Validate names every field that cannot be meant.
func (in GuardInput) Validate() error {
	var c checks
	if s := in.LeftSeconds; s != nil && (*s < 60 || *s > Seconds(MaxForecast/time.Second)) {
		c.fail("leftSeconds", "must be 60 to %d", Seconds(MaxForecast/time.Second))
	}
	return c.err()
}

// Forecasts are made from what was captured, by the hour, about a minute behind.
type Forecasts interface {
	// UserForecast looks back for the window, DefaultForecastWindow if 0. Scope: any that may see the user.
	UserForecast(ctx context.Context, actor Actor, user uuid.UUID, window time.Duration) (UserForecast, error)
	// AgentForecast tells of all its users: scope admin or manage, of the platform.
	AgentForecast(ctx context.Context, actor Actor, slugOrID string, window time.Duration) (AgentForecast, error)
	// Guard is that of a mandate; RowVersion 0 if there was none yet.
	Guard(ctx context.Context, actor Actor, mandate uuid.UUID) (Guard, error)
	// SetGuard sets it. Scope: manage.
	SetGuard(ctx context.Context, call *Call, mandate uuid.UUID, in GuardInput) (Guard, error)
}

// MaxForecast is how far ahead a forecast looks.
const MaxForecast = 365 * 24 * time.Hour

// Lot is what is left of a grant.
type Lot struct {
	Remaining Credits
	Priority  int
	ExpiresAt *time.Time
	CreatedAt time.Time
}

// RunsOut says when credits are spent at this rate per day, in the order in which they are used, with those lost that
// expire before their turn. Held credits are spent already. It is nil if some are left after MaxForecast.
func RunsOut(at time.Time, lots []Lot, held, perDay Credits) *time.Time {
	lots = slices.Clone(lots)
	slices.SortStableFunc(lots, func(a, b Lot) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), compareExpiry(a.ExpiresAt, b.ExpiresAt), a.CreatedAt.Compare(b.CreatedAt))
	})
	end, now := at.Add(MaxForecast), at
	for _, lot := range lots {
		used := min(held, lot.Remaining)
		held -= used
		rest := lot.Remaining - used
		until := end
		if lot.ExpiresAt != nil && lot.ExpiresAt.Before(end) {
			until = *lot.ExpiresAt
		}
		if rest <= 0 || !until.After(now) {
			continue
		}
		if perDay > 0 {
			if days := float64(rest) / float64(perDay); days < until.Sub(now).Hours()/24 {
				until = now.Add(time.Duration(math.Round(days * 24 * float64(time.Hour))))
			}
		}
		now = until
		if !now.Before(end) {
			return nil
		}
	}
	return &now
}

func compareExpiry(a, b *time.Time) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return 1
	case b == nil:
		return -1
	default:
		return a.Compare(*b)
	}
}
