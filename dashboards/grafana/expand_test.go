package grafana_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/dashboards/grafana"
)

// documented is the time range of the examples in the documentation of the ClickHouse plugin.
var documented = grafana.Range{From: time.Unix(1415792726, 0), To: time.Unix(1447328726, 0), Step: 20 * time.Second}

// TestExpand has what the documentation says that macros and variables become.
func TestExpand(t *testing.T) {
	t.Parallel()
	values := map[string]grafana.Value{
		"all":    {All: true, Options: []string{"db1", "db2"}},
		"some":   {Options: []string{"db1", "d'b2"}},
		"none":   {},
		"custom": {All: true, Custom: "'__all'", Options: []string{"a"}},
		"picked": {Custom: "'__all'", Options: []string{"a", "b"}},
	}
	for name, c := range map[string]struct{ source, text, want string }{
		"time filter":        {grafana.ClickHouse, "$__timeFilter(time)", "time >= toDateTime(1415792726) AND time <= toDateTime(1447328726)"},
		"from and to":        {grafana.ClickHouse, "f($__fromTime), $__toTime", "f(toDateTime(1415792726)), toDateTime(1447328726)"},
		"interval":           {grafana.ClickHouse, "$__interval_s", "20"},
		"time interval":      {grafana.ClickHouse, "$__timeInterval(column)", "toStartOfInterval(toDateTime(column), INTERVAL 20 second)"},
		"conditional, all":   {grafana.ClickHouse, "WHERE $__conditionalAll(database IN (${all:singlequote}), $all)", "WHERE 1=1"},
		"conditional, some":  {grafana.ClickHouse, "WHERE $__conditionalAll(database IN (${some:singlequote}), $some) AND x", `WHERE database IN ('db1','d\'b2') AND x`},
		"conditional, empty": {grafana.ClickHouse, "$__conditionalAll(f(a, b) = '$none', ${none})", "1=1"},
		"Postgres filter":    {grafana.Postgres, "$__timeFilter(t.at)", "t.at BETWEEN '2014-11-12T11:45:26Z' AND '2015-11-12T11:45:26Z'"},
		"Postgres group":     {grafana.Postgres, "$__timeGroupAlias(at,'5m')", `floor(extract(epoch from at)/300)*300 AS "time"`},
		"Postgres interval":  {grafana.Postgres, "$__timeGroupAlias(at, $__interval)", `floor(extract(epoch from at)/20)*20 AS "time"`},
		"SQL strings":        {grafana.Postgres, "IN (${some:sqlstring})", "IN ('db1','d''b2')"},
		"custom all":         {grafana.Postgres, "'__all' IN (${custom:sqlstring})", "'__all' IN ('__all')"},
		"custom, not all":    {grafana.Postgres, "'__all' IN (${picked:sqlstring})", "'__all' IN ('a','b')"},
		"rate interval":      {grafana.Prometheus, "rate(x[$__rate_interval])", "rate(x[80s])"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := grafana.Expand(c.source, c.text, documented, values)
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
	for name, c := range map[string]struct{ source, text, problem string }{
		"unknown variable":    {grafana.ClickHouse, "${nobody:singlequote}", "variable nobody is not there"},
		"unknown format":      {grafana.ClickHouse, "${some:json}", "format json of variable some is not known"},
		"unknown macro":       {grafana.ClickHouse, "$__timeFiltre(x)", "macro $__timeFiltre(x) is not known"},
		"macro of the other":  {grafana.Postgres, "$__fromTime", "macro $__fromTime is not known"},
		"without argument":    {grafana.ClickHouse, "$__timeFilter", "macro $__timeFilter is not known, or has not the arguments"},
		"conditional of none": {grafana.ClickHouse, "$__conditionalAll(a, $nobody)", "a variable that is not there"},
		"not closed":          {grafana.ClickHouse, "$__conditionalAll(a, $all", "has not two arguments"},
		"left":                {grafana.ClickHouse, "SELECT '5 $'", "something is left"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := grafana.Expand(c.source, c.text, documented, values)
			require.ErrorContains(t, err, c.problem)
		})
	}
}

// TestLoad reads one of ours.
func TestLoad(t *testing.T) {
	t.Parallel()
	boards, err := grafana.Load("..")
	require.NoError(t, err)
	for _, d := range boards {
		require.NotEmpty(t, d.Panels, d.UID)
		require.Equal(t, 24*time.Hour, d.From, d.UID)
		for _, p := range d.Panels {
			for _, q := range p.Queries {
				require.NotEmpty(t, q.Text, "panel %q of %s", p.Title, d.UID)
				require.Contains(t, []string{grafana.ClickHouse, grafana.Postgres, grafana.Prometheus}, q.Source)
			}
		}
	}
}
