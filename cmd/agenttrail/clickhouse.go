package main

import (
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"github.com/agenttrail/agenttrail/embedded"
)

func newClickHouseCommand() *cobra.Command {
	var p embedded.ClickHouseProcess
	cmd := &cobra.Command{
		Use:   "clickhouse",
		Short: "Run the embedded ClickHouse server alone",
		Long: `Run the embedded ClickHouse server in the foreground until Ctrl-C.

It speaks the HTTP interface of ClickHouse, for clickhouse-go, Grafana and curl alike. The user is "default". Without a
password it listens on loopback addresses only.`,
		Example: `  agenttrail clickhouse --data ./clickhouse
  agenttrail clickhouse --data ./clickhouse --addr 0.0.0.0:8123 --password-file ./password --memory-limit 4GiB
  echo 'SELECT version()' | curl -s http://127.0.0.1:8123/ --data-binary @-`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			letOthersGoFirst()
			logger := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
			return p.Run(cmd.Context(), logger, func(addr string) {
				fmt.Fprintf(cmd.ErrOrStderr(), "ClickHouse listens on http://%s with its data in %s. Ctrl-C stops it.\n", addr, p.Data)
			})
		},
	}
	p.AddFlags(cmd.Flags())
	return cmd
}
