package faults

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"golang.org/x/sys/unix"
)

// kind is one way of breaking things. begin does it and returns what puts it right, nil when nothing has to be; it may
// draw from rng how bad it gets.
type kind struct {
	name  string
	begin func(r *Runner, rng *rand.Rand) (end func() error, err error)
	// lingers makes the fault last past the end of the traffic, so long that INSERTs time out and programs start.
	lingers bool
	// able says why the kind cannot be made here; nil means that it always can.
	able func(r *Runner) error
}

// kinds are all of them. A seed refers to them by their place: add new ones at the end.
var kinds = []kind{
	{name: "collector-kill", begin: ending((*Runner).theCollector, syscall.SIGKILL)},
	{name: "engine-kill", begin: ending((*Runner).theEngine, syscall.SIGKILL)},
	{name: "insert-cut", begin: toxic(clickhouseProxy, "limit_data", toServer, func(rng *rand.Rand) map[string]any {
		return map[string]any{"bytes": rng.IntN(12_000)}
	})},
	{name: "insert-answer-lost", begin: toxic(clickhouseProxy, "limit_data", fromServer, func(rng *rand.Rand) map[string]any {
		return map[string]any{"bytes": rng.IntN(40)}
	})},
	{name: "ack-lost-grpc", begin: toxic(grpcProxy, "limit_data", fromServer, func(*rand.Rand) map[string]any {
		return map[string]any{"bytes": 0}
	})},
	{name: "ack-lost-http", begin: toxic(httpProxy, "limit_data", fromServer, func(rng *rand.Rand) map[string]any {
		return map[string]any{"bytes": rng.IntN(40)}
	})},
	{name: "disk-full", begin: filling((*Runner).collectorVolume, (*Runner).theCollector), able: (*Runner).ableToMount},
	{name: "fsync-slow", begin: slowFlush, able: (*Runner).ableToWatch},
	{name: "read-only", begin: readOnly},
	{name: "insert-timeout", begin: toxic(clickhouseProxy, "timeout", fromServer, func(*rand.Rand) map[string]any {
		return map[string]any{"timeout": 0}
	}), lingers: true},
	{name: "insert-latency", begin: toxic(clickhouseProxy, "latency", fromServer, func(rng *rand.Rand) map[string]any {
		return map[string]any{"latency": 50 + rng.IntN(400), "jitter": rng.IntN(50)}
	})},
	{name: "insert-bandwidth", begin: toxic(clickhouseProxy, "bandwidth", toServer, func(rng *rand.Rand) map[string]any {
		return map[string]any{"rate": 2 + rng.IntN(20)} // KB/s
	})},
	{name: "insert-reset", begin: toxic(clickhouseProxy, "reset_peer", toServer, func(rng *rand.Rand) map[string]any {
		return map[string]any{"timeout": rng.IntN(30)}
	})},
	{name: "fsync-fails", begin: failingFlush, able: (*Runner).ableToWatch},
	{name: "engine-disk-full", begin: filling((*Runner).engineVolume, (*Runner).theEngine), able: (*Runner).ableToMount},
	{name: "collector-stop", begin: ending((*Runner).theCollector, syscall.SIGTERM)},
	{name: "engine-stop", begin: ending((*Runner).theEngine, syscall.SIGTERM)},
	{name: "engine-freeze", begin: freezing((*Runner).theEngine), lingers: true},
	{name: "collector-freeze", begin: freezing((*Runner).theCollector)},
	{name: "request-cut", begin: toxic(httpProxy, "limit_data", toServer, func(rng *rand.Rand) map[string]any {
		return map[string]any{"bytes": rng.IntN(6000)}
	})},
	{name: "request-latency", begin: toxic(grpcProxy, "latency", fromServer, func(rng *rand.Rand) map[string]any {
		return map[string]any{"latency": 50 + rng.IntN(400), "jitter": rng.IntN(50)}
	})},
	{name: "ack-reset", begin: toxic(httpProxy, "reset_peer", fromServer, func(rng *rand.Rand) map[string]any {
		return map[string]any{"timeout": rng.IntN(30)}
	})},
	{name: "engine-kill-at-commit", begin: killAtCommit, able: (*Runner).ableToWatch},
	{name: "clock-jump", begin: jumpingClock, able: (*Runner).ableToWatch, lingers: true},
}

// placesOf returns where the kinds are whose names begin with one of the prefixes; all without prefixes.
func placesOf(prefixes []string) ([]int, error) {
	var places []int
	for i, k := range kinds {
		if len(prefixes) == 0 || slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(k.name, p) }) {
			places = append(places, i)
		}
	}
	if len(places) == 0 {
		return nil, fmt.Errorf("no kind of fault is called %s", strings.Join(prefixes, " or "))
	}
	return places, nil
}

func clickhouseProxy(p *proxies) *toxiproxy.Proxy { return p.clickhouse }
func grpcProxy(p *proxies) *toxiproxy.Proxy       { return p.grpc }
func httpProxy(p *proxies) *toxiproxy.Proxy       { return p.http }

// toxic is a fault of a network, until its end.
func toxic(which func(*proxies) *toxiproxy.Proxy, kind string, dir direction, attributes func(*rand.Rand) map[string]any) func(*Runner, *rand.Rand) (func() error, error) {
	return func(r *Runner, rng *rand.Rand) (func() error, error) {
		return r.proxies.add(which(r.proxies), kind, dir, attributes(rng))
	}
}

// ending is a fault that ends a process, which soon comes back.
func ending(which func(*Runner) *process, s syscall.Signal) func(*Runner, *rand.Rand) (func() error, error) {
	return func(r *Runner, rng *rand.Rand) (func() error, error) {
		which(r).end(s, time.Duration(rng.IntN(600))*time.Millisecond)
		return nil, nil //nolint:nilnil // Nothing has to be put right.
	}
}

// freezing is a fault that stops a process for some time: what it was asked is done late, after everybody gave up.
func freezing(which func(*Runner) *process) func(*Runner, *rand.Rand) (func() error, error) {
	return func(r *Runner, _ *rand.Rand) (func() error, error) {
		p := which(r)
		p.signal(syscall.SIGSTOP)
		return func() error { p.signal(syscall.SIGCONT); return nil }, nil
	}
}

// filling is a fault that leaves a process little or no room on its volume.
func filling(which func(*Runner) *volume, whose func(*Runner) *process) func(*Runner, *rand.Rand) (func() error, error) {
	return func(r *Runner, rng *rand.Rand) (func() error, error) {
		excused := whose(r).excuse() // It may not be able to start without room.
		v := which(r)
		if err := v.fill(rng.Int64N(128 << 10)); err != nil {
			excused()
			return nil, err
		}
		return func() error { defer excused(); return v.free() }, nil
	}
}

func slowFlush(r *Runner, rng *rand.Rand) (func() error, error) {
	r.launchers.flushes.set(time.Duration(20+rng.IntN(400))*time.Millisecond, 0)
	return r.healthyFlush, nil
}

func failingFlush(r *Runner, rng *rand.Rand) (func() error, error) {
	excused := r.theCollector().excuse() // It may not be able to start.
	r.launchers.flushes.set(0, []unix.Errno{unix.EIO, unix.ENOSPC}[rng.IntN(2)])
	return func() error { defer excused(); return r.healthyFlush() }, nil
}

func (r *Runner) healthyFlush() error {
	r.launchers.flushes.set(0, 0)
	return nil
}

// readOnly takes away the right to make and remove files in the collector's data folder and all folders in it. Open
// files stay writable, as they do wherever modes are what guards a folder.
func readOnly(r *Runner, _ *rand.Rand) (func() error, error) {
	excused := r.theCollector().excuse()
	all := func(mode os.FileMode) error {
		dirs, err := filepath.Glob(filepath.Join(r.journalDir, "*", "."))
		if err != nil {
			return fmt.Errorf("list folders: %w", err)
		}
		for _, dir := range append([]string{r.journalDir}, dirs...) {
			if fi, err := os.Stat(dir); err == nil && fi.IsDir() {
				if err := os.Chmod(dir, mode); err != nil {
					return fmt.Errorf("change mode: %w", err)
				}
			}
		}
		return nil
	}
	if err := all(0o555); err != nil {
		excused()
		return nil, err
	}
	return func() error { defer excused(); return all(0o700) }, nil
}

// killAtCommit kills the engine when it is about to make a part count.
func killAtCommit(r *Runner, rng *rand.Rand) (func() error, error) {
	down := time.Duration(rng.IntN(600)) * time.Millisecond
	r.launchers.renames.arm(1+rng.IntN(8), func() { r.engine.end(syscall.SIGKILL, down) })
	return func() error { r.launchers.renames.arm(0, nil); return nil }, nil
}

// jumpingClock starts the collector with a wall clock of its own, which jumps back and forth by seconds and hours, and
// in the end without it.
func jumpingClock(r *Runner, rng *rand.Rand) (func() error, error) {
	r.launchers.useClock(true)
	r.collector.end(syscall.SIGKILL, 0)
	jumps := []time.Duration{-11 * time.Hour, -time.Hour, -3 * time.Second, 0, 2 * time.Second, time.Hour, 11 * time.Hour}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			r.launchers.clock.jump(jumps[rng.IntN(len(jumps))])
			select {
			case <-stop:
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	}()
	return func() error {
		close(stop)
		<-stopped
		r.launchers.useClock(false)
		r.collector.end(syscall.SIGKILL, 0)
		return nil
	}, nil
}
