package schema

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/agenttrail/agenttrail/schema/prices"
)

// Prices are what models cost; see package prices.
type Prices = prices.List

// pricesSince is the migration that makes the table of prices.
const pricesSince = 6

// LoadPrices stores a list of prices in the database at url, which has the newest schema, and says whether it was not
// there yet. A list that did not come with a release takes precedence over those that did, whichever came later. A list
// under a version that is taken by other prices is an error.
func LoadPrices(ctx context.Context, url string, cfg ClickHouseConfig, list *Prices) (loaded bool, err error) {
	conn, err := openClickHouse(url)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	return loadPrices(ctx, conn, &cfg, list, false)
}

// loadShippedPrices stores the list of this release, and gives its version if it was not there yet.
func loadShippedPrices(ctx context.Context, conn driver.Conn, cfg *ClickHouseConfig) (version string, err error) {
	list, err := prices.Shipped()
	if err != nil {
		return "", err
	}
	loaded, err := loadPrices(ctx, conn, cfg, list, true)
	if err != nil || !loaded {
		return "", err
	}
	return list.Version(), nil
}

func loadPrices(ctx context.Context, conn driver.Conn, cfg *ClickHouseConfig, list *Prices, shipped bool) (bool, error) {
	stored, err := storedPrices(ctx, conn, cfg, list.Version())
	if err != nil {
		return false, err
	}
	if stored != nil {
		if !samePrices(stored, list) {
			return false, fmt.Errorf("load prices: version %q is taken by other prices: give the list another version", list.Version())
		}
		return false, nil
	}
	// One INSERT of one block: it is stored whole or not at all.
	batch, err := conn.PrepareBatch(ctx, "INSERT INTO "+cfg.database()+`.ModelPrice
		(version, provider, providerNames, model, effectiveFrom, effectiveTo, inputPrice, outputPrice, cacheReadPrice, cacheWritePrice, source, shipped)`)
	if err != nil {
		return false, fmt.Errorf("load prices: %w", err)
	}
	defer func() { _ = batch.Close() }()
	aliases := list.Aliases()
	for _, p := range list.All() {
		var to *time.Time
		if !p.EffectiveTo.IsZero() {
			to = &p.EffectiveTo
		}
		err := batch.Append(p.Version, p.Provider, append([]string{}, aliases[p.Provider]...), p.Model, p.EffectiveFrom, to,
			nanoText(p.Input), nanoText(p.Output), nanoText(p.CacheRead), nanoText(p.CacheWrite), p.Source, shipped)
		if err != nil {
			return false, fmt.Errorf("load prices: %w", err)
		}
	}
	if err := batch.Send(); err != nil {
		return false, fmt.Errorf("load prices: %w", err)
	}
	return true, nil
}

// nanoText writes billionths as a decimal number.
func nanoText(n int64) string { return fmt.Sprintf("%d.%09d", n/1e9, n%1e9) }

func samePrices(a, b *Prices) bool {
	text := func(l *Prices) string {
		var s strings.Builder
		aliases := l.Aliases()
		for _, p := range l.All() {
			fmt.Fprintln(&s, p, aliases[p.Provider])
		}
		return s.String()
	}
	return text(a) == text(b)
}

// currentPrices reads the list that counts: the last one that was loaded from a file, else the last that a release brought.
func currentPrices(ctx context.Context, conn driver.Conn, cfg *ClickHouseConfig) (*Prices, error) {
	var version string
	row := conn.QueryRow(ctx, "SELECT argMax(version, (NOT shipped, loadedAt)) FROM "+cfg.database()+".ModelPrice")
	if err := row.Scan(&version); err != nil {
		return nil, fmt.Errorf("read prices: %w", err)
	}
	list, err := storedPrices(ctx, conn, cfg, version)
	if err == nil && list == nil {
		err = errors.New("read prices: the database has none: run \"agenttrail migrate clickhouse\" first")
	}
	return list, err
}

// storedPrices reads a list from the database; it is nil when there is none of that version.
func storedPrices(ctx context.Context, conn driver.Conn, cfg *ClickHouseConfig, version string) (*Prices, error) {
	nano := func(column string) string { return "toInt64(toDecimal128(" + column + ", 9) * 1000000000)" }
	rows, err := conn.Query(ctx, "SELECT provider, CAST(providerNames, 'Array(String)'), model, effectiveFrom, effectiveTo, "+nano("inputPrice")+", "+nano("outputPrice")+", "+
		nano("cacheReadPrice")+", "+nano("cacheWritePrice")+", source FROM "+cfg.database()+".ModelPrice FINAL WHERE version = ?", version)
	if err != nil {
		return nil, fmt.Errorf("read prices: %w", err)
	}
	defer rows.Close()
	var all []prices.Price
	aliases := map[string][]string{}
	for rows.Next() {
		p := prices.Price{Version: version}
		var names []string
		var to *time.Time
		if err := rows.Scan(&p.Provider, &names, &p.Model, &p.EffectiveFrom, &to, &p.Input, &p.Output, &p.CacheRead, &p.CacheWrite, &p.Source); err != nil {
			return nil, fmt.Errorf("read prices: %w", err)
		}
		p.EffectiveFrom = p.EffectiveFrom.UTC()
		if to != nil {
			p.EffectiveTo = to.UTC()
		}
		aliases[p.Provider] = names
		all = append(all, p)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read prices: %w", err)
	}
	if len(all) == 0 {
		return nil, nil //nolint:nilnil // None of that version is not an error.
	}
	return prices.New(version, all, aliases)
}
