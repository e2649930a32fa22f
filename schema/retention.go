package schema

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Retention is how many days a table keeps its rows, by its name, counted from the time of the event. Whole partitions
// are dropped, so rows live up to one partition longer: a day, or a month for SecurityEvents, AgentMetricsHourly,
// AgentMetricsDaily, UserAgentUsage, Reconciliation, ReconciliationRun and CoverageScore. A table that is not named keeps what it has, and a
// new one takes its default.
type Retention map[string]int

// defaultRetention has every table that forgets.
var defaultRetention = Retention{
	"AgentExecution":     400,
	"Span":               30,
	"AgentLog":           90,
	"RequestLog":         90,
	"SystemErrors":       180,
	"SystemMetrics":      90,
	"SecurityEvents":     1095,
	"AgentMetricsHourly": 400,
	"AgentMetricsDaily":  1825,
	"UserAgentUsage":     1825,
	"Reconciliation":     400,
	"ReconciliationRun":  400,
	"CoverageScore":      400,
}

// DefaultRetention is what tables take that are made without another one. The map is the caller's.
func DefaultRetention() Retention { return maps.Clone(defaultRetention) }

// maxRetention is fifty years: the TTL is a DateTime, which ends in 2106 and starts anew after that, so that rows with a
// longer retention would be dropped at once.
const maxRetention = 18250

// stateTables are the tables below views that users know, by the name of the view.
var stateTables = map[string]string{"UserAgentUsage": "UserAgentUsageDaily"}

// ParseRetention reads "AgentLog=30,Span=14". The error names the tables that have a retention.
func ParseRetention(text string) (Retention, error) {
	r := Retention{}
	for item := range strings.SplitSeq(text, ",") {
		if strings.TrimSpace(item) == "" {
			continue
		}
		name, days, ok := strings.Cut(item, "=")
		name = strings.TrimSpace(name)
		n, err := strconv.Atoi(strings.TrimSpace(days))
		switch {
		case !ok || err != nil:
			return nil, fmt.Errorf("read retention %q: write a table and days, such as AgentLog=30", item)
		case r[name] != 0 && r[name] != n:
			return nil, fmt.Errorf("read retention: %s is named twice", name)
		}
		r[name] = n
	}
	return r, r.validate()
}

func (r Retention) validate() error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(r)) {
		if defaultRetention[name] == 0 {
			tables := strings.Join(slices.Sorted(maps.Keys(defaultRetention)), ", ")
			errs = append(errs, fmt.Errorf("retention of %q: there is no such table; those with a retention are %s", name, tables))
		} else if r[name] < 1 || r[name] > maxRetention {
			errs = append(errs, fmt.Errorf("retention of %s: %d days is outside 1 to %d", name, r[name], maxRetention))
		}
	}
	return errors.Join(errs...)
}

var upper = regexp.MustCompile(`([a-z])([A-Z])`)

// placeholders gives ${RETENTION_AGENT_LOG_DAYS} and the like their values.
func (r Retention) placeholders(values map[string]string) {
	for name, days := range defaultRetention {
		key := strings.ToUpper(upper.ReplaceAllString(name, "${1}_${2}"))
		values["${RETENTION_"+key+"_DAYS}"] = strconv.Itoa(cmp.Or(r[name], days))
	}
}

var ttlClause = regexp.MustCompile(`\bTTL (.+?) \+ toIntervalDay\((\d+)\)`)

// retentionStatements gives what has to run so that every table named in cfg keeps its rows as long as it says. Those
// that do not exist yet take theirs when they are made.
//
// Rows are not rewritten. When a part expires was noted as it was made, so the notes are made anew, in the background:
// that reads the times alone, and the files of large parts are linked, not copied.
func retentionStatements(ctx context.Context, conn driver.Conn, cfg ClickHouseConfig) ([]string, error) {
	var statements []string
	for _, name := range slices.Sorted(maps.Keys(cfg.Retention)) {
		table := cmp.Or(stateTables[name], name) + cfg.local()
		var create string
		row := conn.QueryRow(ctx, "SELECT create_table_query FROM system.tables WHERE database = ? AND name = ?", cfg.database(), table)
		if err := row.Scan(&create); errors.Is(err, sql.ErrNoRows) {
			continue
		} else if err != nil {
			return nil, fmt.Errorf("read retention of %s: %w", table, err)
		}
		want := strconv.Itoa(cfg.Retention[name])
		clause := ttlClause.FindStringSubmatch(create)
		if clause == nil {
			return nil, fmt.Errorf("read retention of %s: its TTL was changed by hand to something that is not a number of days; set it by hand, or leave %s out", table, name)
		}
		if clause[2] != want {
			alter := fmt.Sprintf("ALTER TABLE %s.%s %s ", cfg.database(), table, cfg.onCluster())
			statements = append(statements,
				alter+"MODIFY SETTING materialize_ttl_recalculate_only = 1",
				// One statement changes the rule and begins the notes, so that it cannot be cut short between the two.
				alter+"MODIFY TTL "+clause[1]+" + toIntervalDay("+want+") SETTINGS materialize_ttl_after_modify = 1, mutations_sync = 0")
		}
	}
	return statements, nil
}
