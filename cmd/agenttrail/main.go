// Command agenttrail records what AI agents do and what it costs. It is one binary: every part of the product is a
// subcommand, each in its own file.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	// The first signal asks for a clean end; stop() gives the second one back its usual effect.
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // as under nohup
		signals = append(signals, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:]))
}

// run executes the command line and returns the exit code: 0 for success, 2 for a wrong command line, 1 otherwise.
func run(ctx context.Context, args []string) int {
	root := newRootCommand()
	root.SetArgs(args)
	err := readEnvFiles()
	if err != nil {
		err = usageError{err}
	} else {
		err = root.ExecuteContext(ctx)
	}
	if err == nil {
		return 0
	}
	fmt.Fprintln(root.ErrOrStderr(), "agenttrail:", err)
	if _, ok := errors.AsType[usageError](err); ok {
		return 2
	}
	return 1
}

// usageError marks an error in the command line itself.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// version is set by the build.
var version = "dev"

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "agenttrail",
		Short:         "Record what AI agents do and what it costs",
		Version:       version,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see %q", err, cmd.CommandPath()+" --help")}
	})
	root.AddCommand(
		newUpCommand(),
		newDemoCommand(),
		newCollectorCommand(),
		newLedgerCommand(),
		newKeysCommand(),
		newVerifyCommand(),
		newReconcileCommand(),
		newCoverageCommand(),
		newSizeCommand(),
		newMigrateCommand(),
		newHealthCommand(),
		newRepriceCommand(),
		newBackupCommand(),
		newRestoreCommand(),
		newDeadLetterCommand(),
		newClickHouseCommand(),
		newEnginesCommand(),
	)
	return root
}
