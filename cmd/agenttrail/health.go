package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/agenttrail/agenttrail/collector"
	"github.com/agenttrail/agenttrail/ledger/httpapi"
)

// envHealthURL is what "agenttrail health" asks when it is told nothing, for the health check of an image.
const envHealthURL = "AGENTTRAIL_HEALTH_URL"

func newHealthCommand() *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "health [collector|ledger|URL]",
		Short: "Ask a running collector or ledger whether it is ready",
		Long: `Ask a running collector or ledger whether it is ready: exit code 0 if it says so, 1 if not.

It is the health check of the container image, which has no shell. Without an argument it asks $` + envHealthURL + `,
else the collector on this machine.`,
		Example: `  agenttrail health
  agenttrail health ledger
  agenttrail health http://127.0.0.1:9080/readyz`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			address := cmp.Or(os.Getenv(envHealthURL), "collector")
			if len(args) > 0 {
				address = args[0]
			}
			switch {
			case address == "collector":
				address = "http://" + collector.DefaultHealthAddr + "/"
			case address == "ledger":
				address = "http://" + httpapi.DefaultAddr + "/readyz"
			case !strings.HasPrefix(address, "http://") && !strings.HasPrefix(address, "https://"):
				return usageError{fmt.Errorf("%q is neither collector, ledger nor an address that starts with http://", address)}
			}
			if timeout <= 0 {
				return usageError{errors.New("--timeout must be more than 0")}
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			return askHealth(ctx, address)
		},
	}
	cmd.Flags().DurationVar(&timeout, "timeout", 3*time.Second, "how long to wait for an answer")
	return cmd
}

func askHealth(ctx context.Context, address string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody) //nolint:gosec // The caller says whom to ask.
	if err != nil {
		return usageError{fmt.Errorf("read address: %w", err)}
	}
	resp, err := http.DefaultClient.Do(req) //nolint:gosec // The caller says whom to ask.
	if err != nil {
		return fmt.Errorf("not ready: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 1024)) // It is not ready, whatever it says of it.
		return fmt.Errorf("not ready: %s answers %s: %s", address, resp.Status, strings.TrimSpace(string(text)))
	}
	return nil
}
