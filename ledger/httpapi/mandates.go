package httpapi

import (
	"context"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/agenttrail/agenttrail/ledger"
)

// MandatePath names a mandate.
type MandatePath struct {
	MandateID uuid.UUID `path:"mandateId" doc:"Id of the mandate"`
}

// rulesBody are the rules of a mandate in JSON. What is absent does not limit.
type rulesBody struct {
	MaxPerExecution *amount `json:"maxPerExecution,omitempty" doc:"Most credits of one execution"`
	MaxPerDay       *amount `json:"maxPerDay,omitempty" doc:"Most credits of a day in the mandate's time zone, held ones included; so for the next two"`
	MaxPerWeek      *amount `json:"maxPerWeek,omitempty" doc:"Most credits of a week, which begins on Monday"`
	MaxPerMonth     *amount `json:"maxPerMonth,omitempty" doc:"Most credits of a month"`
	MaxTotal        *amount `json:"maxTotal,omitempty" doc:"Most credits ever"`
	MaxCountPerDay  *int64  `json:"maxCountPerDay,omitempty" minimum:"0" maximum:"1000000000" doc:"Most executions of a day"`
	MaxConcurrent   *int64  `json:"maxConcurrent,omitempty" minimum:"0" maximum:"1000000000" doc:"Most executions under way at once"`

	AllowAgents     []string `json:"allowAgents,omitempty" maxItems:"1000" minLength:"1" maxLength:"200" doc:"Only these agents, by slug or id"`
	DenyAgents      []string `json:"denyAgents,omitempty" maxItems:"1000" minLength:"1" maxLength:"200" doc:"Not these agents, whatever else allows them"`
	AllowCategories []string `json:"allowCategories,omitempty" maxItems:"1000" minLength:"1" maxLength:"200" doc:"Only agents of these categories"`
	DenyCategories  []string `json:"denyCategories,omitempty" maxItems:"1000" minLength:"1" maxLength:"200" doc:"Not agents of these categories"`
	AllowProviders  []string `json:"allowProviders,omitempty" maxItems:"1000" minLength:"1" maxLength:"200" doc:"Only agents whose version names one of these providers"`
	DenyProviders   []string `json:"denyProviders,omitempty" maxItems:"1000" minLength:"1" maxLength:"200" doc:"Not agents of these providers"`

	ValidFrom  *time.Time `json:"validFrom,omitempty" doc:"First moment at which it permits anything"`
	ValidUntil *time.Time `json:"validUntil,omitempty" doc:"First moment at which it permits nothing any more"`

	ApprovalOver *amount `json:"approvalOver,omitempty" doc:"Executions of more than this wait for an approval"`
	SingleUse    bool    `json:"singleUse,omitempty" doc:"Permits one execution; a released or expired one does not count"`
	TimeZone     string  `json:"timeZone,omitempty" maxLength:"100" doc:"Name in the IANA database, UTC when absent" example:"Europe/Berlin"`
}

func (r rulesBody) rules() (ledger.Rules, error) {
	out := ledger.Rules{
		MaxCountPerDay: r.MaxCountPerDay, MaxConcurrent: r.MaxConcurrent,
		AllowAgents: r.AllowAgents, DenyAgents: r.DenyAgents, AllowCategories: r.AllowCategories, DenyCategories: r.DenyCategories,
		AllowProviders: r.AllowProviders, DenyProviders: r.DenyProviders,
		ValidFrom: r.ValidFrom, ValidUntil: r.ValidUntil, SingleUse: r.SingleUse, TimeZone: r.TimeZone,
	}
	for _, limit := range []struct {
		from *amount
		to   **ledger.Credits
	}{
		{r.MaxPerExecution, &out.MaxPerExecution},
		{r.MaxPerDay, &out.MaxPerDay},
		{r.MaxPerWeek, &out.MaxPerWeek},
		{r.MaxPerMonth, &out.MaxPerMonth},
		{r.MaxTotal, &out.MaxTotal},
		{r.ApprovalOver, &out.ApprovalOver},
	} {
		c, err := optionalCredits(limit.from)
		if err != nil {
			return out, err
		}
		*limit.to = c
	}
	return out, nil
}

type mandateInput struct {
	ID          uuid.UUID `json:"id,omitzero" doc:"Chosen by the ledger when absent"`
	UserID      uuid.UUID `json:"userId" doc:"Whose credits it lets agents spend"`
	Name        string    `json:"name,omitempty" maxLength:"200" doc:"What to call it"`
	Rules       rulesBody `json:"rules" doc:"What it permits"`
	EffectiveAt time.Time `json:"effectiveAt,omitzero" doc:"When the rules begin to count: now when absent, and not before"`
}

type mandateVersionInput struct {
	Rules       rulesBody `json:"rules" doc:"Replace the rules before; what those do not name is not limited any more"`
	EffectiveAt time.Time `json:"effectiveAt,omitzero" doc:"When the rules begin to count: now when absent, and not before"`
}

type reasonInput struct {
	Reason string `json:"reason,omitempty" maxLength:"1000" doc:"Why, for the history"`
}

type revokeInput struct {
	Reason       string `json:"reason,omitempty" maxLength:"1000" doc:"Why, for the history"`
	ReleaseHolds bool   `json:"releaseHolds,omitempty" doc:"Also release what is on hold; without it, runs that are under way can still be captured"`
}

func (a *API) registerMandates() {
	manage := []ledger.Scope{ledger.ScopeManage}
	add(a, operation{
		id: "createMandate", method: http.MethodPost, path: "/v1/mandates", tag: "Mandates", summary: "Create a mandate",
		scopes: manage, status: http.StatusCreated, refusals: []ledger.Code{ledger.CodeAlreadyExists, ledger.CodeNotFound, ledger.CodeUserClosed, ledger.CodeOverflow},
	}, func(ctx context.Context, in *struct {
		IdempotentParams
		Body mandateInput
	},
	) (*answer[ledger.Mandate], error) {
		rules, err := in.Body.Rules.rules()
		if err != nil {
			return nil, err
		}
		m, err := a.service.CreateMandate(ctx, callOf(ctx), ledger.MandateInput{
			ID: in.Body.ID, UserID: in.Body.UserID, Name: in.Body.Name, Rules: rules, EffectiveAt: in.Body.EffectiveAt,
		})
		if err != nil {
			return nil, err
		}
		return reply(ctx, http.StatusCreated, "/v1/mandates/"+m.ID.String(), m.RowVersion, m), nil
	})

	add(a, operation{
		id: "listMandates", method: http.MethodGet, path: "/v1/mandates", tag: "Mandates", summary: "List mandates",
	}, func(ctx context.Context, in *struct {
		PageParams
		UserID uuid.UUID            `query:"userId" doc:"Only mandates of this user"`
		Status ledger.MandateStatus `query:"status" enum:"active,suspended,revoked" doc:"Only mandates in this state"`
	},
	) (*listAnswer[ledger.Mandate], error) {
		return list(a.service.Mandates(ctx, actorOf(ctx), ledger.MandateFilter{UserID: in.UserID, Status: in.Status}, in.page()))
	})

	add(a, operation{
		id: "getMandate", method: http.MethodGet, path: "/v1/mandates/{mandateId}", tag: "Mandates", summary: "Read a mandate with the rules in effect",
	}, func(ctx context.Context, in *MandatePath) (*answer[ledger.Mandate], error) {
		m, err := a.service.Mandate(ctx, actorOf(ctx), in.MandateID)
		if err != nil {
			return nil, err
		}
		return show(m.RowVersion, m), nil
	})

	add(a, operation{
		id: "replaceRules", method: http.MethodPost, path: "/v1/mandates/{mandateId}/versions", tag: "Mandates", summary: "Replace the rules of a mandate",
		description: "What was authorized under the rules before stays on hold, and counts.",
		scopes:      manage, status: http.StatusCreated,
		refusals: []ledger.Code{ProblemPreconditionRequired.Code, ledger.CodeVersionMismatch, ledger.CodeConflict, ledger.CodeOverflow},
	}, func(ctx context.Context, in *struct {
		IdempotentParams
		MandatePath
		IfMatchParams
		Body mandateVersionInput
	},
	) (*answer[ledger.Mandate], error) {
		version, err := in.required()
		if err != nil {
			return nil, err
		}
		rules, err := in.Body.Rules.rules()
		if err != nil {
			return nil, err
		}
		m, err := a.service.ReplaceRules(ctx, callOf(ctx), in.MandateID, ledger.MandateVersionInput{IfVersion: version, Rules: rules, EffectiveAt: in.Body.EffectiveAt})
		if err != nil {
			return nil, err
		}
		return reply(ctx, http.StatusCreated, "", m.RowVersion, m), nil
	})

	add(a, operation{
		id: "listMandateVersions", method: http.MethodGet, path: "/v1/mandates/{mandateId}/versions", tag: "Mandates", summary: "List the versions of a mandate's rules",
	}, func(ctx context.Context, in *struct {
		MandatePath
		PageParams
	},
	) (*listAnswer[ledger.MandateVersion], error) {
		return list(a.service.MandateVersions(ctx, actorOf(ctx), in.MandateID, in.page()))
	})

	add(a, operation{
		id: "getMandateUsage", method: http.MethodGet, path: "/v1/mandates/{mandateId}/usage", tag: "Mandates", summary: "Read what counts against a mandate's limits now",
	}, func(ctx context.Context, in *MandatePath) (*struct{ Body ledger.Usage }, error) {
		u, err := a.service.MandateUsage(ctx, actorOf(ctx), in.MandateID)
		return &struct{ Body ledger.Usage }{u}, err
	})

	add(a, operation{
		id: "evaluateMandate", method: http.MethodGet, path: "/v1/mandates/{mandateId}/evaluation", tag: "Mandates", summary: "Judge a run without authorizing it",
		description: "The receipt is the one that an authorization would get at this moment; nothing is held.",
		scopes:      []ledger.Scope{ledger.ScopeExecute, ledger.ScopeManage}, refusals: []ledger.Code{ledger.CodeOverflow, ledger.CodeUserClosed, ledger.CodeAgentUnavailable},
	}, func(ctx context.Context, in *struct {
		MandatePath
		UserID uuid.UUID `query:"userId" required:"true" doc:"Whose credits"`
		Agent  string    `query:"agent" required:"true" maxLength:"63" doc:"Slug or id of the agent"`
		Amount amount    `query:"amount" doc:"Credits that the run asks for; the agent's price of an execution when absent"`
	},
	) (*struct{ Body ledger.Receipt }, error) {
		input := ledger.AuthorizeInput{UserID: in.UserID, MandateID: in.MandateID, Agent: in.Agent}
		if in.Amount != "" {
			c, err := in.Amount.credits()
			if err != nil {
				return nil, err
			}
			input.Amount = &c
		}
		r, err := a.service.EvaluateMandate(ctx, actorOf(ctx), input)
		return &struct{ Body ledger.Receipt }{r}, err
	})

	for _, change := range []struct {
		id, verb, summary string
		do                func(context.Context, *ledger.Call, uuid.UUID, ledger.MandateChange) (ledger.Mandate, error)
	}{
		{"suspendMandate", "suspend", "Suspend a mandate: it permits nothing until it is resumed", a.service.SuspendMandate},
		{"resumeMandate", "resume", "Resume a suspended mandate", a.service.ResumeMandate},
	} {
		add(a, operation{
			id: change.id, method: http.MethodPost, path: "/v1/mandates/{mandateId}/" + change.verb, tag: "Mandates", summary: change.summary,
			scopes: manage, refusals: []ledger.Code{ledger.CodeVersionMismatch, ledger.CodeConflict},
		}, func(ctx context.Context, in *struct {
			IdempotentParams
			MandatePath
			IfMatchParams
			Body *reasonInput
		},
		) (*answer[ledger.Mandate], error) {
			var body reasonInput
			if in.Body != nil {
				body = *in.Body
			}
			return a.changeMandate(ctx, in.IfMatchParams, in.MandateID, ledger.MandateChange{Reason: body.Reason}, change.do)
		})
	}

	add(a, operation{
		id: "revokeMandate", method: http.MethodPost, path: "/v1/mandates/{mandateId}/revoke", tag: "Mandates", summary: "Revoke a mandate for good",
		scopes: manage, refusals: []ledger.Code{ledger.CodeVersionMismatch, ledger.CodeConflict},
	}, func(ctx context.Context, in *struct {
		IdempotentParams
		MandatePath
		IfMatchParams
		Body *revokeInput
	},
	) (*answer[ledger.Mandate], error) {
		var body revokeInput
		if in.Body != nil {
			body = *in.Body
		}
		return a.changeMandate(ctx, in.IfMatchParams, in.MandateID, ledger.MandateChange{Reason: body.Reason, ReleaseHolds: body.ReleaseHolds}, a.service.RevokeMandate)
	})
}

func (a *API) changeMandate(ctx context.Context, match IfMatchParams, id uuid.UUID, change ledger.MandateChange,
	do func(context.Context, *ledger.Call, uuid.UUID, ledger.MandateChange) (ledger.Mandate, error),
) (*answer[ledger.Mandate], error) {
	version, err := match.optional()
	if err != nil {
		return nil, err
	}
	change.IfVersion = version
	m, err := do(ctx, callOf(ctx), id, change)
	if err != nil {
		return nil, err
	}
	return reply(ctx, http.StatusOK, "", m.RowVersion, m), nil
}
