package ledger

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// KindAdjustment is credits of a run that were used and not captured. Its parent is the run, where the ledger has one.
const KindAdjustment TransactionKind = "adjustment"

// ReconState says how what was charged for a run compares with what telemetry says it used.
type ReconState string

// States. The last three are closed; each can open again when the figures change.
const (
	ReconDrift              ReconState = "drift"                // The amounts differ.
	ReconMissingInLedger    ReconState = "missing_in_ledger"    // It was used and not captured.
	ReconMissingInTelemetry ReconState = "missing_in_telemetry" // It was captured and telemetry does not know it.
	ReconMatched            ReconState = "matched"              // It agrees.
	ReconAdjusted           ReconState = "adjusted"             // It agrees since a correction.
	ReconWaived             ReconState = "waived"               // It differs, and somebody decided to leave it.
)

// ReconExpired is told of a run that agrees and that somebody may look for all the same: its hold has expired, nothing was
// captured, and telemetry does not know it. The run never ended, as when its worker was killed. It is not written down.
const ReconExpired ReconState = "expired"

// ReconStates are all states that are written down.
func ReconStates() []ReconState {
	return []ReconState{ReconDrift, ReconMissingInLedger, ReconMissingInTelemetry, ReconMatched, ReconAdjusted, ReconWaived}
}

// Open tells whether somebody should look at it.
func (s ReconState) Open() bool {
	return s == ReconDrift || s == ReconMissingInLedger || s == ReconMissingInTelemetry
}

// Figures are what is compared of one run.
type Figures struct {
	Captured Credits  `json:"captured"`           // by its hold; nothing if that was not captured
	Adjusted Credits  `json:"adjusted"`           // by corrections, less than nothing for those given back
	Consumed *Credits `json:"consumed,omitempty"` // as telemetry says, over all its rows; nil if there is none
	Rows     int      `json:"rows"`               // of telemetry
}

// Drift is what was used and not charged; less than nothing for what was charged and not used.
func (f Figures) Drift() Credits {
	var used Credits
	if f.Consumed != nil {
		used = *f.Consumed
	}
	return used - f.Captured - f.Adjusted
}

// State compares the figures. Refunds that support gave are no part of it: they do not say that the run used less.
func (f Figures) State() ReconState {
	switch {
	case f.Drift() == 0 && f.Adjusted != 0:
		return ReconAdjusted
	case f.Drift() == 0:
		return ReconMatched
	case f.Consumed == nil:
		return ReconMissingInTelemetry
	case f.Captured == 0 && f.Adjusted == 0:
		return ReconMissingInLedger
	default:
		return ReconDrift
	}
}

// ReconItem is a run that did not agree when it was compared.
type ReconItem struct {
	ExecutionID   string     `json:"executionId"`
	TransactionID *uuid.UUID `json:"transactionId,omitempty"` // of the run; none where the ledger does not know it
	UserID        string     `json:"userId"`                  // who was charged, else whom telemetry names
	Agent         string     `json:"agent"`                   // slug, likewise
	State         ReconState `json:"state"`
	Figures
	Drift      Credits    `json:"drift"`
	FirstSeen  time.Time  `json:"firstSeen"`
	CheckedAt  time.Time  `json:"checkedAt"`
	ChangedAt  time.Time  `json:"changedAt"`
	ResolvedAt *time.Time `json:"resolvedAt,omitempty"`
	RowVersion int        `json:"-"`
}

// Compared is a run with what both sides have of it.
type Compared struct {
	ExecutionID   string
	TransactionID *uuid.UUID // nil where the ledger does not know it
	UserID        string     // who was charged, else whom telemetry names
	Agent         string     // slug, likewise
	Figures
}

// Charge is what the ledger has of a run.
type Charge struct {
	ExecutionID        string
	TransactionID      *uuid.UUID // nil for one that was charged by a correction alone
	UserID             uuid.UUID
	Agent              string    // slug
	Captured, Adjusted Credits   // nothing was captured while a hold is active, or when it was released or has expired
	Expired            bool      // the hold has expired
	From, Until        time.Time // within which the run was, by the ledger's clock
}

// Consumption is what telemetry has of a run: the sum over all rows that name it.
type Consumption struct {
	ExecutionID string
	UserID      string
	Agent       string // slug
	Consumed    Credits
	Rows        int
	// Imported says that its rows are of the past and were charged elsewhere, so that the ledger need not know the run.
	Imported bool
}

// ReconRun is one comparison.
type ReconRun struct {
	Since              time.Time `json:"since"` // charges settled and telemetry stored from then on
	Until              time.Time `json:"until"` // and before then
	StartedAt          time.Time `json:"startedAt"`
	FinishedAt         time.Time `json:"finishedAt"`
	Executions         int64     `json:"executions"`
	Matched            int64     `json:"matched"`
	Drift              int64     `json:"drift"`
	MissingInLedger    int64     `json:"missingInLedger"`
	MissingInTelemetry int64     `json:"missingInTelemetry"`
	Adjusted           int64     `json:"adjusted"`
	Waived             int64     `json:"waived"`
	Captured           Credits   `json:"captured"` // corrections among them
	Consumed           Credits   `json:"consumed"`
	// Imported counts runs that were left out: telemetry says that they were charged elsewhere. Who compares knows it; it is
	// not kept.
	Imported int64 `json:"-"`
	// Expired counts those of the matched that never ended, likewise; see [ReconExpired].
	Expired int64 `json:"-"`
}

// Count adds a run of this state to the figures.
func (r *ReconRun) Count(s ReconState) {
	switch s {
	case ReconDrift:
		r.Drift++
	case ReconMissingInLedger:
		r.MissingInLedger++
	case ReconMissingInTelemetry:
		r.MissingInTelemetry++
	case ReconMatched:
		r.Matched++
	case ReconAdjusted:
		r.Adjusted++
	case ReconWaived:
		r.Waived++
	}
}

// ReconDecision is what somebody decided about a run that does not agree.
type ReconDecision struct {
	ID            uuid.UUID      `json:"id"`
	ExecutionID   string         `json:"executionId"`
	Kind          DecisionKind   `json:"kind"`
	Amount        Credits        `json:"amount"` // to charge, less than nothing to give back; of a waiver, the drift
	Status        DecisionStatus `json:"status"`
	Reason        string         `json:"reason"`
	RequestedBy   string         `json:"requestedBy"`
	RequestedAt   time.Time      `json:"requestedAt"`
	DecidedBy     string         `json:"decidedBy,omitempty"`
	DecidedAt     *time.Time     `json:"decidedAt,omitempty"`
	TransactionID *uuid.UUID     `json:"transactionId,omitempty"` // the posting: an adjustment whose parent is the run, or a refund
	RowVersion    int            `json:"-"`
}

// DecisionKind says what is to be done.
type DecisionKind string

// DecisionStatus says how far it has come. All but the first are final.
type DecisionStatus string

// Decisions.
const (
	DecisionAdjust DecisionKind = "adjust"
	DecisionWaive  DecisionKind = "waive"

	DecisionPending  DecisionStatus = "pending" // It waits for somebody else to approve it.
	DecisionDone     DecisionStatus = "done"
	DecisionRejected DecisionStatus = "rejected"
)

// DefaultAdjustOver is the amount above which a correction needs an approval, unless a store is told otherwise.
const DefaultAdjustOver = 10 * Credit

// AdjustInput corrects a charge.
type AdjustInput struct {
	// Amount is to be charged, less than nothing to be given back; the drift if nil. It cannot be nil where telemetry has
	// several rows: how much the run used is then not clear.
	Amount *Credits
	Reason string // not empty
}

// Validate names every field that cannot be meant.
func (in AdjustInput) Validate() error {
	var c checks
	if in.Amount != nil && *in.Amount == 0 {
		c.fail("amount", "must not be 0")
	}
	c.text("reason", in.Reason, 1, MaxReason)
	return c.err()
}

// WaiveInput leaves a difference as it is, until it changes.
type WaiveInput struct {
	Reason string // not empty
}

// Validate names every field that cannot be meant.
func (in WaiveInput) Validate() error {
	var c checks
	c.text("reason", in.Reason, 1, MaxReason)
	return c.err()
}

// ReconFilter narrows a list of runs that do not agree.
type ReconFilter struct {
	State       ReconState
	Open        bool // those that are open
	ExecutionID string
	From, Until time.Time // of the last change; Until is outside
}

// DecisionFilter narrows a list of decisions.
type DecisionFilter struct {
	ExecutionID string
	Status      DecisionStatus
}

// ReconTotals are how many runs do not agree now, for alerts.
type ReconTotals struct {
	Open   map[ReconState]int64
	Drift  map[ReconState]Credits // absolute
	Oldest time.Duration          // since the oldest open one was first seen
	Last   *time.Time             // when the last comparison was done
}

// Reconciliations are what comes of comparing charges with telemetry. Package reconcile compares.
type Reconciliations interface {
	// ReconItems lists runs that did not agree, those that changed last first. Scope: admin.
	ReconItems(ctx context.Context, actor Actor, f ReconFilter, p Page) (List[ReconItem], error)
	// ReconRuns lists comparisons. Scope: admin.
	ReconRuns(ctx context.Context, actor Actor, p Page) (List[ReconRun], error)
	// Decisions lists what was decided. Scope: admin or approve.
	Decisions(ctx context.Context, actor Actor, f DecisionFilter, p Page) (List[ReconDecision], error)
	// Adjust corrects a charge by a new posting that is linked to the run; nothing that was posted changes. Above a
	// threshold the decision is pending until somebody else approves it. Errors: CodeConflict if the figures have changed
	// since they were compared, or do not say whom to charge; CodeInsufficientFunds; CodeRefundExceeds. Scope: admin.
	Adjust(ctx context.Context, call *Call, executionID string, in AdjustInput) (ReconDecision, error)
	// Waive leaves a difference as it is. Scope: admin.
	Waive(ctx context.Context, call *Call, executionID string, in WaiveInput) (ReconDecision, error)
	// ApproveAdjustment makes the posting of a pending decision. Errors: as Adjust, CodeOwnApproval, CodeApprovalDecided.
	// Scope: approve.
	ApproveAdjustment(ctx context.Context, call *Call, id uuid.UUID, in DecisionInput) (ReconDecision, error)
	// RejectAdjustment ends a pending decision. Scope: approve.
	RejectAdjustment(ctx context.Context, call *Call, id uuid.UUID, in DecisionInput) (ReconDecision, error)
	// ReconTotals are figures for metrics.
	ReconTotals(ctx context.Context) (ReconTotals, error)
}
