package chread

import (
	"context"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/agenttrail/agenttrail/coverage"
)

// Measure implements [coverage.Asker].
func (r *Reader) Measure(ctx context.Context, sql string) (total, offenders int64, err error) {
	err = r.each(ctx, sql, nil, func(row driver.Rows) error {
		var all, bad uint64
		if err := row.Scan(&all, &bad); err != nil {
			return fmt.Errorf("read numbers: %w", err)
		}
		total, offenders = int64(all), int64(bad)
		return nil
	})
	return total, offenders, err
}

const selectCoverage = `SELECT computedAt, since, category, check, score, value, target, weight, total, offenders, evidence, query, toString(s.database), remedy FROM `

// Coverage implements [coverage.Stored].
func (r *Reader) Coverage(ctx context.Context) (card coverage.Scorecard, ok bool, err error) {
	return r.coverageWhere(ctx, "computedAt = (SELECT max(computedAt) FROM "+r.table("CoverageScore")+")", nil)
}

// CoverageBefore gives the newest scorecard that is not younger than a moment; ok is false when there is none.
func (r *Reader) CoverageBefore(ctx context.Context, at time.Time) (card coverage.Scorecard, ok bool, err error) {
	return r.coverageWhere(ctx, "computedAt = (SELECT max(computedAt) FROM "+r.table("CoverageScore")+" WHERE computedAt <= fromUnixTimestamp64Milli({at:Int64}))", named("at", at.UnixMilli()))
}

func (r *Reader) coverageWhere(ctx context.Context, where string, args []any) (card coverage.Scorecard, ok bool, err error) {
	scores := map[coverage.Category]*float64{}
	results := map[coverage.Category][]coverage.CheckScore{}
	err = r.each(ctx, selectCoverage+r.table("CoverageScore")+" AS s WHERE "+where, args, func(row driver.Rows) error {
		var c coverage.CheckScore
		var category, database string
		var total, offenders uint64
		if err := row.Scan(&card.ComputedAt, &card.Since, &category, &c.Check, &c.Score, &c.Value, &c.Target, &c.Weight, &total, &offenders, &c.Evidence, &c.Query, &database, &c.Remedy); err != nil {
			return fmt.Errorf("read coverage: %w", err)
		}
		c.Total, c.Offenders, c.Database = int64(total), int64(offenders), coverage.Database(database)
		switch {
		case category == "":
			card.Score, ok = c.Score, true
		case c.Check == "":
			scores[coverage.Category(category)] = c.Score
		default:
			results[coverage.Category(category)] = append(results[coverage.Category(category)], c)
		}
		return nil
	})
	if err != nil || !ok {
		return coverage.Scorecard{}, false, err
	}
	card.ComputedAt, card.Since = card.ComputedAt.UTC(), card.Since.UTC()
	for _, category := range coverage.Categories() {
		if score, found := scores[category]; found {
			card.Categories = append(card.Categories, coverage.CategoryScore{Category: category, Score: score, Checks: inOrder(results[category])})
		}
	}
	return card, true, nil
}

// inOrder puts results into the order of the checks; those of another release come last.
func inOrder(results []coverage.CheckScore) []coverage.CheckScore {
	ordered := make([]coverage.CheckScore, 0, len(results))
	known := map[string]bool{}
	for _, check := range coverage.Checks() {
		known[check.Name] = true
		for _, c := range results {
			if c.Check == check.Name {
				ordered = append(ordered, c)
			}
		}
	}
	for _, c := range results {
		if !known[c.Check] {
			ordered = append(ordered, c)
		}
	}
	return ordered
}

// PublishCoverage stores a scorecard in one block. Checks that were skipped are left out.
func (r *Reader) PublishCoverage(ctx context.Context, card coverage.Scorecard) error {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	return r.insert(ctx, "CoverageScore (computedAt, since, category, check, score, value, target, weight, total, offenders, evidence, query, database, remedy)", func(b driver.Batch) error {
		add := func(category coverage.Category, c coverage.CheckScore) error {
			if c.Database == "" {
				c.Database = coverage.ClickHouse
			}
			return b.Append(card.ComputedAt, card.Since, string(category), c.Check, c.Score, c.Value, c.Target, c.Weight, uint64(c.Total), uint64(c.Offenders), //nolint:gosec // Never less than 0.
				c.Evidence, c.Query, string(c.Database), c.Remedy)
		}
		if err := add("", coverage.CheckScore{Score: card.Score}); err != nil {
			return err
		}
		for _, category := range card.Categories {
			if err := add(category.Category, coverage.CheckScore{Score: category.Score, Weight: 1}); err != nil {
				return err
			}
			for _, c := range category.Checks {
				if c.Skipped {
					continue
				}
				if err := add(category.Category, c); err != nil {
					return err
				}
			}
		}
		return nil
	})
}
