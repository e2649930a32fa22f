package ledgerclient

import (
	"context"
	"encoding/json"
	"iter"
	"net/url"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/agenttrail/agenttrail/ledger"
)

// Version is what a version of an agent has; what is absent stays as in the version before.
type Version struct {
	Provider     *string         `json:"provider,omitempty"`
	Config       json.RawMessage `json:"config,omitempty"`
	Pricing      *ledger.Pricing `json:"pricing,omitempty"`
	InputSchema  json.RawMessage `json:"inputSchema,omitempty"`
	OutputSchema json.RawMessage `json:"outputSchema,omitempty"`
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

// AgentChange changes what is not nil.
type AgentChange struct {
	Name        *string             `json:"name,omitempty"`
	Category    *string             `json:"category,omitempty"`
	Description *string             `json:"description,omitempty"`
	Status      *ledger.AgentStatus `json:"status,omitempty"`
}

// RegisterAgent makes an agent.
func (c *Client) RegisterAgent(ctx context.Context, in Agent) (ledger.Agent, error) {
	return post[ledger.Agent](ctx, c, "/v1/agents", in, "")
}

// Agent reads an agent by its slug or id.
func (c *Client) Agent(ctx context.Context, slugOrID string) (ledger.Agent, error) {
	return get[ledger.Agent](ctx, c, "/v1/agents/"+url.PathEscape(slugOrID), nil)
}

// Agents goes through agents, newest first.
func (c *Client) Agents(ctx context.Context, f ledger.AgentFilter) iter.Seq2[ledger.Agent, error] {
	return list[ledger.Agent](ctx, c, "/v1/agents", filter("ownerId", f.OwnerID.String(), "category", f.Category, "status", string(f.Status)))
}

// ChangeAgent changes an agent's name, category, description or status.
func (c *Client) ChangeAgent(ctx context.Context, agent uuid.UUID, ifMatch string, in AgentChange) (ledger.Agent, error) {
	return patch[ledger.Agent](ctx, c, "/v1/agents/"+agent.String(), in, ifMatch)
}

// ChangePrice publishes a version of an agent with another price.
func (c *Client) ChangePrice(ctx context.Context, agent uuid.UUID, ifMatch string, p ledger.Pricing) (ledger.Agent, error) {
	return post[ledger.Agent](ctx, c, "/v1/agents/"+agent.String()+"/prices", p, ifMatch)
}

// PublishVersion publishes a version of an agent.
func (c *Client) PublishVersion(ctx context.Context, agent uuid.UUID, ifMatch string, v Version) (ledger.Agent, error) {
	return post[ledger.Agent](ctx, c, "/v1/agents/"+agent.String()+"/versions", v, ifMatch)
}

// Versions goes through the versions of an agent, newest first.
func (c *Client) Versions(ctx context.Context, agent uuid.UUID) iter.Seq2[ledger.AgentVersion, error] {
	return list[ledger.AgentVersion](ctx, c, "/v1/agents/"+agent.String()+"/versions", url.Values{})
}

// AgentStatistics reads how an agent does, as telemetry and its users say.
func (c *Client) AgentStatistics(ctx context.Context, agent uuid.UUID) (ledger.AgentStatistics, error) {
	return get[ledger.AgentStatistics](ctx, c, "/v1/agents/"+agent.String()+"/statistics", nil)
}

// AgentForecast reads when the credits of those run out who spend most on an agent, if it goes on as in the window: whole
// hours, a week when it is 0.
func (c *Client) AgentForecast(ctx context.Context, agent uuid.UUID, window time.Duration) (ledger.AgentForecast, error) {
	return get[ledger.AgentForecast](ctx, c, "/v1/agents/"+agent.String()+"/forecast", windowOf(window))
}

// UserForecast reads when a user's credits run out, if they are spent as in the window: whole hours, a week when it is 0.
func (c *Client) UserForecast(ctx context.Context, user uuid.UUID, window time.Duration) (ledger.UserForecast, error) {
	return get[ledger.UserForecast](ctx, c, "/v1/users/"+user.String()+"/forecast", windowOf(window))
}

func windowOf(d time.Duration) url.Values {
	if d == 0 {
		return nil
	}
	return url.Values{"windowHours": {strconv.FormatInt(int64(d/time.Hour), 10)}}
}
