package main

import (
	"errors"

	"github.com/spf13/cobra"
)

func newClickHouseCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "clickhouse",
		Short: "Run the embedded ClickHouse server alone",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return errors.New("run ClickHouse: not built yet") },
	}
}
