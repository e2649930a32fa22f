package hostmetrics

import (
	"context"
	"maps"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/shirou/gopsutil/v4/process"
)

// processes reads what a process and all below it use.
type processes struct {
	root   int32
	at     time.Time         // of the previous collection
	before map[int32]float64 // CPU seconds of each process then
}

func newProcesses(root int32) *processes { return &processes{root: root, before: map[int32]float64{}} }

// share is what the processes of one command use together.
type share struct {
	memory uint64
	cpu    float64 // seconds since the previous collection
	count  uint64
}

func (ps *processes) collect(ctx context.Context, b *builder) error {
	pids, err := ps.family(ctx)
	if err != nil {
		return err
	}
	now, own := time.Now(), ""
	seconds := make(map[int32]float64, len(pids))
	shares := map[string]share{}
	for _, pid := range pids {
		p := &process.Process{Pid: pid}
		memory, err := p.MemoryInfoWithContext(ctx)
		if err != nil {
			continue // It has ended.
		}
		times, err := p.TimesWithContext(ctx)
		if err != nil {
			continue
		}
		name, err := p.NameWithContext(ctx)
		if err != nil {
			continue
		}
		if pid == ps.root {
			own = name
		}
		if name == own { // One program, several jobs: agenttrail up, agenttrail clickhouse.
			args, _ := p.CmdlineSliceWithContext(ctx)
			name = commandOf(name, args)
		}
		seconds[pid] = times.User + times.System
		s := shares[name]
		s.memory += memory.RSS // Memory that processes share counts for each.
		s.cpu += max(0, seconds[pid]-ps.before[pid])
		s.count++
		shares[name] = s
	}
	elapsed := now.Sub(ps.at).Seconds() * float64(runtime.NumCPU())
	first := ps.at.IsZero()
	ps.at, ps.before = now, seconds
	commands := slices.Sorted(maps.Keys(shares))
	const key = "process.command"
	for _, c := range commands {
		b.amount("process.memory.usage", "By", shares[c].memory, key, c)
	}
	for _, c := range commands {
		b.amount("process.count", "{process}", shares[c].count, key, c)
	}
	for _, c := range commands {
		if !first && elapsed > 0 {
			b.gauge("process.cpu.utilization", "1", min(1, shares[c].cpu/elapsed), key, c)
		}
	}
	return nil
}

// commandOf is the name of the program and its subcommand, if it has one.
func commandOf(name string, args []string) string {
	if len(args) > 0 {
		name = filepath.Base(args[0])
	}
	if len(args) > 1 && args[1] != "" && !strings.HasPrefix(args[1], "-") {
		return name + " " + args[1]
	}
	return name
}

// family returns the root and everything below it, parents first.
func (ps *processes) family(ctx context.Context) ([]int32, error) {
	all, err := process.PidsWithContext(ctx)
	if err != nil {
		return nil, err
	}
	children := map[int32][]int32{}
	for _, pid := range all {
		parent, err := (&process.Process{Pid: pid}).PpidWithContext(ctx)
		if err == nil && pid != parent {
			children[parent] = append(children[parent], pid)
		}
	}
	family := []int32{ps.root}
	for i := 0; i < len(family); i++ {
		family = append(family, children[family[i]]...)
		delete(children, family[i])
	}
	return family, nil
}
