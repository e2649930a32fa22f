package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/dashboards/grafana"
	"github.com/agenttrail/agenttrail/internal/promtest"
)

// slowest is how long a query of a panel may take, as the database itself measures it. Other tests run at the same time, so
// the best of some attempts counts.
const (
	slowest  = 300 * time.Millisecond
	attempts = 20
)

// asker sends queries of dashboards to an instance as Grafana would.
type asker struct {
	in          *instance
	pg          *pgx.Conn
	prom        *promtest.Server
	to          time.Time
	quick       bool // Whether answers have to come quickly.
	chPID, pgID int  // Of the processes that answer, to know their CPU time; 0 if they are not ours.
}

// busy measures how long f took, or how much CPU time the process spent on it and all else if that is less: when others use
// the machine, a query waits for them.
func busy(pid int, took func() (time.Duration, error)) (time.Duration, error) {
	before, known := cpuTime(pid)
	elapsed, err := took()
	if after, ok := cpuTime(pid); known && ok {
		elapsed = min(elapsed, after-before+cpuTick)
	}
	return elapsed, err
}

// cpuTick is the resolution in which Linux tells CPU times of processes.
const cpuTick = 10 * time.Millisecond

// cpuTime is the CPU time of a process since it started, where the system tells it.
func cpuTime(pid int) (time.Duration, bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil || pid == 0 {
		return 0, false
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	return time.Duration(user+system) * cpuTick, err1 == nil && err2 == nil
}

// answer is what came back.
type answer struct {
	rows    int
	columns []string // Names.
	types   []string // Of ClickHouse.
	first   []any
	took    time.Duration
}

// ask asks, until the answer came quickly enough where it has to, but not too often.
func (a *asker) ask(t *testing.T, source, text string, over grafana.Range) (best answer, err error) {
	t.Helper()
	for i := range attempts {
		var got answer
		switch source {
		case grafana.ClickHouse:
			took, e := busy(a.chPID, func() (time.Duration, error) {
				got, err = a.clickHouse(t, text)
				return got.took, err
			})
			got.took, err = took, e
		case grafana.Postgres:
			took, e := busy(a.pgID, func() (time.Duration, error) {
				got, err = a.postgres(t, text)
				return got.took, err
			})
			got.took, err = took, e
		case grafana.Prometheus:
			took, e := busy(a.prom.PID, func() (time.Duration, error) {
				got, err = a.prometheus(t, text, over)
				return got.took, err
			})
			got.took, err = took, e
		default:
			return answer{}, fmt.Errorf("data source %s is not known", source)
		}
		if err != nil {
			return got, err
		}
		if i == 0 || got.took < best.took {
			best = got
		}
		if !a.quick || best.took < slowest {
			break
		}
	}
	return best, nil
}

func (a *asker) clickHouse(t *testing.T, sql string) (answer, error) {
	t.Helper()
	u, err := url.Parse(a.in.ClickHouse)
	require.NoError(t, err)
	u.RawQuery = url.Values{"default_format": {"JSONCompact"}, "readonly": {"2"}, "output_format_json_quote_64bit_integers": {"0"}}.Encode()
	resp, err := http.Post(u.String(), "text/plain", strings.NewReader(sql))
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	if resp.StatusCode != http.StatusOK {
		return answer{}, fmt.Errorf("%s", body)
	}
	var doc struct {
		Meta       []struct{ Name, Type string }
		Data       [][]any
		Statistics struct{ Elapsed float64 }
	}
	if err := json.Unmarshal(body, &doc); err != nil {
		return answer{}, fmt.Errorf("%w: %s", err, body)
	}
	got := answer{rows: len(doc.Data), took: time.Duration(doc.Statistics.Elapsed * float64(time.Second))}
	for _, m := range doc.Meta {
		got.columns, got.types = append(got.columns, m.Name), append(got.types, m.Type)
	}
	if got.rows > 0 {
		got.first = doc.Data[0]
	}
	return got, nil
}

func (a *asker) postgres(t *testing.T, sql string) (answer, error) {
	t.Helper()
	began := time.Now()
	rows, err := a.pg.Query(t.Context(), sql, pgx.QueryExecModeSimpleProtocol)
	if err != nil {
		return answer{}, err
	}
	defer rows.Close()
	var got answer
	for rows.Next() {
		if got.rows++; got.rows == 1 {
			if got.first, err = rows.Values(); err != nil {
				return got, err
			}
		}
	}
	got.took = time.Since(began)
	for _, f := range rows.FieldDescriptions() {
		got.columns = append(got.columns, f.Name)
	}
	return got, rows.Err()
}

// expandRange is what macros of a query are expanded with.
func (a *asker) expandRange(q grafana.Query, d grafana.Dashboard, p grafana.Panel) grafana.Range {
	if q.Source == grafana.Prometheus {
		return grafana.Range{Step: 5 * time.Second}
	}
	return a.panelRange(d, p)
}

// over is the time that a query of Prometheus is about: none if it is about now. The test's Prometheus has run for some
// seconds, so it is asked about the last five minutes, whatever the panel shows.
func (a *asker) over(q grafana.Query, d grafana.Dashboard, p grafana.Panel) grafana.Range {
	if q.Source == grafana.Prometheus && !q.Range {
		return grafana.Range{}
	}
	r := a.panelRange(d, p)
	if q.Source == grafana.Prometheus {
		r.From, r.Step = r.To.Add(-5*time.Minute), 5*time.Second
	}
	return r
}

func (a *asker) prometheus(t *testing.T, expr string, over grafana.Range) (got answer, err error) {
	t.Helper()
	path, params := "/api/v1/query", url.Values{"query": {expr}}
	if !over.To.IsZero() {
		path = "/api/v1/query_range"
		params.Set("start", over.From.Format(time.RFC3339))
		params.Set("end", over.To.Format(time.RFC3339))
		params.Set("step", strconv.Itoa(int(over.Step.Seconds())))
	}
	var result struct{ Result []json.RawMessage }
	began := time.Now()
	err = a.prom.Get(t.Context(), path, params, &result)
	got.rows, got.took = len(result.Result), time.Since(began)
	for range result.Result[:min(1, got.rows)] {
		got.first = append(got.first, "series")
	}
	return got, err
}

// panelRange is the time range and step that a panel has 1000 pixels wide.
func (a *asker) panelRange(d grafana.Dashboard, p grafana.Panel) grafana.Range {
	back := d.From
	if p.From > 0 {
		back = p.From
	}
	steps := []time.Duration{time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, time.Hour, 24 * time.Hour}
	i, _ := slices.BinarySearch(steps, back/1000)
	return grafana.Range{From: a.to.Add(-back), To: a.to, Step: max(steps[i], p.Interval)}
}

// options asks for the values of the variables of a dashboard, those of each with all chosen of the ones before it. One that has
// no values is missing.
func (a *asker) options(t *testing.T, d grafana.Dashboard) (values map[string]grafana.Value, missing map[string]string) {
	t.Helper()
	values = map[string]grafana.Value{}
	for _, v := range d.Variables {
		if v.Type != "query" {
			values[v.Name] = grafana.Value{Options: []string{v.Value}}
			continue
		}
		text, err := grafana.Expand(v.Source, v.Query, a.panelRange(d, grafana.Panel{}), values)
		require.NoError(t, err, "variable %s of %s", v.Name, d.UID)
		got, err := a.ask(t, v.Source, text, grafana.Range{})
		require.NoError(t, err, "variable %s of %s:\n%s", v.Name, d.UID, text)
		if got.rows == 0 {
			return nil, map[string]string{"variable " + v.Name: text}
		}
		a.requireQuick(t, got, "variable %s of %s:\n%s", v.Name, d.UID, text)
		values[v.Name] = grafana.Value{All: v.All, Custom: v.AllValue, Options: a.column(t, v.Source, text)}
	}
	return values, nil
}

func (a *asker) requireQuick(t *testing.T, got answer, what ...any) {
	t.Helper()
	if a.quick {
		require.Less(t, got.took, slowest, what...)
	}
}

// column returns the first column, which is the value of a variable's options.
func (a *asker) column(t *testing.T, source, text string) (list []string) {
	t.Helper()
	if source == grafana.Postgres {
		rows, err := a.pg.Query(t.Context(), text, pgx.QueryExecModeSimpleProtocol)
		require.NoError(t, err)
		for rows.Next() {
			v, err := rows.Values()
			require.NoError(t, err)
			list = append(list, fmt.Sprint(v[0]))
		}
		require.NoError(t, rows.Err())
		return list
	}
	for line := range strings.SplitSeq(a.in.query(t, text), "\n") {
		value, _, _ := strings.Cut(line, "\t")
		list = append(list, value)
	}
	return list
}

// clickHouseOf finds the ClickHouse process of an "agenttrail up".
func clickHouseOf(up int) int {
	for _, pid := range descendants(up)[1:] {
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if args := strings.Split(string(line), "\x00"); err == nil && len(args) > 1 && args[1] == "clickhouse" {
			return pid
		}
	}
	return 0
}

// figure is what the table says of a dashboard.
type figure struct {
	title, slowestPanel string
	panels, queries     int
	slowest             time.Duration
}

// testDashboards asks every variable and every panel: with all chosen, each must have rows; with one value, each must answer.
// A variable that is always one value is tried with more, until every panel has had rows. Then it ends the traffic and measures:
// the CPU time of a process has in it what others ask meanwhile, which is much where a query waits for its turn.
func testDashboards(t *testing.T, in *instance, prom *promtest.Server, endTraffic func()) {
	t.Helper()
	boards, err := grafana.Load("../../dashboards")
	require.NoError(t, err)
	require.NotEmpty(t, boards)
	pg := connectPostgres(t, in.Postgres)
	a := &asker{in: in, pg: pg, prom: prom, pgID: int(pg.PgConn().PID())}
	if in.PID != 0 {
		a.chPID = clickHouseOf(in.PID)
	}
	for _, d := range boards {
		t.Run(strings.TrimPrefix(d.UID, "agenttrail-"), func(t *testing.T) {
			var missing map[string]string
			for deadline := time.Now().Add(2 * startTimeout); ; time.Sleep(time.Second) {
				a.to = time.Now()
				missing = a.everyPanel(t, d, &figure{})
				if len(missing) == 0 || time.Now().After(deadline) {
					break // What is told every minute only may not be there yet, nor what live runs make.
				}
			}
			for panel, text := range missing {
				t.Errorf("%s of %s returns nothing:\n%s", panel, d.UID, text)
			}
		})
	}
	endTraffic()
	a.quick, a.to = true, time.Now()
	var figures []figure
	for _, d := range boards {
		f := figure{title: d.Title}
		t.Run(strings.TrimPrefix(d.UID, "agenttrail-")+"/quick", func(t *testing.T) { a.everyPanel(t, d, &f) })
		figures = append(figures, f)
	}
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "DASHBOARD\tPANELS\tQUERIES\tSLOWEST QUERY\tOF PANEL")
	for _, f := range figures {
		fmt.Fprintf(w, "%s\t%d\t%d\t%s ms\t%s\n", strings.TrimPrefix(f.title, "AgentTrail / "), f.panels, f.queries, strconv.FormatFloat(math.Round(f.slowest.Seconds()*1e4)/10, 'f', 1, 64), f.slowestPanel)
	}
	require.NoError(t, w.Flush())
	for line := range strings.Lines(table.String()) {
		t.Log(strings.TrimSuffix(line, "\n"))
	}
}

// everyPanel asks every variable and every panel, and returns those that had no rows.
func (a *asker) everyPanel(t *testing.T, d grafana.Dashboard, f *figure) (missing map[string]string) {
	t.Helper()
	all, missing := a.options(t, d)
	if len(missing) > 0 {
		return missing
	}
	f.queries += len(all)
	missing = map[string]string{}
	for _, p := range d.Panels {
		f.panels++
		for _, q := range p.Queries {
			f.queries++
			rows := false
			for _, values := range choices(d, all) {
				text, err := grafana.Expand(q.Source, q.Text, a.expandRange(q, d, p), values)
				require.NoError(t, err, "panel %q", p.Title)
				got, err := a.ask(t, q.Source, text, a.over(q, d, p))
				require.NoError(t, err, "panel %q:\n%s", p.Title, text)
				a.requireQuick(t, got, "panel %q:\n%s", p.Title, text)
				if got.took > f.slowest {
					f.slowest, f.slowestPanel = got.took, p.Title
				}
				if q.Series {
					requireSeries(t, q, got, text)
				}
				if q.Source == grafana.ClickHouse {
					a.requireIndexes(t, p, text)
				}
				rows = rows || got.rows > 0 && !got.nothing()
				if missing["panel "+p.Type+" "+p.Title] = text; rows {
					break
				}
			}
			if rows {
				delete(missing, "panel "+p.Type+" "+p.Title)
			}
			for _, values := range single(d, all) {
				text, err := grafana.Expand(q.Source, q.Text, a.expandRange(q, d, p), values)
				require.NoError(t, err, "panel %q", p.Title)
				got, err := a.ask(t, q.Source, text, a.over(q, d, p))
				require.NoError(t, err, "panel %q, one value of each variable:\n%s", p.Title, text)
				a.requireQuick(t, got, "panel %q, one value of each variable:\n%s", p.Title, text)
			}
		}
	}
	return missing
}

// small are tables that have few rows however many runs there are.
var small = []string{"CoverageScore", "ReconciliationRun", "ModelPrice"}

// requireIndexes checks that no query of a panel reads the whole of a table, so that it stays quick when the table has very
// many rows: of each that it reads, the partitions, the primary key or another index have to leave out what is not asked for.
func (a *asker) requireIndexes(t *testing.T, p grafana.Panel, text string) {
	t.Helper()
	if strings.Contains(text, ".ExecutionDetail") {
		return // What it finds by its trace is narrowed while it runs, which the plan does not tell.
	}
	plan := strings.ReplaceAll(a.in.query(t, "EXPLAIN indexes = 1 "+text), "\\n", "\n")
	for _, step := range strings.Split(plan, "ReadFromMergeTree (")[1:] {
		table, rest, _ := strings.Cut(step, ")")
		rest, _, _ = strings.Cut(rest, "ReadFrom")
		_, name, _ := strings.Cut(table, ".")
		narrowed := !strings.Contains(rest, "Parts:") || strings.Contains(rest, "Name: idx_") // It reads nothing, or by another index.
		for line := range strings.Lines(rest) {
			_, condition, ok := strings.Cut(strings.TrimSpace(line), "Condition: ")
			narrowed = narrowed || ok && condition != "true"
		}
		require.True(t, narrowed || slices.Contains(small, name), "panel %q reads all of %s:\n%s\n%s", p.Title, name, text, plan)
	}
}

// nothing tells whether the answer is one row in which nothing is known.
func (a answer) nothing() bool {
	for _, v := range a.first {
		if v != nil && v != "" {
			return false
		}
	}
	return a.rows == 1
}

// choices are ways to choose: all of what can have all, and up to forty values of what has one.
func choices(d grafana.Dashboard, all map[string]grafana.Value) (list []map[string]grafana.Value) {
	for i := range 40 {
		values := map[string]grafana.Value{}
		more := i == 0
		for _, v := range d.Variables {
			value := all[v.Name]
			if v.Type == "query" && !v.All {
				more = more || i < len(value.Options)
				value.Options = value.Options[min(i, len(value.Options)-1):][:1]
			}
			values[v.Name] = value
		}
		if !more {
			break
		}
		list = append(list, values)
	}
	return list
}

// single chooses the first value of everything.
func single(d grafana.Dashboard, all map[string]grafana.Value) []map[string]grafana.Value {
	values, several := map[string]grafana.Value{}, false
	for _, v := range d.Variables {
		value := all[v.Name]
		if v.All {
			value, several = grafana.Value{Options: value.Options[:1]}, true
		}
		if v.Type == "query" {
			value.Options = value.Options[:1]
		}
		values[v.Name] = value
	}
	if !several {
		return nil
	}
	return []map[string]grafana.Value{values}
}

// requireSeries checks the form that the plugins make lines of: the time, then figures, with at most one name between.
func requireSeries(t *testing.T, q grafana.Query, got answer, text string) {
	t.Helper()
	require.Equal(t, "time", got.columns[0], text)
	require.GreaterOrEqual(t, len(got.columns), 2, text)
	if q.Source == grafana.Postgres {
		require.Equal(t, []string{"time", "metric", "value"}, got.columns, text)
		return
	}
	require.True(t, strings.HasPrefix(got.types[0], "DateTime"), "%s is the type of the time:\n%s", got.types[0], text)
	for i, typ := range got.types[1:] {
		figure := strings.HasPrefix(typ, "UInt") || strings.HasPrefix(typ, "Float") || strings.HasPrefix(typ, "Int") || strings.HasPrefix(typ, "Nullable(Float")
		named := i == 0 && len(got.types) == 3 && got.columns[2] == "Value"
		require.True(t, figure || named, "column %s is a %s:\n%s", got.columns[i+1], typ, text)
	}
}
