package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/agenttrail/agenttrail/ledger"
)

func newVerifyCommand() *cobra.Command {
	var db ledgerDatabase
	var trail string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Check the ledger's audit trails against their hashes, and add its books up",
		Long: `Check the ledger's audit trails against their hashes: rows that were changed, removed or slipped in are found. Then add
the books up anew, from entries, holds and grants.

Whoever can change rows as the database's owner can also compute new hashes for all that follow. Keep the head that is
printed for each trail somewhere else, and compare: the heads of a trail that was only added to are still among its blocks.
The exit code is 1 when anything is wrong.`,
		Example: `  agenttrail verify
  agenttrail verify --trail mandate_audit_logs
  agenttrail verify --url postgres://agenttrail:secret@pg1:5432/agenttrail --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			trails := ledger.Trails()
			if trail != "" {
				if !slices.Contains(trails, ledger.Trail(trail)) {
					return usageError{fmt.Errorf("there is no trail %q: choose of %v", trail, trails)}
				}
				trails = []ledger.Trail{ledger.Trail(trail)}
			}
			store, err := db.open(cmd.Context())
			if err != nil {
				return err
			}
			defer store.Close()
			reports, broken := []ledger.AuditReport{}, false
			for _, t := range trails {
				r, err := store.VerifyAudit(cmd.Context(), commandLine(), t)
				if err != nil {
					return fmt.Errorf("verify %s: %w", t, err)
				}
				reports, broken = append(reports, r), broken || len(r.Problems) > 0
				if !asJSON {
					printReport(cmd, r)
				}
			}
			if asJSON {
				if err := json.NewEncoder(cmd.OutOrStdout()).Encode(reports); err != nil {
					return err
				}
			}
			if trail == "" {
				wrong, err := store.VerifyBooks(cmd.Context(), commandLine())
				if err != nil {
					return fmt.Errorf("verify books: %w", err)
				}
				if len(wrong) > 0 {
					return fmt.Errorf("the books do not add up: %s: compare with a backup", strings.Join(wrong, "; "))
				}
				if !asJSON {
					fmt.Fprintln(cmd.OutOrStdout(), "books: ok, entries, holds, grants and usage add up")
				}
			}
			if broken {
				return errors.New("the audit trails were tampered with: compare with a backup")
			}
			return nil
		},
	}
	db.add(cmd)
	cmd.Flags().StringVar(&trail, "trail", "", "one trail: audit_logs, agent_audit_logs, user_audit_logs or mandate_audit_logs; default: all")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func printReport(cmd *cobra.Command, r ledger.AuditReport) {
	state := "ok"
	if len(r.Problems) > 0 {
		state = "TAMPERED WITH"
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s: %s, %d rows in %d blocks, %d newer rows, head %s\n", r.Trail, state, r.Sealed, r.Blocks, r.Unsealed, r.Head)
	for _, p := range r.Problems {
		fmt.Fprintf(cmd.OutOrStdout(), "  %s\n", p)
	}
}
