package hostmetrics

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/shirou/gopsutil/v4/process"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// points returns the values of a metric by their attributes as text.
func points(t *testing.T, md pmetric.Metrics, name string) map[string]float64 {
	t.Helper()
	got := map[string]float64{}
	ms := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics()
	for _, m := range ms.All() {
		if m.Name() != name {
			continue
		}
		require.NotEmpty(t, m.Unit())
		ps := pmetric.NewNumberDataPointSlice()
		switch m.Type() {
		case pmetric.MetricTypeGauge:
			ps = m.Gauge().DataPoints()
		case pmetric.MetricTypeSum:
			ps = m.Sum().DataPoints()
		default:
		}
		for _, p := range ps.All() {
			var attrs []string
			for _, v := range p.Attributes().All() {
				attrs = append(attrs, v.AsString())
			}
			v := p.DoubleValue()
			if p.ValueType() == pmetric.NumberDataPointValueTypeInt {
				v = float64(p.IntValue())
			}
			require.NotContains(t, got, strings.Join(attrs, " "), "%s has two points of the same attributes", name)
			got[strings.Join(attrs, " ")] = v
		}
	}
	require.NotEmpty(t, got, name)
	return got
}

func TestFiguresOfThisMachine(t *testing.T) {
	t.Parallel()
	child := exec.CommandContext(t.Context(), "sleep", "60")
	require.NoError(t, child.Start())
	t.Cleanup(func() {
		_ = child.Process.Kill()
		_ = child.Wait()
	})
	dir := t.TempDir()
	c := newCollector([]string{dir})
	require.Eventually(t, func() bool { // A program has no memory before it runs.
		md, err := c.collect(t.Context())
		require.NoError(t, err)
		return points(t, md, "process.memory.usage")["sleep"] > 1e5
	}, time.Minute, time.Millisecond, "the processes below this one are read")
	burn(t, 0.05)
	md, err := c.collect(t.Context())
	require.NoError(t, err)

	res := md.ResourceMetrics().At(0).Resource().Attributes()
	name, _ := res.Get("service.name")
	require.Equal(t, "agenttrail-host", name.Str())

	total := 0.0
	for mode, share := range points(t, md, "system.cpu.utilization") {
		require.GreaterOrEqual(t, share, 0.0, mode)
		total += share
	}
	require.InDelta(t, 1, total, 1e-9)
	require.Equal(t, map[string]float64{"": float64(runtime.NumCPU())}, points(t, md, "system.cpu.logical.count"))

	memory := points(t, md, "system.memory.usage")
	require.Greater(t, memory["used"], 1e6)
	require.InEpsilon(t, memory["used"]/points(t, md, "system.memory.limit")[""], points(t, md, "system.memory.utilization")["used"], 1e-6)
	for path, share := range points(t, md, "system.filesystem.utilization") {
		require.Contains(t, path, dir)
		require.Greater(t, share, 0.0)
		require.LessOrEqual(t, share, 1.0)
	}
	require.GreaterOrEqual(t, points(t, md, "system.cpu.load_average.1m")[""], 0.0, "0 if nothing else runs")

	processes := points(t, md, "process.memory.usage")
	require.Greater(t, processes["sleep"], 1e5)
	require.InDelta(t, 1, points(t, md, "process.count")["sleep"], 0)
	own := 0.0
	for command, share := range points(t, md, "process.cpu.utilization") {
		if strings.HasPrefix(command, "hostmetrics.test") {
			own = share
		}
	}
	require.Greater(t, own, 0.0, "%v", processes)
	require.Less(t, md.DataPointCount(), 60)
}

// burn uses seconds of CPU time, as the system counts them: on a busy machine it may give a process none for long.
func burn(t *testing.T, seconds float64) {
	t.Helper()
	own := &process.Process{Pid: int32(os.Getpid())}
	used := func() float64 {
		times, err := own.TimesWithContext(t.Context())
		require.NoError(t, err)
		return times.User + times.System
	}
	for end := used() + seconds; used() < end; {
	}
}

func TestNetworkCountsSinceTheStartOfTheMachine(t *testing.T) {
	t.Parallel()
	md, err := newCollector([]string{"."}).collect(t.Context())
	require.NoError(t, err)
	for _, m := range md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().All() {
		if m.Name() != "system.network.io" {
			continue
		}
		require.True(t, m.Sum().IsMonotonic())
		p := m.Sum().DataPoints().At(0)
		require.NotZero(t, p.StartTimestamp())
		require.Less(t, p.StartTimestamp(), pcommon.NewTimestampFromTime(time.Now()))
	}
	require.True(t, isInner("lo"))
	require.True(t, isInner("veth12ab"))
	require.False(t, isInner("eth0"))
	require.False(t, isInner("enp3s0"))
}

func TestAMissingPathLeavesTheOthers(t *testing.T) {
	t.Parallel()
	md, err := newCollector([]string{"/does/not/exist", "."}).collect(t.Context())
	require.ErrorContains(t, err, "read disk: /does/not/exist: no such file")
	require.NotEmpty(t, points(t, md, "system.filesystem.usage"))
	require.NotEmpty(t, points(t, md, "process.memory.usage"))
}

func TestCommands(t *testing.T) {
	t.Parallel()
	require.Equal(t, "agenttrail up", commandOf("agenttrail", []string{"/usr/bin/agenttrail", "up", "--demo"}))
	require.Equal(t, "agenttrail", commandOf("agenttrail", []string{"agenttrail", "--help"}))
	require.Equal(t, "agenttrail", commandOf("agenttrail", nil))
}

func TestTheConfiguration(t *testing.T) {
	t.Parallel()
	cfg := NewFactory().CreateDefaultConfig()
	require.NoError(t, componenttest.CheckConfigStruct(cfg))
	conf := confmap.NewFromStringMap(map[string]any{"enabled": false, "collection_interval": "1m", "paths": []any{"/data"}})
	require.NoError(t, conf.Unmarshal(cfg))
	require.NoError(t, confmap.Validate(cfg))
	c := cfg.(*Config)
	require.False(t, c.Periodic.Enabled)
	require.Equal(t, time.Minute, c.Periodic.CollectionInterval)
	require.Equal(t, []string{"/data"}, c.Paths)
	c.Periodic.CollectionInterval, c.Paths = 0, []string{""}
	err := confmap.Validate(cfg)
	require.ErrorContains(t, err, "collection_interval: must be 1s or more")
	require.ErrorContains(t, err, "paths: must not be empty")
}

func TestTheFamilyOfAProcess(t *testing.T) {
	t.Parallel()
	family, err := newProcesses(int32(os.Getpid())).family(t.Context())
	require.NoError(t, err)
	require.Equal(t, int32(os.Getpid()), family[0])
}
