package ledger

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"
)

// Trail is one of the audit trails, and the name of its table.
type Trail string

// Trails.
const (
	TrailTransactions Trail = "audit_logs"         // transactions, grants, approvals and API keys
	TrailAgents       Trail = "agent_audit_logs"   // agents, their versions and prices
	TrailUsers        Trail = "user_audit_logs"    // users and what they say of agents
	TrailMandates     Trail = "mandate_audit_logs" // mandates and their rules
)

// Trails are all trails.
func Trails() []Trail {
	return []Trail{TrailTransactions, TrailAgents, TrailUsers, TrailMandates}
}

// AuditEntry says who changed what, and when.
type AuditEntry struct {
	ID       int64     `json:"id"`
	Entity   string    `json:"entity"` // the table of what was changed
	EntityID uuid.UUID `json:"entityId"`
	// Field is the column that was changed, "rules.<name>" for a rule of a mandate, or "*" for the whole row: when it was
	// made, NewValue is all of it.
	Field     string          `json:"field"`
	OldValue  json.RawMessage `json:"oldValue"` // null if there was none
	NewValue  json.RawMessage `json:"newValue"`
	ChangedBy string          `json:"changedBy"` // see [Actor.String]
	RequestID string          `json:"requestId,omitempty"`
	Timestamp time.Time       `json:"timestamp"`
}

// AuditFilter narrows a list of audit entries.
type AuditFilter struct {
	EntityID    uuid.UUID
	Field       string
	ChangedBy   string
	From, Until time.Time
}

// AuditReport is what checking a trail against its hashes found.
type AuditReport struct {
	Trail    Trail    `json:"trail"`
	Blocks   int      `json:"blocks"`
	Sealed   int64    `json:"sealed"`   // rows that a block covers
	Unsealed int64    `json:"unsealed"` // newer rows, which the next block will cover
	Head     string   `json:"head"`     // hash of the newest block in hex; keep it elsewhere and compare
	Problems []string `json:"problems,omitempty"`
}
