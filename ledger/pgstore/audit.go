package pgstore

import (
	"context"
	"slices"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/agenttrail/agenttrail/ledger"
)

// Audit implements [ledger.Audits].
func (s *Store) Audit(ctx context.Context, actor ledger.Actor, trail ledger.Trail, f ledger.AuditFilter, p ledger.Page) (ledger.List[ledger.AuditEntry], error) {
	if err := platformAdmin(actor); err != nil {
		return ledger.List[ledger.AuditEntry]{}, err
	}
	if err := checkTrail(trail); err != nil {
		return ledger.List[ledger.AuditEntry]{}, err
	}
	q := query{}
	q.whereUser("l.entity_id", f.EntityID)
	q.whereText("l.field", f.Field)
	q.whereText("l.changed_by", f.ChangedBy)
	q.whereTime(`l."timestamp"`, f.From, f.Until)
	return list(ctx, s, `SELECT l.id, l.entity, l.entity_id, l.field, l.old_value, l.new_value, l.changed_by, coalesce(l.request_id, ''), l."timestamp" FROM ledger.`+string(trail)+` l`,
		q, byNumber{"l.id"}, p, func(row pgx.CollectableRow) (ledger.AuditEntry, error) {
			var e ledger.AuditEntry
			return e, row.Scan(&e.ID, &e.Entity, &e.EntityID, &e.Field, (*[]byte)(&e.OldValue), (*[]byte)(&e.NewValue), &e.ChangedBy, &e.RequestID, &e.Timestamp)
		}, func(e ledger.AuditEntry) string { return strconv.FormatInt(e.ID, 10) })
}

// platformAdmin refuses those who act for one user: trails tell of all users.
func platformAdmin(actor ledger.Actor) error {
	if err := actor.Require(ledger.ScopeAdmin); err != nil {
		return err
	}
	if actor.String() != actor.Principal {
		return ledger.Errorf(ledger.CodeForbidden, "a key that acts for a user cannot read this")
	}
	return nil
}

func checkTrail(trail ledger.Trail) error {
	if !slices.Contains(ledger.Trails(), trail) {
		return ledger.Invalid("trail", "must be one of audit_logs, agent_audit_logs, user_audit_logs and mandate_audit_logs")
	}
	return nil
}
