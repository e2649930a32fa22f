package schema

import (
	"context"
	"fmt"
	"time"
)

// metricsLevels are the tables of states below AgentMetrics, with the start of the period that a run belongs to.
var metricsLevels = []struct{ table, period string }{
	{"AgentMetricsHourly", "toStartOfHour(toDateTime(startedAt, 'UTC'))"},
	{"AgentMetricsDaily", "toStartOfDay(toDateTime(startedAt, 'UTC'))"},
}

// alignRounds is how often alignMetrics looks for periods that runs are just being added to.
const alignRounds = 20

// alignMetrics makes the costs in AgentMetrics those of the runs, and returns how many periods it had to leave as they
// are.
//
// It adds to each period the difference between what the runs cost and what was counted, as one more state. Nothing is
// taken away, so runs that arrive meanwhile are safe, and so is a process that dies: the next difference is what is left.
// A period in which there are not as many runs as were counted is left alone, because there the difference would not be
// one of prices: its runs are past their retention, or are just being stored, which shows by looking again. Looking again
// also finds a difference that was taken between the two steps of storing a run.
func (j *repricer) alignMetrics(ctx context.Context) (unmatched uint64, err error) {
	for round := range alignRounds {
		unmatched = 0
		var different uint64
		for _, level := range metricsLevels {
			from := "FROM " + j.differences(level.table, level.period)
			var d, u uint64
			row := j.conn.QueryRow(ctx, "SELECT countIf(runs = counted AND difference != 0), countIf(runs != counted) "+from)
			if err := row.Scan(&d, &u); err != nil {
				return 0, fmt.Errorf("compare costs of %s: %w", level.table, err)
			}
			different += d
			unmatched += u
			if d == 0 {
				continue
			}
			// What is not named is empty in the new state, and so changes nothing; the least of durations has to be said.
			// The same difference may come twice, there and back, so it must not count as a retry.
			err := j.conn.Exec(ctx, "INSERT INTO "+j.cfg.database()+"."+level.table+" (agentId, periodStart, minDuration, totalCost) SELECT agentId, periodStart, inf, difference "+
				from+" WHERE runs = counted AND difference != 0 SETTINGS insert_deduplicate = 0, deduplicate_insert = 'disable', deduplicate_insert_select = 'disable', distributed_foreground_insert = 1")
			if err != nil {
				return 0, fmt.Errorf("change costs of %s: %w", level.table, err)
			}
		}
		switch {
		case different == 0 && (unmatched == 0 || round >= 2 && j.quiet(ctx)):
			return unmatched, nil
		case different != 0:
			continue
		}
		select {
		case <-ctx.Done():
			return unmatched, fmt.Errorf("compare costs: %w", context.Cause(ctx))
		case <-time.After(250 * time.Millisecond):
		}
	}
	return unmatched, nil
}

// quiet says whether no row is being stored now.
func (j *repricer) quiet(ctx context.Context) bool {
	var inserts uint64
	err := j.conn.QueryRow(ctx, "SELECT count() FROM system.processes WHERE query_kind = 'Insert'").Scan(&inserts)
	return err == nil && inserts == 0
}

// differences has one row per agent and period: how many runs there are and were counted, and how much more they cost.
// Periods at the ends of the range are taken whole.
func (j *repricer) differences(table, period string) string {
	db := j.cfg.database()
	begin := "toStartOfDay(" + timeLiteral(j.from) + ")"
	end := "addDays(toStartOfDay(" + timeLiteral(j.to.Add(-time.Nanosecond)) + "), 1)"
	global := ""
	if j.cfg.Cluster != "" {
		global = "GLOBAL "
	}
	return "(SELECT agentId, periodStart, r.runs AS runs, s.counted AS counted, r.cost - s.cost AS difference FROM " +
		"(SELECT agentId, " + period + " AS periodStart, count() AS runs, sum(toDecimal128(ifNull(cost, 0), 9)) AS cost FROM " + db + ".AgentExecution" +
		" WHERE startedAt >= " + begin + " AND startedAt < " + end + " GROUP BY agentId, periodStart) AS r " + global + "RIGHT JOIN " +
		"(SELECT agentId, periodStart, sum(totalExecutions) AS counted, sum(totalCost) AS cost FROM " + db + "." + table +
		" WHERE periodStart >= " + begin + " AND periodStart < " + end + " GROUP BY agentId, periodStart) AS s USING (agentId, periodStart))"
}
