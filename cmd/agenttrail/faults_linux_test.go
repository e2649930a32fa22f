package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/internal/faults"
)

var (
	faultRounds = flag.Int("fault-rounds", 12, "rounds that TestFaults plays; twelve have every kind of fault")
	faultTime   = flag.Duration("fault-time", 90*time.Second, "after which TestFaults begins no further round; 0 means never")
	faultSeed   = flag.Uint64("fault-seed", 1, "seed of the first round of TestFaults")
	faultKinds  = flag.String("fault-kinds", "", "beginnings of the names of the faults that TestFaults makes, such as engine,insert-cut; all if empty")
	faultStop   = flag.Int("fault-stop", 3, "failing rounds after which TestFaults ends")
)

// TestFaults breaks a collector and an engine in rounds; see package faults. The rounds are played by a child of this
// process, in a mount namespace of its own.
func TestFaults(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "faults-*") //nolint:usetesting // Is kept when the test fails.
	require.NoError(t, err)
	settings, err := json.Marshal(faults.Settings{
		Dir: dir, FirstSeed: *faultSeed, Rounds: *faultRounds, Lasts: *faultTime, Failures: *faultStop,
		Kinds: strings.FieldsFunc(*faultKinds, func(r rune) bool { return r == ',' }),
	})
	require.NoError(t, err)
	exe, err := os.Executable()
	require.NoError(t, err)
	output := &lockedBuffer{}
	cmd, err := faults.Isolate(func() *exec.Cmd {
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), envRunFaults+"="+string(settings))
		cmd.Stdout, cmd.Stderr = output, output
		if testing.Verbose() {
			cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		}
		return cmd
	})
	require.NoError(t, err)
	stop := context.AfterFunc(t.Context(), func() { _ = cmd.Process.Signal(syscall.SIGTERM) })
	defer stop()
	require.NoError(t, cmd.Wait(), output.String())
	t.Log(strings.TrimSpace(output.String()))
	require.NoError(t, os.RemoveAll(dir))
}

// runFaults is the child of TestFaults.
func runFaults(settings string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	set := faults.Settings{Out: os.Stdout}
	exe, err := os.Executable()
	if err == nil {
		err = json.Unmarshal([]byte(settings), &set)
	}
	if err == nil {
		set.Program = func(args ...string) *exec.Cmd {
			cmd := exec.Command(exe, args...)
			cmd.Env = append(os.Environ(), envRunMain+"=1")
			return cmd
		}
		err = faults.Run(ctx, set)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
