package httpapi

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/google/uuid"

	"github.com/agenttrail/agenttrail/ledger"
)

// UserPath names a user.
type UserPath struct {
	UserID uuid.UUID `path:"userId" doc:"Id of the user"`
}

type userInput struct {
	ID          uuid.UUID `json:"id,omitzero" doc:"Chosen by the ledger when absent"`
	Email       string    `json:"email" minLength:"3" maxLength:"320" format:"email" doc:"Unique without regard to case"`
	DisplayName string    `json:"displayName,omitempty" maxLength:"200" doc:"What to call the user"`
	Profile     document  `json:"profile,omitempty" doc:"An object of the platform's own"`
}

type userChange struct {
	Email       *string   `json:"email,omitempty" minLength:"3" maxLength:"320" format:"email" doc:"Unique without regard to case"`
	DisplayName *string   `json:"displayName,omitempty" maxLength:"200" doc:"What to call the user"`
	Profile     *document `json:"profile,omitempty" doc:"Replaces the object that is there"`
}

func (a *API) registerUsers() {
	manage := []ledger.Scope{ledger.ScopeManage}
	add(a, operation{
		id: "createUser", method: http.MethodPost, path: "/v1/users", tag: "Users", summary: "Create a user",
		scopes: manage, status: http.StatusCreated, refusals: []ledger.Code{ledger.CodeAlreadyExists},
	}, func(ctx context.Context, in *struct {
		IdempotentParams
		Body userInput
	},
	) (*answer[ledger.User], error) {
		u, err := a.service.CreateUser(ctx, callOf(ctx), ledger.UserInput{
			ID: in.Body.ID, Email: in.Body.Email, DisplayName: in.Body.DisplayName, Profile: json.RawMessage(in.Body.Profile),
		})
		if err != nil {
			return nil, err
		}
		return reply(ctx, http.StatusCreated, "/v1/users/"+u.ID.String(), u.RowVersion, u), nil
	})

	add(a, operation{
		id: "listUsers", method: http.MethodGet, path: "/v1/users", tag: "Users", summary: "List users",
		description: "A key that acts for a user sees that user only.",
	}, func(ctx context.Context, in *struct {
		PageParams
		Email  string            `query:"email" maxLength:"320" doc:"Only the user with this address"`
		Status ledger.UserStatus `query:"status" enum:"active,closed" doc:"Only users in this state"`
	},
	) (*listAnswer[ledger.User], error) {
		return list(a.service.Users(ctx, actorOf(ctx), ledger.UserFilter{Email: in.Email, Status: in.Status}, in.page()))
	})

	add(a, operation{
		id: "getUser", method: http.MethodGet, path: "/v1/users/{userId}", tag: "Users", summary: "Read a user",
	}, func(ctx context.Context, in *UserPath) (*answer[ledger.User], error) {
		u, err := a.service.User(ctx, actorOf(ctx), in.UserID)
		if err != nil {
			return nil, err
		}
		return show(u.RowVersion, u), nil
	})

	add(a, operation{
		id: "changeUser", method: http.MethodPatch, path: "/v1/users/{userId}", tag: "Users", summary: "Change a user's address, name or profile",
		scopes: manage, refusals: []ledger.Code{ProblemPreconditionRequired.Code, ledger.CodeVersionMismatch, ledger.CodeAlreadyExists, ledger.CodeUserClosed},
	}, func(ctx context.Context, in *struct {
		UserPath
		IfMatchParams
		Body userChange
	},
	) (*answer[ledger.User], error) {
		version, err := in.required()
		if err != nil {
			return nil, err
		}
		u, err := a.service.ChangeUser(ctx, callOf(ctx), in.UserID, ledger.UserChange{
			IfVersion: version, Email: in.Body.Email, DisplayName: in.Body.DisplayName, Profile: (*json.RawMessage)(in.Body.Profile),
		})
		if err != nil {
			return nil, err
		}
		return reply(ctx, http.StatusOK, "", u.RowVersion, u), nil
	})

	add(a, operation{
		id: "closeUser", method: http.MethodPost, path: "/v1/users/{userId}/close", tag: "Users", summary: "Close a user's account for good",
		description: "Refused while credits are on hold. The user's mandates are revoked.",
		scopes:      manage, refusals: []ledger.Code{ledger.CodeVersionMismatch, ledger.CodeConflict, ledger.CodeUserClosed},
	}, func(ctx context.Context, in *struct {
		IdempotentParams
		UserPath
		IfMatchParams
	},
	) (*answer[ledger.User], error) {
		version, err := in.optional()
		if err != nil {
			return nil, err
		}
		u, err := a.service.CloseUser(ctx, callOf(ctx), in.UserID, version)
		if err != nil {
			return nil, err
		}
		return reply(ctx, http.StatusOK, "", u.RowVersion, u), nil
	})

	add(a, operation{
		id: "getBalance", method: http.MethodGet, path: "/v1/users/{userId}/balance", tag: "Users", summary: "Read what a user has",
	}, func(ctx context.Context, in *UserPath) (*struct{ Body ledger.Balance }, error) {
		b, err := a.service.Balance(ctx, actorOf(ctx), in.UserID)
		return &struct{ Body ledger.Balance }{b}, err
	})
}
