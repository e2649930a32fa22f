package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/agenttrail/agenttrail/exporter/journal"
)

// envJournalDir names the folder of the journal, here and in the collector's own configuration.
const envJournalDir = "AGENTTRAIL_JOURNAL_DIR"

func newDeadLetterCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "deadletter",
		Short: "List, show, replay or remove rows that ClickHouse rejected for their content",
		Long: `List, show, replay or remove rows that ClickHouse rejected for their content.

The collector acknowledges a request when its rows are in the journal. Rows that ClickHouse rejects afterwards for what
is in them, which no retry changes, are put into the folder "deadletter" of the journal, with the reason, so that they
do not hold up the rest. Once the reason is gone, such as a constraint of your own on a table, replay them.

The collector may run meanwhile.`,
		Example: `  agenttrail deadletter list
  agenttrail deadletter show NAME
  agenttrail deadletter replay --all --clickhouse http://default:secret@ch1:8123
  agenttrail deadletter remove NAME`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newDeadLetterListCommand(), newDeadLetterShowCommand(), newDeadLetterReplayCommand(), newDeadLetterRemoveCommand())
	return cmd
}

// deadLetterDir is the flag that all subcommands have.
type deadLetterDir struct{ dir string }

func (d *deadLetterDir) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&d.dir, "dir", cmp.Or(os.Getenv(envJournalDir), "agenttrail-journal"),
		"folder of the journal, as exporters::agenttrail::journal::directory has it; of \"agenttrail up\", the folder journal in the data folder; default $"+envJournalDir)
}

// list reads the dead letters. A folder that is no journal is an error: the flag was forgotten.
func (d *deadLetterDir) list() ([]journal.DeadLetterEntry, error) {
	if st, err := os.Stat(d.dir); err != nil || !st.IsDir() {
		return nil, fmt.Errorf("there is no journal at %s: say with --dir where it is", d.dir)
	}
	return journal.ListDeadLetters(d.dir)
}

// choose gives the named entries, or all.
func (d *deadLetterDir) choose(names []string, all bool) ([]journal.DeadLetterEntry, error) {
	if all == (len(names) > 0) {
		return nil, usageError{errors.New(`name dead letters, as "agenttrail deadletter list" shows them, or give --all`)}
	}
	entries, err := d.list()
	if err != nil || all {
		return entries, err
	}
	byName := make(map[string]journal.DeadLetterEntry, len(entries))
	for _, e := range entries {
		byName[e.Name] = e
	}
	chosen := make([]journal.DeadLetterEntry, 0, len(names))
	for _, name := range names {
		e, ok := byName[name]
		if !ok {
			return nil, fmt.Errorf(`there is no dead letter %s: "agenttrail deadletter list" shows those there are`, name)
		}
		chosen = append(chosen, e)
	}
	return chosen, nil
}

// deadLetterView is a dead letter as programs read it.
type deadLetterView struct {
	Name    string    `json:"name"`
	Table   string    `json:"table"`
	Rows    int       `json:"rows"`
	Bytes   int64     `json:"bytes"`
	Created time.Time `json:"created"`
	Reason  string    `json:"reason"`
	Code    int       `json:"code"`
	Message string    `json:"message"`
	Token   string    `json:"token"`
	Error   string    `json:"error,omitempty"` // Why it cannot be read.
}

func viewDeadLetter(e journal.DeadLetterEntry) deadLetterView {
	v := deadLetterView{
		Name: e.Name, Table: e.Table, Rows: e.Rows, Bytes: e.Bytes, Created: e.Created.UTC(),
		Reason: e.Reason, Code: e.Code, Message: e.Message, Token: e.Token,
	}
	if e.Err != nil {
		v.Error = e.Err.Error()
	}
	return v
}

func newDeadLetterListCommand() *cobra.Command {
	var at deadLetterDir
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the dead letters, oldest first",
		Example: `  agenttrail deadletter list
  agenttrail deadletter list --dir .data/journal --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			entries, err := at.list()
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			if asJSON {
				views := make([]deadLetterView, 0, len(entries))
				for _, e := range entries {
					views = append(views, viewDeadLetter(e))
				}
				return printJSON(out, views)
			}
			if len(entries) == 0 {
				fmt.Fprintln(out, "there are no dead letters")
				return nil
			}
			t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
			fmt.Fprintln(t, "NAME\tTABLE\tROWS\tBYTES\tCREATED\tREASON\tMESSAGE")
			for _, e := range entries {
				if e.Err != nil {
					fmt.Fprintf(t, "%s\t-\t-\t-\t-\tunreadable\t%v\n", e.Name, e.Err)
					continue
				}
				fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%s\t%s\t%s\n", e.Name, e.Table, e.Rows, e.Bytes, e.Created.UTC().Format(time.RFC3339), e.Reason, shortLine(e.Message))
			}
			return t.Flush()
		},
	}
	at.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func newDeadLetterShowCommand() *cobra.Command {
	var at deadLetterDir
	var asJSON bool
	var most int
	cmd := &cobra.Command{
		Use:   "show NAME",
		Short: "Show one dead letter: why it was rejected, and its rows",
		Example: `  agenttrail deadletter show NAME
  agenttrail deadletter show NAME --rows 1 --json`,
		Args: exactlyOneName,
		RunE: func(cmd *cobra.Command, args []string) error {
			entries, err := at.choose(args, false)
			if err != nil {
				return err
			}
			letter, err := journal.ReadDeadLetter(at.dir, entries[0].Name)
			if err != nil {
				return err
			}
			block, err := readBlock(letter.Native)
			if err != nil {
				return fmt.Errorf("read block of %s: %w", entries[0].Name, err)
			}
			view := viewDeadLetter(entries[0])
			if asJSON {
				return printJSON(cmd.OutOrStdout(), struct {
					deadLetterView
					Content []map[string]any `json:"content"`
				}{view, block.rows(most)})
			}
			printDeadLetter(cmd.OutOrStdout(), view, block, most)
			return nil
		},
	}
	at.add(cmd)
	cmd.Flags().IntVar(&most, "rows", 10, "how many of its rows to show at most")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printDeadLetter(w io.Writer, v deadLetterView, block *nativeBlock, most int) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, l := range [][2]any{
		{"name", v.Name},
		{"table", v.Table},
		{"rows", v.Rows},
		{"bytes", v.Bytes},
		{"created", v.Created.Format(time.RFC3339)},
		{"reason", v.Reason},
		{"code", v.Code},
		{"message", v.Message},
		{"token", v.Token},
	} {
		fmt.Fprintf(t, "%v:\t%v\n", l[0], l[1])
	}
	_ = t.Flush()
	rows := block.rows(most)
	for i, row := range rows {
		fmt.Fprintf(w, "\nrow %d of %d\n", i+1, block.count())
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		for _, name := range block.names() {
			if text := rowText(row[name]); text != "" {
				fmt.Fprintf(t, "  %s:\t%s\n", name, text)
			}
		}
		_ = t.Flush()
	}
	if rest := block.count() - len(rows); rest > 0 {
		fmt.Fprintf(w, "\n%d more rows: show them with --rows %d\n", rest, block.count())
	}
}

func newDeadLetterRemoveCommand() *cobra.Command {
	var at deadLetterDir
	var all bool
	cmd := &cobra.Command{
		Use:   "remove NAME... | --all",
		Short: "Remove dead letters for good",
		Long: `Remove dead letters for good. Their rows are in no table, and nothing brings them back.

Dead letters that were stored are removed by "agenttrail deadletter replay" itself.`,
		Example: `  agenttrail deadletter remove NAME
  agenttrail deadletter remove --all --dir .data/journal`,
		RunE: func(cmd *cobra.Command, args []string) error {
			entries, err := at.choose(args, all)
			if err != nil {
				return err
			}
			for _, e := range entries {
				if err := journal.RemoveDeadLetter(at.dir, e.Name); err != nil {
					return err
				}
				fmt.Fprintf(cmd.OutOrStdout(), "%s: removed\n", e.Name)
			}
			return nil
		},
	}
	at.add(cmd)
	cmd.Flags().BoolVar(&all, "all", false, "remove all of them")
	return cmd
}

func exactlyOneName(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usageError{errors.New(`name one dead letter, as "agenttrail deadletter list" shows it`)}
	}
	return nil
}

func rowsOf(rows int, table string) string {
	word := "rows"
	if rows == 1 {
		word = "row"
	}
	return fmt.Sprintf("%d %s of %s", rows, word, table)
}

// shortLine makes one line of a text, that fits a table.
func shortLine(s string) string {
	const most = 100
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
