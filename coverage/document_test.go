package coverage_test

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/coverage"
)

//go:generate go test . -run ^TestDocument$ -update

var update = flag.Bool("update", false, "write docs/coverage.md anew")

const document = "../docs/coverage.md"

// The part of the document before this line is written by hand.
const generatedFrom = "## Checks\n"

// TestDocument compares the list of checks in docs/coverage.md with the code. "make generate" writes it anew.
func TestDocument(t *testing.T) {
	t.Parallel()
	have, err := os.ReadFile(document)
	require.NoError(t, err)
	byHand, _, found := strings.Cut(string(have), generatedFrom)
	require.True(t, found, "docs/coverage.md has no line %q", generatedFrom)
	want := byHand + generatedFrom + writeChecks()
	if *update {
		require.NoError(t, os.WriteFile(document, []byte(want), 0o644))
		return
	}
	require.Equal(t, want, string(have), "docs/coverage.md is stale: run \"make generate\"")
}

// moments stand for the window in the document.
var (
	until = time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	since = until.Add(-24 * time.Hour)
)

func writeChecks() string {
	var doc strings.Builder
	doc.WriteString(`
<!-- From here on generated from the code by "make generate"; do not edit. -->

The SQL is that of a scorecard of 2 January 2026, 00:00 UTC, over 24 hours, in database agenttrail. "agenttrail coverage --json" has the
query of offenders of each check with the times filled in, ready to run.
`)
	w := coverage.Window{Since: since, Until: until, Database: "agenttrail"}
	for _, category := range coverage.Categories() {
		fmt.Fprintf(&doc, "\n### %s\n\n| check | requires | weight | target | asks |\n|---|---|---|---|---|\n", category)
		var details strings.Builder
		for _, c := range coverage.Checks() {
			if c.Category != category {
				continue
			}
			database := map[coverage.Database]string{coverage.ClickHouse: "ClickHouse", coverage.Postgres: "Postgres"}[c.Database]
			fmt.Fprintf(&doc, "| %s | %s | %s | %s | %s |\n", c.Name, c.Requires, number(c.Weight), number(c.Target), database)
			fmt.Fprintf(&details, "\n**%s.** %s", c.Name, c.Remedy)
			if c.Settle > 0 {
				fmt.Fprintf(&details, " What is younger than %s is left out.", minutes(c.Settle))
			}
			fmt.Fprintf(&details, "\n\n```sql\n%s\n```\n", c.Question(w))
		}
		doc.WriteString(details.String())
	}
	return doc.String()
}

func number(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }

func minutes(d time.Duration) string {
	if d == time.Minute {
		return "a minute"
	}
	return fmt.Sprintf("%.0f minutes", d.Minutes())
}
