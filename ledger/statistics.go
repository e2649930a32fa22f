package ledger

import (
	"context"
	"math/big"
	"time"

	"github.com/google/uuid"
)

// AgentStatistics is what telemetry says of an agent over all the time that it keeps, and what users say of it.
type AgentStatistics struct {
	AgentID     uuid.UUID  `json:"agentId"`
	Agent       string     `json:"agent"` // slug
	Executions  int64      `json:"executions"`
	Successful  int64      `json:"successful"`
	Failed      int64      `json:"failed"` // with status failed or error
	Timeouts    int64      `json:"timeouts"`
	SuccessRate *float64   `json:"successRate,omitempty"` // 0 to 1; nil without a run
	AvgDuration *float64   `json:"avgDuration,omitempty"` // ms; nil without a run
	Credits     Credits    `json:"credits"`               // consumed, as telemetry counts them
	Ratings     int64      `json:"ratings"`
	AvgRating   *float64   `json:"avgRating,omitempty"` // 1 to 5; nil without a rating
	SyncedAt    *time.Time `json:"syncedAt,omitempty"`  // as of when telemetry was read; nil before the first time
}

// UsageStatistics is what telemetry says of how a user uses an agent.
type UsageStatistics struct {
	UserID             uuid.UUID  `json:"userId"`
	AgentID            *uuid.UUID `json:"agentId,omitempty"` // none where the ledger does not know the agent
	Agent              string     `json:"agent"`             // slug
	Executions         int64      `json:"executions"`
	Successful         int64      `json:"successful"`
	Credits            Credits    `json:"credits"` // consumed, as telemetry counts them
	Days               int        `json:"days"`    // with a run, UTC
	AvgExecutions      float64    `json:"avgExecutionsPerDay"`
	AvgCredits         Credits    `json:"avgCreditsPerDay"`   // rounded down to a micro-credit
	PreferredTimeOfDay int        `json:"preferredTimeOfDay"` // hour, UTC
	LastUsedAt         time.Time  `json:"lastUsedAt"`
	SyncedAt           time.Time  `json:"syncedAt"`
}

// Statistics are kept from telemetry, about a minute behind it. While telemetry is away they stay as they were.
type Statistics interface {
	// AgentStatistics finds an agent by slug or id. Scope: any.
	AgentStatistics(ctx context.Context, actor Actor, slugOrID string) (AgentStatistics, error)
	// UsageStatistics lists what a user uses, by the names of the agents. Scope: any that may see the user.
	UsageStatistics(ctx context.Context, actor Actor, user uuid.UUID, p Page) (List[UsageStatistics], error)
}

// Mark says how far telemetry has been read.
type Mark struct {
	Upto   time.Time // by the clock of telemetry's store; nothing if zero
	FullAt time.Time // when all of it was last read anew
}

// AgentTotals are what telemetry has of one agent.
type AgentTotals struct {
	Agent                                    string // slug
	Executions, Successful, Failed, Timeouts int64
	DurationNs                               *big.Int // many runs are more than an int64 holds
	Credits                                  Credits
}

// UsageTotals are what telemetry has of how one user uses one agent.
type UsageTotals struct {
	UserID                 uuid.UUID
	Agent                  string // slug
	Executions, Successful int64
	Credits                Credits
	Days                   int
	PreferredHour          int
	LastUsedAt             time.Time
}
