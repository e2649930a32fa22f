package sizing_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/sizing"
)

// days is a retention of so many days for every table of rows.
func days(n int) map[string]int {
	return map[string]int{"Span": n, "AgentLog": n, "AgentExecution": n, "RequestLog": n, "SystemErrors": n, "SystemMetrics": n}
}

// input is what a day of a billion spans may look like.
func input() sizing.Input {
	return sizing.Input{
		SpansPerSecond: 10_000, Peak: 3, LogsPerSpan: 0.5, SpansPerRun: 8, PointsPerSecond: 500, PaidRunsPerSecond: 100, Retention: days(5), LedgerDays: 365,
		Replicas: 2, Outage: 2 * time.Hour, NodeCores: 16, NodeDisk: 4,
	}
}

// figure is the value of a figure by its name: the test computes with the same ones, by hand.
func figure(t *testing.T, name string) float64 {
	t.Helper()
	for _, f := range sizing.Figures() {
		if f.Name == name {
			require.Positive(t, f.Value, name)
			return f.Value
		}
	}
	require.Fail(t, "no figure "+name)
	return 0
}

func part(t *testing.T, p sizing.Plan, name string) sizing.Part {
	t.Helper()
	for _, x := range p.Parts {
		if x.Name == name {
			return x
		}
	}
	require.Fail(t, "no part "+name)
	return sizing.Part{}
}

func TestPlanByHand(t *testing.T) {
	t.Parallel()
	p, err := sizing.Compute(input())
	require.NoError(t, err)
	require.InDelta(t, 864e6, p.SpansPerDay, 1)
	// 10,000 spans, 5,000 log records, 1,250 runs, 1,250 requests, 125 errors, 500 points.
	require.InDelta(t, 18_125, p.RowsPerSecond, 1e-6)

	// 30,000 spans per second at the peak, 10.4 µs each: 0.312 cores, which may be half of what there is. One would do; two,
	// so that one can be lost.
	require.InDelta(t, 10.4, figure(t, "collector"), 0)
	collector := part(t, p, "collector")
	require.Equal(t, []int{2, 1}, []int{collector.Instances, collector.Cores})
	// 45,000 spans and log records per second of 1,172 bytes for 7,200 s in two journals that may be 60 % full, and 1 GB. An
	// eighth of a journal holds what is written to it, seven eighths hold 3.2 times as much: 2.925 in all.
	require.InDelta(t, 45_000*1172.0*7200/2/2.925/1e9/0.6+1, collector.DiskGB, 1)

	// 54,375 rows per second, 25.7 µs each: 1.40 cores, of twice as many. The disk of a copy is small.
	clickHouse := part(t, p, "ClickHouse")
	require.Equal(t, []int{2, 3}, []int{clickHouse.Instances, clickHouse.Cores})
	require.Equal(t, 1, p.Shards)
	var disk float64
	for table, rows := range map[string]float64{"Span": 10_000, "AgentLog": 5_000, "AgentExecution": 1_250, "RequestLog": 1_250, "SystemErrors": 125, "SystemMetrics": 500} {
		disk += rows * 86_400 * 5 * figure(t, table) / 1e9
	}
	require.InDelta(t, disk/0.6, clickHouse.DiskGB, 1)
	require.Equal(t, 3, part(t, p, "Keeper").Instances)
	require.InDelta(t, 100*86_400*365*figure(t, "paid run")/1e9/0.6+1, part(t, p, "Postgres").DiskGB, 1)
	require.InDelta(t, 45_000*1172*8/1e6, p.NetworkIn, 1)
	require.InDelta(t, 45_000*1172*8/1e6/3.2, p.NetworkStored, 1)
}

func TestMoreNeedsMore(t *testing.T) {
	t.Parallel()
	total := func(change func(in *sizing.Input)) (cores int, disk float64) {
		in := input()
		change(&in)
		p, err := sizing.Compute(in)
		require.NoError(t, err)
		for _, x := range p.Parts {
			cores += x.Instances * x.Cores
			disk += float64(x.Instances) * x.DiskGB
		}
		return cores, disk
	}
	cores, disk := total(func(*sizing.Input) {})
	for name, change := range map[string]func(in *sizing.Input){
		"spans": func(in *sizing.Input) { in.SpansPerSecond *= 20 }, "replicas": func(in *sizing.Input) { in.Replicas = 3 },
		"peak": func(in *sizing.Input) { in.Peak = 50 },
	} {
		c, _ := total(change)
		require.Greater(t, c, cores, name)
	}
	for name, change := range map[string]func(in *sizing.Input){
		"spans": func(in *sizing.Input) { in.SpansPerSecond *= 20 }, "retention": func(in *sizing.Input) { in.Retention = days(30) },
		"outage": func(in *sizing.Input) { in.Outage *= 2 }, "replicas": func(in *sizing.Input) { in.Replicas = 3 },
	} {
		_, d := total(change)
		require.Greater(t, d, disk, name)
	}
	// A server's disk makes shards as its cores do.
	in := input()
	in.NodeDisk = 0.1
	p, err := sizing.Compute(in)
	require.NoError(t, err)
	require.Greater(t, p.Shards, 1)
	require.LessOrEqual(t, part(t, p, "ClickHouse").DiskGB, 100.0)
	// One machine has no Keeper, and without paid runs there is no ledger.
	in.Replicas, in.PaidRunsPerSecond = 1, 0
	p, err = sizing.Compute(in)
	require.NoError(t, err)
	for _, x := range p.Parts {
		require.NotContains(t, []string{"Keeper", "ledger", "Postgres"}, x.Name)
	}
}

func TestInputThatCannotBeMeant(t *testing.T) {
	t.Parallel()
	_, err := sizing.Compute(sizing.Input{SpansPerSecond: -1, LogsPerSpan: -1, Outage: -1, NodeDisk: -1})
	for _, text := range []string{"spans per second", "at least 1", "log records", "a run has", "replicas", "outage", "1 core", "has a disk", "retention of Span", "transactions"} {
		require.ErrorContains(t, err, text)
	}
}
