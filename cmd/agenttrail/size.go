package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/agenttrail/agenttrail/coverage"
	"github.com/agenttrail/agenttrail/schema"
	"github.com/agenttrail/agenttrail/sizing"
)

func newSizeCommand() *cobra.Command {
	var in sizing.Input
	var retention string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "size",
		Short: "Compute how many machines of which size an installation needs",
		Long: `Compute how many machines of which size an installation needs: cores, memory, disks, network, the volume of the journal.

The figures behind it were measured with the commands that docs/scaling.md names, on traffic of runs with six steps each;
yours differ, so measure them again with your own before you buy much. Nothing is read and nothing is changed.`,
		Example: `  agenttrail size --spans-per-second 1000
  agenttrail size --spans-per-second 12000 --replicas 2 --retention Span=14,AgentLog=30
  agenttrail size --spans-per-second 60000 --replicas 2 --retention 7 --outage 2h --paid-runs-per-second 200 --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if in.SpansPerSecond == 0 {
				return usageError{errors.New("say how much arrives: --spans-per-second 1000, on average over the day")}
			}
			var err error
			if in.Retention, err = readRetention(retention); err != nil {
				return usageError{err}
			}
			plan, err := sizing.Compute(in)
			if err != nil {
				return usageError{err}
			}
			if asJSON {
				out := json.NewEncoder(cmd.OutOrStdout())
				out.SetIndent("", "  ")
				return out.Encode(plan)
			}
			return printPlan(cmd.OutOrStdout(), in, plan)
		},
	}
	f := cmd.Flags()
	f.Float64Var(&in.SpansPerSecond, "spans-per-second", 0, "spans, on average over the day")
	f.Float64Var(&in.Peak, "peak", 3, "the busiest minutes, as a multiple of the average")
	f.Float64Var(&in.LogsPerSpan, "logs-per-span", 0.5, "log records for each span")
	f.Float64Var(&in.SpansPerRun, "spans-per-run", 8, "spans of a run of an agent, its request and its steps among them")
	f.Float64Var(&in.PointsPerSecond, "points-per-second", 10, "metric points")
	f.Float64Var(&in.PaidRunsPerSecond, "paid-runs-per-second", 0, "runs that the ledger authorizes and captures")
	f.StringVar(&retention, "retention", "", "days, for all tables or by table, such as 14 or Span=14,AgentLog=30; default: as migrate sets it")
	f.IntVar(&in.LedgerDays, "ledger-days", 365, "days of transactions that Postgres is to hold; it forgets none")
	f.IntVar(&in.Replicas, "replicas", 1, "copies of each row in ClickHouse")
	f.DurationVar(&in.Outage, "outage", 4*time.Hour, "for how long the journals hold everything while ClickHouse is away")
	f.IntVar(&in.NodeCores, "node-cores", 16, "cores of the largest ClickHouse server to use")
	f.Float64Var(&in.NodeDisk, "node-disk", 10, "its disk, TB")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// readRetention gives the days of every table: a number for all of them, or some by name.
func readRetention(text string) (map[string]int, error) {
	days := schema.DefaultRetention()
	if n, err := strconv.Atoi(strings.TrimSpace(text)); err == nil {
		for name := range days {
			days[name] = n
		}
		return days, nil
	}
	named, err := schema.ParseRetention(text)
	if err != nil {
		return nil, err
	}
	maps.Copy(days, named)
	return days, nil
}

func printPlan(out io.Writer, in sizing.Input, p sizing.Plan) error {
	fmt.Fprintf(out, "%s spans a day, %s rows per second on average, %g times as many at the peak\n\n", approximately(p.SpansPerDay), approximately(p.RowsPerSecond), in.Peak)
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "PART\tINSTANCES\tCORES\tMEMORY\tDISK\tBECAUSE")
	for _, part := range p.Parts {
		disk := "-"
		if part.DiskGB > 0 {
			disk = approximately(part.DiskGB) + " GB"
		}
		fmt.Fprintf(t, "%s\t%d\t%d\t%g GiB\t%s\t%s\n", part.Name, part.Instances, part.Cores, part.MemoryGiB, disk, part.Because)
	}
	fmt.Fprintln(t, "\nTABLE\tROWS PER SECOND\tDAYS\tROWS\tDISK")
	for _, s := range p.Stored {
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s GB\n", s.Table, approximately(s.RowsPerSecond), s.Days, approximately(s.Rows), approximately(s.DiskGB))
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("print plan: %w", err)
	}
	_, err := fmt.Fprintf(out, "\nNetwork at the peak: %s Mbit/s in, %s to ClickHouse, %s between replicas. Cores, memory and disk are those of one instance;\nhalf of the cores and 40 %% of the disks stay free. docs/scaling.md has the figures and where they come from.\n",
		approximately(p.NetworkIn), approximately(p.NetworkStored), approximately(p.NetworkReplicated))
	return err
}

// approximately writes a number as a person would: whole, or with two digits when it is small.
func approximately(v float64) string {
	if v < 10 {
		return strconv.FormatFloat(v, 'g', 2, 64)
	}
	return coverage.Count(int64(v + 0.5))
}
