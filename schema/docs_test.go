package schema_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/internal/enginetest"
	"github.com/agenttrail/agenttrail/schema"
)

//go:generate go test . -run TestTablesDocument -update

var update = flag.Bool("update", false, "write docs/tables.md anew")

const tablesDocument = "../docs/tables.md"

// documented are the tables and views in the order of the document, with what the database does not say of a view.
var documented = []struct{ name, about string }{
	{"AgentExecution", "One row per run of an agent. A run that came in two requests of different content, which a client that repeats itself does not send, has two rows of one id: AgentMetrics and UserAgentUsage count both, and so does the reconciliation with the ledger, which reports it as drift."},
	{"Span", ""},
	{"AgentLog", ""},
	{"RequestLog", ""},
	{"SystemErrors", ""},
	{"SystemMetrics", ""},
	{"SecurityEvents", ""},
	{"AgentMetrics", "View: figures of each agent by hour and by day, always current. Read it with a condition on period, 'hour' or 'day'. Figures of several periods: counts, sums, the least and the most can be taken together; for percentiles and users ask AgentMetricsTotal."},
	{"AgentMetricsTotal", "View with parameters: figures of each agent over a span, in the columns of AgentMetrics; agents without a run in it are left out. FROM agenttrail.AgentMetricsTotal(from = '2026-01-01 00:00:00', to = now()). The span is made of the hours, UTC, that begin at or after from and before to: with both on the hour it is exact. Whole days are read from the states of days, the rest from those of hours; before the retention of AgentMetricsHourly only whole days count."},
	{"UserAgentUsage", "View: how each user uses each agent, by day."},
	{"SystemErrorGroups", "View: errors that are the same, with how often they happened and whom they hit."},
	{"ExecutionDetail", "View: one row per run with its request, its steps' tokens and how many calls, log records and errors it has. What names no run belongs to the outermost run of its trace. To look up one run among very many, add SETTINGS enable_join_runtime_filters_index_analysis = 1."},
	{"ExecutionTrail", "View with a parameter: everything about one run in order of time. FROM agenttrail.ExecutionTrail(id = '…')."},
	{"Reconciliation", ""},
	{"ReconciliationRun", ""},
	{"CoverageScore", ""},
	{"ModelPrice", ""},
	{"AgentMetricsHourly", ""},
	{"AgentMetricsDaily", ""},
	{"UserAgentUsageDaily", ""},
	{"SchemaMigration", ""},
}

// meanings are of columns of views, which have no comments in the database unless a column of the same name has.
var meanings = map[string]string{
	"AgentMetricsTotal.period":          "total",
	"AgentMetricsTotal.periodStart":     "Start of the span, as given",
	"ExecutionDetail.requestId":         "Request that led to the run: the one that names it, else the last of its trace to begin before the run; NULL when there is none",
	"ExecutionDetail.requestMethod":     "HTTP method of that request",
	"ExecutionDetail.requestRoute":      "Route template that matched",
	"ExecutionDetail.requestHttpStatus": "HTTP status of its response, 0 when none was sent",
	"ExecutionDetail.requestIpAddress":  "Address it came from",
	"ExecutionDetail.requestUserAgent":  "User agent it came from",
	"ExecutionDetail.stepInputTokens":   "Input tokens of the calls of models in the run; a call told by two instrumentations counts once",
	"ExecutionDetail.stepOutputTokens":  "Output tokens of these calls",
	"ExecutionDetail.stepCost":          "Cost of these calls in USD, NULL when none is known",
	"ExecutionDetail.tokensFrom":        "Where the totals come from: run, when the run itself tells tokens; steps, when only its calls do; none",
	"ExecutionDetail.totalInputTokens":  "Input tokens of the run, counted once",
	"ExecutionDetail.totalOutputTokens": "Output tokens of the run, counted once",
	"ExecutionDetail.totalCost":         "Cost of the run in USD, else of its calls; NULL when neither is known",
	"ExecutionDetail.modelCalls":        "Calls of models",
	"ExecutionDetail.toolCalls":         "Calls of tools",
	"ExecutionDetail.logs":              "Log records",
	"ExecutionDetail.errors":            "Errors, each counted once",
	"ExecutionTrail.timestamp":          "When it began",
	"ExecutionTrail.source":             "What it is: execution, span, log, request or error",
	"ExecutionTrail.name":               "Agent, span name, event or category, method and route, or error code",
	"ExecutionTrail.outcome":            "Status, level or severity",
	"ExecutionTrail.duration":           "How long it took, ms, 0 for a moment",
	"ExecutionTrail.message":            "Message of the record or error",
	"ExecutionTrail.recordId":           "Id in its own table",
	"ExecutionTrail.traceId":            "Trace, 32 hex digits",
	"ExecutionTrail.spanId":             "Span, 16 hex digits",
	"ExecutionTrail.parentSpanId":       "Id of the parent span, empty for a root and what is no span",
	"ExecutionTrail.executionId":        "Run that it names, empty when it belongs by its trace",
}

// sources are where the columns of views come from.
var sources = map[string]string{"AgentMetricsTotal": "AgentMetrics", "ExecutionDetail": "AgentExecution"}

// TestTablesDocument compares docs/tables.md with a fresh database. "make generate" writes it anew.
func TestTablesDocument(t *testing.T) {
	t.Parallel()
	ch := enginetest.ClickHouse(t)
	db := ch.Database(t)
	_, err := schema.MigrateClickHouse(t.Context(), ch.URL, schema.ClickHouseConfig{Database: db})
	require.NoError(t, err)

	rows := func(query string) [][]string {
		var all [][]string
		for line := range strings.Lines(ch.Exec(t, query+" FORMAT TSVRaw")) {
			all = append(all, strings.Split(strings.TrimSuffix(line, "\n"), "\t"))
		}
		return all
	}
	type table struct{ engine, comment, partition, order, ttl string }
	tables := map[string]table{}
	for _, r := range rows("SELECT name, engine, comment, partition_key, sorting_key, extract(create_table_query, ' TTL .* toIntervalDay.([0-9]+)') FROM system.tables WHERE database = '" + db + "' AND engine != 'MaterializedView'") {
		tables[r[0]] = table{r[1], r[2], r[3], r[4], r[5]}
	}
	require.Len(t, tables, len(documented), "every table is in the document")
	columns := map[string][][]string{}
	comments := map[string]string{}
	for _, r := range rows("SELECT table, name, type, comment FROM system.columns WHERE database = '" + db + "' ORDER BY table, position") {
		columns[r[0]] = append(columns[r[0]], r[1:])
		comments[r[0]+"."+r[1]] = r[3]
	}
	// A view with a parameter has no columns before it has a value.
	for name, parameters := range map[string]string{"ExecutionTrail": "id = ''", "AgentMetricsTotal": "from = '2026-01-01 00:00:00', to = '2026-01-02 00:00:00'"} {
		columns[name] = nil
		for _, r := range rows("DESCRIBE TABLE (SELECT * FROM " + db + "." + name + "(" + parameters + "))") {
			columns[name] = append(columns[name], []string{r[0], r[1], ""})
		}
	}

	var doc strings.Builder
	doc.WriteString(`# Tables

<!-- Generated from the schema by "make generate"; do not edit. -->

What AgentTrail keeps in ClickHouse, in database agenttrail unless you chose another. All times are UTC, all durations
milliseconds, all costs USD. Rows are kept for the days given with each table, or as you choose:
agenttrail migrate clickhouse --retention AgentLog=30.

`)
	for _, d := range documented {
		tab, ok := tables[d.name]
		require.True(t, ok, d.name)
		about := tab.comment
		if d.about != "" {
			about = d.about
		}
		require.NotEmpty(t, about, d.name)
		fmt.Fprintf(&doc, "## %s\n\n%s.\n\n", d.name, strings.TrimSuffix(about, "."))
		if tab.order != "" {
			fmt.Fprintf(&doc, "Sorted by `%s`", tab.order)
			if tab.partition != "" {
				fmt.Fprintf(&doc, ", partitioned by `%s`", tab.partition)
			}
			if tab.ttl != "" {
				fmt.Fprintf(&doc, ", kept for %s days", tab.ttl)
			}
			doc.WriteString(".\n\n")
		}
		doc.WriteString("| column | type | meaning |\n|---|---|---|\n")
		require.NotEmpty(t, columns[d.name], d.name)
		for _, c := range columns[d.name] {
			key := d.name + "." + c[0]
			meaning := c[2]
			for _, other := range []string{meanings[key], comments[sources[d.name]+"."+c[0]]} {
				if meaning == "" {
					meaning = other
				}
			}
			require.NotEmpty(t, meaning, "what does %s mean?", key)
			fmt.Fprintf(&doc, "| %s | %s | %s |\n", c[0], strings.ReplaceAll(c[1], "|", `\|`), strings.ReplaceAll(meaning, "|", `\|`))
		}
		doc.WriteString("\n")
	}
	want := strings.TrimRight(doc.String(), "\n") + "\n"
	if *update {
		require.NoError(t, os.WriteFile(tablesDocument, []byte(want), 0o644))
	}
	have, err := os.ReadFile(tablesDocument)
	require.NoError(t, err)
	require.Equal(t, want, string(have), "docs/tables.md is stale: run \"make generate\"")
}
