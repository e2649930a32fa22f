package chread

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/shopspring/decimal"

	"github.com/agenttrail/agenttrail/ledger"
)

// The sum over all rows of a run is what AgentMetrics and UserAgentUsage count, too. A run is imported when all its rows say so.
const selectConsumption = `SELECT id, any(e.userId) AS userId, any(e.agentId) AS agentId, toInt64(sum(toDecimal128(e.creditsConsumed, 6)) * 1000000) AS consumed, count() AS n,
	min(e.attributes['agenttrail.imported'] = 'true') AS imported FROM `

var errStopped = errors.New("the reader has enough")

// Consumptions gives the runs of which rows were stored in a time, in the order of the bytes of their ids. Only rows of that
// time count. They are read as they are asked for.
func (r *Reader) Consumptions(ctx context.Context, since, until time.Time) iter.Seq2[ledger.Consumption, error] {
	return func(yield func(ledger.Consumption, error) bool) {
		err := r.each(ctx, selectConsumption+r.table("AgentExecution")+` AS e WHERE e.ingestedAt >= fromUnixTimestamp64Milli({since:Int64}) AND e.ingestedAt < fromUnixTimestamp64Milli({until:Int64})
			GROUP BY id ORDER BY id`, named("since", since.UnixMilli(), "until", until.UnixMilli()), func(row driver.Rows) error {
			c, err := scanConsumption(row)
			if err == nil && !yield(c, nil) {
				err = errStopped
			}
			return err
		})
		if err != nil && !errors.Is(err, errStopped) {
			yield(ledger.Consumption{}, err)
		}
	}
}

// ConsumptionsOf finds runs that began in a time, with all their rows.
func (r *Reader) ConsumptionsOf(ctx context.Context, executions []string, from, until time.Time) (list []ledger.Consumption, err error) {
	err = r.each(ctx, selectConsumption+r.table("AgentExecution")+` AS e WHERE e.id IN ({ids:Array(String)})
		AND e.startedAt >= fromUnixTimestamp64Milli({from:Int64}) AND e.startedAt < fromUnixTimestamp64Milli({until:Int64}) GROUP BY id`,
		named("ids", executions, "from", from.UnixMilli(), "until", until.UnixMilli()), func(row driver.Rows) error {
			c, err := scanConsumption(row)
			list = append(list, c)
			return err
		})
	return list, err
}

func scanConsumption(row driver.Rows) (ledger.Consumption, error) {
	var c ledger.Consumption
	var consumed int64
	var n uint64
	var imported uint8
	if err := row.Scan(&c.ExecutionID, &c.UserID, &c.Agent, &consumed, &n, &imported); err != nil {
		return c, fmt.Errorf("read run: %w", err)
	}
	c.Consumed, c.Rows, c.Imported = ledger.Credits(consumed), int(n), imported != 0
	return c, nil
}

// PublishReconciliation writes down how runs compare. A run's newest version counts, so the same again does no harm; a
// comparison that is written again is counted once by who reads it by its time.
func (r *Reader) PublishReconciliation(ctx context.Context, items []ledger.ReconItem, runs []ledger.ReconRun) error {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	if len(items) > 0 {
		err := r.insert(ctx, "Reconciliation (executionId, transactionId, userId, agentId, state, captured, adjusted, creditsConsumed, telemetryRows, drift, firstSeen, resolvedAt, version, checkedAt)", func(b driver.Batch) error {
			for _, i := range items {
				transaction := ""
				if i.TransactionID != nil {
					transaction = i.TransactionID.String()
				}
				var consumed *decimal.Decimal
				if i.Consumed != nil {
					c := credits(*i.Consumed)
					consumed = &c
				}
				if err := b.Append(i.ExecutionID, transaction, i.UserID, i.Agent, string(i.State), credits(i.Captured), credits(i.Adjusted), consumed, uint32(i.Rows), //nolint:gosec // Few.
					credits(i.Drift), i.FirstSeen, i.ResolvedAt, uint32(i.RowVersion), i.ChangedAt); err != nil { //nolint:gosec // Counts from 1.
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	if len(runs) == 0 {
		return nil
	}
	return r.insert(ctx, "ReconciliationRun (finishedAt, since, until, duration, executions, matched, drift, missingInLedger, missingInTelemetry, adjusted, waived, captured, creditsConsumed)", func(b driver.Batch) error {
		for _, x := range runs {
			if err := b.Append(x.FinishedAt, x.Since, x.Until, float64(x.FinishedAt.Sub(x.StartedAt).Microseconds())/1e3, uint64(x.Executions), uint64(x.Matched), uint64(x.Drift), //nolint:gosec // Counts.
				uint64(x.MissingInLedger), uint64(x.MissingInTelemetry), uint64(x.Adjusted), uint64(x.Waived), credits(x.Captured), credits(x.Consumed)); err != nil { //nolint:gosec // Counts.
				return err
			}
		}
		return nil
	})
}

func (r *Reader) insert(ctx context.Context, into string, fill func(driver.Batch) error) error {
	b, err := r.conn.PrepareBatch(ctx, "INSERT INTO "+r.table(into))
	if err != nil {
		return fmt.Errorf("ask clickhouse: %w", err)
	}
	defer func() { _ = b.Close() }() // Does nothing after Send.
	if err := fill(b); err != nil {
		return fmt.Errorf("fill block: %w", err)
	}
	if err := b.Send(); err != nil {
		return fmt.Errorf("insert into clickhouse: %w", err)
	}
	return nil
}

func credits(c ledger.Credits) decimal.Decimal { return decimal.New(int64(c), -6) }
