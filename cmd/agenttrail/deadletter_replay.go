package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/agenttrail/agenttrail/exporter/delivery"
	"github.com/agenttrail/agenttrail/exporter/journal"
	"github.com/agenttrail/agenttrail/schema"
)

func newDeadLetterReplayCommand() *cobra.Command {
	var at deadLetterDir
	var all bool
	var url, database string
	cmd := &cobra.Command{
		Use:   "replay NAME... | --all",
		Short: "Send dead letters to ClickHouse again",
		Long: `Send dead letters to ClickHouse again, oldest first, and remove those that are stored.

Each is sent with the deduplication token it had, so that one that was stored already is not stored twice. The exit code
is 1 if one is not stored; it stays where it is.`,
		Example: `  agenttrail deadletter replay NAME --clickhouse http://default:secret@ch1:8123
  agenttrail deadletter replay --all --dir .data/journal --clickhouse http://127.0.0.1:8123 --database agenttrail`,
		RunE: func(cmd *cobra.Command, args []string) error {
			url := cmp.Or(url, os.Getenv(envClickHouseURL))
			if url == "" {
				return usageError{errNoReplayTarget}
			}
			entries, err := at.choose(args, all)
			if err != nil {
				return err
			}
			resender, err := delivery.NewResender(delivery.Settings{Endpoint: url, Database: database})
			if err != nil {
				return usageError{err}
			}
			left := 0
			for i, e := range entries {
				err := replayDeadLetter(cmd.Context(), resender, at.dir, e)
				if err == nil {
					fmt.Fprintf(cmd.OutOrStdout(), "%s: stored, %s\n", e.Name, rowsOf(e.Rows, e.Table))
					continue
				}
				left++
				fmt.Fprintf(cmd.OutOrStdout(), "%s: not stored: %v\n", e.Name, err)
				if unreachable(err) || cmd.Context().Err() != nil {
					left += len(entries) - i - 1
					break
				}
			}
			if left > 0 {
				return fmt.Errorf("%d of %d dead letters are not stored and stay in %s", left, len(entries), at.dir)
			}
			if len(entries) == 0 {
				fmt.Fprintln(cmd.OutOrStdout(), "there are no dead letters")
			}
			return nil
		},
	}
	at.add(cmd)
	cmd.Flags().BoolVar(&all, "all", false, "replay all of them")
	cmd.Flags().StringVar(&url, "clickhouse", "", "address of the server, http://user:password@host:port; default $"+envClickHouseURL)
	cmd.Flags().StringVar(&database, "database", schema.DefaultDatabase, "database that holds the tables")
	return cmd
}

var errNoReplayTarget = errors.New("say where ClickHouse is: --clickhouse http://user:password@host:8123, or set " + envClickHouseURL)

// replayDeadLetter stores one dead letter and removes it.
func replayDeadLetter(ctx context.Context, resender *delivery.Resender, dir string, e journal.DeadLetterEntry) error {
	if e.Err != nil {
		return e.Err
	}
	letter, err := journal.ReadDeadLetter(dir, e.Name)
	if err != nil {
		return err
	}
	block, err := readBlock(letter.Native)
	if err != nil {
		return fmt.Errorf("read block: %w", err)
	}
	if err := resender.Resend(ctx, letter.Table, block.names(), letter.Token, letter.Native); err != nil {
		return err
	}
	if err := journal.RemoveDeadLetter(dir, e.Name); err != nil {
		return fmt.Errorf("it is in the table, and stays here: %w", err)
	}
	return nil
}

// unreachable tells whether the failure is one that all others would meet too.
func unreachable(err error) bool {
	f, ok := errors.AsType[*delivery.Failure](err)
	return ok && f.Status == 0
}
