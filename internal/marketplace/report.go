package marketplace

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// Report writes what is stored: rows by table, the busiest agents, the top errors and how long it takes until a run
// can be selected.
func (s *Simulation) Report(ctx context.Context, w io.Writer) error {
	s.progress.done()
	for _, section := range []func(context.Context, io.Writer) error{s.reportTables, s.reportAgents, s.reportErrors} {
		if err := section(ctx, w); err != nil {
			return err
		}
	}
	if s.cfg.Rate > 0 {
		s.market.tally.print(w)
	}
	stats := s.probe.latency()
	if stats.count > 0 {
		fmt.Fprintf(w, "\nFrom the end of a run to its row being selectable: median %d ms, p99 %d ms, slowest %d ms (%d live runs",
			stats.p50.Milliseconds(), stats.p99.Milliseconds(), stats.max.Milliseconds(), stats.count)
		if stats.overdue > 0 {
			fmt.Fprintf(w, ", %d more overdue", stats.overdue)
		}
		fmt.Fprintln(w, ")")
	}
	return nil
}

func (s *Simulation) reportTables(ctx context.Context, w io.Writer) error {
	rows, err := s.click.Query(ctx, `
SELECT table, sum(rows) AS n, formatReadableSize(sum(bytes_on_disk)) AS size
FROM system.parts WHERE active AND database = currentDatabase() AND table != 'SchemaMigration'
GROUP BY table ORDER BY n DESC`)
	if err != nil {
		return fmt.Errorf("count rows: %w", err)
	}
	defer rows.Close()
	t := table(w, "\nTABLE\tROWS\tON DISK")
	for rows.Next() {
		var name, size string
		var n uint64
		if err := rows.Scan(&name, &n, &size); err != nil {
			return fmt.Errorf("count rows: %w", err)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\n", name, thousands(n), size)
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("count rows: %w", err)
	}
	return t.Flush()
}

func (s *Simulation) reportAgents(ctx context.Context, w io.Writer) error {
	rows, err := s.click.Query(ctx, `
SELECT agentId, sum(totalExecutions) AS runs, sum(successfulExecutions) / runs AS success, uniqMerge(uniqueUsers) AS users,
    quantilesDDMerge(0.01, 0.5, 0.95, 0.99)(durationQuantiles) AS q, toString(sum(totalCreditsConsumed)) AS credits,
    arrayMap(h -> sumMap(map(toUInt8(toHour(periodStart)), totalExecutions))[toUInt8(h)], range(24)) AS hours
FROM AgentMetricsHourly WHERE periodStart >= toStartOfHour(now() - toIntervalDay(1))
GROUP BY agentId ORDER BY runs DESC LIMIT 10`)
	if err != nil {
		return fmt.Errorf("read agent metrics: %w", err)
	}
	defer rows.Close()
	t := table(w, "\nBUSIEST AGENTS, LAST DAY\tRUNS\tSUCCESS\tUSERS\tP50\tP95\tP99\tCREDITS\tRUNS BY HOUR (UTC)")
	for rows.Next() {
		var agent, credits string
		var runs, users uint64
		var success float64
		var q []float64
		var hours []uint64
		if err := rows.Scan(&agent, &runs, &success, &users, &q, &credits, &hours); err != nil {
			return fmt.Errorf("read agent metrics: %w", err)
		}
		fmt.Fprintf(t, "%s\t%s\t%.1f %%\t%d\t%s\t%s\t%s\t%s\t%s\n", agent, thousands(runs), 100*success, users, ms(q[0]), ms(q[1]), ms(q[2]), credits, sparkline(hours))
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read agent metrics: %w", err)
	}
	return t.Flush()
}

func (s *Simulation) reportErrors(ctx context.Context, w io.Writer) error {
	rows, err := s.click.Query(ctx, `
SELECT uniqExact(id) AS n, any(errorCode), any(component), uniq(agentId), any(message)
FROM SystemErrors GROUP BY fingerprint ORDER BY n DESC LIMIT 8`)
	if err != nil {
		return fmt.Errorf("read errors: %w", err)
	}
	defer rows.Close()
	t := table(w, "\nTOP ERRORS\tCODE\tCOMPONENT\tAGENTS\tSAMPLE")
	for rows.Next() {
		var n, agents uint64
		var code, component, message string
		if err := rows.Scan(&n, &code, &component, &agents, &message); err != nil {
			return fmt.Errorf("read errors: %w", err)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\n", thousands(n), code, component, agents, cut(message, 70))
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read errors: %w", err)
	}
	return t.Flush()
}

func table(w io.Writer, header string) *tabwriter.Writer {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, header)
	return t
}

func ms(v float64) string {
	return time.Duration(v * float64(time.Millisecond)).Round(time.Millisecond).String()
}

func thousands(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func cut(s string, n int) string {
	r := []rune(strings.ReplaceAll(s, "\n", " "))
	if len(r) <= n {
		return string(r)
	}
	return string(r[:n-1]) + "…"
}

// sparkline draws values as bars of eight heights.
func sparkline(values []uint64) string {
	const bars = "▁▂▃▄▅▆▇█"
	var most uint64 = 1
	for _, v := range values {
		most = max(most, v)
	}
	var b strings.Builder
	for _, v := range values {
		b.WriteRune([]rune(bars)[v*7/most])
	}
	return b.String()
}
