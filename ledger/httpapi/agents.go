package httpapi

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/google/uuid"

	"github.com/agenttrail/agenttrail/ledger"
)

// AgentPath names an agent.
type AgentPath struct {
	AgentID uuid.UUID `path:"agentId" doc:"Id of the agent"`
}

type pricingInput struct {
	PerExecution      amount  `json:"perExecution" doc:"Held for a run whose caller names no amount"`
	PerThousandTokens *amount `json:"perThousandTokens,omitempty" doc:"For those who meter runs; the ledger takes what a capture says"`
}

func (p pricingInput) pricing() (ledger.Pricing, error) {
	execution, err := p.PerExecution.credits()
	if err != nil {
		return ledger.Pricing{}, err
	}
	tokens, err := optionalCredits(p.PerThousandTokens)
	if err != nil || tokens == nil {
		return ledger.Pricing{PerExecution: execution}, err
	}
	return ledger.Pricing{PerExecution: execution, PerThousandTokens: *tokens}, nil
}

type versionInput struct {
	Provider     *string       `json:"provider,omitempty" maxLength:"200" doc:"Of the model, such as anthropic"`
	Config       document      `json:"config,omitempty" doc:"Absent keeps that of the version before"`
	Pricing      *pricingInput `json:"pricing,omitempty" doc:"Absent keeps the price"`
	InputSchema  document      `json:"inputSchema,omitempty" doc:"JSON Schema of what the agent takes; absent keeps the one before"`
	OutputSchema document      `json:"outputSchema,omitempty" doc:"JSON Schema of what the agent gives; absent keeps the one before"`
}

func (v versionInput) version(ifVersion int) (ledger.VersionInput, error) {
	out := ledger.VersionInput{
		IfVersion: ifVersion, Provider: v.Provider, Config: json.RawMessage(v.Config),
		InputSchema: json.RawMessage(v.InputSchema), OutputSchema: json.RawMessage(v.OutputSchema),
	}
	if v.Pricing != nil {
		p, err := v.Pricing.pricing()
		if err != nil {
			return out, err
		}
		out.Pricing = &p
	}
	return out, nil
}

type agentInput struct {
	ID          uuid.UUID          `json:"id,omitzero" doc:"Chosen by the ledger when absent"`
	Slug        string             `json:"slug" pattern:"^[a-z0-9][a-z0-9-]{0,62}$" maxLength:"63" doc:"Stable name; the agentId of telemetry"`
	Name        string             `json:"name" minLength:"1" maxLength:"200" doc:"What to call the agent"`
	Category    string             `json:"category" minLength:"1" maxLength:"100" doc:"What mandates can allow or deny"`
	Description string             `json:"description,omitempty" maxLength:"4000" doc:"What the agent does"`
	OwnerID     uuid.UUID          `json:"ownerId" doc:"The user whose agent it is"`
	Status      ledger.AgentStatus `json:"status,omitempty" enum:"draft,active,suspended" doc:"active when absent; only active agents can be run"`
	Version     *versionInput      `json:"version,omitempty" doc:"The first version; without one the agent cannot be run yet"`
}

type agentChange struct {
	Name        *string             `json:"name,omitempty" minLength:"1" maxLength:"200" doc:"What to call the agent"`
	Category    *string             `json:"category,omitempty" minLength:"1" maxLength:"100" doc:"What mandates can allow or deny"`
	Description *string             `json:"description,omitempty" maxLength:"4000" doc:"What the agent does"`
	Status      *ledger.AgentStatus `json:"status,omitempty" enum:"draft,active,suspended,retired" doc:"A retired agent stays retired"`
}

func (a *API) registerAgents() {
	manage := []ledger.Scope{ledger.ScopeManage}
	edits := []ledger.Code{ProblemPreconditionRequired.Code, ledger.CodeVersionMismatch, ledger.CodeConflict}
	add(a, operation{
		id: "registerAgent", method: http.MethodPost, path: "/v1/agents", tag: "Agents", summary: "Register an agent",
		scopes: manage, status: http.StatusCreated, refusals: []ledger.Code{ledger.CodeAlreadyExists, ledger.CodeNotFound, ledger.CodeOverflow},
	}, func(ctx context.Context, in *struct {
		IdempotentParams
		Body agentInput
	},
	) (*answer[ledger.Agent], error) {
		input := ledger.AgentInput{
			ID: in.Body.ID, Slug: in.Body.Slug, Name: in.Body.Name, Category: in.Body.Category, Description: in.Body.Description,
			OwnerID: in.Body.OwnerID, Status: in.Body.Status,
		}
		if in.Body.Version != nil {
			v, err := in.Body.Version.version(0)
			if err != nil {
				return nil, err
			}
			input.Version = &v
		}
		g, err := a.service.RegisterAgent(ctx, callOf(ctx), input)
		if err != nil {
			return nil, err
		}
		return reply(ctx, http.StatusCreated, "/v1/agents/"+g.ID.String(), g.RowVersion, g), nil
	})

	add(a, operation{
		id: "listAgents", method: http.MethodGet, path: "/v1/agents", tag: "Agents", summary: "List agents",
	}, func(ctx context.Context, in *struct {
		PageParams
		OwnerID  uuid.UUID          `query:"ownerId" doc:"Only agents of this user"`
		Category string             `query:"category" maxLength:"100" doc:"Only agents of this category"`
		Status   ledger.AgentStatus `query:"status" enum:"draft,active,suspended,retired" doc:"Only agents in this state"`
	},
	) (*listAnswer[ledger.Agent], error) {
		return list(a.service.Agents(ctx, actorOf(ctx), ledger.AgentFilter{OwnerID: in.OwnerID, Category: in.Category, Status: in.Status}, in.page()))
	})

	add(a, operation{
		id: "getAgent", method: http.MethodGet, path: "/v1/agents/{agent}", tag: "Agents", summary: "Read an agent",
	}, func(ctx context.Context, in *struct {
		Agent string `path:"agent" maxLength:"63" doc:"Slug or id of the agent"`
	},
	) (*answer[ledger.Agent], error) {
		g, err := a.service.Agent(ctx, actorOf(ctx), in.Agent)
		if err != nil {
			return nil, err
		}
		return show(g.RowVersion, g), nil
	})

	add(a, operation{
		id: "changeAgent", method: http.MethodPatch, path: "/v1/agents/{agentId}", tag: "Agents", summary: "Change an agent",
		scopes: manage, refusals: edits,
	}, func(ctx context.Context, in *struct {
		AgentPath
		IfMatchParams
		Body agentChange
	},
	) (*answer[ledger.Agent], error) {
		version, err := in.required()
		if err != nil {
			return nil, err
		}
		g, err := a.service.ChangeAgent(ctx, callOf(ctx), in.AgentID, ledger.AgentChange{
			IfVersion: version, Name: in.Body.Name, Category: in.Body.Category, Description: in.Body.Description, Status: in.Body.Status,
		})
		if err != nil {
			return nil, err
		}
		return reply(ctx, http.StatusOK, "", g.RowVersion, g), nil
	})

	add(a, operation{
		id: "publishVersion", method: http.MethodPost, path: "/v1/agents/{agentId}/versions", tag: "Agents", summary: "Publish a version of an agent",
		description: "Runs that are under way keep the version that they were authorized with.",
		scopes:      manage, status: http.StatusCreated, refusals: append([]ledger.Code{ledger.CodeOverflow}, edits...),
	}, func(ctx context.Context, in *struct {
		IdempotentParams
		AgentPath
		IfMatchParams
		Body versionInput
	},
	) (*answer[ledger.Agent], error) {
		ifVersion, err := in.required()
		if err != nil {
			return nil, err
		}
		input, err := in.Body.version(ifVersion)
		if err != nil {
			return nil, err
		}
		g, err := a.service.PublishVersion(ctx, callOf(ctx), in.AgentID, input)
		if err != nil {
			return nil, err
		}
		return reply(ctx, http.StatusCreated, "", g.RowVersion, g), nil
	})

	add(a, operation{
		id: "changePrice", method: http.MethodPost, path: "/v1/agents/{agentId}/prices", tag: "Agents", summary: "Change the price of an agent",
		description: "Publishes a version that differs from the one before in its price alone.",
		scopes:      manage, status: http.StatusCreated, refusals: append([]ledger.Code{ledger.CodeOverflow}, edits...),
	}, func(ctx context.Context, in *struct {
		IdempotentParams
		AgentPath
		IfMatchParams
		Body pricingInput
	},
	) (*answer[ledger.Agent], error) {
		ifVersion, err := in.required()
		if err != nil {
			return nil, err
		}
		price, err := in.Body.pricing()
		if err != nil {
			return nil, err
		}
		g, err := a.service.ChangePrice(ctx, callOf(ctx), in.AgentID, ifVersion, price)
		if err != nil {
			return nil, err
		}
		return reply(ctx, http.StatusCreated, "", g.RowVersion, g), nil
	})

	add(a, operation{
		id: "listVersions", method: http.MethodGet, path: "/v1/agents/{agentId}/versions", tag: "Agents", summary: "List the versions of an agent",
	}, func(ctx context.Context, in *struct {
		AgentPath
		PageParams
	},
	) (*listAnswer[ledger.AgentVersion], error) {
		return list(a.service.AgentVersions(ctx, actorOf(ctx), in.AgentID, in.page()))
	})
}
