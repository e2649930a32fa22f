package coverage_test

import (
	"context"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/coverage"
)

// defect is something that is not recorded as it should be, with what it must change.
type defect struct {
	name string
	sql  string
	// lowers are the checks whose value must fall. All others must stay as they are.
	lowers []string
	// silences are the checks that must have nothing to measure any more.
	silences []string
}

// telemetryDefects are made by statements of ClickHouse.
var telemetryDefects = []defect{
	{
		"NoRuns", "ALTER TABLE {db}.AgentExecution DELETE WHERE 1",
		[]string{"runs_recorded", "users_recorded", "logs_lead_to_run", "errors_lead_to_run", "requests_lead_to_run"},
		[]string{"runs_have_key_fields", "runs_have_logs", "failed_runs_have_code", "failed_runs_have_message", "failed_runs_have_error", "runs_have_user", "runs_have_session", "runs_have_request", "runs_have_version"},
	},
	{"RunWithoutAgentName", "ALTER TABLE {db}.AgentExecution UPDATE agentName = '' WHERE id = 'r1'", []string{"runs_have_key_fields"}, nil},
	{"RunWithoutService", "ALTER TABLE {db}.AgentExecution UPDATE serviceName = '' WHERE id = 'r1'", []string{"runs_have_key_fields"}, nil},
	{"RunWithoutLogs", "ALTER TABLE {db}.AgentLog DELETE WHERE executionId = 'r2'", []string{"runs_have_logs"}, nil},
	{"ModelCallWithoutTokens", "ALTER TABLE {db}.Span UPDATE inputTokens = 0, outputTokens = 0 WHERE spanId = 'm1'", []string{"model_calls_have_tokens"}, nil},
	{"ModelCallWithoutCost", "ALTER TABLE {db}.Span UPDATE cost = NULL WHERE spanId = 'm1'", []string{"model_calls_have_cost"}, nil},
	{"LogsWithoutIDs", "INSERT INTO {db}.AgentLog (id, timestamp, message, serviceName, category) VALUES (generateUUIDv4(), {t}, 'hello', 'runtime', 'execution')", []string{"logs_name_run", "logs_have_trace"}, nil},
	{"LogWithoutExecutionID", "ALTER TABLE {db}.AgentLog UPDATE executionId = '' WHERE executionId = 'r1' AND category = 'execution'", []string{"logs_name_run"}, nil},
	{"LogWithoutTrace", "ALTER TABLE {db}.AgentLog UPDATE traceId = '' WHERE executionId = 'r1' AND category = 'execution'", []string{"logs_have_trace"}, nil},
	{"LogOfUnknownRun", "ALTER TABLE {db}.AgentLog UPDATE executionId = 'ghost' WHERE executionId = 'r1' AND category = 'execution'", []string{"logs_lead_to_run"}, nil},

	{"RunsWithoutErrorCode", "ALTER TABLE {db}.AgentExecution UPDATE errorCode = '' WHERE status != 'success'", []string{"failed_runs_have_code"}, nil},
	{"FailedRunWithoutMessage", "ALTER TABLE {db}.AgentExecution UPDATE errorMessage = '' WHERE id = 'r3'", []string{"failed_runs_have_message"}, nil},
	{"FailedRunWithoutError", "ALTER TABLE {db}.SystemErrors DELETE WHERE executionId = 'r3'", []string{"failed_runs_have_error"}, nil},
	{"ErrorWithoutCode", "ALTER TABLE {db}.SystemErrors UPDATE errorCode = '' WHERE executionId = 'r3'", []string{"errors_have_code"}, nil},
	{"ErrorWithoutComponent", "ALTER TABLE {db}.SystemErrors UPDATE component = '' WHERE executionId = 'r3'", []string{"errors_name_component"}, nil},
	{"ErrorOfUnknownRun", "ALTER TABLE {db}.SystemErrors UPDATE executionId = 'ghost' WHERE message = 'the tool was slow'", []string{"errors_lead_to_run"}, nil},

	{"NoUsers", "ALTER TABLE {db}.AgentExecution UPDATE userId = '' WHERE 1", []string{"users_recorded", "runs_have_user"}, nil},
	{"RunWithoutUser", "ALTER TABLE {db}.AgentExecution UPDATE userId = '' WHERE id = 'r1'", []string{"runs_have_user"}, nil},
	{"RunWithoutSession", "ALTER TABLE {db}.AgentExecution UPDATE sessionId = '' WHERE id = 'r1'", []string{"runs_have_session"}, nil},
	{"RequestWithoutUser", "ALTER TABLE {db}.RequestLog UPDATE userId = '' WHERE executionId = 'r1'", []string{"requests_have_user"}, nil},
	{"ActionWithoutUser", "ALTER TABLE {db}.AgentLog UPDATE userId = '' WHERE category = 'user_action' AND executionId = 'r1'", []string{"user_actions_have_user"}, nil},

	{
		"NoRequests", "ALTER TABLE {db}.RequestLog DELETE WHERE 1",
		[]string{"requests_recorded", "runs_have_request"},
		[]string{"requests_have_status", "requests_have_route", "requests_have_client", "failed_requests_have_code", "requests_lead_to_run", "requests_have_user", "refusals_have_event", "security_events_recorded"},
	},
	{"RequestWithoutStatus", "ALTER TABLE {db}.RequestLog UPDATE httpStatus = 0 WHERE executionId = 'r1'", []string{"requests_have_status"}, nil},
	{"RequestWithoutRoute", "INSERT INTO {db}.RequestLog SELECT * REPLACE ('' AS route) FROM {db}.RequestLog WHERE executionId = 'r1'", []string{"requests_have_route"}, nil},
	{"RequestWithoutAddress", "ALTER TABLE {db}.RequestLog UPDATE ipAddress = '' WHERE executionId = 'r1'", []string{"requests_have_client"}, nil},
	{"FailedRequestWithoutCode", "ALTER TABLE {db}.RequestLog UPDATE errorCode = '' WHERE httpStatus = 504", []string{"failed_requests_have_code"}, nil},
	{"RunWithoutRequest", "ALTER TABLE {db}.RequestLog UPDATE traceId = 'other' WHERE traceId = 't4'", []string{"runs_have_request"}, nil},
	{"RequestOfUnknownRun", "INSERT INTO {db}.RequestLog SELECT * REPLACE ('ghost' AS executionId) FROM (SELECT * FROM {db}.RequestLog WHERE executionId = 'r1')", []string{"requests_lead_to_run"}, nil},

	{"RunWithoutVersion", "ALTER TABLE {db}.AgentExecution UPDATE agentVersion = '' WHERE id = 'r1'", []string{"runs_have_version"}, nil},

	{"NoMetrics", "ALTER TABLE {db}.SystemMetrics DELETE WHERE 1", []string{"metrics_recorded", "services_report_metrics"}, []string{"components_reporting", "metrics_have_unit"}},
	{"ComponentStoppedReporting", "ALTER TABLE {db}.SystemMetrics DELETE WHERE component = 'runtime' AND timestamp = {new}", []string{"components_reporting"}, nil},
	{"ServiceWithoutMetrics", "ALTER TABLE {db}.SystemMetrics DELETE WHERE component = 'runtime'", []string{"services_report_metrics"}, nil},
	{"MetricWithoutUnit", "ALTER TABLE {db}.SystemMetrics UPDATE unit = '' WHERE metric = 'process.threads'", []string{"metrics_have_unit"}, nil},

	{"NoSecurityEvents", "ALTER TABLE {db}.SecurityEvents DELETE WHERE 1", []string{"security_events_recorded", "refusals_have_event"}, []string{"events_have_actor", "events_have_address", "events_have_outcome"}},
	{"RefusalWithoutEvent", "INSERT INTO {db}.RequestLog SELECT * REPLACE (403 AS httpStatus, 'other' AS traceId) FROM (SELECT * FROM {db}.RequestLog WHERE httpStatus = 401)", []string{"refusals_have_event"}, nil},
	{"EventWithoutActor", "ALTER TABLE {db}.SecurityEvents UPDATE actor = '', userId = '' WHERE traceId = 't6'", []string{"events_have_actor"}, nil},
	{"EventWithoutAddress", "ALTER TABLE {db}.SecurityEvents UPDATE ipAddress = '' WHERE traceId = 't6'", []string{"events_have_address"}, nil},
	{"EventWithoutOutcome", "ALTER TABLE {db}.SecurityEvents UPDATE outcome = 'unknown' WHERE traceId = 't6'", []string{"events_have_outcome"}, nil},
}

const run = "(SELECT id FROM ledger.transactions WHERE execution_id = 'r1')"

// ledgerDefects are made by statements of Postgres, with the ledger's triggers off, as somebody who owns the database can.
var ledgerDefects = []defect{
	{"NoTransactions", "DELETE FROM ledger.transactions", []string{"transactions_recorded"}, []string{"transactions_have_trail", "purchases_have_receipt"}},
	{"TransactionWithoutItsTrail", `INSERT INTO ledger.transactions (id, user_id, kind, status, credits, settled)
		SELECT gen_random_uuid(), user_id, 'grant', 'succeeded', 1, 1 FROM ledger.wallets LIMIT 1`, []string{"transactions_have_trail"}, nil},
	{"TransactionWithoutBeginning", "DELETE FROM ledger.audit_logs WHERE field = '*' AND entity_id = " + run, []string{"transactions_have_trail"}, nil},
	{"StatusThatNobodySet", "UPDATE ledger.transactions SET status = 'refunded' WHERE id = " + run, []string{"transactions_have_trail"}, nil},
	{"TransactionWithoutPosting", "DELETE FROM ledger.journal WHERE transaction_id = " + run, []string{"transactions_have_trail"}, nil},
	{"RunWithoutHold", "DELETE FROM ledger.holds WHERE id = " + run, []string{"transactions_have_trail"}, nil},
	{"PostingWithoutALeg", "DELETE FROM ledger.entries WHERE amount > 0 AND transaction_id = " + run, []string{"postings_balance"}, nil},
	{"PostingThatDoesNotBalance", "UPDATE ledger.entries SET amount = amount + 1 WHERE amount > 0 AND transaction_id = " + run, []string{"postings_balance"}, nil},
	{"HoldPastItsEnd", "UPDATE ledger.holds SET expires_at = now() WHERE status = 'active'", []string{"holds_settled"}, nil},
	{"ChargeThatDiffers", `UPDATE ledger.reconciliation_runs SET matched = matched - 1, drift = 1;
		INSERT INTO ledger.reconciliation (execution_id, user_id, agent, state, captured, consumed, telemetry_rows, first_seen, checked_at, changed_at)
		VALUES ('r1', 'ada', 'planner', 'drift', 1, 2, 1, now(), now(), now())`, []string{"charges_agree"}, nil},
	{"PurchaseWithoutReceipt", "UPDATE ledger.payments SET receipt = NULL", []string{"purchases_have_receipt"}, nil},
	{"ChangeWithoutActor", "UPDATE ledger.user_audit_logs SET changed_by = '' WHERE id = (SELECT max(id) FROM ledger.user_audit_logs)", []string{"changes_have_actor"}, nil},
	{"ChangeWithoutRequest", "UPDATE ledger.user_audit_logs SET request_id = NULL WHERE id = (SELECT max(id) FROM ledger.user_audit_logs WHERE changed_by = 'key:operator')", []string{"changes_have_request"}, nil},
	{"UserWithoutTrail", "DELETE FROM ledger.user_audit_logs WHERE entity = 'users' AND entity_id = (SELECT id FROM ledger.users WHERE email = 'bob@example.com')", []string{"objects_have_trail"}, nil},
	{"AgentWithoutTrail", "DELETE FROM ledger.agent_audit_logs WHERE entity = 'agents'", []string{"objects_have_trail"}, nil},
	{"PriceWithoutTrail", "DELETE FROM ledger.agent_audit_logs WHERE entity = 'agent_versions'", []string{"objects_have_trail"}, nil},
	{"MandateWithoutTrail", "DELETE FROM ledger.mandate_audit_logs WHERE entity = 'mandates'", []string{"objects_have_trail"}, nil},
	{"RulesWithoutTrail", "DELETE FROM ledger.mandate_audit_logs WHERE entity = 'mandate_versions'", []string{"objects_have_trail"}, nil},
	{"TrailThatIsNotSealed", "DELETE FROM ledger.audit_blocks WHERE trail = 'mandate_audit_logs'", []string{"trails_sealed"}, nil},
	{"AgentThatTheLedgerDoesNotKnow", "INSERT INTO ledger.agent_statistics VALUES ('stranger', 1, 1, 0, 0, 1, 0, now())", []string{"agents_registered"}, nil},
	{"KeyWithoutTrail", "DELETE FROM ledger.audit_logs WHERE entity = 'api_keys'", []string{"keys_have_trail"}, nil},
	{"RevocationWithoutTrail", "UPDATE ledger.api_keys SET revoked_at = now()", []string{"keys_have_trail"}, nil},
}

// TestDefects makes each defect in a platform that has none, and compares all checks before and after.
func TestDefects(t *testing.T) { //nolint:tparallel // What is below is counted after the group.
	t.Parallel()
	p := newPlatform(t)
	telemetry, ledger := remember(p.reader), remember(p.store)
	for name, value := range p.measure(t, telemetry, ledger, p.database) {
		require.NotNil(t, value, "%s has nothing to measure: the test's platform must have something for each check", name)
		require.InDelta(t, 1.0, *value, 0, "%s finds something where nothing is missing", name)
	}
	t.Run("Telemetry", func(t *testing.T) {
		for _, d := range telemetryDefects {
			t.Run(d.name, func(t *testing.T) {
				t.Parallel()
				database := p.copyTelemetry(t)
				p.exec(t, database, d.sql)
				d.compare(t, p.measure(t, p.open(t, database), ledger, database))
			})
		}
	})
	t.Run("Ledger", func(t *testing.T) {
		for _, d := range ledgerDefects {
			t.Run(d.name, func(t *testing.T) {
				t.Parallel()
				conn, err := pgx.Connect(t.Context(), p.url)
				require.NoError(t, err)
				defer func() { require.NoError(t, conn.Close(context.Background())) }()
				tx, err := conn.Begin(t.Context())
				require.NoError(t, err)
				defer func() { require.NoError(t, tx.Rollback(context.Background())) }()
				_, err = tx.Exec(t.Context(), "SET LOCAL session_replication_role = replica; "+d.sql)
				require.NoError(t, err)
				d.compare(t, p.measure(t, telemetry, txAsker{tx}, p.database))
			})
		}
	})
	lowered := map[string]bool{}
	for _, d := range slices.Concat(telemetryDefects, ledgerDefects) {
		for _, name := range d.lowers {
			lowered[name] = true
		}
	}
	for _, c := range coverage.Checks() {
		require.True(t, lowered[c.Name], "no defect lowers %s", c.Name)
	}
}

// compare fails unless the defect changed what it must and nothing else.
func (d defect) compare(t *testing.T, after map[string]*float64) {
	t.Helper()
	for _, name := range slices.Concat(d.lowers, d.silences) {
		require.Contains(t, after, name)
	}
	for name, value := range after {
		switch {
		case slices.Contains(d.silences, name):
			require.Nil(t, value, "%s must have nothing to measure", name)
		case slices.Contains(d.lowers, name):
			require.NotNil(t, value, "%s must fall", name)
			require.Less(t, *value, 1.0, "%s must fall", name)
		default:
			require.NotNil(t, value, "%s must stay", name)
			require.InDelta(t, 1.0, *value, 0, "%s must stay", name)
		}
	}
}
