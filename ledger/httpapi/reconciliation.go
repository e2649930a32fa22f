package httpapi

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"github.com/agenttrail/agenttrail/ledger"
)

// ExecutionPath names a run by its id in telemetry.
type ExecutionPath struct {
	ExecutionID string `path:"executionId" maxLength:"512" doc:"Id of the run, as in its transaction and in telemetry"`
}

// DecisionPath names a decision about a run.
type DecisionPath struct {
	DecisionID uuid.UUID `path:"decisionId" doc:"Id of the decision"`
}

// signedAmount is credits in a request that may be less than nothing.
type signedAmount string

// Schema implements huma's SchemaProvider.
func (signedAmount) Schema(huma.Registry) *huma.Schema {
	length := 21
	return &huma.Schema{Type: huma.TypeString, Pattern: "^-?" + strings.TrimPrefix(amountPattern, "^"), PatternDescription: "a decimal number of credits, such as 1.5 or -1.5", MaxLength: &length, Examples: []any{"-1.5"}}
}

type adjustInput struct {
	Amount *signedAmount `json:"amount,omitempty" doc:"To charge, or less than 0 to give back; the drift when absent. It must be said where telemetry has several rows of the run"`
	Reason string        `json:"reason" minLength:"1" maxLength:"1000" doc:"Why, for the history"`
}

type waiveInput struct {
	Reason string `json:"reason" minLength:"1" maxLength:"1000" doc:"Why, for the history"`
}

type reconDecisionRequest struct {
	IdempotentParams
	DecisionPath
	Body *reasonInput
}

func (r *reconDecisionRequest) input() ledger.DecisionInput {
	if r.Body == nil {
		return ledger.DecisionInput{}
	}
	return ledger.DecisionInput{Reason: r.Body.Reason}
}

func (a *API) registerReconciliation() {
	const tag = "Reconciliation"
	admin, approve := []ledger.Scope{ledger.ScopeAdmin}, []ledger.Scope{ledger.ScopeApprove}
	corrected := []ledger.Code{ledger.CodeConflict, ledger.CodeInsufficientFunds, ledger.CodeRefundExceeds, ledger.CodeUserClosed}
	add(a, operation{
		id: "listDifferences", method: http.MethodGet, path: "/v1/reconciliation", tag: tag, summary: "List runs whose charge and telemetry did not agree",
		description: "Those that changed last first. Runs that always agreed are not listed.", scopes: admin,
	}, func(ctx context.Context, in *struct {
		PageParams
		State       ledger.ReconState `query:"state" enum:"drift,missing_in_ledger,missing_in_telemetry,matched,adjusted,waived" doc:"Only those in this state"`
		Open        bool              `query:"open" doc:"Only those that somebody should look at"`
		ExecutionID string            `query:"executionId" maxLength:"512" doc:"Only this run"`
		From        time.Time         `query:"from" doc:"Only those that have changed since then"`
		Until       time.Time         `query:"until" doc:"Only those that have not changed since then"`
	},
	) (*listAnswer[ledger.ReconItem], error) {
		return list(a.service.ReconItems(ctx, actorOf(ctx), ledger.ReconFilter{State: in.State, Open: in.Open, ExecutionID: in.ExecutionID, From: in.From, Until: in.Until}, in.page()))
	})

	add(a, operation{
		id: "listReconciliations", method: http.MethodGet, path: "/v1/reconciliation/runs", tag: tag, summary: "List comparisons of charges with telemetry", scopes: admin,
	}, func(ctx context.Context, in *struct{ PageParams }) (*listAnswer[ledger.ReconRun], error) {
		return list(a.service.ReconRuns(ctx, actorOf(ctx), in.page()))
	})

	add(a, operation{
		id: "listDecisions", method: http.MethodGet, path: "/v1/reconciliation/decisions", tag: tag, summary: "List what was decided about runs that did not agree", scopes: approve,
	}, func(ctx context.Context, in *struct {
		PageParams
		ExecutionID string                `query:"executionId" maxLength:"512" doc:"Only those about this run"`
		Status      ledger.DecisionStatus `query:"status" enum:"pending,done,rejected" doc:"Only those in this state"`
	},
	) (*listAnswer[ledger.ReconDecision], error) {
		return list(a.service.Decisions(ctx, actorOf(ctx), ledger.DecisionFilter{ExecutionID: in.ExecutionID, Status: in.Status}, in.page()))
	})

	add(a, operation{
		id: "adjust", method: http.MethodPost, path: "/v1/reconciliation/{executionId}/adjustments", tag: tag, summary: "Correct what was charged for a run",
		description: "By a new posting that is linked to the run: an adjustment, or a refund. Above the configured threshold the decision is pending until somebody else approves it.",
		scopes:      admin, status: http.StatusCreated, refusals: append([]ledger.Code{ledger.CodeOverflow}, corrected...),
	}, func(ctx context.Context, in *struct {
		IdempotentParams
		ExecutionPath
		Body adjustInput
	},
	) (*answer[ledger.ReconDecision], error) {
		input := ledger.AdjustInput{Reason: in.Body.Reason}
		if in.Body.Amount != nil {
			amount, err := ledger.ParseCredits(string(*in.Body.Amount))
			if err != nil {
				return nil, err
			}
			input.Amount = &amount
		}
		d, err := a.service.Adjust(ctx, callOf(ctx), in.ExecutionID, input)
		if err != nil {
			return nil, err
		}
		return reply(ctx, http.StatusCreated, "", 0, d), nil
	})

	add(a, operation{
		id: "waive", method: http.MethodPost, path: "/v1/reconciliation/{executionId}/waivers", tag: tag, summary: "Leave what was charged for a run as it is",
		description: "Until the difference changes; then it is listed again.", scopes: admin, status: http.StatusCreated, refusals: []ledger.Code{ledger.CodeConflict},
	}, func(ctx context.Context, in *struct {
		IdempotentParams
		ExecutionPath
		Body waiveInput
	},
	) (*answer[ledger.ReconDecision], error) {
		d, err := a.service.Waive(ctx, callOf(ctx), in.ExecutionID, ledger.WaiveInput{Reason: in.Body.Reason})
		if err != nil {
			return nil, err
		}
		return reply(ctx, http.StatusCreated, "", 0, d), nil
	})

	decided := []ledger.Code{ledger.CodeApprovalDecided, ledger.CodeOwnApproval}
	add(a, operation{
		id: "approveAdjustment", method: http.MethodPost, path: "/v1/reconciliation/decisions/{decisionId}/approve", tag: tag, summary: "Approve a correction: it is posted",
		scopes: approve, refusals: append(decided, corrected...),
	}, func(ctx context.Context, in *reconDecisionRequest) (*answer[ledger.ReconDecision], error) {
		d, err := a.service.ApproveAdjustment(ctx, callOf(ctx), in.DecisionID, in.input())
		if err != nil {
			return nil, err
		}
		return reply(ctx, http.StatusOK, "", 0, d), nil
	})
	add(a, operation{
		id: "rejectAdjustment", method: http.MethodPost, path: "/v1/reconciliation/decisions/{decisionId}/reject", tag: tag, summary: "Reject a correction",
		scopes: approve, refusals: decided,
	}, func(ctx context.Context, in *reconDecisionRequest) (*answer[ledger.ReconDecision], error) {
		d, err := a.service.RejectAdjustment(ctx, callOf(ctx), in.DecisionID, in.input())
		if err != nil {
			return nil, err
		}
		return reply(ctx, http.StatusOK, "", 0, d), nil
	})
}
