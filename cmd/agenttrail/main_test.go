package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"testing"
)

// envRunMain makes the test binary behave as agenttrail itself, so that tests run the real program, children included.
const envRunMain = "AGENTTRAIL_TEST_RUN_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(envRunMain) != "" {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		context.AfterFunc(ctx, stop)
		os.Exit(run(ctx, os.Args[1:]))
	}
	os.Exit(m.Run())
}
