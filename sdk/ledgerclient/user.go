package ledgerclient

import (
	"context"
	"encoding/json"
	"iter"
	"net/url"

	"github.com/google/uuid"

	"github.com/agenttrail/agenttrail/ledger"
)

// User makes a user.
type User struct {
	ID          uuid.UUID       `json:"id,omitzero"` // Chosen by the ledger when it is nil.
	Email       string          `json:"email"`
	DisplayName string          `json:"displayName,omitempty"`
	Profile     json.RawMessage `json:"profile,omitempty"`
}

// UserChange changes what is not nil.
type UserChange struct {
	Email       *string         `json:"email,omitempty"`
	DisplayName *string         `json:"displayName,omitempty"`
	Profile     json.RawMessage `json:"profile,omitempty"` // Replaces the whole object.
}

// CreateUser makes a user.
func (c *Client) CreateUser(ctx context.Context, in User) (ledger.User, error) {
	return post[ledger.User](ctx, c, "/v1/users", in, "")
}

// User reads a user.
func (c *Client) User(ctx context.Context, id uuid.UUID) (ledger.User, error) {
	return get[ledger.User](ctx, c, "/v1/users/"+id.String(), nil)
}

// Users goes through users, newest first.
func (c *Client) Users(ctx context.Context, f ledger.UserFilter) iter.Seq2[ledger.User, error] {
	return list[ledger.User](ctx, c, "/v1/users", filter("email", f.Email, "status", string(f.Status)))
}

// ChangeUser changes a user's address, name or profile.
func (c *Client) ChangeUser(ctx context.Context, id uuid.UUID, ifMatch string, in UserChange) (ledger.User, error) {
	return patch[ledger.User](ctx, c, "/v1/users/"+id.String(), in, ifMatch)
}

// CloseUser closes a user's account for good.
func (c *Client) CloseUser(ctx context.Context, id uuid.UUID, ifMatch string) (ledger.User, error) {
	return post[ledger.User](ctx, c, "/v1/users/"+id.String()+"/close", nil, ifMatch)
}

// Balance reads a user's credits.
func (c *Client) Balance(ctx context.Context, user uuid.UUID) (ledger.Balance, error) {
	return get[ledger.Balance](ctx, c, "/v1/users/"+user.String()+"/balance", nil)
}

// Interaction is what a user says of an agent.
type Interaction struct {
	Rating     *int   `json:"rating,omitempty"` // 1 to 5; nil takes it back.
	Feedback   string `json:"feedback,omitempty"`
	IsFavorite bool   `json:"isFavorite,omitempty"`
}

func interactionPath(user, agent uuid.UUID) string {
	return "/v1/users/" + user.String() + "/interactions/" + agent.String()
}

// PutInteraction replaces what a user says of an agent.
func (c *Client) PutInteraction(ctx context.Context, user, agent uuid.UUID, ifMatch string, in Interaction) (ledger.Interaction, error) {
	return put[ledger.Interaction](ctx, c, interactionPath(user, agent), in, ifMatch)
}

// Interaction reads what a user says of an agent; it is empty, with the RowVersion 0, when there is nothing yet.
func (c *Client) Interaction(ctx context.Context, user, agent uuid.UUID) (ledger.Interaction, error) {
	return get[ledger.Interaction](ctx, c, interactionPath(user, agent), nil)
}

// Interactions goes through what a user says of agents, or only of those that the user marked.
func (c *Client) Interactions(ctx context.Context, user uuid.UUID, favorites bool) iter.Seq2[ledger.Interaction, error] {
	return list[ledger.Interaction](ctx, c, "/v1/users/"+user.String()+"/interactions", filter("favorites", yes(favorites)))
}

// Statistics goes through how a user uses agents, as telemetry says.
func (c *Client) Statistics(ctx context.Context, user uuid.UUID) iter.Seq2[ledger.UsageStatistics, error] {
	return list[ledger.UsageStatistics](ctx, c, "/v1/users/"+user.String()+"/statistics", url.Values{})
}
