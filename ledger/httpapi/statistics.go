package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/agenttrail/agenttrail/ledger"
)

// WindowParams is how far a forecast looks back.
type WindowParams struct {
	WindowHours int `query:"windowHours" minimum:"1" maximum:"720" default:"168" doc:"How many hours back spending is looked at"`
}

func (p WindowParams) window() time.Duration { return time.Duration(p.WindowHours) * time.Hour }

type guardInput struct {
	LeftSeconds *int64 `json:"leftSeconds,omitempty" minimum:"60" maximum:"31536000" doc:"The mandate is suspended once the forecast says that the credits last for less than this; absent for never"`
}

func (a *API) registerStatistics() {
	const tag = "Statistics"
	add(a, operation{
		id: "getAgentStatistics", method: http.MethodGet, path: "/v1/agents/{agentId}/statistics", tag: tag, summary: "Read how an agent does",
		description: "As telemetry says, about a minute behind it. While telemetry is away the figures stay as they were.",
	}, func(ctx context.Context, in *AgentPath) (*answer[ledger.AgentStatistics], error) {
		s, err := a.service.AgentStatistics(ctx, actorOf(ctx), in.AgentID.String())
		if err != nil {
			return nil, err
		}
		return show(-1, s), nil
	})

	add(a, operation{
		id: "listUsageStatistics", method: http.MethodGet, path: "/v1/users/{userId}/statistics", tag: tag, summary: "List how a user uses agents",
		description: "As telemetry says, in the order of the agents' slugs.",
	}, func(ctx context.Context, in *struct {
		UserPath
		PageParams
	},
	) (*listAnswer[ledger.UsageStatistics], error) {
		return list(a.service.UsageStatistics(ctx, actorOf(ctx), in.UserID, in.page()))
	})

	add(a, operation{
		id: "getUserForecast", method: http.MethodGet, path: "/v1/users/{userId}/forecast", tag: tag, summary: "Forecast when a user's credits run out",
		description: "If they go on to be spent as they were in the window. Credits that expire before their turn are lost.",
	}, func(ctx context.Context, in *struct {
		UserPath
		WindowParams
	},
	) (*answer[ledger.UserForecast], error) {
		f, err := a.service.UserForecast(ctx, actorOf(ctx), in.UserID, in.window())
		if err != nil {
			return nil, err
		}
		return show(-1, f), nil
	})

	add(a, operation{
		id: "getAgentForecast", method: http.MethodGet, path: "/v1/agents/{agentId}/forecast", tag: tag, summary: "Forecast when the credits of those who run an agent run out",
		description: "Those who spend most on it. For keys of the platform.", scopes: []ledger.Scope{ledger.ScopeManage},
	}, func(ctx context.Context, in *struct {
		AgentPath
		WindowParams
	},
	) (*answer[ledger.AgentForecast], error) {
		f, err := a.service.AgentForecast(ctx, actorOf(ctx), in.AgentID.String(), in.window())
		if err != nil {
			return nil, err
		}
		return show(-1, f), nil
	})

	add(a, operation{
		id: "getGuard", method: http.MethodGet, path: "/v1/mandates/{mandateId}/guard", tag: tag, summary: "Read when a mandate is suspended by forecast",
		description: "It is empty, with the ETag \"0\", if nothing was set yet.",
	}, func(ctx context.Context, in *MandatePath) (*answer[ledger.Guard], error) {
		g, err := a.service.Guard(ctx, actorOf(ctx), in.MandateID)
		if err != nil {
			return nil, err
		}
		return show(g.RowVersion, g), nil
	})

	add(a, operation{
		id: "putGuard", method: http.MethodPut, path: "/v1/mandates/{mandateId}/guard", tag: tag, summary: "Set when a mandate is suspended by forecast",
		scopes: []ledger.Scope{ledger.ScopeManage}, refusals: []ledger.Code{ProblemPreconditionRequired.Code, ledger.CodeVersionMismatch},
	}, func(ctx context.Context, in *struct {
		MandatePath
		IfMatchParams
		Body guardInput
	},
	) (*answer[ledger.Guard], error) {
		version, err := in.requiredOrNone()
		if err != nil {
			return nil, err
		}
		g, err := a.service.SetGuard(ctx, callOf(ctx), in.MandateID, ledger.GuardInput{IfVersion: version, LeftSeconds: (*ledger.Seconds)(in.Body.LeftSeconds)})
		if err != nil {
			return nil, err
		}
		return reply(ctx, http.StatusOK, "", g.RowVersion, g), nil
	})
}
