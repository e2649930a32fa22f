package httpapi

import (
	"context"
	"net/http"
	"slices"

	"github.com/google/uuid"

	"github.com/agenttrail/agenttrail/ledger"
)

// ApprovalPath names an approval.
type ApprovalPath struct {
	ApprovalID uuid.UUID `path:"approvalId" doc:"Id of the approval"`
}

type decisionRequest struct {
	IdempotentParams
	ApprovalPath
	Body *reasonInput
}

func (r *decisionRequest) input() ledger.DecisionInput {
	if r.Body == nil {
		return ledger.DecisionInput{}
	}
	return ledger.DecisionInput{Reason: r.Body.Reason}
}

func (a *API) registerApprovals() {
	approve := []ledger.Scope{ledger.ScopeApprove}
	decided := []ledger.Code{ledger.CodeApprovalDecided, ledger.CodeApprovalExpired, ledger.CodeOwnApproval}
	add(a, operation{
		id: "listApprovals", method: http.MethodGet, path: "/v1/approvals", tag: "Approvals", summary: "List approvals",
	}, func(ctx context.Context, in *struct {
		PageParams
		UserID uuid.UUID             `query:"userId" doc:"Only runs of this user"`
		Status ledger.ApprovalStatus `query:"status" enum:"pending,approved,rejected,expired" doc:"Only approvals in this state"`
	},
	) (*listAnswer[ledger.Approval], error) {
		return list(a.service.Approvals(ctx, actorOf(ctx), ledger.ApprovalFilter{UserID: in.UserID, Status: in.Status}, in.page()))
	})

	add(a, operation{
		id: "getApproval", method: http.MethodGet, path: "/v1/approvals/{approvalId}", tag: "Approvals", summary: "Read an approval",
	}, func(ctx context.Context, in *ApprovalPath) (*answer[ledger.Approval], error) {
		p, err := a.service.Approval(ctx, actorOf(ctx), in.ApprovalID)
		if err != nil {
			return nil, err
		}
		return show(-1, p), nil
	})

	add(a, operation{
		id: "approve", method: http.MethodPost, path: "/v1/approvals/{approvalId}/approve", tag: "Approvals", summary: "Approve a run: it is judged again, and its credits are held",
		scopes: approve, refusals: slices.Concat(authorizeRefusals, decided),
	}, func(ctx context.Context, in *decisionRequest) (*answer[ledger.Authorization], error) {
		out, err := a.service.Approve(ctx, callOf(ctx), in.ApprovalID, in.input())
		a.countOutcome(ctx, out.Receipt, err)
		if err != nil {
			return nil, err
		}
		describeExecution(ctx, out.Transaction.ExecutionID, "")
		describeUser(ctx, out.Transaction.UserID.String())
		location := ""
		if out.Hold != nil {
			location = "/v1/holds/" + out.Hold.ID.String()
		}
		return reply(ctx, http.StatusOK, location, 0, out), nil
	})

	add(a, operation{
		id: "reject", method: http.MethodPost, path: "/v1/approvals/{approvalId}/reject", tag: "Approvals", summary: "Reject a run",
		scopes: approve, refusals: decided,
	}, func(ctx context.Context, in *decisionRequest) (*answer[ledger.Approval], error) {
		p, err := a.service.Reject(ctx, callOf(ctx), in.ApprovalID, in.input())
		if err != nil {
			return nil, err
		}
		return reply(ctx, http.StatusOK, "", 0, p), nil
	})
}
