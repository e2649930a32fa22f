package ledgerclient

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"net/url"
	"time"

	"github.com/google/uuid"

	"github.com/agenttrail/agenttrail/ledger"
)

// Codes of problems that the client acts on.
const (
	codeInProgress   = ledger.CodeInProgress
	codeKeyReused    = ledger.CodeKeyReused
	codeHoldCaptured = ledger.CodeHoldCaptured
	codeHoldReleased = ledger.CodeHoldReleased
	codeHoldExpired  = ledger.CodeHoldExpired
)

// AnyVersion changes a resource whatever its version is. Else an edit names the ETag of the version that it changes.
const AnyVersion = "*"

func get[T any](ctx context.Context, c *Client, path string, query url.Values) (out T, err error) {
	_, err = c.do(ctx, call{method: http.MethodGet, path: path, query: query}, &out)
	return out, err
}

func post[T any](ctx context.Context, c *Client, path string, body any, ifMatch string) (out T, err error) {
	_, err = c.do(ctx, call{method: http.MethodPost, path: path, body: body, ifMatch: ifMatch}, &out)
	return out, err
}

// list goes through all pages of a list, newest first.
func list[T any](ctx context.Context, c *Client, path string, query url.Values) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		query.Set("limit", "200")
		for {
			page, err := get[struct {
				Items      []T    `json:"items"`
				NextCursor string `json:"nextCursor"`
			}](ctx, c, path, query)
			if err != nil {
				yield(*new(T), err)
				return
			}
			for _, item := range page.Items {
				if !yield(item, nil) {
					return
				}
			}
			if page.NextCursor == "" {
				return
			}
			query.Set("cursor", page.NextCursor)
		}
	}
}

// filter makes a query of what is not empty.
func filter(pairs ...string) url.Values {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" && pairs[i+1] != uuid.Nil.String() {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	return q
}

func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339Nano)
}

// User makes a user.
type User struct {
	ID          uuid.UUID       `json:"id,omitzero"` // Chosen by the ledger when it is nil.
	Email       string          `json:"email"`
	DisplayName string          `json:"displayName,omitempty"`
	Profile     json.RawMessage `json:"profile,omitempty"`
}

// CreateUser makes a user.
func (c *Client) CreateUser(ctx context.Context, in User) (ledger.User, error) {
	return post[ledger.User](ctx, c, "/v1/users", in, "")
}

// User reads a user.
func (c *Client) User(ctx context.Context, id uuid.UUID) (ledger.User, error) {
	return get[ledger.User](ctx, c, "/v1/users/"+id.String(), nil)
}

// CloseUser closes a user's account for good.
func (c *Client) CloseUser(ctx context.Context, id uuid.UUID) (ledger.User, error) {
	return post[ledger.User](ctx, c, "/v1/users/"+id.String()+"/close", nil, AnyVersion)
}

// Balance reads a user's credits.
func (c *Client) Balance(ctx context.Context, user uuid.UUID) (ledger.Balance, error) {
	return get[ledger.Balance](ctx, c, "/v1/users/"+user.String()+"/balance", nil)
}

// Version is what a version of an agent has; what is absent stays as in the version before.
type Version struct {
	Provider *string         `json:"provider,omitempty"`
	Config   json.RawMessage `json:"config,omitempty"`
	Pricing  *ledger.Pricing `json:"pricing,omitempty"`
}

// Agent registers an agent.
type Agent struct {
	ID          uuid.UUID          `json:"id,omitzero"` // Chosen by the ledger when it is nil.
	Slug        string             `json:"slug"`        // The agentId of telemetry.
	Name        string             `json:"name"`
	Category    string             `json:"category"`
	Description string             `json:"description,omitempty"`
	OwnerID     uuid.UUID          `json:"ownerId"`
	Status      ledger.AgentStatus `json:"status,omitempty"`
	Version     *Version           `json:"version,omitempty"`
}

// RegisterAgent makes an agent.
func (c *Client) RegisterAgent(ctx context.Context, in Agent) (ledger.Agent, error) {
	return post[ledger.Agent](ctx, c, "/v1/agents", in, "")
}

// Agent reads an agent by its slug or id.
func (c *Client) Agent(ctx context.Context, slugOrID string) (ledger.Agent, error) {
	return get[ledger.Agent](ctx, c, "/v1/agents/"+url.PathEscape(slugOrID), nil)
}

// ChangePrice publishes a version of an agent with another price.
func (c *Client) ChangePrice(ctx context.Context, agent uuid.UUID, ifMatch string, p ledger.Pricing) (ledger.Agent, error) {
	return post[ledger.Agent](ctx, c, "/v1/agents/"+agent.String()+"/prices", p, ifMatch)
}

// PublishVersion publishes a version of an agent.
func (c *Client) PublishVersion(ctx context.Context, agent uuid.UUID, ifMatch string, v Version) (ledger.Agent, error) {
	return post[ledger.Agent](ctx, c, "/v1/agents/"+agent.String()+"/versions", v, ifMatch)
}

// Grant gives credits to a user.
type Grant struct {
	UserID      uuid.UUID            `json:"userId"`
	Category    ledger.GrantCategory `json:"category"`
	Amount      ledger.Credits       `json:"amount"`
	Priority    *int                 `json:"priority,omitempty"`
	ExpiresAt   *time.Time           `json:"expiresAt,omitempty"`
	AmountCents *int64               `json:"amountCents,omitempty"`
	Currency    string               `json:"currency,omitempty"`
	Reason      string               `json:"reason,omitempty"`
}

// Grant gives credits to a user.
func (c *Client) Grant(ctx context.Context, in Grant) (ledger.Grant, error) {
	return post[ledger.Grant](ctx, c, "/v1/grants", in, "")
}

// Mandate makes a mandate.
type Mandate struct {
	ID          uuid.UUID    `json:"id,omitzero"` // Chosen by the ledger when it is nil.
	UserID      uuid.UUID    `json:"userId"`
	Name        string       `json:"name,omitempty"`
	Rules       ledger.Rules `json:"rules"`
	EffectiveAt time.Time    `json:"effectiveAt,omitzero"`
}

// CreateMandate makes a mandate.
func (c *Client) CreateMandate(ctx context.Context, in Mandate) (ledger.Mandate, error) {
	return post[ledger.Mandate](ctx, c, "/v1/mandates", in, "")
}

// Mandate reads a mandate.
func (c *Client) Mandate(ctx context.Context, id uuid.UUID) (ledger.Mandate, error) {
	return get[ledger.Mandate](ctx, c, "/v1/mandates/"+id.String(), nil)
}

// ReplaceRules gives a mandate other rules.
func (c *Client) ReplaceRules(ctx context.Context, id uuid.UUID, ifMatch string, rules ledger.Rules) (ledger.Mandate, error) {
	return post[ledger.Mandate](ctx, c, "/v1/mandates/"+id.String()+"/versions", map[string]ledger.Rules{"rules": rules}, ifMatch)
}

// reason is the body of what takes one.
type reason struct {
	Reason string `json:"reason,omitempty"`
}

// SuspendMandate stops a mandate until it is resumed.
func (c *Client) SuspendMandate(ctx context.Context, id uuid.UUID, why string) (ledger.Mandate, error) {
	return post[ledger.Mandate](ctx, c, "/v1/mandates/"+id.String()+"/suspend", reason{why}, "")
}

// ResumeMandate lets a suspended mandate permit runs again.
func (c *Client) ResumeMandate(ctx context.Context, id uuid.UUID, why string) (ledger.Mandate, error) {
	return post[ledger.Mandate](ctx, c, "/v1/mandates/"+id.String()+"/resume", reason{why}, "")
}

// Approve decides that a run may start: it is judged again, and its credits are held.
func (c *Client) Approve(ctx context.Context, approval uuid.UUID) (ledger.Authorization, error) {
	return post[ledger.Authorization](ctx, c, "/v1/approvals/"+approval.String()+"/approve", nil, "")
}

// Audit goes through a trail of changes, newest first: user_audit_logs, agent_audit_logs, mandate_audit_logs or audit_logs,
// which is about transactions, grants, approvals and keys.
func (c *Client) Audit(ctx context.Context, trail string, entity uuid.UUID) iter.Seq2[ledger.AuditEntry, error] {
	return list[ledger.AuditEntry](ctx, c, "/v1/audit/"+url.PathEscape(trail), filter("entityId", entity.String()))
}

// Authorize asks for credits for a run.
type Authorize struct {
	UserID      uuid.UUID       `json:"userId"`
	MandateID   uuid.UUID       `json:"mandateId"`
	Agent       string          `json:"agent"`            // Slug or id.
	Amount      *ledger.Credits `json:"amount,omitempty"` // The agent's price of an execution when it is nil.
	ExecutionID string          `json:"executionId,omitempty"`
	TTL         time.Duration   `json:"-"` // 15 minutes when it is 0; whole seconds.
	Metadata    json.RawMessage `json:"metadata,omitempty"`
}

// MarshalJSON writes the time in seconds.
func (a Authorize) MarshalJSON() ([]byte, error) {
	type plain Authorize
	return json.Marshal(struct {
		plain
		TTLSeconds int64 `json:"ttlSeconds,omitempty"`
	}{plain(a), int64(a.TTL / time.Second)})
}

// Authorize holds credits for a run. The answer has a hold, or an approval to wait for.
func (c *Client) Authorize(ctx context.Context, in Authorize) (ledger.Authorization, error) {
	return post[ledger.Authorization](ctx, c, "/v1/authorizations", in, "")
}

// settleBody is the body of a capture.
type settleBody struct {
	Amount *ledger.Credits `json:"amount,omitempty"`
}

// Capture settles a hold with what the run cost; nil takes all that is held.
func (c *Client) Capture(ctx context.Context, hold uuid.UUID, amount *ledger.Credits) (ledger.Settlement, error) {
	return post[ledger.Settlement](ctx, c, "/v1/holds/"+hold.String()+"/capture", settleBody{amount}, "")
}

// Release settles a hold by giving everything back.
func (c *Client) Release(ctx context.Context, hold uuid.UUID) (ledger.Settlement, error) {
	return post[ledger.Settlement](ctx, c, "/v1/holds/"+hold.String()+"/release", nil, "")
}

// Hold reads a hold.
func (c *Client) Hold(ctx context.Context, id uuid.UUID) (ledger.Hold, error) {
	return get[ledger.Hold](ctx, c, "/v1/holds/"+id.String(), nil)
}

// Holds goes through holds, newest first.
func (c *Client) Holds(ctx context.Context, f ledger.HoldFilter) iter.Seq2[ledger.Hold, error] {
	return list[ledger.Hold](ctx, c, "/v1/holds", filter("userId", f.UserID.String(), "mandateId", f.MandateID.String(), "status", string(f.Status)))
}

// Transaction reads a transaction.
func (c *Client) Transaction(ctx context.Context, id uuid.UUID) (ledger.Transaction, error) {
	return get[ledger.Transaction](ctx, c, "/v1/transactions/"+id.String(), nil)
}

// Transactions goes through transactions, newest first.
func (c *Client) Transactions(ctx context.Context, f ledger.TransactionFilter) iter.Seq2[ledger.Transaction, error] {
	return list[ledger.Transaction](ctx, c, "/v1/transactions", filter("userId", f.UserID.String(), "agentId", f.AgentID.String(),
		"mandateId", f.MandateID.String(), "kind", string(f.Kind), "status", string(f.Status), "executionId", f.ExecutionID,
		"from", moment(f.From), "until", moment(f.Until)))
}

// Refund gives credits of a captured run back; nil gives back all that were not before.
func (c *Client) Refund(ctx context.Context, transaction uuid.UUID, amount *ledger.Credits, why string) (ledger.Transaction, error) {
	return post[ledger.Transaction](ctx, c, "/v1/transactions/"+transaction.String()+"/refunds", struct {
		settleBody
		reason
	}{settleBody{amount}, reason{why}}, "")
}

// Call does an operation of the ledger that has no method here: any of /openapi.json. out takes the answer.
func (c *Client) Call(ctx context.Context, method, path string, query url.Values, body, out any) error {
	_, err := c.do(ctx, call{method: method, path: path, query: query, body: body}, out)
	return err
}
