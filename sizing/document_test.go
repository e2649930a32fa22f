package sizing_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/schema"
	"github.com/agenttrail/agenttrail/sizing"
)

//go:generate go test . -run ^TestDocument$ -update

var update = flag.Bool("update", false, "write the tables of docs/scaling.md anew")

const (
	document = "../docs/scaling.md"
	begins   = "<!-- Generated from the code by \"make generate\"; do not edit. -->\n"
	ends     = "<!-- End of what is generated. -->\n"
)

// TestDocument compares the tables in docs/scaling.md with the code. "make generate" writes them anew.
func TestDocument(t *testing.T) {
	t.Parallel()
	have, err := os.ReadFile(document)
	require.NoError(t, err)
	before, rest, found := strings.Cut(string(have), begins)
	require.True(t, found)
	_, after, found := strings.Cut(rest, ends)
	require.True(t, found)
	want := before + begins + "\n" + sizes(t) + "\n" + figures() + "\n" + ends + after
	if *update {
		require.NoError(t, os.WriteFile(document, []byte(want), 0o644))
		return
	}
	require.Equal(t, want, string(have), "docs/scaling.md is stale: run \"make generate\"")
}

// shortRetention is what large installations may keep.
var shortRetention = map[string]int{"Span": 7, "AgentLog": 14, "RequestLog": 14, "SystemErrors": 30, "AgentExecution": 90}

// sizes are plans for some installations, with the defaults of "agenttrail size".
func sizes(t *testing.T) string {
	t.Helper()
	var doc strings.Builder
	doc.WriteString("| spans per second, and a day | kept | copies | collectors | their journals | shards | ClickHouse servers | of each: cores, memory, disk | network in, at the peak |\n|---|---|---|---|---|---|---|---|---|\n")
	for _, c := range []struct {
		spans    float64
		replicas int
		short    bool
	}{{100, 1, false}, {1_000, 1, false}, {1_000, 2, false}, {12_000, 2, true}, {60_000, 2, true}, {120_000, 2, true}} {
		retention, kept := map[string]int(schema.DefaultRetention()), "as `migrate` sets it"
		if c.short {
			kept = "for less"
			maps.Copy(retention, shortRetention)
		}
		p, err := sizing.Compute(sizing.Input{
			SpansPerSecond: c.spans, Peak: 3, LogsPerSpan: 0.5, SpansPerRun: 8, PointsPerSecond: 10, Retention: retention, LedgerDays: 365,
			Replicas: c.replicas, Outage: 4 * time.Hour, NodeCores: 16, NodeDisk: 10,
		})
		require.NoError(t, err)
		collector, server := part(t, p, "collector"), part(t, p, "ClickHouse")
		fmt.Fprintf(&doc, "| %s, %s million | %s | %d | %d of %d cores | %s GB | %d | %d | %d, %.0f GiB, %s GB | %s Mbit/s |\n", whole(c.spans), whole(p.SpansPerDay/1e6), kept, c.replicas,
			collector.Instances, collector.Cores, whole(collector.DiskGB), p.Shards, server.Instances, server.Cores, server.MemoryGiB, whole(server.DiskGB), whole(p.NetworkIn))
	}
	return doc.String()
}

func figures() string {
	var doc strings.Builder
	doc.WriteString("The figures behind it:\n\n| figure | value | measured by | what it is |\n|---|---|---|---|\n")
	for _, f := range sizing.Figures() {
		source := "a choice"
		if f.Source != "" {
			source = "`" + f.Source + "`"
		}
		fmt.Fprintf(&doc, "| %s | %s %s | %s | %s |\n", f.Name, strconv.FormatFloat(f.Value, 'f', -1, 64), f.Unit, source, f.About)
	}
	return doc.String()
}

// whole writes a number without digits after the point, with commas.
func whole(v float64) string {
	s := strconv.FormatFloat(v, 'f', 0, 64)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
