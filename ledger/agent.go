package ledger

import (
	"encoding/json"
	"regexp"
	"time"

	"github.com/google/uuid"
)

// AgentStatus is the state of an agent. Only active ones can be run.
type AgentStatus string

// States of agents. A retired one stays retired.
const (
	AgentDraft     AgentStatus = "draft"
	AgentActive    AgentStatus = "active"
	AgentSuspended AgentStatus = "suspended"
	AgentRetired   AgentStatus = "retired"
)

// Agent is something that users can run.
type Agent struct {
	ID          uuid.UUID     `json:"id"`
	Slug        string        `json:"slug"` // stable name; the agentId of telemetry
	Name        string        `json:"name"`
	Category    string        `json:"category"`
	Description string        `json:"description"`
	OwnerID     uuid.UUID     `json:"ownerId"`
	Status      AgentStatus   `json:"status"`
	Version     *AgentVersion `json:"version"` // the newest; nil until one is published
	CreatedAt   time.Time     `json:"createdAt"`
	UpdatedAt   time.Time     `json:"updatedAt"`
	RowVersion  int           `json:"-"` // of the ETag
}

// AgentVersion is what a run was priced against. It never changes.
type AgentVersion struct {
	AgentID      uuid.UUID       `json:"agentId"`
	Version      int             `json:"version"`  // 1, 2, …
	Provider     string          `json:"provider"` // of the model, such as anthropic; empty if none
	Config       json.RawMessage `json:"config"`
	Pricing      Pricing         `json:"pricing"`
	InputSchema  json.RawMessage `json:"inputSchema"`
	OutputSchema json.RawMessage `json:"outputSchema"`
	CreatedAt    time.Time       `json:"createdAt"`
	CreatedBy    string          `json:"createdBy"`
}

// Pricing is what a run of an agent costs.
type Pricing struct {
	// PerExecution is held for a run whose caller does not name an amount.
	PerExecution Credits `json:"perExecution"`
	// PerThousandTokens is for those who meter runs; the ledger takes what a capture says.
	PerThousandTokens Credits `json:"perThousandTokens"`
}

// Validate refuses negative prices.
func (p Pricing) Validate() error {
	if p.PerExecution < 0 {
		return Invalid("pricing.perExecution", "must not be negative")
	}
	if p.PerThousandTokens < 0 {
		return Invalid("pricing.perThousandTokens", "must not be negative")
	}
	return nil
}

// AgentInput registers an agent, and publishes its first version unless Version is nil.
type AgentInput struct {
	ID          uuid.UUID // chosen by the ledger if nil
	Slug        string
	Name        string
	Category    string
	Description string
	OwnerID     uuid.UUID
	Status      AgentStatus // AgentActive if empty
	Version     *VersionInput
}

// VersionInput publishes a version of an agent. An empty document is that of the version before, or {} in the first.
type VersionInput struct {
	IfVersion    int // the agent's RowVersion that was read; 0 publishes over whatever is there
	Provider     *string
	Config       json.RawMessage
	Pricing      *Pricing // nil keeps the price
	InputSchema  json.RawMessage
	OutputSchema json.RawMessage
}

// AgentChange changes what is not nil.
type AgentChange struct {
	IfVersion   int
	Name        *string
	Category    *string
	Description *string
	Status      *AgentStatus
}

// AgentFilter narrows a list of agents.
type AgentFilter struct {
	OwnerID  uuid.UUID
	Category string
	Status   AgentStatus
}

var slugForm = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// ValidateSlug refuses what is no slug: lower-case letters, digits and hyphens, at most 63.
func ValidateSlug(slug string) error {
	if !slugForm.MatchString(slug) {
		return Invalid("slug", "must be 1 to 63 lower-case letters, digits and hyphens, and begin with a letter or digit")
	}
	return nil
}
