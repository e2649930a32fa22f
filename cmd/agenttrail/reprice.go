package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/agenttrail/agenttrail/schema"
	"github.com/agenttrail/agenttrail/schema/prices"
)

func newRepriceCommand() *cobra.Command {
	var url, database, cluster, from, to, pricesFile string
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "reprice --from TIME --to TIME",
		Short: "Compute the costs of stored runs and spans anew",
		Long: `Compute the costs of stored runs and spans anew, after the prices of models have changed or became known.

Costs that the emitter gave stay as they are. Computed are those that a price table gave, and those that nobody knew.
The prices are those in the database, where "agenttrail migrate clickhouse" puts them, each for its own time; models
without a price are listed and left as they are. AgentMetrics follows. Running it again changes nothing more.

Times are dates or times, 2026-11-02 or 2026-11-02T15:00:00Z, in UTC; the end is not part of the range.`,
		Example: `  agenttrail reprice --from 2026-11-01 --to 2026-12-01 --dry-run
  agenttrail reprice --from 2026-11-01 --to 2026-12-01 --url http://default:secret@ch1:8123`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r := schema.Repricing{DryRun: dryRun}
			var errFrom, errTo error
			r.From, errFrom = parseTime("from", from)
			r.To, errTo = parseTime("to", to)
			if err := errors.Join(errFrom, errTo); err != nil {
				return usageError{err}
			}
			url := cmp.Or(url, os.Getenv(envClickHouseURL))
			if url == "" {
				return usageError{errNoClickHouse}
			}
			if pricesFile != "" {
				var err error
				if r.Prices, err = readPrices(pricesFile); err != nil {
					return err
				}
			}
			result, err := schema.Reprice(cmd.Context(), url, schema.ClickHouseConfig{Database: database, Cluster: cluster}, r)
			if result.Version != "" {
				printRepriced(cmd.OutOrStdout(), result, dryRun)
			}
			return err
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "begin of the range")
	cmd.Flags().StringVar(&to, "to", "", "end of the range")
	cmd.Flags().StringVar(&url, "url", "", "address of the server, http://user:password@host:port; default $"+envClickHouseURL)
	cmd.Flags().StringVar(&database, "database", schema.DefaultDatabase, "database that holds the tables")
	cmd.Flags().StringVar(&cluster, "cluster", "", "name of the cluster on which the tables are")
	cmd.Flags().StringVar(&pricesFile, "prices", "", "file of prices to use instead of those in the database")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "say what would change, and change nothing")
	return cmd
}

var errNoClickHouse = errors.New("say where ClickHouse is: --url http://user:password@host:8123, or set " + envClickHouseURL)

func parseTime(flag, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, fmt.Errorf("say the range: --%s is missing, such as --%s 2026-11-01", flag, flag)
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			if y := t.UTC().Year(); y < 1970 || y > 2200 {
				return time.Time{}, fmt.Errorf("--%s %q: the year is outside 1970 to 2200", flag, text)
			}
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("--%s %q is neither a date such as 2026-11-02 nor a time such as 2026-11-02T15:00:00Z", flag, text)
}

func readPrices(name string) (list *schema.Prices, err error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("open prices: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	list, err = prices.Load(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return list, nil
}

func printRepriced(w io.Writer, result schema.RepriceResult, dryRun bool) {
	if len(result.Models) == 0 {
		fmt.Fprintln(w, "nothing to price: no run or span in the range has tokens and a cost that may change")
	} else {
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, "PROVIDER\tMODEL\tRUNS\tBEFORE USD\tAFTER USD\tSPANS\tBEFORE USD\tAFTER USD\t")
		for _, m := range result.Models {
			note := ""
			if !m.Priced {
				note = "unpriced"
			}
			fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\t%d\t%s\t%s\t%s\n", cmp.Or(m.Provider, "-"), cmp.Or(m.Model, "-"), m.Runs, m.RunsBefore, m.RunsAfter, m.Spans, m.SpansBefore, m.SpansAfter, note)
		}
		_ = t.Flush()
	}
	fmt.Fprintln(w, "prices:", result.Version)
	if dryRun {
		fmt.Fprintln(w, "dry run: nothing was changed")
	}
	if result.Unmatched > 0 {
		fmt.Fprintf(w, "%d hours and days of agents in AgentMetrics keep their costs: not all runs that they count are stored any more\n", result.Unmatched)
	}
}
