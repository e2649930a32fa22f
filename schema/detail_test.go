package schema_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/internal/enginetest"
	"github.com/agenttrail/agenttrail/schema"
)

// TestExecutionDetail has a trace with an outer run, a run that it called and an unrelated second one; a run whose
// trace nobody shares; and one without a trace.
func TestExecutionDetail(t *testing.T) {
	t.Parallel()
	ch := enginetest.ClickHouse(t)
	db := ch.Database(t)
	_, err := schema.MigrateClickHouse(t.Context(), ch.URL, schema.ClickHouseConfig{Database: db, Retention: schema.LongRetention})
	require.NoError(t, err)
	ch.Exec(t, "INSERT INTO "+db+".AgentExecution (id, traceId, parentExecutionId, status, startedAt, inputTokens, outputTokens, cost) VALUES "+`
		('outer',  't1', '',      'success', '2026-11-02 10:00:01', 0, 0, NULL),
		('called', 't1', 'outer', 'success', '2026-11-02 10:00:00', 70, 7, 0.7),
		('second', 't1', '',      'success', '2026-11-02 10:00:09', 0, 0, NULL),
		('alone',  't2', '',      'success', '2026-11-02 10:00:01', 0, 0, 0.5),
		('bare',   '',   '',      'success', '2026-11-02 10:00:01', 0, 0, NULL)`)
	ch.Exec(t, "INSERT INTO "+db+".Span (traceId, spanId, parentSpanId, executionId, operation, startedAt, inputTokens, outputTokens, cost) VALUES "+`
		('t1', '1', 'r', 'outer',  'inference', '2026-11-02 10:00:02', 100, 10, 0.25),
		('t1', '2', '1', 'outer',  'inference', '2026-11-02 10:00:02', 100, 10, 0.25),
		('t1', '3', 'r', '',       'inference', '2026-11-02 10:00:03', 5, 1, NULL),
		('t1', '4', 'r', 'called', 'inference', '2026-11-02 10:00:04', 70, 7, 0.7),
		('t1', '5', 'r', 'outer',  'tool',      '2026-11-02 10:00:05', 1000, 0, 4),
		('t1', '6', 'r', 'outer',  'step',      '2026-11-02 10:00:05', 1000, 0, 4),
		('t2', '7', 'r', '',       'inference', '2026-11-02 10:00:05', 3, 2, 0.125),
		('',   '8', 'r', '',       'inference', '2026-11-02 10:00:05', 9, 9, 9)`)
	ch.Exec(t, "INSERT INTO "+db+".AgentLog (id, traceId, executionId, timestamp) VALUES "+`
		(generateUUIDv4(), '', 'second', '2026-11-02 10:00:02'), (generateUUIDv4(), 't1', '', '2026-11-02 10:00:02'), (generateUUIDv4(), 't1', 'outer', '2026-11-02 10:00:02'),
		(generateUUIDv4(), '', '', '2026-11-02 10:00:02')`)
	const twice = "'00000000-0000-0000-0000-00000000000e'"
	for _, execution := range []string{"alone", ""} {
		ch.Exec(t, "INSERT INTO "+db+".SystemErrors (id, traceId, executionId, timestamp) VALUES ("+twice+", 't2', '"+execution+"', '2026-11-02 10:00:02')")
	}
	ch.Exec(t, "INSERT INTO "+db+".RequestLog (id, traceId, executionId, method, route, httpStatus, ipAddress, userAgent, timestamp) VALUES "+`
		('00000000-0000-0000-0000-000000000001', 't1', '', 'POST', '/gateway', 200, '192.0.2.1', 'curl', '2026-11-02 09:59:58'),
		('00000000-0000-0000-0000-000000000002', 't1', '', 'POST', '/agent', 201, '192.0.2.2', 'go', '2026-11-02 09:59:59'),
		('00000000-0000-0000-0000-000000000003', 't1', 'second', 'PUT', '/second', 202, '192.0.2.3', 'js', '2026-11-02 10:00:10'),
		('00000000-0000-0000-0000-000000000004', 't2', '', 'GET', '/late', 503, '', '', '2026-11-02 10:00:02')`)

	columns := "stepInputTokens, stepOutputTokens, stepCost, tokensFrom, totalInputTokens, totalOutputTokens, totalCost, modelCalls, toolCalls, logs, errors, " +
		"right(toString(requestId), 1), requestMethod, requestRoute, requestHttpStatus, requestIpAddress, requestUserAgent"
	want := map[string]string{
		"outer":  "105\t11\t0.25\tsteps\t105\t11\t0.25\t2\t1\t2\t0\t2\tPOST\t/agent\t201\t192.0.2.2\tgo",
		"called": "70\t7\t0.7\trun\t70\t7\t0.7\t1\t0\t0\t0\t2\tPOST\t/agent\t201\t192.0.2.2\tgo",
		"second": "0\t0\t\\N\tnone\t0\t0\t\\N\t0\t0\t1\t0\t3\tPUT\t/second\t202\t192.0.2.3\tjs",
		"alone":  "3\t2\t0.125\tsteps\t3\t2\t0.5\t1\t0\t0\t1\t4\tGET\t/late\t503\t\t",
		"bare":   "0\t0\t\\N\tnone\t0\t0\t\\N\t0\t0\t0\t0\t\\N\t\t\t0\t\t",
	}
	for id, line := range want {
		require.Equal(t, line+"\n", ch.Exec(t, "SELECT "+columns+" FROM "+db+".ExecutionDetail WHERE id = '"+id+"'"), id)
	}
	all := ch.Exec(t, "SELECT id, "+columns+" FROM "+db+".ExecutionDetail")
	require.Equal(t, len(want), strings.Count(all, "\n"))
	for id, line := range want {
		require.Contains(t, all, id+"\t"+line+"\n", "without a filter it is the same")
	}
	// It has every column of the run.
	require.Empty(t, ch.Exec(t, "SELECT name FROM system.columns WHERE database = '"+db+"' AND table = 'AgentExecution' AND (name, type) NOT IN (SELECT name, type FROM system.columns WHERE database = '"+db+"' AND table = 'ExecutionDetail')"))
}

// TestExecutionDetailReadsLittle counts the rows that are read for one run among many.
func TestExecutionDetailReadsLittle(t *testing.T) {
	t.Parallel()
	ch := enginetest.ClickHouse(t)
	db := ch.Database(t)
	_, err := schema.MigrateClickHouse(t.Context(), ch.URL, schema.ClickHouseConfig{Database: db, Retention: schema.LongRetention})
	require.NoError(t, err)
	const runs, steps = 50_000, 400_000
	ch.Exec(t, "INSERT INTO "+db+".AgentExecution (id, traceId, agentId, status, startedAt) SELECT concat('r', toString(number)), concat('t', toString(number)), 'x', 'success', toDateTime64('2026-11-02 10:00:00', 9) FROM numbers("+strconv.Itoa(runs)+")")
	ch.Exec(t, "INSERT INTO "+db+".Span (traceId, executionId, operation, startedAt) SELECT concat('t', toString(intDiv(number, 8))), if(number % 2 = 0, concat('r', toString(intDiv(number, 8))), ''), 'inference', toDateTime64('2026-11-02 10:00:00', 9) FROM numbers("+strconv.Itoa(steps)+")")
	read := func(params string) int {
		query := "SELECT modelCalls FROM " + db + ".ExecutionDetail WHERE id = 'r777' FORMAT JSONCompact"
		resp, err := http.Get(ch.URL + "/?" + params + "&query=" + url.QueryEscape(query))
		require.NoError(t, err)
		defer func() { require.NoError(t, resp.Body.Close()) }()
		var answer struct {
			Data       [][]int
			Statistics struct {
				Rows int `json:"rows_read"`
			}
		}
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&answer))
		require.Equal(t, [][]int{{8}}, answer.Data)
		return answer.Statistics.Rows
	}
	// The run and the steps that name it are found by index. By trace, the ids of the spans are read, but nothing else.
	require.Less(t, read(""), steps+4*runs+100_000)
	// With this setting the index finds those as well.
	require.Less(t, read("enable_join_runtime_filters_index_analysis=1"), 150_000)
}

// TestSystemErrorGroups tells one error twice, and others that are the same but for the time.
func TestSystemErrorGroups(t *testing.T) {
	t.Parallel()
	ch := enginetest.ClickHouse(t)
	db := ch.Database(t)
	_, err := schema.MigrateClickHouse(t.Context(), ch.URL, schema.ClickHouseConfig{Database: db, Retention: schema.LongRetention})
	require.NoError(t, err)
	ch.Exec(t, "SYSTEM STOP MERGES "+db+".SystemErrors")
	insert := "INSERT INTO " + db + ".SystemErrors (id, timestamp, fingerprint, errorCode, errorType, severity, component, agentId, userId, executionId, traceId, message, details) VALUES "
	ch.Exec(t, insert+`
		('00000000-0000-0000-0000-000000000001', '2026-11-02 10:00:00', 7, 'timeout', 'TimeoutError', 'error', 'shop', 'a', 'u1', 'r1', 't1', 'after 5 s', {'stack': 'one'}),
		('00000000-0000-0000-0000-000000000002', '2026-11-02 12:00:00', 7, 'timeout', 'TimeoutError', 'error', 'shop', 'b', 'u1', 'r2', 't2', 'after 7 s', {'stack': 'two'})`)
	ch.Exec(t, insert+`
		('00000000-0000-0000-0000-000000000001', '2026-11-02 10:00:00', 7, 'timeout', 'TimeoutError', 'critical', 'shop', '', '', '', 't1', 'after 5 s', {}),
		('00000000-0000-0000-0000-000000000003', '2026-11-02 11:00:00', 7, 'timeout', '', 'warning', 'shop', 'a', '', '', '', 'after 6 s', {}),
		('00000000-0000-0000-0000-000000000004', '2026-11-02 11:00:00', 8, 'other', '', 'warning', 'till', '', '', '', '', 'no', {})`)
	require.Equal(t, ""+
		"7\ttimeout\tTimeoutError\tshop\tcritical\t2026-11-02 10:00:00.000000000\t2026-11-02 12:00:00.000000000\t3\t2\t1\t2\tafter 7 s\t{'stack':'two'}\tt2\n"+
		"8\tother\t\ttill\twarning\t2026-11-02 11:00:00.000000000\t2026-11-02 11:00:00.000000000\t1\t0\t0\t0\tno\t{}\t\n",
		ch.Exec(t, "SELECT fingerprint, errorCode, errorType, component, severity, firstSeen, lastSeen, occurrences, affectedAgents, affectedUsers, affectedExecutions, message, details, traceId FROM "+db+".SystemErrorGroups ORDER BY fingerprint"))
}
