package enginetest

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"testing"
	"time"

	"github.com/agenttrail/agenttrail/embedded/chserver"
)

// envChild holds the configuration of the server in the environment of a child, and so says that the process is one.
const envChild = "AGENTTRAIL_ENGINETEST_CLICKHOUSE"

// readyPrefix begins the line in which a child says that it listens.
const readyPrefix = "enginetest ready "

// Main runs the tests of a package and ends the shared servers after them. In a child it runs the server instead.
func Main(m *testing.M) {
	if config := os.Getenv(envChild); config != "" {
		if err := runChild(config); err != nil {
			fmt.Fprintln(os.Stderr, "enginetest:", err)
			os.Exit(1) //nolint:revive // the child has no caller
		}
		os.Exit(0) //nolint:revive // the child has no caller
	}
	m.Run() // its result becomes the exit code when TestMain returns
	stopShared()
	stopSharedPostgres()
}

// runChild serves until its standard input ends, which it does when the parent closes it or dies.
func runChild(config string) error {
	var cfg chserver.Config
	if err := json.Unmarshal([]byte(config), &cfg); err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	srv, err := chserver.New(cfg, logger)
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", cfg.Addr) //nolint:noctx // lives as long as the child
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	fmt.Printf("%s%s\n", readyPrefix, ln.Addr()) //nolint:forbidigo // the parent reads it
	_, _ = io.Copy(io.Discard, os.Stdin)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		return err
	}
	return <-served
}
