package coverage

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// DefaultSince is how far back a scorecard looks unless something else is asked for.
const DefaultSince = 24 * time.Hour

// Asker answers a question of two numbers.
type Asker interface {
	// Measure runs SQL that gives one row: how many there are, and how many of them are not as they should be.
	Measure(ctx context.Context, sql string) (total, offenders int64, err error)
}

// Settings say what is measured, and where.
type Settings struct {
	ClickHouse Asker // telemetry; checks of a database that is nil are skipped
	Postgres   Asker // the ledger
	// Database is the ClickHouse database of the telemetry.
	Database string
	// Since is how far back; DefaultSince if 0.
	Since time.Duration
	// Categories are those to measure; all if empty.
	Categories []Category
	// Now replaces the clock.
	Now func() time.Time
}

var identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`)

// Validate refuses questions that cannot be meant, before any database is opened.
func (s *Settings) Validate() error {
	var errs []error
	if s.Since < 0 {
		errs = append(errs, errors.New("the time to look at must be more than 0"))
	}
	if !identifier.MatchString(s.Database) {
		errs = append(errs, fmt.Errorf("database name %q is not a plain identifier", s.Database))
	}
	for _, c := range s.Categories {
		if !slices.Contains(Categories(), c) {
			errs = append(errs, fmt.Errorf("there is no category %q: choose of %s", c, strings.Join(names(Categories()), ", ")))
		}
	}
	return errors.Join(errs...)
}

func names(categories []Category) []string {
	list := make([]string, len(categories))
	for i, c := range categories {
		list[i] = string(c)
	}
	return list
}

// Measure asks every check, one after the other so that the databases have little of it, and sums up.
func Measure(ctx context.Context, s Settings) (Scorecard, error) {
	err := s.Validate()
	if s.ClickHouse == nil && s.Postgres == nil {
		err = errors.Join(err, errors.New("no database to ask"))
	}
	if err != nil {
		return Scorecard{}, fmt.Errorf("measure coverage: %w", err)
	}
	if s.Since == 0 {
		s.Since = DefaultSince
	}
	if s.Now == nil {
		s.Now = time.Now
	}
	now := s.Now().UTC().Truncate(time.Millisecond)
	w := Window{Since: now.Add(-s.Since), Until: now, Database: s.Database}
	card := Scorecard{ComputedAt: w.Until, Since: w.Since}
	for _, category := range Categories() {
		if len(s.Categories) == 0 || slices.Contains(s.Categories, category) {
			card.Categories = append(card.Categories, CategoryScore{Category: category})
		}
	}
	for _, c := range Checks() {
		i := slices.IndexFunc(card.Categories, func(x CategoryScore) bool { return x.Category == c.Category })
		if i < 0 {
			continue
		}
		result, err := s.ask(ctx, &c, w)
		if err != nil {
			return Scorecard{}, fmt.Errorf("measure %s: %w", c.Name, err)
		}
		card.Categories[i].Checks = append(card.Categories[i].Checks, result)
	}
	card.sum()
	return card, nil
}

func (s *Settings) ask(ctx context.Context, c *Check, w Window) (CheckScore, error) {
	asker, missing := s.ClickHouse, "no ClickHouse was given"
	if c.Database == Postgres {
		asker, missing = s.Postgres, "no Postgres of the ledger was given"
	}
	if asker == nil {
		result := c.empty(w)
		result.Skipped, result.Evidence = true, "not asked: "+missing
		return result, nil
	}
	total, offenders, err := asker.Measure(ctx, c.Question(w))
	if err != nil {
		return CheckScore{}, err
	}
	return c.judge(w, total, offenders)
}
