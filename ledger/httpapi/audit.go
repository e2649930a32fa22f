package httpapi

import (
	"context"
	"net/http"

	"github.com/google/uuid"

	"github.com/agenttrail/agenttrail/ledger"
)

// TrailPath names an audit trail.
type TrailPath struct {
	Trail ledger.Trail `path:"trail" enum:"audit_logs,agent_audit_logs,user_audit_logs,mandate_audit_logs" doc:"Transactions, grants, approvals and keys are in audit_logs; agents, users and mandates in their own"`
}

func (a *API) registerAudit() {
	admin := []ledger.Scope{ledger.ScopeAdmin}
	add(a, operation{
		id: "listAudit", method: http.MethodGet, path: "/v1/audit/{trail}", tag: "Audit", summary: "List who changed what, and when", scopes: admin,
	}, func(ctx context.Context, in *struct {
		TrailPath
		PageParams
		TimeRange
		EntityID  uuid.UUID `query:"entityId" doc:"Only changes of this user, agent, mandate or transaction"`
		Field     string    `query:"field" maxLength:"200" doc:"Only changes of this field, such as email or rules.maxPerDay"`
		ChangedBy string    `query:"changedBy" maxLength:"200" doc:"Only changes by key:<id>, user:<id> or system:<job>"`
	},
	) (*listAnswer[ledger.AuditEntry], error) {
		return list(a.service.Audit(ctx, actorOf(ctx), in.Trail, ledger.AuditFilter{
			EntityID: in.EntityID, Field: in.Field, ChangedBy: in.ChangedBy, From: in.From, Until: in.Until,
		}, in.page()))
	})

	add(a, operation{
		id: "verifyAudit", method: http.MethodGet, path: "/v1/audit/{trail}/verification", tag: "Audit", summary: "Check a trail against its hashes",
		description: "Reads the whole trail. The member problems is absent when nothing was tampered with; keep head elsewhere and compare.",
		scopes:      admin,
	}, func(ctx context.Context, in *TrailPath) (*struct{ Body ledger.AuditReport }, error) {
		report, err := a.service.VerifyAudit(ctx, actorOf(ctx), in.Trail)
		return &struct{ Body ledger.AuditReport }{report}, err
	})
}
