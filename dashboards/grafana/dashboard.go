package grafana

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Kinds of data sources.
const (
	ClickHouse = "grafana-clickhouse-datasource"
	Postgres   = "grafana-postgresql-datasource"
	Prometheus = "prometheus"
)

// Dashboard is what a file says that is to be asked.
type Dashboard struct {
	UID, Title string
	From       time.Duration // How far back the time range goes, before now.
	Variables  []Variable
	Panels     []Panel
}

// Variable is a variable whose values are asked for, or that has one.
type Variable struct {
	Name, Type string
	Source     string // Kind of the data source of the query.
	Query      string
	All, Multi bool
	AllValue   string
	Value      string // Of a constant.
}

// Panel is a panel that asks something.
type Panel struct {
	ID                 int
	Title, Type        string
	Description, Empty string
	Interval, From     time.Duration // Shortest step, and the time range if it has its own.
	Queries            []Query
}

// Query is one query of a panel.
type Query struct {
	Source string
	Text   string // SQL or PromQL.
	Series bool   // The answer is a time series.
	Range  bool   // Of Prometheus: over time.
}

// file is the part of the schema that queries are in.
type file struct {
	UID, Title string
	Time       struct{ From, To string }
	Templating struct {
		List []struct {
			Name, Type, AllValue string
			IncludeAll, Multi    bool
			DataSource           struct{ Type string }
			Query                json.RawMessage
		}
	}
	Panels []struct {
		ID                                           int
		Title, Type, Description, Interval, TimeFrom string
		FieldConfig                                  struct{ Defaults struct{ NoValue string } }
		Targets                                      []struct {
			DataSource struct{ Type string }
			RawSQL     string
			Expr       string
			QueryType  string
			Format     any
			Range      bool
		}
	}
}

// Load reads all dashboards of a folder, in the order of their names.
func Load(dir string) ([]Dashboard, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, fmt.Errorf("find dashboards: %w", err)
	}
	slices.Sort(paths)
	var all []Dashboard
	for _, path := range paths {
		d, err := read(path)
		if err != nil {
			return nil, fmt.Errorf("read dashboard %s: %w", path, err)
		}
		all = append(all, d)
	}
	return all, nil
}

func read(path string) (Dashboard, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Dashboard{}, err
	}
	var f file
	if err := json.Unmarshal(text, &f); err != nil {
		return Dashboard{}, err
	}
	d := Dashboard{UID: f.UID, Title: f.Title}
	if d.From, err = ago(f.Time.From); err != nil || f.Time.To != "now" {
		return d, fmt.Errorf("time range %s to %s: %w", f.Time.From, f.Time.To, err)
	}
	for _, v := range f.Templating.List {
		variable := Variable{Name: v.Name, Type: v.Type, Source: v.DataSource.Type, All: v.IncludeAll, Multi: v.Multi, AllValue: v.AllValue}
		var object struct{ RawSQL string }
		if json.Unmarshal(v.Query, &variable.Query) != nil {
			if err := json.Unmarshal(v.Query, &object); err != nil {
				return d, fmt.Errorf("query of variable %s: %w", v.Name, err)
			}
			variable.Query = object.RawSQL
		}
		if v.Type != "query" {
			variable.Value = variable.Query
		}
		d.Variables = append(d.Variables, variable)
	}
	for _, p := range f.Panels {
		if p.Type == "row" {
			continue
		}
		panel := Panel{ID: p.ID, Title: p.Title, Type: p.Type, Description: p.Description, Empty: p.FieldConfig.Defaults.NoValue}
		if panel.Interval, err = duration(p.Interval); err != nil {
			return d, fmt.Errorf("interval of panel %s: %w", p.Title, err)
		}
		if panel.From, err = duration(p.TimeFrom); err != nil {
			return d, fmt.Errorf("time of panel %s: %w", p.Title, err)
		}
		for _, t := range p.Targets {
			q := Query{Source: t.DataSource.Type, Text: t.RawSQL, Range: t.Range, Series: t.QueryType == "timeseries" || t.Format == "time_series"}
			if q.Source == Prometheus {
				q.Text = t.Expr
			}
			panel.Queries = append(panel.Queries, q)
		}
		d.Panels = append(d.Panels, panel)
	}
	return d, nil
}

// ago reads a time before now, such as now-24h.
func ago(text string) (time.Duration, error) {
	rest, ok := strings.CutPrefix(text, "now-")
	if !ok {
		return 0, fmt.Errorf("%q is not before now", text)
	}
	return duration(rest)
}

// duration reads one as Grafana writes it: a number and s, m, h or d.
func duration(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		d, err := time.ParseDuration(days + "h")
		return 24 * d, err
	}
	return time.ParseDuration(text)
}
