package delivery

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/agenttrail/agenttrail/exporter/column"
)

// retention knows for how long tables keep rows, and tells of rows that come too late for that: they are stored, and
// ClickHouse drops them soon after. The first of a table is told at once, those after it once in a while.
type retention struct {
	logger *zap.Logger
	days   [column.TableCount]atomic.Int64 // 0: for ever, or not known.

	mu     sync.Mutex
	counts [column.TableCount]expired // Since told.
	told   [column.TableCount]time.Time
}

const retentionInterval = 10 * time.Minute

// expired are rows that were too old when they came.
type expired struct {
	rows   int
	oldest int64 // Time of the oldest, ns since 1970.
}

func (e *expired) add(rows int, oldest int64) {
	if e.rows == 0 || oldest < e.oldest {
		e.oldest = oldest
	}
	e.rows += rows
}

// cutoffs returns the times before which rows are too old, ns since 1970; 0 where nothing is.
func (r *retention) cutoffs(now time.Time) (at [column.TableCount]int64) {
	for t := range at {
		if days := r.days[t].Load(); days > 0 {
			at[t] = now.UnixNano() - days*int64(24*time.Hour)
		}
	}
	return at
}

// note notes what a request had of a table.
func (r *retention) note(now time.Time, t column.Table, e expired) {
	r.mu.Lock()
	defer r.mu.Unlock()
	of := &r.counts[t]
	of.add(e.rows, e.oldest)
	if now.Sub(r.told[t]) < retentionInterval {
		return
	}
	r.logger.Warn("Rows are older than their table keeps rows: they are stored, and ClickHouse drops them soon after. To keep what comes so late, "+
		"run `agenttrail migrate clickhouse --retention "+t.String()+"=DAYS`.",
		zap.Stringer("table", t), zap.Int64("days", r.days[t].Load()), zap.Int("rows", of.rows), zap.Time("oldest", time.Unix(0, of.oldest).UTC()))
	*of, r.told[t] = expired{}, now
}

// ReadRetention asks ClickHouse for how long tables keep rows, so that those that come too late can be told of. It should
// be asked again once in a while, since that can be changed.
func (w *Writer) ReadRetention(ctx context.Context) error {
	// On a cluster, the table that has a retention is the local one.
	text, err := w.in.ask(ctx, "SELECT name, extract(create_table_query, "+quoteText(` TTL \S+ \+ toIntervalDay\((\d+)\)`)+
		") FROM system.tables WHERE database = "+quoteText(w.set.Database)+" AND engine LIKE '%MergeTree' FORMAT TabSeparated")
	if err != nil {
		return fmt.Errorf("read retention of %s: %w", w.set.Database, err)
	}
	days := map[string]int64{}
	for line := range strings.Lines(text) {
		name, number, _ := strings.Cut(strings.TrimSpace(line), "\t")
		if number != "" {
			if days[strings.TrimSuffix(name, "Local")], err = strconv.ParseInt(number, 10, 32); err != nil {
				return fmt.Errorf("read retention of %s: %w", name, err)
			}
		}
	}
	for t := range column.TableCount {
		w.retention.days[t].Store(days[t.String()])
	}
	return nil
}
