package ledger

import (
	"context"

	"github.com/google/uuid"
)

// Service is everything that can be done. Each operation that writes is one transaction, and takes a [Call], which says who
// does it and under which idempotency key. All errors that a caller can react to are an [Error].
type Service interface {
	Runs
	Grants
	Mandates
	Approvals
	Agents
	Users
	Interactions
	Keys
	Audits
	Statistics
	Forecasts
	Reconciliations
	Jobs
	// Ping tells whether operations can work now.
	Ping(ctx context.Context) error
}

// Runs are authorized before they start and settled after they end.
type Runs interface {
	// Authorize judges the user's credits and the mandate together. It returns a hold, or an approval to wait for, and in
	// both cases the receipt. A refusal is an Error with CodeMandateDenied or CodeInsufficientFunds, all violations and the
	// receipt. Scope: execute.
	Authorize(ctx context.Context, call *Call, in AuthorizeInput) (Authorization, error)
	// Capture settles a hold with what the run cost; the rest is given back. A hold can be settled once. Scope: execute.
	Capture(ctx context.Context, call *Call, hold uuid.UUID, in CaptureInput) (Settlement, error)
	// Release settles a hold by giving everything back. Scope: execute.
	Release(ctx context.Context, call *Call, hold uuid.UUID) (Settlement, error)
	// Refund gives credits of a captured run back, as a grant that does not expire. It frees nothing of the mandate. The
	// transaction that it returns is the refund, whose parent is the run. Scope: admin.
	Refund(ctx context.Context, call *Call, transaction uuid.UUID, in RefundInput) (Transaction, error)

	// Reads. Scope: any, each key what it may touch.
	Hold(ctx context.Context, actor Actor, id uuid.UUID) (Hold, error)
	Holds(ctx context.Context, actor Actor, f HoldFilter, p Page) (List[Hold], error)
	Transaction(ctx context.Context, actor Actor, id uuid.UUID) (Transaction, error)
	Transactions(ctx context.Context, actor Actor, f TransactionFilter, p Page) (List[Transaction], error)
	Entries(ctx context.Context, actor Actor, f EntryFilter, p Page) (List[Entry], error)
}

// Grants give credits to users.
type Grants interface {
	// Grant gives credits. A StripePI can be used once. Scope: admin.
	Grant(ctx context.Context, call *Call, in GrantInput) (Grant, error)
	// VoidGrant takes back what is left of a grant. Scope: admin.
	VoidGrant(ctx context.Context, call *Call, id uuid.UUID, in VoidInput) (Grant, error)
	GrantByID(ctx context.Context, actor Actor, id uuid.UUID) (Grant, error)
	Grants(ctx context.Context, actor Actor, f GrantFilter, p Page) (List[Grant], error)
	Balance(ctx context.Context, actor Actor, user uuid.UUID) (Balance, error)
}

// Mandates bound what agents may spend. Scope of what writes: manage. A key that may only execute can change none.
type Mandates interface {
	CreateMandate(ctx context.Context, call *Call, in MandateInput) (Mandate, error)
	// ReplaceRules adds a version.
	ReplaceRules(ctx context.Context, call *Call, id uuid.UUID, in MandateVersionInput) (Mandate, error)
	SuspendMandate(ctx context.Context, call *Call, id uuid.UUID, in MandateChange) (Mandate, error)
	ResumeMandate(ctx context.Context, call *Call, id uuid.UUID, in MandateChange) (Mandate, error)
	RevokeMandate(ctx context.Context, call *Call, id uuid.UUID, in MandateChange) (Mandate, error)
	// EvaluateMandate judges a run as Authorize would, and changes nothing. Scope: execute or manage.
	EvaluateMandate(ctx context.Context, actor Actor, in AuthorizeInput) (Receipt, error)

	Mandate(ctx context.Context, actor Actor, id uuid.UUID) (Mandate, error)
	Mandates(ctx context.Context, actor Actor, f MandateFilter, p Page) (List[Mandate], error)
	MandateVersions(ctx context.Context, actor Actor, id uuid.UUID, p Page) (List[MandateVersion], error)
	// MandateUsage is what counts against the limits now.
	MandateUsage(ctx context.Context, actor Actor, id uuid.UUID) (Usage, error)
}

// Approvals are decided by somebody other than who asked for the run. [Runs.Authorize] requests them. Scope of what
// writes: approve.
type Approvals interface {
	// Approve judges the run again and holds its credits. If it is refused now, the transaction has failed, and the Error
	// is that of Authorize.
	Approve(ctx context.Context, call *Call, id uuid.UUID, in DecisionInput) (Authorization, error)
	Reject(ctx context.Context, call *Call, id uuid.UUID, in DecisionInput) (Approval, error)
	Approval(ctx context.Context, actor Actor, id uuid.UUID) (Approval, error)
	Approvals(ctx context.Context, actor Actor, f ApprovalFilter, p Page) (List[Approval], error)
}

// Agents are what can be run. Scope of what writes: manage; a key that acts for a user can write that user's agents only.
// Everybody can read them.
type Agents interface {
	RegisterAgent(ctx context.Context, call *Call, in AgentInput) (Agent, error)
	ChangeAgent(ctx context.Context, call *Call, id uuid.UUID, in AgentChange) (Agent, error)
	PublishVersion(ctx context.Context, call *Call, id uuid.UUID, in VersionInput) (Agent, error)
	// ChangePrice publishes a version that differs from the one before in its price alone.
	ChangePrice(ctx context.Context, call *Call, id uuid.UUID, ifVersion int, price Pricing) (Agent, error)
	// Agent finds an agent by slug or id.
	Agent(ctx context.Context, actor Actor, slugOrID string) (Agent, error)
	Agents(ctx context.Context, actor Actor, f AgentFilter, p Page) (List[Agent], error)
	AgentVersions(ctx context.Context, actor Actor, id uuid.UUID, p Page) (List[AgentVersion], error)
}

// Users run agents. Scope of what writes: manage; a key that acts for a user can change that user, and make or close none.
type Users interface {
	CreateUser(ctx context.Context, call *Call, in UserInput) (User, error)
	ChangeUser(ctx context.Context, call *Call, id uuid.UUID, in UserChange) (User, error)
	// CloseUser ends an account for good. It is refused with CodeConflict while credits are on hold. Its mandates are
	// revoked.
	CloseUser(ctx context.Context, call *Call, id uuid.UUID, ifVersion int) (User, error)
	User(ctx context.Context, actor Actor, id uuid.UUID) (User, error)
	Users(ctx context.Context, actor Actor, f UserFilter, p Page) (List[User], error)
}

// Interactions are what users say of agents. Scope of what writes: manage.
type Interactions interface {
	PutInteraction(ctx context.Context, call *Call, user, agent uuid.UUID, in InteractionInput) (Interaction, error)
	// Interaction is empty, with RowVersion 0, if there was none yet.
	Interaction(ctx context.Context, actor Actor, user, agent uuid.UUID) (Interaction, error)
	Interactions(ctx context.Context, actor Actor, user uuid.UUID, favorites bool, p Page) (List[Interaction], error)
}

// Keys open the HTTP API. Scope: admin, and nobody can make a key that may do more than its own.
type Keys interface {
	CreateKey(ctx context.Context, call *Call, in KeyInput) (IssuedKey, error)
	RevokeKey(ctx context.Context, call *Call, id uuid.UUID) (APIKey, error)
	// RotateKey makes a key like this one and lets this one work until the grace is over, at once if it is 0.
	RotateKey(ctx context.Context, call *Call, id uuid.UUID, grace Grace) (IssuedKey, error)
	// Authenticate finds the key of a secret, by its hash. Errors: CodeUnauthenticated, CodeKeyRevoked, CodeKeyExpired.
	Authenticate(ctx context.Context, secret string) (APIKey, error)
	KeyByID(ctx context.Context, actor Actor, id uuid.UUID) (APIKey, error)
	Keys(ctx context.Context, actor Actor, f KeyFilter, p Page) (List[APIKey], error)
}

// Audits tell who changed what. Scope: admin.
type Audits interface {
	Audit(ctx context.Context, actor Actor, trail Trail, f AuditFilter, p Page) (List[AuditEntry], error)
	// VerifyAudit reads a whole trail and checks it against its hashes. What it found wrong is in the report, not in the
	// error.
	VerifyAudit(ctx context.Context, actor Actor, trail Trail) (AuditReport, error)
	// VerifyBooks adds everything up anew, from the entries, holds and grants, and returns what does not agree.
	VerifyBooks(ctx context.Context, actor Actor) ([]string, error)
}

// Jobs are what the service does by itself from time to time. All can run on several instances at once.
type Jobs interface {
	// ExpireDue lets holds, approvals and grants expire whose time has come, at most limit of each kind.
	ExpireDue(ctx context.Context, limit int) (Expired, error)
	// SealAudit adds a block of hashes to each trail that has grown.
	SealAudit(ctx context.Context) error
	// Maintain makes the partitions of the months ahead, and removes idempotency keys past their lifetime.
	Maintain(ctx context.Context) error
	// Totals are figures for metrics.
	Totals(ctx context.Context) (Totals, error)
}
