package coverage

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Category is one of the parts of a scorecard.
type Category string

// The categories, in the order in which they are shown.
const (
	ExecutionTracking    Category = "execution_tracking"
	ErrorLogging         Category = "error_logging"
	UserActivity         Category = "user_activity"
	FinancialTracking    Category = "financial_tracking"
	APIMonitoring        Category = "api_monitoring"
	ConfigurationChanges Category = "configuration_changes"
	SystemMonitoring     Category = "system_monitoring"
	SecurityEvents       Category = "security_events"
)

// Categories are all of them. Each counts the same in the score of all.
func Categories() []Category {
	return []Category{
		ExecutionTracking, ErrorLogging, UserActivity, FinancialTracking, APIMonitoring, ConfigurationChanges, SystemMonitoring, SecurityEvents,
	}
}

// Database is where a check is answered.
type Database string

// The databases, as column database of CoverageScore names them.
const (
	ClickHouse Database = "clickhouse" // telemetry
	Postgres   Database = "postgres"   // the ledger
)

// Check is one question. Its SQL has placeholders, see [Check.Question].
type Check struct {
	// Name is unique, as in column check of CoverageScore and in metrics.
	Name string
	// Category that it counts in.
	Category Category
	// Requires is what should be, in a sentence.
	Requires string
	// Weight is how much it counts beside the others of its category.
	Weight float64
	// Target is what the value should reach, 0 to 1; below it, something is to be done. It does not change the score.
	Target float64
	// Database is where the SQL runs.
	Database Database
	// Of is what is counted, and Lacks what is said of those that are not as they should be. Of a check that asks whether
	// there is anything at all, Lacks is empty.
	Of, Lacks string
	// From and Where are the rows that are counted, Bad the condition of those that are not as they should be.
	From, Where, Bad string
	// Count is, instead of these, a whole query that gives both numbers.
	Count string
	// List are the columns that show an offender, and Order puts the ones to look at first. Instead of both, Offenders is
	// a whole query.
	List, Order, Offenders string
	// Settle is how young rows are left out because what belongs to them may still be on its way.
	Settle time.Duration
	// Remedy is what to do about offenders.
	Remedy string
}

// Checks are all checks, by category. The slice is the caller's.
func Checks() []Check {
	return slices.Concat(executionChecks, errorChecks, userChecks, financialChecks, apiChecks, configurationChecks, systemChecks, securityChecks)
}

// Window is the time that is looked at, and where.
type Window struct {
	Since, Until time.Time
	Database     string // ClickHouse database of the telemetry
}

// Lookback is how much earlier than the window a run may have begun that rows of the window belong to.
const Lookback = 24 * time.Hour

// offendersShown is how many rows a query of offenders gives.
const offendersShown = 100

// Question is the SQL with the two numbers: total and offenders.
func (c *Check) Question(w Window) string {
	if c.Count != "" {
		return c.fill(c.Count, w)
	}
	count, bad, number := "count()", "countIf("+c.Bad+")", "toUInt64"
	if c.Database == Postgres {
		count, bad, number = "count(*)", "count(*) FILTER (WHERE "+c.Bad+")", ""
	}
	return c.fill(fmt.Sprintf("SELECT %s(%s) AS total, %s(%s) AS offenders\nFROM %s%s", number, count, number, bad, c.From, c.where("")), w)
}

// OffendersQuery is the SQL that lists what is not as it should be, the most recent first, ready to run.
func (c *Check) OffendersQuery(w Window) string {
	if c.Offenders != "" {
		return c.fill(c.Offenders, w)
	}
	return c.fill(fmt.Sprintf("SELECT %s\nFROM %s%s\nORDER BY %s\nLIMIT %d", c.List, c.From, c.where(c.Bad), c.Order, offendersShown), w)
}

func (c *Check) where(more string) string {
	var conditions []string
	for _, condition := range []string{c.Where, more} {
		if condition != "" {
			conditions = append(conditions, condition)
		}
	}
	switch len(conditions) {
	case 0:
		return ""
	case 1:
		return "\nWHERE " + conditions[0]
	default:
		return "\nWHERE " + conditions[0] + "\n    AND (" + conditions[1] + ")"
	}
}

// fill puts the window into SQL: {db} is the ClickHouse database, {since} and {until} are the window, {settled} its end less
// Settle, {lookback} its beginning less [Lookback], {fresh} its end less [Fresh].
func (c *Check) fill(sql string, w Window) string {
	moment := clickHouseTime
	if c.Database == Postgres {
		moment = postgresTime
	}
	return strings.NewReplacer(
		"{db}", w.Database, "{since}", moment(w.Since), "{until}", moment(w.Until), "{settled}", moment(w.Until.Add(-c.Settle)),
		"{lookback}", moment(w.Since.Add(-Lookback)), "{fresh}", moment(w.Until.Add(-Fresh)),
	).Replace(sql)
}

func clickHouseTime(t time.Time) string {
	return "toDateTime64('" + t.UTC().Format("2006-01-02 15:04:05.000") + "', 3, 'UTC')"
}

func postgresTime(t time.Time) string {
	return "timestamptz '" + t.UTC().Format("2006-01-02 15:04:05.000") + "Z'"
}

// presence is how much it counts that there is anything at all: without it, most other checks of a category have nothing to
// measure, and do not count.
const presence = 3

// present makes a check of whether there is anything at all in a ClickHouse table.
func present(category Category, name, table, time, of, condition, remedy string) Check {
	if condition != "" {
		condition = " AND " + condition
	}
	rows := "{db}." + table + " WHERE " + time + " >= {since} AND " + time + " < {until}" + condition
	return Check{
		Name: name, Category: category, Requires: "There are " + of + ".", Weight: presence, Target: 1, Database: ClickHouse, Of: of,
		From: "(SELECT count() AS found FROM (SELECT 1 FROM " + rows + " LIMIT 1))", Bad: "found = 0",
		Offenders: "SELECT count() AS rows, max(" + time + ") AS newest FROM {db}." + table,
		Remedy:    remedy,
	}
}
