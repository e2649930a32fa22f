package schema

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/agenttrail/agenttrail/schema/prices"
)

// Repricing says which costs to compute anew. A cost that the emitter gave stays as it is; computed are those that a
// price table gave, and those that nobody knew, of rows that have tokens.
type Repricing struct {
	From, To time.Time // Rows that started at or after From and before To.
	Prices   *Prices   // Nil takes those of the database.
	DryRun   bool      // Compute only, change nothing.
}

// RepricedModel is what a repricing does to the rows of one model.
type RepricedModel struct {
	Provider, Model string
	Priced          bool // The list has a price for at least one of the rows.
	Runs, Spans     uint64
	RunsBefore      string // Sum of the runs' costs in USD, those unknown as 0.
	RunsAfter       string
	SpansBefore     string
	SpansAfter      string
}

// RepriceResult says what a repricing did, or would do in a dry run.
type RepriceResult struct {
	Version string // Of the prices.
	Models  []RepricedModel
	// Unmatched are hours and days of agents whose costs in AgentMetrics were left as they are, because the runs that
	// are stored are not those that were counted: some are past their retention.
	Unmatched uint64
}

// repricedTables have tokens and costs.
var repricedTables = []string{"AgentExecution", "Span"}

// Reprice computes costs anew in the database at url. Cut short, it can be run again: what is done stays, and
// AgentMetrics is brought in line with the runs whether they changed now or before.
func Reprice(ctx context.Context, url string, cfg ClickHouseConfig, r Repricing) (result RepriceResult, err error) {
	if !r.From.Before(r.To) {
		return result, errors.New("reprice: the range is empty; its end must be after its beginning")
	}
	if pending, err := PendingClickHouse(ctx, url, cfg); err != nil {
		return result, err
	} else if len(pending) > 0 {
		return result, errors.New("reprice: the schema is not up to date: run \"agenttrail migrate clickhouse\" first")
	}
	conn, err := openClickHouse(url)
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()

	list := r.Prices
	if list == nil {
		if list, err = currentPrices(ctx, conn, &cfg); err != nil {
			return result, err
		}
	}
	result.Version = list.Version()
	j := repricer{conn: conn, cfg: &cfg, list: list, from: r.From, to: r.To}
	if result.Models, err = j.compare(ctx); err != nil || r.DryRun {
		return result, err
	}
	for _, table := range repricedTables {
		if err := j.update(ctx, table, result.Models); err != nil {
			return result, err
		}
	}
	result.Unmatched, err = j.alignMetrics(ctx)
	return result, err
}

type repricer struct {
	conn     driver.Conn
	cfg      *ClickHouseConfig
	list     *Prices
	from, to time.Time
}

// where selects the rows whose cost is to be computed.
func (j *repricer) where() string {
	return j.inRange("startedAt") + " AND (priceVersion != '' OR isNull(cost)) AND inputTokens + outputTokens > 0"
}

func (j *repricer) inRange(column string) string {
	return column + " >= " + timeLiteral(j.from) + " AND " + column + " < " + timeLiteral(j.to)
}

func timeLiteral(t time.Time) string {
	return "fromUnixTimestamp64Nano(" + strconv.FormatInt(t.UnixNano(), 10) + ", 'UTC')"
}

// compare finds the models in the range and what their rows cost before and after.
func (j *repricer) compare(ctx context.Context) ([]RepricedModel, error) {
	var models []RepricedModel
	rows, err := j.conn.Query(ctx, "SELECT toString(provider) AS p, toString(model) AS m FROM ("+j.each("SELECT DISTINCT provider, model FROM %s WHERE "+j.where())+") GROUP BY p, m ORDER BY p, m")
	if err != nil {
		return nil, fmt.Errorf("list models: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var m RepricedModel
		if err := rows.Scan(&m.Provider, &m.Model); err != nil {
			return nil, fmt.Errorf("list models: %w", err)
		}
		models = append(models, m)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list models: %w", err)
	}
	for i := range models {
		m := &models[i]
		cost := "ifNull(cost, 0)"
		if update := j.priceOf(m); update != "" {
			m.Priced = true
			cost = "ifNull(if(" + j.hasPrice(m) + ", " + update + ", cost), 0)"
		}
		for _, table := range repricedTables {
			count, before, after := &m.Runs, &m.RunsBefore, &m.RunsAfter
			if table == "Span" {
				count, before, after = &m.Spans, &m.SpansBefore, &m.SpansAfter
			}
			row := j.conn.QueryRow(ctx, "SELECT count(), toString(sum(toDecimal128(ifNull(cost, 0), 9))), toString(sum(toDecimal128("+cost+", 9))) FROM "+
				j.cfg.database()+"."+table+" WHERE "+j.where()+" AND "+isModel(m))
			if err := row.Scan(count, before, after); err != nil {
				return nil, fmt.Errorf("compare costs of %s: %w", m.Model, err)
			}
		}
	}
	return models, nil
}

func (j *repricer) each(query string) string {
	var parts []string
	for _, table := range repricedTables {
		parts = append(parts, fmt.Sprintf(query, j.cfg.database()+"."+table))
	}
	return strings.Join(parts, " UNION ALL ")
}

func isModel(m *RepricedModel) string {
	return "provider = " + quoteText(m.Provider) + " AND model = " + quoteText(m.Model)
}

// quoteText quotes a string of ClickHouse's SQL.
func quoteText(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

// history is what the list has for a model and the range.
func (j *repricer) history(m *RepricedModel) []prices.Price {
	var found []prices.Price
	for _, p := range j.list.History(m.Provider, m.Model) {
		if p.EffectiveFrom.Before(j.to) && (p.EffectiveTo.IsZero() || p.EffectiveTo.After(j.from)) {
			found = append(found, p)
		}
	}
	return found
}

// hasPrice holds for the rows of a model at times for which the list has a price.
func (j *repricer) hasPrice(m *RepricedModel) string {
	var parts []string
	for _, p := range j.history(m) {
		part := "startedAt >= " + timeLiteral(p.EffectiveFrom)
		if !p.EffectiveTo.IsZero() {
			part += " AND startedAt < " + timeLiteral(p.EffectiveTo)
		}
		parts = append(parts, "("+part+")")
	}
	return "(" + strings.Join(parts, " OR ") + ")"
}

// priceOf is the cost of a row of a model for which hasPrice holds; empty when no row has one. It does what
// [prices.Price.Cost] does.
func (j *repricer) priceOf(m *RepricedModel) string {
	history := j.history(m)
	if len(history) == 0 {
		return ""
	}
	price := func(of func(prices.Price) int64) string {
		text := strconv.FormatInt(of(history[0]), 10)
		for _, p := range history[1:] {
			text = "if(startedAt >= " + timeLiteral(p.EffectiveFrom) + ", " + strconv.FormatInt(of(p), 10) + ", " + text + ")"
		}
		return "toInt256(" + text + ")"
	}
	cached := "toInt256(cacheReadTokens) + cacheWriteTokens"
	nano := "intDiv(greatest(toInt256(inputTokens) - (" + cached + "), 0) * " + price(func(p prices.Price) int64 { return p.Input }) +
		" + outputTokens * " + price(func(p prices.Price) int64 { return p.Output }) +
		" + cacheReadTokens * " + price(func(p prices.Price) int64 { return p.CacheRead }) +
		" + cacheWriteTokens * " + price(func(p prices.Price) int64 { return p.CacheWrite }) + " + 500000, 1000000)"
	// Billionths become a decimal by their digits, which loses none.
	nano = "toString(least(" + nano + ", toInt256(" + strconv.FormatInt(prices.MaxNanoUSD, 10) + ")))"
	digits := "leftPad(" + nano + ", 10, '0')"
	return "toDecimal64(concat(substring(" + digits + ", 1, length(" + digits + ") - 9), '.', right(" + digits + ", 9)), 9)"
}

// update changes the costs of a table.
func (j *repricer) update(ctx context.Context, table string, models []RepricedModel) error {
	var cost, which strings.Builder
	for i := range models {
		m := &models[i]
		rows := m.Runs
		if table == "Span" {
			rows = m.Spans
		}
		if rows == 0 || !m.Priced {
			continue
		}
		is := isModel(m) + " AND " + j.hasPrice(m)
		fmt.Fprintf(&cost, "%s, %s, ", is, j.priceOf(m))
		if which.Len() > 0 {
			which.WriteString(" OR ")
		}
		which.WriteString("(" + is + ")")
	}
	if which.Len() == 0 {
		return nil
	}
	newCost := "CAST(multiIf(" + cost.String() + "cost), 'Nullable(Decimal(18, 9))')"
	err := j.conn.Exec(ctx, fmt.Sprintf("ALTER TABLE %s.%s%s %s UPDATE cost = %s, priceVersion = %s WHERE %s AND (%s) SETTINGS mutations_sync = 2",
		j.cfg.database(), table, j.cfg.local(), j.cfg.onCluster(), newCost, quoteText(j.list.Version()), j.where(), which.String()))
	if err != nil {
		return fmt.Errorf("change costs of %s: %w", table, err)
	}
	return nil
}
