package hostmetrics

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/disk"
	"github.com/shirou/gopsutil/v4/host"
	"github.com/shirou/gopsutil/v4/load"
	"github.com/shirou/gopsutil/v4/mem"
	"github.com/shirou/gopsutil/v4/net"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// collector remembers the previous collection: utilization is a difference of two.
type collector struct {
	paths     []string
	now       func() time.Time
	cpuBefore cpu.TimesStat
	processes *processes
}

func newCollector(paths []string) *collector {
	return &collector{paths: paths, now: time.Now, processes: newProcesses(int32(os.Getpid()))} //nolint:gosec // A pid.
}

// collect returns the figures of now, and why some are missing.
func (c *collector) collect(ctx context.Context) (pmetric.Metrics, error) {
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	attrs := rm.Resource().Attributes()
	attrs.PutStr("service.name", ServiceName)
	attrs.PutStr("os.type", runtime.GOOS)
	if name, err := os.Hostname(); err == nil {
		attrs.PutStr("host.name", name)
	}
	sm := rm.ScopeMetrics().AppendEmpty()
	sm.Scope().SetName("github.com/agenttrail/agenttrail/collector/hostmetrics")
	b := &builder{to: sm.Metrics(), at: pcommon.NewTimestampFromTime(c.now())}
	if boot, err := host.BootTimeWithContext(ctx); err == nil {
		b.boot = pcommon.NewTimestampFromTime(time.Unix(int64(boot), 0)) //nolint:gosec // A time.
	}
	var errs []error
	for _, part := range []struct {
		name    string
		collect func(context.Context, *builder) error
	}{
		{"CPU", c.cpu},
		{"load", c.load},
		{"memory", c.memory},
		{"disk", c.disk},
		{"network", c.network},
		{"processes", c.processes.collect},
	} {
		if err := part.collect(ctx, b); err != nil {
			errs = append(errs, fmt.Errorf("read %s: %w", part.name, err))
		}
	}
	return md, errors.Join(errs...)
}

// builder adds metrics; name and value come before attributes in pairs.
type builder struct {
	to       pmetric.MetricSlice
	at, boot pcommon.Timestamp
}

func (b *builder) metric(name, unit string) pmetric.Metric {
	if n := b.to.Len(); n > 0 && b.to.At(n-1).Name() == name {
		return b.to.At(n - 1)
	}
	m := b.to.AppendEmpty()
	m.SetName(name)
	m.SetUnit(unit)
	return m
}

// gauge adds a point of a gauge.
func (b *builder) gauge(name, unit string, value float64, attrs ...string) {
	m := b.metric(name, unit)
	if m.Type() == pmetric.MetricTypeEmpty {
		m.SetEmptyGauge()
	}
	p := b.point(m.Gauge().DataPoints(), attrs)
	p.SetDoubleValue(value)
}

// amount adds a point of an up-down counter.
func (b *builder) amount(name, unit string, value uint64, attrs ...string) {
	p := b.point(b.sum(name, unit).DataPoints(), attrs)
	p.SetIntValue(int64(value)) //nolint:gosec // Bytes of one machine.
}

// total adds a point of a counter that counts since the machine started.
func (b *builder) total(name, unit string, value uint64, attrs ...string) {
	s := b.sum(name, unit)
	s.SetIsMonotonic(true)
	p := b.point(s.DataPoints(), attrs)
	p.SetStartTimestamp(b.boot)
	p.SetIntValue(int64(value)) //nolint:gosec // Bytes of one machine.
}

func (b *builder) sum(name, unit string) pmetric.Sum {
	m := b.metric(name, unit)
	if m.Type() == pmetric.MetricTypeEmpty {
		m.SetEmptySum().SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	}
	return m.Sum()
}

func (b *builder) point(to pmetric.NumberDataPointSlice, attrs []string) pmetric.NumberDataPoint {
	p := to.AppendEmpty()
	p.SetTimestamp(b.at)
	for i := 0; i+1 < len(attrs); i += 2 {
		p.Attributes().PutStr(attrs[i], attrs[i+1])
	}
	return p
}

// cpu adds the share of time that all CPUs together spent in each mode since the previous collection.
func (c *collector) cpu(ctx context.Context, b *builder) error {
	b.amount("system.cpu.logical.count", "{cpu}", uint64(runtime.NumCPU())) //nolint:gosec // A count.
	times, err := cpu.TimesWithContext(ctx, false)
	if err != nil {
		return err
	}
	if len(times) == 0 {
		return errors.New("the system tells no times")
	}
	now, before := times[0], c.cpuBefore
	c.cpuBefore = now
	modes := []struct {
		name  string
		spent float64
	}{
		{"user", now.User + now.Nice - before.User - before.Nice},
		{"system", now.System + now.Irq + now.Softirq - before.System - before.Irq - before.Softirq},
		{"iowait", now.Iowait - before.Iowait},
		{"steal", now.Steal - before.Steal},
		{"idle", now.Idle - before.Idle},
	}
	total := 0.0
	for i := range modes {
		modes[i].spent = max(0, modes[i].spent) // Iowait of Linux may run backwards.
		total += modes[i].spent
	}
	if before.CPU == "" || total <= 0 {
		return nil
	}
	for _, m := range modes {
		b.gauge("system.cpu.utilization", "1", m.spent/total, "cpu.mode", m.name)
	}
	return nil
}

func (c *collector) load(ctx context.Context, b *builder) error {
	avg, err := load.AvgWithContext(ctx)
	if err != nil {
		return err
	}
	b.gauge("system.cpu.load_average.1m", "{thread}", avg.Load1)
	b.gauge("system.cpu.load_average.5m", "{thread}", avg.Load5)
	b.gauge("system.cpu.load_average.15m", "{thread}", avg.Load15)
	return nil
}

// memory is the machine's, also in a container.
func (c *collector) memory(ctx context.Context, b *builder) error {
	m, err := mem.VirtualMemoryWithContext(ctx)
	if err != nil {
		return err
	}
	const state = "system.memory.state"
	b.amount("system.memory.limit", "By", m.Total)
	b.amount("system.memory.usage", "By", m.Used, state, "used")
	b.amount("system.memory.usage", "By", m.Free, state, "free")
	b.amount("system.memory.usage", "By", m.Cached, state, "cached")
	b.amount("system.memory.usage", "By", m.Buffers, state, "buffers")
	b.gauge("system.memory.utilization", "1", m.UsedPercent/100, state, "used")
	return nil
}

func (c *collector) disk(ctx context.Context, b *builder) error {
	var errs []error
	usages := make([]*disk.UsageStat, 0, len(c.paths))
	for _, path := range c.paths {
		u, err := disk.UsageWithContext(ctx, path)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", path, err))
			continue
		}
		usages = append(usages, u)
	}
	const state = "system.filesystem.state"
	for _, u := range usages {
		attrs := func(s string) []string {
			return []string{state, s, "file.path", u.Path, "system.filesystem.type", u.Fstype}
		}
		b.amount("system.filesystem.usage", "By", u.Used, attrs("used")...)
		b.amount("system.filesystem.usage", "By", u.Free, attrs("free")...)
		if u.Total > u.Used+u.Free {
			b.amount("system.filesystem.usage", "By", u.Total-u.Used-u.Free, attrs("reserved")...)
		}
	}
	for _, u := range usages {
		b.gauge("system.filesystem.utilization", "1", u.UsedPercent/100, state, "used", "file.path", u.Path)
	}
	return errors.Join(errs...)
}

// inner are the beginnings of names of interfaces whose traffic stays on this machine, or passes another one as well.
var inner = []string{"lo", "veth", "docker", "br-", "virbr", "cni", "cali", "flannel", "vnet", "utun", "awdl", "llw", "bridge", "gif", "stf", "anpi", "ap"}

func (c *collector) network(ctx context.Context, b *builder) error {
	all, err := net.IOCountersWithContext(ctx, true)
	if err != nil {
		return err
	}
	var outer []net.IOCountersStat
	for _, n := range all {
		if !isInner(n.Name) && n.BytesRecv+n.BytesSent > 0 {
			outer = append(outer, n)
		}
	}
	const name, direction = "network.interface.name", "network.io.direction"
	for _, n := range outer {
		b.total("system.network.io", "By", n.BytesRecv, name, n.Name, direction, "receive")
		b.total("system.network.io", "By", n.BytesSent, name, n.Name, direction, "transmit")
	}
	for _, n := range outer {
		b.total("system.network.errors", "{error}", n.Errin, name, n.Name, direction, "receive")
		b.total("system.network.errors", "{error}", n.Errout, name, n.Name, direction, "transmit")
	}
	return nil
}

func isInner(name string) bool {
	for _, p := range inner {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}
