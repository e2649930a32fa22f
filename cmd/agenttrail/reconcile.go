package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/agenttrail/agenttrail/ledger"
	"github.com/agenttrail/agenttrail/ledger/chread"
	"github.com/agenttrail/agenttrail/ledger/reconcile"
	"github.com/agenttrail/agenttrail/schema"
)

func newReconcileCommand() *cobra.Command {
	var db ledgerDatabase
	var url, database string
	var since, grace time.Duration
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "reconcile",
		Short: "Compare what users were charged with what telemetry says their runs used",
		Long: `Compare what users were charged with what telemetry says their runs used, run by run, and list those that do not agree.

The ledger does this by itself from time to time; here it is done now, and written down in the same way. Runs that were
settled or stored less than --grace ago are left out: the other side may still be on its way. So are imported runs, of which
telemetry says that they were charged elsewhere. Runs that never ended, as when their worker was killed, are listed as
expired: nothing was charged, and nothing is to be done about them. Nothing is corrected.
--json prints one JSON object a line: each difference, then the summary.`,
		Example: `  agenttrail reconcile
  agenttrail reconcile --since 24h --json
  agenttrail reconcile --url postgres://agenttrail:secret@pg1:5432/agenttrail --clickhouse-url http://default:secret@ch1:8123`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if since <= 0 || grace < 0 || since <= grace {
				return usageError{errors.New("--since must be more than --grace, and neither less than 0")}
			}
			running, _ := readRunning(db.dir) // Not there when nothing runs; flags and the environment may do.
			url = cmp.Or(url, os.Getenv(envClickHouseURL), running.ClickHouse)
			if url == "" {
				return usageError{errNoClickHouse}
			}
			store, err := db.open(cmd.Context())
			if err != nil {
				return err
			}
			defer store.Close()
			reader, err := chread.Open(chread.Settings{URL: url, Database: database})
			if err != nil {
				return usageError{err}
			}
			defer func() { _ = reader.Close() }() // Nothing is left to be sent.
			cfg := reconcile.Config{Window: since, Grace: grace}
			if grace == 0 {
				cfg.Grace = -1
			}
			out := newDifferences(cmd.OutOrStdout(), asJSON)
			reconciler := reconcile.New(store, reader, cfg)
			run, err := reconciler.Run(cmd.Context(), out.add)
			if err != nil {
				return err
			}
			if _, err := reconciler.Publish(cmd.Context()); err != nil {
				return err
			}
			return out.end(run)
		},
	}
	db.add(cmd)
	f := cmd.Flags()
	f.StringVar(&url, "clickhouse-url", "", "address of ClickHouse, http://user:password@host:port; default $"+envClickHouseURL+", else that of --data")
	f.StringVar(&database, "database", schema.DefaultDatabase, "ClickHouse database with the telemetry")
	f.DurationVar(&since, "since", reconcile.DefaultWindow, "how far back")
	f.DurationVar(&grace, "grace", reconcile.DefaultGrace, "leave out what is younger")
	f.BoolVar(&asJSON, "json", false, "print JSON, one object a line")
	return cmd
}

// differences prints runs that do not agree as they are found.
type differences struct {
	table *tabwriter.Writer
	json  *json.Encoder
	out   io.Writer
	n     int
	err   error
}

func newDifferences(out io.Writer, asJSON bool) *differences {
	if asJSON {
		return &differences{json: json.NewEncoder(out), out: out}
	}
	return &differences{table: tabwriter.NewWriter(out, 0, 0, 2, ' ', 0), out: out}
}

// flushEvery bounds what the table keeps in memory.
const flushEvery = 1000

func (d *differences) add(c ledger.Compared, state ledger.ReconState) {
	if d.err != nil {
		return
	}
	d.n++
	if d.json != nil {
		transaction := ""
		if c.TransactionID != nil {
			transaction = c.TransactionID.String()
		}
		d.err = d.json.Encode(struct {
			ExecutionID   string            `json:"executionId"`
			State         ledger.ReconState `json:"state"`
			TransactionID string            `json:"transactionId,omitempty"`
			UserID        string            `json:"userId"`
			Agent         string            `json:"agent"`
			ledger.Figures
			Drift ledger.Credits `json:"drift"`
		}{c.ExecutionID, state, transaction, c.UserID, c.Agent, c.Figures, c.Drift()})
		return
	}
	if d.n == 1 {
		fmt.Fprintln(d.table, "EXECUTION\tSTATE\tCHARGED\tUSED\tDRIFT\tROWS\tAGENT\tUSER")
	}
	used := "-"
	if c.Consumed != nil {
		used = c.Consumed.String()
	}
	_, d.err = fmt.Fprintf(d.table, "%q\t%s\t%s\t%s\t%s\t%d\t%q\t%q\n", c.ExecutionID, state, c.Captured+c.Adjusted, used, c.Drift(), c.Rows, c.Agent, c.UserID)
	if d.err == nil && d.n%flushEvery == 0 {
		d.err = d.table.Flush()
	}
}

// end prints the summary.
func (d *differences) end(r ledger.ReconRun) error {
	if d.err != nil {
		return fmt.Errorf("print difference: %w", d.err)
	}
	if d.json != nil {
		type summary struct {
			ledger.ReconRun
			Imported int64 `json:"imported"`
			Expired  int64 `json:"expired"`
		}
		return d.json.Encode(map[string]summary{"summary": {r, r.Imported, r.Expired}})
	}
	if err := d.table.Flush(); err != nil {
		return fmt.Errorf("print differences: %w", err)
	}
	if r.Expired > 0 {
		fmt.Fprintf(d.out, "%d of the matched never ended: their holds have expired, nothing was charged, and telemetry does not know them\n", r.Expired)
	}
	if r.Imported > 0 {
		fmt.Fprintf(d.out, "%d imported runs were left out: telemetry says that they were charged elsewhere\n", r.Imported)
	}
	_, err := fmt.Fprintf(d.out, "%d runs from %s to %s compared in %.1f s: %d matched, %d drift, %d missing in the ledger, %d missing in telemetry, %d adjusted, %d waived; charged %s, used %s\n",
		r.Executions, r.Since.Format(time.RFC3339), r.Until.Format(time.RFC3339), r.FinishedAt.Sub(r.StartedAt).Seconds(),
		r.Matched, r.Drift, r.MissingInLedger, r.MissingInTelemetry, r.Adjusted, r.Waived, r.Captured, r.Consumed)
	return err
}
