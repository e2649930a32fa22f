package chread

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/uuid"

	"github.com/agenttrail/agenttrail/ledger"
)

// named are parameters of a question, as pairs of name and value.
func named(pairs ...any) []any {
	args := make([]any, 0, len(pairs)/2)
	for pair := range slices.Chunk(pairs, 2) {
		args = append(args, clickhouse.Named(fmt.Sprint(pair[0]), pair[1]))
	}
	return args
}

// Now is the time by which rows are marked as stored.
func (r *Reader) Now(ctx context.Context) (at time.Time, err error) {
	err = r.each(ctx, "SELECT now64(3, 'UTC')", nil, func(row driver.Rows) error { return row.Scan(&at) })
	return at.UTC(), err
}

// changed narrows a question to agents, or to users and agents, of which rows were stored since a moment; to nothing if
// that is zero.
func (r *Reader) changed(keys string, since time.Time) (condition string, args []any) {
	if since.IsZero() {
		return "1", nil
	}
	return keys + " GLOBAL IN (SELECT DISTINCT " + keys + " FROM " + r.table("AgentExecution") + " WHERE ingestedAt >= fromUnixTimestamp64Milli({since:Int64}))", named("since", since.UnixMilli())
}

// AgentTotals gives what telemetry has of agents of which rows were stored since a moment, of all if that is zero: all that
// it has of each, not only what is new.
func (r *Reader) AgentTotals(ctx context.Context, since time.Time, f func(ledger.AgentTotals) error) error {
	condition, args := r.changed("agentId", since)
	return r.each(ctx, `SELECT agentId, sum(d.totalExecutions) AS n, sum(d.successfulExecutions), sum(d.failedExecutions), sum(d.timeouts), sum(toInt128(d.durationNs)), toInt64(sum(d.totalCreditsConsumed) * 1000000)
		FROM `+r.table("AgentMetricsDaily")+` AS d WHERE `+condition+` GROUP BY agentId HAVING n > 0`, args, func(row driver.Rows) error {
		var t ledger.AgentTotals
		var executions, successful, failed, timeouts uint64
		var credits int64
		if err := row.Scan(&t.Agent, &executions, &successful, &failed, &timeouts, &t.DurationNs, &credits); err != nil {
			return fmt.Errorf("read agent: %w", err)
		}
		t.Executions, t.Successful, t.Failed, t.Timeouts, t.Credits = int64(executions), int64(successful), int64(failed), int64(timeouts), ledger.Credits(credits)
		return f(t)
	})
}

// UsageTotals gives what telemetry has of users and agents of whom rows were stored since a moment, as [Reader.AgentTotals]
// does. Users whose id is no UUID are none of the ledger's and left out.
func (r *Reader) UsageTotals(ctx context.Context, since time.Time, f func(ledger.UsageTotals) error) error {
	condition, args := r.changed("(userId, agentId)", since)
	return r.each(ctx, `SELECT assumeNotNull(toUUIDOrNull(userId)) AS id, agentId, sum(d.totalExecutions), sum(d.successfulExecutions), toInt64(sum(d.creditsConsumed) * 1000000), uniqExact(d.day),
			mapKeys(sumMap(d.hours) AS byHour)[indexOf(mapValues(byHour), arrayMax(mapValues(byHour)))], max(d.lastUsedAt)
		FROM `+r.table("UserAgentUsageDaily")+` AS d WHERE toUUIDOrNull(userId) IS NOT NULL AND `+condition+` GROUP BY userId, agentId`, args, func(row driver.Rows) error {
		var t ledger.UsageTotals
		var id uuid.UUID
		var executions, successful, days uint64
		var credits int64
		var hour uint8
		if err := row.Scan(&id, &t.Agent, &executions, &successful, &credits, &days, &hour, &t.LastUsedAt); err != nil {
			return fmt.Errorf("read usage: %w", err)
		}
		t.UserID, t.Executions, t.Successful, t.Credits = id, int64(executions), int64(successful), ledger.Credits(credits)
		t.Days, t.PreferredHour, t.LastUsedAt = int(days), int(hour), t.LastUsedAt.UTC()
		return f(t)
	})
}
