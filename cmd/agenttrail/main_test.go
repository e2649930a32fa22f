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

// envRunFaults holds the settings of the child of TestFaults, and so says that the process is that child.
const envRunFaults = "AGENTTRAIL_TEST_RUN_FAULTS"

func TestMain(m *testing.M) {
	if os.Getenv(envRunMain) != "" {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		context.AfterFunc(ctx, stop)
		os.Exit(run(ctx, os.Args[1:]))
	}
	if settings := os.Getenv(envRunFaults); settings != "" {
		os.Exit(runFaults(settings))
	}
	os.Exit(m.Run())
}
