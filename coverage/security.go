package coverage

const (
	events       = "{db}.SecurityEvents"
	eventsWhere  = "timestamp >= {since} AND timestamp < {until}"
	eventsList   = "timestamp, type, outcome, actor, userId, ipAddress, resource, message"
	eventsInTime = "(SELECT count() FROM (SELECT 1 FROM {db}.SecurityEvents WHERE " + eventsWhere + " LIMIT 1))"
)

var securityChecks = []Check{
	{
		Name: "security_events_recorded", Category: SecurityEvents, Weight: presence, Target: 1, Database: ClickHouse,
		Requires: "There are security events where there are requests.",
		Of:       "security events",
		From:     "(SELECT " + eventsInTime + " AS found, (SELECT count() FROM (SELECT 1 FROM {db}.RequestLog WHERE " + requestsWhere + " LIMIT 1)) AS asked)", Where: "asked > 0", Bad: "found = 0",
		Offenders: "SELECT count() AS rows, max(timestamp) AS newest FROM {db}.SecurityEvents",
		Remedy:    "Record logins, refusals and changes of keys and permissions as security events: log records named auth.login, auth.denied and the like, or RecordSecurity of the Go SDK. docs/mapping.md has the names.",
	},
	{
		Name: "refusals_have_event", Category: SecurityEvents, Weight: 3, Target: 0.99, Database: ClickHouse, Settle: inTransit,
		Requires: "Every request that was refused, with 401 or 403, has a security event in its trace.",
		Of:       "refused requests", Lacks: "without a security event",
		From: requests, Where: requestsSettled + " AND httpStatus IN (401, 403)", Bad: "traceId GLOBAL NOT IN (SELECT traceId FROM {db}.SecurityEvents WHERE timestamp >= {since})",
		List: requestsList + ", ipAddress", Order: newest,
		Remedy: "Record auth.denied where the request is refused, inside its span.",
	},
	{
		Name: "events_have_actor", Category: SecurityEvents, Weight: 2, Target: 0.9, Database: ClickHouse,
		Requires: "Every security event says who it was.",
		Of:       "security events", Lacks: "without an actor or a user",
		From: events, Where: eventsWhere, Bad: "actor = '' AND userId = ''", List: eventsList, Order: newest,
		Remedy: "Set agenttrail.security.actor, user.id or user.name on the event. Who tries a key that does not exist is nobody, which is why the target leaves room.",
	},
	{
		Name: "events_have_address", Category: SecurityEvents, Weight: 1, Target: 0.95, Database: ClickHouse,
		Requires: "Every security event says from where.",
		Of:       "security events", Lacks: "without an address",
		From: events, Where: eventsWhere, Bad: "ipAddress = ''", List: eventsList, Order: newest,
		Remedy: "Set client.address on the event, or record it while the Go SDK's middleware serves the request.",
	},
	{
		Name: "events_have_outcome", Category: SecurityEvents, Weight: 1, Target: 1, Database: ClickHouse,
		Requires: "Every security event says how it ended.",
		Of:       "security events", Lacks: "without an outcome",
		From: events, Where: eventsWhere, Bad: "outcome = 'unknown'", List: eventsList, Order: newest,
		Remedy: "Set agenttrail.security.outcome or event.outcome to success, failure or denied.",
	},
	{
		Name: "keys_have_trail", Category: SecurityEvents, Weight: 2, Target: 1, Database: Postgres,
		Requires: "Every API key that was made or revoked is in the audit trail, with who did it.",
		Of:       "changes of API keys", Lacks: "without a row in the audit trail",
		From: `(SELECT k.id, k.name, k.created_at AS changed_at, '*' AS field FROM ledger.api_keys k WHERE k.created_at >= {since} AND k.created_at < {until}
    UNION ALL SELECT k.id, k.name, k.revoked_at, 'revoked_at' FROM ledger.api_keys k WHERE k.revoked_at >= {since} AND k.revoked_at < {until}) AS k`,
		Bad:  "NOT EXISTS (SELECT FROM ledger.audit_logs a WHERE a.entity_id = k.id AND a.entity = 'api_keys' AND a.field = k.field AND a.changed_by <> '')",
		List: "k.id, k.name, k.field, k.changed_at", Order: "k.changed_at DESC",
		Remedy: "Somebody changed keys behind the ledger's back, with its triggers off, or removed rows of its trail: run agenttrail verify and compare with a backup.",
	},
}
