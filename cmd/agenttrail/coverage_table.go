package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/agenttrail/agenttrail/coverage"
)

// worstShown is how many checks are shown with what to do.
const worstShown = 5

// printScorecard shows a scorecard to people: categories, their checks, and what to do about the worst. What is of an
// earlier one is shown beside the categories, when there is one.
func printScorecard(out io.Writer, card, before coverage.Scorecard) error {
	earlier := map[coverage.Category]*float64{}
	for _, c := range before.Categories {
		earlier[c.Category] = c.Score
	}
	fmt.Fprintf(out, "Coverage %s of 10%s, from %s to %s UTC\n\n", coverage.Show(card.Score), change(card.Score, before.Score),
		card.Since.Format(time.DateTime), card.ComputedAt.Format(time.DateTime))
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "CATEGORY, CHECK\tSCORE\tTARGET\tEVIDENCE")
	for _, category := range card.Categories {
		fmt.Fprintf(t, "%s\t%s\t\t%s\n", category.Category, meter(category.Score), strings.TrimSpace(change(category.Score, earlier[category.Category])))
		for _, c := range category.Checks {
			mark := " "
			if c.BelowTarget() {
				mark = "!"
			}
			fmt.Fprintf(t, "%s %s\t%s\t%s\t%s\n", mark, c.Check, coverage.Show(c.Score), target(c), c.Evidence)
		}
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("print scorecard: %w", err)
	}
	worst := card.Worst()
	if len(worst) == 0 {
		_, err := fmt.Fprintln(out, "\nNo check is below its target.")
		return err
	}
	fmt.Fprintf(out, "\nWHAT TO DO FIRST (%d of %d checks below their target)\n", min(len(worst), worstShown), len(worst))
	for i, c := range worst[:min(len(worst), worstShown)] {
		fmt.Fprintf(out, "\n%d. %s: %s.\n   %s\n   To see them, in %s:\n%s\n", i+1, c.Check, c.Evidence, c.Remedy, databaseNames[c.Database], indent(c.Query, "     "))
	}
	return nil
}

var databaseNames = map[coverage.Database]string{coverage.ClickHouse: "ClickHouse", coverage.Postgres: "Postgres"}

func target(c coverage.CheckScore) string {
	return coverage.Show(new(10 * c.Target))
}

// meter draws a score of 0 to 10 as a bar.
func meter(score *float64) string {
	if score == nil {
		return "–"
	}
	full := int(*score)
	return coverage.Show(score) + " " + strings.Repeat("█", full) + strings.Repeat("░", 10-full)
}

// change says how a score differs from an earlier one.
func change(now, before *float64) string {
	if now == nil || before == nil {
		return ""
	}
	switch d := *now - *before; {
	case d >= 0.05:
		return fmt.Sprintf(" (up from %s)", coverage.Show(before))
	case d <= -0.05:
		return fmt.Sprintf(" (down from %s)", coverage.Show(before))
	default:
		return ""
	}
}

func indent(text, by string) string {
	return by + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n"+by)
}
