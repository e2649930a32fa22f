package board

import (
	"fmt"
	"strings"
)

// Versions that the dashboards are written for: of Grafana's dashboard schema, and of the official ClickHouse plugin.
const (
	schemaVersion           = 39
	clickHousePluginVersion = "4.12.0"
)

// Tag is on every dashboard: the drop-down of links is made of the dashboards that have it.
const Tag = "agenttrail"

// Data sources are variables, so that a dashboard works wherever it is imported. The provisioned ones have these ids.
var (
	clickHouse = DataSource{"grafana-clickhouse-datasource", "${clickhouse}"}
	postgres   = DataSource{"grafana-postgresql-datasource", "${postgres}"}
	prometheus = DataSource{"prometheus", "${prometheus}"}
)

// builder puts panels in their places, from left to right and top to bottom.
type builder struct {
	d         Dashboard
	x, y, row int // Where the next panel goes, and how high the present line is.
}

// newBoard begins a dashboard. The name is its file's, and the end of its id.
func newBoard(name, title, description string, sources ...DataSource) *builder {
	b := &builder{d: Dashboard{
		Annotations: annotations{List: []annotation{{
			BuiltIn: 1, DataSource: DataSource{"grafana", "-- Grafana --"}, Enable: true, Hide: true, IconColor: "rgba(0, 211, 255, 1)", Name: "Annotations & Alerts", Type: "dashboard",
		}}},
		Description: description, Editable: true, GraphTooltip: 1, Refresh: "30s", SchemaVersion: schemaVersion, Tags: []string{Tag},
		Links: []link{{
			AsDropdown: true, Icon: "external link", IncludeVars: true, KeepTime: true, Tags: []string{Tag}, Title: "AgentTrail",
			Tooltip: "The other dashboards, with this time range and these variables", Type: "dashboards",
		}},
		Time: timeRange{"now-24h", "now"}, TimeZone: "utc", Title: "AgentTrail / " + title, UID: "agenttrail-" + name, Version: 1, WeekStart: "",
	}}
	for _, s := range sources {
		b.source(s)
	}
	return b
}

// source adds the variable that says which data source of a kind is meant.
func (b *builder) source(s DataSource) {
	label := map[DataSource]string{clickHouse: "ClickHouse", postgres: "Postgres", prometheus: "Prometheus"}[s]
	name := strings.Trim(s.UID, "${}")
	b.d.Templating.List = append(b.d.Templating.List, Variable{
		Name: name, Label: label, Type: "datasource", Query: s.Type, Options: []option{}, Refresh: 1,
		Current: &option{Text: "AgentTrail " + label, Value: "agenttrail-" + name},
	})
	if s == clickHouse {
		b.d.Templating.List = append(b.d.Templating.List, Variable{
			Name: "database", Label: "Database", Description: "The ClickHouse database that holds the tables", Type: "constant", Query: "agenttrail", Hide: 2,
			Current: &option{Text: "agenttrail", Value: "agenttrail"}, Options: []option{}, SkipURLSync: true,
		})
	}
}

// choice adds a variable whose values a query gives: one column, or value and label.
func (b *builder) choice(s DataSource, name, label, description, sql string, opts ...func(*Variable)) {
	v := Variable{Name: name, Label: label, Description: description, Type: "query", DataSource: &s, Options: []option{}, Refresh: 2, IncludeAll: true, Multi: true}
	v.Current = &option{Selected: true, Text: []string{"All"}, Value: []string{"$__all"}}
	v.Query = sql
	if s == clickHouse {
		v.Query = map[string]any{"editorType": "sql", "queryType": "table", "rawSql": sql, "refId": "variable", "pluginVersion": clickHousePluginVersion}
	}
	if s == postgres {
		v.AllValue = everyone
	}
	for _, o := range opts {
		o(&v)
	}
	b.d.Templating.List = append(b.d.Templating.List, v)
}

// everyone is what a variable of Postgres stands for when all is chosen. The plugin has no $__conditionalAll, and a list of all
// values would be long, and leave out those that are not offered.
const everyone = "'__all'"

// chosen is the condition that a column has a chosen value of a variable of Postgres.
func chosen(variable, column string) string {
	in := " IN (${" + variable + ":sqlstring})"
	return "('__all'" + in + " OR " + column + in + ")"
}

// one makes a variable have one value, at first that of the first row. Other values can be typed.
func one(v *Variable) {
	v.IncludeAll, v.Multi, v.Current, v.AllValue = false, false, nil, ""
	custom := true
	v.AllowCustomValue = &custom
}

// heading begins a row of panels.
func (b *builder) heading(title string) {
	b.y += b.row
	b.x, b.row = 0, 0
	open := false
	b.d.Panels = append(b.d.Panels, &Panel{Type: "row", Title: title, Collapsed: &open, Panels: []*Panel{}, GridPos: gridPos{H: 1, W: 24, Y: b.y}, ID: len(b.d.Panels) + 1})
	b.y++
}

// add puts a panel after the last one.
func (b *builder) add(p *Panel) {
	if b.x+p.GridPos.W > 24 {
		b.y += b.row
		b.x, b.row = 0, 0
	}
	p.ID, p.GridPos.X, p.GridPos.Y = len(b.d.Panels)+1, b.x, b.y
	b.x += p.GridPos.W
	b.row = max(b.row, p.GridPos.H)
	b.d.Panels = append(b.d.Panels, p)
}

// query makes a target. The SQL of a ClickHouse query gets the database in front of the tables by its variable.
func query(s DataSource, kind, sql string) Target {
	sql = strings.TrimSpace(sql)
	t := Target{DataSource: s, RefID: "A"}
	switch s {
	case clickHouse:
		t.EditorType, t.QueryType, t.PluginVer, t.RawSQL = "sql", kind, clickHousePluginVersion, sql
		t.Format = map[string]int{"timeseries": 0, "table": 1, "logs": 2, "traces": 3}[kind]
	case postgres:
		t.EditorMode, t.RawQuery, t.RawSQL, t.Format = "code", true, sql, "table"
		if kind == "timeseries" {
			t.Format = "time_series"
		}
	default:
		panic(fmt.Sprintf("BUG: %s is not asked in SQL", s.Type))
	}
	return t
}

// link is the address of another dashboard, with time range, data sources and a variable of it.
func address(name, variable, value string) string {
	return "/d/agenttrail-" + name + "?${__url_time_range}&${clickhouse:queryparam}&var-" + variable + "=" + value
}
