package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"go.opentelemetry.io/collector/component"

	"github.com/agenttrail/agenttrail/collector"
)

// collectorFlags are those that name the configuration.
type collectorFlags struct{ config, set []string }

func (f *collectorFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&f.config, "config", nil, "configuration file, or URI such as env:NAME or yaml:key::key: value; may be repeated, later ones win; default: the built-in one")
	cmd.Flags().StringArrayVar(&f.set, "set", nil, "one setting as key::key=value, such as exporters::agenttrail::database=trail; may be repeated, wins over --config")
}

func (f *collectorFlags) collector() (*collector.Collector, error) {
	c, err := collector.New(collector.Settings{ConfigURIs: f.config, Overrides: f.set, Version: version})
	if err != nil {
		return nil, usageError{err}
	}
	return c, nil
}

func newCollectorCommand() *cobra.Command {
	var flags collectorFlags
	cmd := &cobra.Command{
		Use:   "collector",
		Short: "Run the collector alone: OTLP in, ClickHouse out",
		Long: `Run the collector alone: it receives OTLP from instrumented services and stores it in ClickHouse.

It is an OpenTelemetry Collector, configured as any other. Without --config it runs a built-in configuration, which
"agenttrail collector config" prints. On SIGTERM or Ctrl-C it stops receiving and stores what it accepted.
The tables must be there: run "agenttrail migrate clickhouse" first.`,
		Example: `  agenttrail collector
  AGENTTRAIL_CLICKHOUSE_URL=http://default:secret@ch1:8123 agenttrail collector
  agenttrail collector config > collector.yaml && agenttrail collector --config collector.yaml
  agenttrail collector --config collector.yaml --set receivers::otlp::protocols::grpc::endpoint=0.0.0.0:4317`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := flags.collector()
			if err != nil {
				return err
			}
			return runCollector(cmd.Context(), c, cmd.ErrOrStderr())
		},
	}
	flags.add(cmd)
	cmd.AddCommand(newCollectorValidateCommand(), newCollectorComponentsCommand(), newCollectorConfigCommand())
	return cmd
}

// runCollector runs c until ctx is done and says where it listens.
func runCollector(ctx context.Context, c *collector.Collector, out io.Writer) error {
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	select {
	case err := <-ended:
		return err
	case <-c.Ready():
		at := c.Addrs()
		for _, l := range []struct{ what, addr string }{{"OTLP over gRPC", at.GRPC}, {"OTLP over HTTP", at.HTTP}, {"own metrics", at.Metrics}, {"health check", at.Health}} {
			if l.addr != "" {
				fmt.Fprintf(out, "collector: %s on %s\n", l.what, l.addr)
			}
		}
		return <-ended
	}
}

func newCollectorValidateCommand() *cobra.Command {
	var flags collectorFlags
	cmd := &cobra.Command{
		Use:     "validate",
		Short:   "Check a configuration without running it",
		Example: `  agenttrail collector validate --config collector.yaml`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := flags.collector()
			if err != nil {
				return err
			}
			err = c.Validate(cmd.Context())
			for _, w := range c.Warnings() {
				fmt.Fprintln(cmd.ErrOrStderr(), "warning: it may lose what was acknowledged:", w)
			}
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), "the configuration is valid")
			return nil
		},
	}
	flags.add(cmd)
	return cmd
}

func newCollectorConfigCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "config",
		Short:   "Print the built-in configuration",
		Example: `  agenttrail collector config > collector.yaml`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := io.WriteString(cmd.OutOrStdout(), collector.DefaultConfig)
			return err
		},
	}
}

func newCollectorComponentsCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "components",
		Short:   "List the components that a configuration may name",
		Example: `  agenttrail collector components --json`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f, err := collector.Components()
			if err != nil {
				return err
			}
			kinds := []struct {
				kind  string
				types []string
			}{
				{"receivers", typeNames(f.Receivers)},
				{"processors", typeNames(f.Processors)},
				{"exporters", typeNames(f.Exporters)},
				{"extensions", typeNames(f.Extensions)},
			}
			if asJSON {
				byKind := make(map[string][]string, len(kinds))
				for _, k := range kinds {
					byKind[k.kind] = k.types
				}
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetIndent("", "  ")
				return enc.Encode(byKind)
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			for _, k := range kinds {
				for _, t := range k.types {
					fmt.Fprintf(w, "%s\t%s\n", k.kind, t)
				}
			}
			return w.Flush()
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func typeNames[F any](factories map[component.Type]F) []string {
	names := make([]string, 0, len(factories))
	for t := range maps.Keys(factories) {
		names = append(names, t.String())
	}
	slices.Sort(names)
	return names
}
