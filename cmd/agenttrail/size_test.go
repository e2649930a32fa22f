package main

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/sizing"
)

func TestSize(t *testing.T) {
	t.Parallel()
	out := command(t, 0, "size", "--spans-per-second", "12000", "--replicas", "2")
	for _, text := range []string{"1,036,800,000 spans a day", "collector", "ClickHouse", "Keeper", "Span", "Network at the peak"} {
		require.Contains(t, out, text)
	}
	plan := func(args ...string) (p sizing.Plan) {
		require.NoError(t, json.Unmarshal([]byte(command(t, 0, append([]string{"size", "--spans-per-second", "1000", "--json"}, args...)...)), &p))
		return p
	}
	days := func(p sizing.Plan) map[string]int {
		m := map[string]int{}
		for _, s := range p.Stored {
			m[s.Table] = s.Days
		}
		return m
	}
	require.Equal(t, 30, days(plan())["Span"], "as migrate sets it")
	require.Equal(t, map[string]int{"Span": 7, "AgentLog": 7, "AgentExecution": 7, "RequestLog": 7, "SystemErrors": 7, "SystemMetrics": 7}, days(plan("--retention", "7")))
	some := days(plan("--retention", "Span=14"))
	require.Equal(t, []int{14, 90}, []int{some["Span"], some["AgentLog"]})
	require.Contains(t, command(t, 2, "size"), "--spans-per-second")
	require.Contains(t, command(t, 2, "size", "--spans-per-second", "1", "--retention", "Spam=3"), "those with a retention are")
	require.Contains(t, command(t, 2, "size", "--spans-per-second", "1", "--retention", "0"), "at least 1 day")
	require.Contains(t, command(t, 2, "size", "--spans-per-second", "-1", "--replicas", "0"), "replicas must be 1 to 10")
}
