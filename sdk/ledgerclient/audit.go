package ledgerclient

import (
	"context"
	"iter"
	"net/url"

	"github.com/agenttrail/agenttrail/ledger"
)

// Audit goes through a trail of changes, newest first.
func (c *Client) Audit(ctx context.Context, trail ledger.Trail, f ledger.AuditFilter) iter.Seq2[ledger.AuditEntry, error] {
	return list[ledger.AuditEntry](ctx, c, "/v1/audit/"+url.PathEscape(string(trail)),
		filter("entityId", f.EntityID.String(), "field", f.Field, "changedBy", f.ChangedBy, "from", moment(f.From), "until", moment(f.Until)))
}

// VerifyAudit reads a whole trail and checks it against its hashes.
func (c *Client) VerifyAudit(ctx context.Context, trail ledger.Trail) (ledger.AuditReport, error) {
	return get[ledger.AuditReport](ctx, c, "/v1/audit/"+url.PathEscape(string(trail))+"/verification", nil)
}
