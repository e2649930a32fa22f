package ledger

import (
	"time"

	"github.com/google/uuid"
)

// Interaction is what a user says of an agent. How much the user runs it, telemetry knows.
type Interaction struct {
	UserID     uuid.UUID `json:"userId"`
	AgentID    uuid.UUID `json:"agentId"`
	Rating     *int      `json:"rating"` // 1 to 5
	Feedback   string    `json:"feedback"`
	IsFavorite bool      `json:"isFavorite"`
	UpdatedAt  time.Time `json:"updatedAt"`
	RowVersion int       `json:"-"` // of the ETag; 0 if there was none yet
}

// InteractionInput replaces what a user says about an agent.
type InteractionInput struct {
	IfVersion  int // the RowVersion that was read, NoInteraction for 0; 0 replaces whatever is there
	Rating     *int
	Feedback   string // at most 4000 characters
	IsFavorite bool
}

// NoInteraction is the IfVersion of an input that is to be the first.
const NoInteraction = -1

// MaxFeedback is the most characters of feedback.
const MaxFeedback = 4000
