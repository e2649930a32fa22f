package coverage

import (
	"strings"
	"time"
)

// sealed is how long it may take until a row of an audit trail is covered by a hash. The job runs every minute.
const sealed = 10 * time.Minute

// trails are the audit trails of the ledger.
var trails = []string{"audit_logs", "agent_audit_logs", "user_audit_logs", "mandate_audit_logs"}

// changes are the rows of all trails in the window. Ids rise with time, and blocks of hashes say which id a trail had
// reached when, so that only the end of each trail is read.
func changes(until string) string {
	arms := make([]string, 0, len(trails))
	for _, trail := range trails {
		arms = append(arms, `SELECT '`+trail+`' AS trail, a.id, a.entity, a.entity_id, a.field, a.changed_by, a.request_id, a."timestamp",
        coalesce((SELECT max(b.upto_id) FROM ledger.audit_blocks b WHERE b.trail = '`+trail+`'), 0) AS sealed_id
    FROM ledger.`+trail+` a
    WHERE a.id > coalesce((SELECT b.upto_id FROM ledger.audit_blocks b WHERE b.trail = '`+trail+`' AND b.created_at < {since} ORDER BY b.seq DESC LIMIT 1), 0)
        AND a."timestamp" >= {since} AND a."timestamp" < `+until)
	}
	return "(" + strings.Join(arms, "\n    UNION ALL ") + ") AS c"
}

const changesList = `c.trail, c.id, c.entity, c.entity_id, c.field, c.changed_by, c.request_id, c."timestamp"`

var configurationChecks = []Check{
	{
		Name: "changes_have_actor", Category: ConfigurationChanges, Weight: 3, Target: 1, Database: Postgres,
		Requires: "Every change in the audit trails says who made it: a key, a user or a job.",
		Of:       "changes", Lacks: "without an actor",
		From: changes("{until}"), Bad: `c.changed_by !~ '^(key|user|system):.+'`, List: changesList, Order: `c."timestamp" DESC`,
		Remedy: "The ledger refuses changes without an actor, so these were made with its triggers off: take the right to do that from the role that did.",
	},
	{
		Name: "changes_have_request", Category: ConfigurationChanges, Weight: 1, Target: 1, Database: Postgres,
		Requires: "Every change by a key or a user names the request that made it.",
		Of:       "changes by keys and users", Lacks: "without a request",
		From: changes("{until}"), Where: `c.changed_by ~ '^(key|user):'`, Bad: `coalesce(c.request_id, '') = ''`, List: changesList, Order: `c."timestamp" DESC`,
		Remedy: "Make changes through the HTTP API, which gives every request an id, and not in the database.",
	},
	{
		Name: "objects_have_trail", Category: ConfigurationChanges, Weight: 3, Target: 1, Database: Postgres,
		Requires: "Every user, agent and mandate, and every version of rules or prices, that was made is in an audit trail.",
		Of:       "users, agents, mandates and versions made", Lacks: "without a row in an audit trail",
		From: `(SELECT 'users' AS kind, u.id, u.created_at, EXISTS (SELECT FROM ledger.user_audit_logs a WHERE a.entity_id = u.id AND a.entity = 'users' AND a.field = '*') AS found
        FROM ledger.users u WHERE u.created_at >= {since} AND u.created_at < {until}
    UNION ALL SELECT 'agents', g.id, g.created_at, EXISTS (SELECT FROM ledger.agent_audit_logs a WHERE a.entity_id = g.id AND a.entity = 'agents' AND a.field = '*')
        FROM ledger.agents g WHERE g.created_at >= {since} AND g.created_at < {until}
    UNION ALL SELECT 'mandates', m.id, m.created_at, EXISTS (SELECT FROM ledger.mandate_audit_logs a WHERE a.entity_id = m.id AND a.entity = 'mandates' AND a.field = '*')
        FROM ledger.mandates m WHERE m.created_at >= {since} AND m.created_at < {until}
    UNION ALL SELECT 'agent_versions', v.agent_id, v.created_at, EXISTS (SELECT FROM ledger.agent_audit_logs a WHERE a.entity_id = v.agent_id AND a.entity = 'agent_versions' AND a.field = 'version' AND a.new_value = to_jsonb(v.version))
        FROM ledger.agent_versions v WHERE v.created_at >= {since} AND v.created_at < {until}
    UNION ALL SELECT 'mandate_versions', v.mandate_id, v.created_at, EXISTS (SELECT FROM ledger.mandate_audit_logs a WHERE a.entity_id = v.mandate_id AND a.entity = 'mandate_versions' AND a.field = 'version' AND a.new_value = to_jsonb(v.version))
        FROM ledger.mandate_versions v WHERE v.created_at >= {since} AND v.created_at < {until}) AS o`,
		Bad: "NOT o.found", List: "o.kind, o.id, o.created_at", Order: "o.created_at DESC",
		Remedy: "Rows were made with the ledger's triggers off, or removed from its trails: run agenttrail verify and compare with a backup.",
	},
	{
		Name: "trails_sealed", Category: ConfigurationChanges, Weight: 2, Target: 1, Database: Postgres, Settle: sealed,
		Requires: "Every row of the audit trails that is older than 10 minutes is covered by a hash.",
		Of:       "rows of audit trails", Lacks: "without a hash over them",
		From: changes("{settled}"), Bad: "c.id > c.sealed_id", List: changesList, Order: `c."timestamp" DESC`,
		Remedy: "The ledger's job seal does not run: look at agenttrail_ledger_job_runs_total and the ledger's log; a transaction that stays open holds it up, too.",
	},
	{
		Name: "runs_have_version", Category: ConfigurationChanges, Weight: 2, Target: 0.99, Database: ClickHouse,
		Requires: "Every run says which version of the agent it was.",
		Of:       "runs", Lacks: "without the agent's version",
		From: runs, Where: runsWhere, Bad: "agentVersion = ''", List: runsList, Order: runsNewest,
		Remedy: "Set agenttrail.agent.version (or gen_ai.agent.version) on the run's span, so that a change of behavior can be told from a change of the agent.",
	},
	{
		Name: "agents_registered", Category: ConfigurationChanges, Weight: 1, Target: 1, Database: Postgres,
		Requires: "Every agent that telemetry knows is registered in the ledger.",
		Of:       "agents in telemetry", Lacks: "unknown to the ledger",
		From: "ledger.agent_statistics s", Bad: "NOT EXISTS (SELECT FROM ledger.agents a WHERE a.slug = s.agent)", List: "s.agent, s.executions, s.synced_at", Order: "s.executions DESC",
		Remedy: "Register the agent with POST /v1/agents under the slug that its runs have as agent id, or correct the agent id of the runs.",
	},
}
