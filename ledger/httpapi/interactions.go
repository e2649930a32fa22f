package httpapi

import (
	"context"
	"net/http"

	"github.com/google/uuid"

	"github.com/agenttrail/agenttrail/ledger"
)

// InteractionPath names what a user says of an agent.
type InteractionPath struct {
	UserPath
	AgentID uuid.UUID `path:"agentId" doc:"Id of the agent"`
}

type interactionInput struct {
	Rating     *int   `json:"rating,omitempty" minimum:"1" maximum:"5" doc:"Absent takes the rating back"`
	Feedback   string `json:"feedback,omitempty" maxLength:"4000" doc:"In the user's words"`
	IsFavorite bool   `json:"isFavorite,omitempty" doc:"Whether the user marked the agent"`
}

func (a *API) registerInteractions() {
	add(a, operation{
		id: "listInteractions", method: http.MethodGet, path: "/v1/users/{userId}/interactions", tag: "Interactions", summary: "List what a user says of agents",
	}, func(ctx context.Context, in *struct {
		UserPath
		PageParams
		Favorites bool `query:"favorites" doc:"Only agents that the user marked"`
	},
	) (*listAnswer[ledger.Interaction], error) {
		return list(a.service.Interactions(ctx, actorOf(ctx), in.UserID, in.Favorites, in.page()))
	})

	add(a, operation{
		id: "getInteraction", method: http.MethodGet, path: "/v1/users/{userId}/interactions/{agentId}", tag: "Interactions", summary: "Read what a user says of an agent",
		description: "It is empty, with the ETag \"0\", if there was nothing yet.",
	}, func(ctx context.Context, in *InteractionPath) (*answer[ledger.Interaction], error) {
		i, err := a.service.Interaction(ctx, actorOf(ctx), in.UserID, in.AgentID)
		if err != nil {
			return nil, err
		}
		return show(i.RowVersion, i), nil
	})

	add(a, operation{
		id: "putInteraction", method: http.MethodPut, path: "/v1/users/{userId}/interactions/{agentId}", tag: "Interactions", summary: "Replace what a user says of an agent",
		scopes: []ledger.Scope{ledger.ScopeManage}, refusals: []ledger.Code{ProblemPreconditionRequired.Code, ledger.CodeVersionMismatch, ledger.CodeUserClosed},
	}, func(ctx context.Context, in *struct {
		InteractionPath
		IfMatchParams
		Body interactionInput
	},
	) (*answer[ledger.Interaction], error) {
		version, err := in.requiredOrNone()
		if err != nil {
			return nil, err
		}
		i, err := a.service.PutInteraction(ctx, callOf(ctx), in.UserID, in.AgentID, ledger.InteractionInput{
			IfVersion: version, Rating: in.Body.Rating, Feedback: in.Body.Feedback, IsFavorite: in.Body.IsFavorite,
		})
		if err != nil {
			return nil, err
		}
		return reply(ctx, http.StatusOK, "", i.RowVersion, i), nil
	})
}
