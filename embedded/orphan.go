package embedded

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// isEngineProgram tells whether a program file is one that this package starts: Postgres, or a copy of this program
// (also one that an upgrade has replaced or a Go test built, whatever its name).
func isEngineProgram(exe string) bool {
	exe = strings.TrimSuffix(exe, " (deleted)")
	switch filepath.Base(exe) {
	case "postgres", "initdb", "agenttrail":
		return true
	}
	self, err := os.Executable()
	return err == nil && exe == self
}

// stopOrphans ends what an earlier server left running in dir. The caller holds the lock of the data folder, so
// whatever works there has lost its parent. Each signal in turn is given patience to work; the last is SIGKILL.
func stopOrphans(ctx context.Context, dir, pidFile string, patience time.Duration, signals ...syscall.Signal) (int, error) {
	stopped := 0
	for _, sig := range append(signals, syscall.SIGKILL) {
		pids, err := processesIn(dir, pidFile)
		if err != nil || len(pids) == 0 {
			return stopped, err
		}
		stopped = max(stopped, len(pids))
		for _, pid := range pids {
			if err := syscall.Kill(pid, sig); err != nil && alive(pid) {
				return stopped, fmt.Errorf("stop process %d, which an earlier server left in %s: %w; end it by hand", pid, dir, err)
			}
			_ = syscall.Kill(pid, syscall.SIGCONT) // a suspended one would not act; one that is gone needs nothing
		}
		deadline := time.Now().Add(patience)
		for anyAlive(pids) && time.Now().Before(deadline) {
			select {
			case <-ctx.Done():
				return stopped, fmt.Errorf("wait for processes that an earlier server left in %s: %w", dir, ctx.Err())
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
	if pids, err := processesIn(dir, pidFile); err != nil || anyAlive(pids) {
		return stopped, fmt.Errorf("stop processes %v, which an earlier server left in %s: they do not end; end them by hand", pids, dir)
	}
	return stopped, nil
}

func anyAlive(pids []int) bool {
	return slices.ContainsFunc(pids, alive)
}
