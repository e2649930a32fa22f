package board

// Audit is who changed what in the ledger.
func Audit() Dashboard {
	b := newBoard("audit", "Audit trail", "Who changed what, when and by which request: users, agents and prices, mandates, transactions, keys.", postgres)
	trails := `(SELECT 'transactions' AS trail, * FROM ledger.audit_logs WHERE $__timeFilter("timestamp")
    UNION ALL SELECT 'agents', * FROM ledger.agent_audit_logs WHERE $__timeFilter("timestamp")
    UNION ALL SELECT 'users', * FROM ledger.user_audit_logs WHERE $__timeFilter("timestamp")
    UNION ALL SELECT 'mandates', * FROM ledger.mandate_audit_logs WHERE $__timeFilter("timestamp")) l`
	b.choice(postgres, "trail", "Trail", "What was changed", `SELECT unnest(ARRAY['agents', 'mandates', 'transactions', 'users']) AS "__text"`)
	b.choice(postgres, "actor", "Actor", "Who changed something in the time range", `SELECT changed_by AS "__text" FROM `+trails+" GROUP BY changed_by ORDER BY count(*) DESC LIMIT 200")
	filter := " WHERE " + chosen("trail", "l.trail") + " AND " + chosen("actor", "l.changed_by")
	from := "\nFROM " + trails + filter

	b.heading("In this time range")
	b.stat("Changes", "Fields that were changed, and things that were made.", postgres, `SELECT count(*) AS "changes"`+from, unit("short"))
	b.stat("Actors", "Who changed something: key: is an API key, user: a person who acts for themselves, system: a job.", postgres, `SELECT count(DISTINCT l.changed_by) AS "actors"`+from, unit("short"))
	b.stat("By people and keys", "Changes that no job of the ledger made.", postgres, `SELECT count(*) FILTER (WHERE l.changed_by NOT LIKE 'system:%') AS "changes"`+from, unit("short"))
	b.stat("Prices and rules", "Changes of agents' prices and of mandates' rules.", postgres, `SELECT count(*) FILTER (WHERE l.field = 'pricing' OR l.field LIKE 'rules.%') AS "changes"`+from, unit("short"))
	b.stat("Last sealed", "When rows were last covered by a hash. Alert LedgerAuditIsNotSealed fires after a quarter of an hour.", postgres, `SELECT max(created_at) AS "sealed" FROM ledger.audit_blocks`, unit("dateTimeFromNow"))
	b.stat("Not sealed yet", "Rows that no hash covers yet.", postgres, `
SELECT (SELECT count(*) FROM ledger.audit_logs WHERE id > (SELECT coalesce(max(upto_id), 0) FROM ledger.audit_blocks WHERE trail = 'audit_logs'))
    + (SELECT count(*) FROM ledger.agent_audit_logs WHERE id > (SELECT coalesce(max(upto_id), 0) FROM ledger.audit_blocks WHERE trail = 'agent_audit_logs'))
    + (SELECT count(*) FROM ledger.user_audit_logs WHERE id > (SELECT coalesce(max(upto_id), 0) FROM ledger.audit_blocks WHERE trail = 'user_audit_logs'))
    + (SELECT count(*) FROM ledger.mandate_audit_logs WHERE id > (SELECT coalesce(max(upto_id), 0) FROM ledger.audit_blocks WHERE trail = 'mandate_audit_logs')) AS "rows"`, unit("short"))

	b.heading("Over time")
	b.series("Changes", "By trail. Transactions follow runs; a burst of any other is somebody, or a script.", postgres, `
SELECT $__timeGroupAlias(l."timestamp", $__interval), l.trail AS metric, count(*) AS "value"`+from+" GROUP BY 1, 2 ORDER BY 1", unit("short"), every("1m"), stacked, size(24, 8))

	b.heading("What was changed")
	b.table("Changes", "The latest first. before is empty where there was nothing, * is the whole of what was made.", postgres, `
SELECT l."timestamp" AS "when", l.changed_by AS "by", l.trail, l.entity, l.field, left(l.old_value #>> '{}', 300) AS "before", left(l.new_value #>> '{}', 300) AS "after", l.entity_id AS "id", l.request_id AS "request"`+from+` ORDER BY l."timestamp" DESC LIMIT 300`, size(24, 12), column("when", wide(170)), column("by", wide(200)))
	b.table("Prices, rules and status", "What people argue about later: changes of prices, of mandates' rules, and of anybody's status but that of transactions.", postgres, `
SELECT l."timestamp" AS "when", l.changed_by AS "by", l.entity, l.field, l.old_value #>> '{}' AS "before", l.new_value #>> '{}' AS "after", l.entity_id AS "id", l.request_id AS "request"`+from+`
AND (l.field = 'pricing' OR l.field LIKE 'rules.%' OR l.field = 'status' AND l.entity <> 'transactions') ORDER BY l."timestamp" DESC LIMIT 200`, size(24, 9), empty("no price, rule or status was changed"))
	b.table("Actors", "Who changed how much.", postgres, `
SELECT l.changed_by AS "by", coalesce(k.name, '') AS "key", count(*) AS "changes", count(DISTINCT l.entity_id) AS "things", string_agg(DISTINCT l.entity, ', ') AS "of", min(l."timestamp") AS "first", max(l."timestamp") AS "last"
FROM `+trails+" LEFT JOIN ledger.api_keys k ON l.changed_by = 'key:' || k.id"+filter+` GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 100`, size(12, 9), column("changes", bar()))
	b.table("Seals", "Hashes over the trails, each over the one before too. \"agenttrail verify\" checks them all.", postgres, `
SELECT created_at AS "when", trail, seq AS "block", rows, upto_id AS "up to row", encode(hash, 'hex') AS "hash" FROM ledger.audit_blocks ORDER BY created_at DESC LIMIT 50`, size(12, 9))
	b.table("API keys", "Who may do what, since when, until when.", postgres, `
SELECT k.name, k.prefix, array_to_string(k.scopes, ', ') AS "may", u.email AS "acts for", k.created_at AS "since", k.created_by AS "made by", k.last_used_at AS "last used", k.expires_at AS "ends", k.revoked_at AS "revoked"
FROM ledger.api_keys k LEFT JOIN ledger.users u ON u.id = k.user_id ORDER BY k.revoked_at NULLS FIRST, k.expires_at NULLS LAST, k.created_at DESC LIMIT 200`, size(24, 8))
	return b.d
}
