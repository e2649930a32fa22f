package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/exporter/journal"
	"github.com/agenttrail/agenttrail/internal/enginetest"
	"github.com/agenttrail/agenttrail/schema"
)

// command runs the program under test and checks its exit code.
func command(t *testing.T, exit int, args ...string) string {
	t.Helper()
	out, err := agenttrail(t.Context(), args...).CombinedOutput()
	code := 0
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		code = e.ExitCode()
	}
	require.Equal(t, exit, code, "%v: %s", args, out)
	return string(out)
}

// deadLetters writes dead letters as the collector does, one by one.
func deadLetters(t *testing.T, dir string, letters ...journal.DeadLetter) {
	t.Helper()
	j, err := journal.Open(t.Context(), journal.Settings{Dir: dir, Layout: []byte("[]")})
	require.NoError(t, err)
	for _, d := range letters {
		require.NoError(t, j.DeadLetter(t.Context(), d))
	}
	require.NoError(t, j.Close(t.Context()))
}

// queryNative gives the answer to a query as it came, which is a block.
func queryNative(t *testing.T, server, query string) []byte {
	t.Helper()
	resp, err := http.Post(server, "text/plain", strings.NewReader(query))
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode, "%s", body)
	return body
}

func TestDeadLetters(t *testing.T) {
	t.Parallel()
	_, server := standalone(t, filepath.Join(t.TempDir(), "data"))
	_, err := schema.MigrateClickHouse(t.Context(), server, schema.ClickHouseConfig{Retention: schema.Retention{"AgentLog": 18250}}) // Rows have fixed times.
	require.NoError(t, err)
	sql := func(text string) string {
		status, body := post(t, server, text)
		require.Equal(t, 200, status, body)
		return body
	}
	native := func(query string) []byte { return queryNative(t, server, query) }
	sql("ALTER TABLE agenttrail.AgentLog ADD CONSTRAINT polite CHECK message NOT LIKE '%damn%'")
	stored := func() string {
		return sql("SELECT arrayStringConcat(arraySort(groupArray(message)), ',') FROM agenttrail.AgentLog")
	}

	dir := filepath.Join(t.TempDir(), "journal")
	require.Contains(t, command(t, 1, "deadletter", "list", "--dir", dir), "there is no journal at "+dir+": say with --dir where it is")
	rude := journal.DeadLetter{
		Table: "AgentLog", Token: "00ff/12/AgentLog/3-4", Rows: 2, Reason: "constraint", Code: 469,
		Message: "Constraint `polite` for table agenttrail.AgentLog is violated", Created: time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC),
		Native: native("SELECT toDateTime64('2026-11-02 09:59:00', 9, 'UTC') AS timestamp, arrayJoin(['damn', 'good']) AS message, CAST(map('k', 'v'), 'Map(LowCardinality(String), String)') AS metadata FORMAT Native"),
	}
	good := journal.DeadLetter{
		Table: "AgentLog", Token: "00ff/13/AgentLog", Rows: 1, Reason: "constraint", Code: 469,
		Message: "line one\nline two", Created: time.Date(2026, 11, 2, 11, 0, 0, 0, time.UTC),
		Native: native("SELECT now64(9, 'UTC') AS timestamp, 'kind' AS message FORMAT Native"),
	}
	broken := good
	broken.Token, broken.Created = "00ff/14/AgentLog", good.Created.Add(time.Hour)
	deadLetters(t, dir)
	require.Equal(t, "there are no dead letters\n", command(t, 0, "deadletter", "list", "--dir", dir))
	require.Equal(t, "[]\n", command(t, 0, "deadletter", "list", "--dir", dir, "--json"))
	require.Equal(t, "there are no dead letters\n", command(t, 0, "deadletter", "replay", "--all", "--dir", dir, "--clickhouse", server))
	deadLetters(t, dir, rude, good, broken)
	file := filepath.Join(dir, "deadletter", "00ff-14-AgentLog.native")
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	text[3] ^= 1
	require.NoError(t, os.WriteFile(file, text, 0o600))

	list := command(t, 0, "deadletter", "list", "--dir", dir)
	lines := strings.Split(strings.TrimSpace(list), "\n")
	require.Len(t, lines, 4, list)
	require.Regexp(t, `^00ff-12-AgentLog-3-4 +AgentLog +2 +\d+ +2026-11-02T10:00:00Z +constraint +Constraint .polite. for table`, lines[1])
	require.Regexp(t, `^00ff-13-AgentLog +AgentLog +1 +\d+ +2026-11-02T11:00:00Z +constraint +line one line two$`, lines[2])
	require.Regexp(t, `^00ff-14-AgentLog .* unreadable .*it is damaged`, lines[3])
	var views []map[string]any
	require.NoError(t, json.Unmarshal([]byte(command(t, 0, "deadletter", "list", "--dir", dir, "--json")), &views))
	require.Len(t, views, 3)
	require.Equal(t, "00ff/12/AgentLog/3-4", views[0]["token"])
	require.EqualValues(t, 469, views[0]["code"])
	require.NotContains(t, views[1], "error")
	require.Contains(t, views[2]["error"], "damaged")

	show := command(t, 0, "deadletter", "show", "00ff-12-AgentLog-3-4", "--dir", dir, "--rows", "1")
	for _, want := range []string{"reason:   constraint\n", "code:     469\n", "row 1 of 2\n", "  message:    damn\n", "  metadata:   k=v\n", "2026-11-02T09:59:00Z", "1 more rows: show them with --rows 2"} {
		require.Contains(t, show, want)
	}
	require.NotContains(t, show, "row 2")
	var one struct {
		Table   string
		Content []map[string]any
	}
	require.NoError(t, json.Unmarshal([]byte(command(t, 0, "deadletter", "show", "00ff-12-AgentLog-3-4", "--dir", dir, "--json")), &one))
	require.Len(t, one.Content, 2)
	require.Equal(t, "good", one.Content[1]["message"])
	require.Contains(t, command(t, 1, "deadletter", "show", "00ff-14-AgentLog", "--dir", dir), "damaged")
	require.Contains(t, command(t, 1, "deadletter", "show", "nobody", "--dir", dir), "there is no dead letter nobody")

	// As if the collector had stored it, and had not seen the answer.
	resp, err := http.Post(server+"/?async_insert=0&deduplicate_insert=enable&insert_deduplicate=1&insert_deduplication_token=00ff/13/AgentLog&query="+
		url.QueryEscape("INSERT INTO agenttrail.AgentLog (timestamp, message) FORMAT Native"), "application/octet-stream", bytes.NewReader(good.Native))
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Equal(t, "kind", stored())

	replay := command(t, 1, "deadletter", "replay", "--all", "--dir", dir, "--clickhouse", server)
	require.Regexp(t, `(?m)^00ff-12-AgentLog-3-4: not stored: .*code 469.*polite`, replay)
	require.Regexp(t, `(?m)^00ff-13-AgentLog: stored, 1 row of AgentLog$`, replay)
	require.Regexp(t, `(?m)^00ff-14-AgentLog: not stored: .*damaged`, replay)
	require.Contains(t, replay, "agenttrail: 2 of 3 dead letters are not stored and stay in "+dir)
	require.Equal(t, "kind", stored())

	deadLetters(t, dir, good) // As if the command had died between storing it and removing it.
	require.Equal(t, "00ff-13-AgentLog: stored, 1 row of AgentLog\n", command(t, 0, "deadletter", "replay", "00ff-13-AgentLog", "--dir", dir, "--clickhouse", server))
	require.Equal(t, "kind", stored(), "what was stored already is not stored twice")

	sql("ALTER TABLE agenttrail.AgentLog DROP CONSTRAINT polite")
	require.Contains(t, command(t, 1, "deadletter", "replay", "00ff-12-AgentLog-3-4", "--dir", dir, "--clickhouse", server, "--database", "nowhere"), "nowhere")
	away := command(t, 1, "deadletter", "replay", "--all", "--dir", dir, "--clickhouse", "http://"+enginetest.ReservePort(t))
	require.Contains(t, away, "no answer from clickhouse")
	require.NotContains(t, away, "00ff-14-AgentLog:", "where nobody answers, the others are not tried")
	require.Contains(t, away, "2 of 2 dead letters are not stored")
	require.Equal(t, "00ff-12-AgentLog-3-4: stored, 2 rows of AgentLog\n", command(t, 0, "deadletter", "replay", "00ff-12-AgentLog-3-4", "--dir", dir, "--clickhouse", server))
	require.Equal(t, "damn,good,kind", stored())
	require.Equal(t, "v", sql("SELECT any(metadata['k']) FROM agenttrail.AgentLog WHERE message = 'damn'"))

	require.Regexp(t, `^00ff-14-AgentLog: removed`, command(t, 0, "deadletter", "remove", "00ff-14-AgentLog", "--dir", dir))
	require.Equal(t, "there are no dead letters\n", command(t, 0, "deadletter", "list", "--dir", dir))
	left, err := os.ReadDir(filepath.Join(dir, "deadletter"))
	require.NoError(t, err)
	require.Empty(t, left)
}

// TestWhatClickHouseRejectsCanBeReplayed has the collector make the dead letter.
func TestWhatClickHouseRejectsCanBeReplayed(t *testing.T) {
	t.Parallel()
	_, server := standalone(t, filepath.Join(t.TempDir(), "data"))
	_, err := schema.MigrateClickHouse(t.Context(), server, schema.ClickHouseConfig{Retention: schema.Retention{"AgentLog": 18250}}) // Rows have fixed times.
	require.NoError(t, err)
	sql := func(text string) string {
		status, body := post(t, server, text)
		require.Equal(t, http.StatusOK, status, body)
		return body
	}
	sql("ALTER TABLE agenttrail.AgentLog ADD CONSTRAINT polite CHECK message NOT LIKE '%damn%'")
	dir := filepath.Join(t.TempDir(), "journal")
	program, found := startProgram(t, []string{envJournalDir + "=" + dir}, []string{`OTLP over HTTP on (\S+)`}, "collector",
		"--set", "receivers::otlp::protocols::grpc::endpoint=127.0.0.1:0", "--set", "receivers::otlp::protocols::http::endpoint=127.0.0.1:0",
		"--set", "extensions::health_check::endpoint=127.0.0.1:0", "--set", "service::telemetry::metrics::level=none",
		"--set", "receivers::agenttrail_self::enabled=false", "--set", "receivers::agenttrail_host::enabled=false",
		"--set", "exporters::agenttrail::endpoint="+server)
	t.Cleanup(func() { _ = program.Process.Kill(); _ = program.Wait() })
	for _, message := range []string{"fine", "well, damn", "fine too"} {
		body := `{"resourceLogs": [{"scopeLogs": [{"logRecords": [{"timeUnixNano": "1793613600000000000", "body": {"stringValue": "` + message + `"}}]}]}]}`
		resp, err := http.Post("http://"+found[0]+"/v1/logs", "application/json", strings.NewReader(body))
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusOK, resp.StatusCode)
	}
	messages := "SELECT arrayStringConcat(arraySort(groupArray(message)), '|') FROM agenttrail.AgentLog"
	var views []deadLetterView
	require.Eventually(t, func() bool {
		require.NoError(t, json.Unmarshal([]byte(command(t, 0, "deadletter", "list", "--dir", dir, "--json")), &views))
		return len(views) == 1 && sql(messages) == "fine|fine too"
	}, startTimeout, 50*time.Millisecond, "the others are stored")
	require.Equal(t, 1, views[0].Rows)
	require.Equal(t, 469, views[0].Code)
	require.Contains(t, views[0].Message, "polite")
	require.Contains(t, command(t, 0, "deadletter", "show", views[0].Name, "--dir", dir), "well, damn")
	replay := []string{"deadletter", "replay", "--all", "--dir", dir, "--clickhouse", server}
	require.Contains(t, command(t, 1, replay...), "polite")
	sql("ALTER TABLE agenttrail.AgentLog DROP CONSTRAINT polite")
	require.Equal(t, views[0].Name+": stored, 1 row of AgentLog\n", command(t, 0, replay...), "while the collector runs")
	require.Equal(t, "fine|fine too|well, damn", sql(messages))
}

func TestBlocksThatAreNoneAreSaidToBeDamaged(t *testing.T) {
	t.Parallel()
	// Two columns and two rows: n UInt8, s String.
	whole := []byte("\x02\x02\x01n\x05UInt8\x07\x08\x01s\x06String\x01a\x02bc")
	block, err := readBlock(whole)
	require.NoError(t, err)
	require.Equal(t, []string{"n", "s"}, block.names())
	require.Equal(t, []map[string]any{{"n": uint8(7), "s": "a"}, {"n": uint8(8), "s": "bc"}}, block.rows(5))
	require.Len(t, block.rows(1), 1)
	for n := range whole {
		_, err := readBlock(whole[:n])
		require.ErrorContains(t, err, "it is damaged", n)
	}
	_, err = readBlock(append(whole, 0))
	require.ErrorContains(t, err, "more than one block")
	_, err = readBlock([]byte("\xff\xff\xff\xff\xff\xff\xff\x7f\x01"))
	require.ErrorContains(t, err, "it is damaged")
}

func TestDeadLetterCommandLines(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"show"}, "name one dead letter"},
		{[]string{"show", "a", "b"}, "name one dead letter"},
		{[]string{"remove"}, "or give --all"},
		{[]string{"remove", "a", "--all"}, "or give --all"},
		{[]string{"replay", "--clickhouse", "http://127.0.0.1:1"}, "or give --all"},
		{[]string{"replay", "--all"}, "say where ClickHouse is: --clickhouse"},
	} {
		require.Contains(t, command(t, 2, append([]string{"deadletter"}, c.args...)...), c.want, c.args)
	}
	for _, sub := range []string{"list", "show", "replay", "remove"} {
		require.Contains(t, command(t, 0, "deadletter", sub, "--help"), "agenttrail deadletter "+sub)
	}
}
