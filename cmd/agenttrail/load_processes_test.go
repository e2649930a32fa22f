package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/schema"
)

// loadBench is a collector and an engine, each a process of its own, as in production.
type loadBench struct {
	dir, url, grpc, metrics string
	engine, collector       *exec.Cmd
}

// startLoadBench starts both, the collector with the settings.
func startLoadBench(b *testing.B, settings ...string) *loadBench {
	b.Helper()
	l := &loadBench{dir: b.TempDir()}
	l.startEngine(b, "127.0.0.1:0")
	_, err := schema.MigrateClickHouse(b.Context(), l.url, schema.ClickHouseConfig{})
	require.NoError(b, err)
	args := []string{"collector"}
	for _, set := range append([]string{
		"receivers::otlp::protocols::grpc::endpoint=127.0.0.1:0", "receivers::otlp::protocols::http::endpoint=127.0.0.1:0",
		"extensions::health_check::endpoint=127.0.0.1:0",
		"service::telemetry::metrics::readers=[{pull: {exporter: {prometheus: {host: 127.0.0.1, port: 0}}}}]",
		"receivers::agenttrail_host::enabled=false", "receivers::agenttrail_self::enabled=false",
		"exporters::agenttrail::endpoint=" + l.url,
	}, settings...) {
		args = append(args, "--set", set)
	}
	var found []string
	l.collector, found = startProgram(b, []string{"AGENTTRAIL_JOURNAL_DIR=" + l.journal()},
		[]string{`OTLP over gRPC on (\S+)`, `own metrics on (\S+)`}, args...)
	l.grpc, l.metrics = found[0], "http://"+found[1]+"/metrics"
	b.Cleanup(func() { _ = l.collector.Process.Kill(); _ = l.collector.Wait() })
	return l
}

func (l *loadBench) journal() string { return filepath.Join(l.dir, "journal") }

// startEngine starts the engine on its data, and at its address if it had one.
func (l *loadBench) startEngine(b *testing.B, addr string) {
	b.Helper()
	cmd, found := startProgram(b, nil, []string{`listens on (http://\S+) `}, "clickhouse", "--data", filepath.Join(l.dir, "clickhouse"), "--addr", addr)
	l.engine, l.url = cmd, found[0]
	b.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
}

// startProgram runs the program under test and returns when its output has something for each of the patterns.
func startProgram(tb testing.TB, env, patterns []string, args ...string) (*exec.Cmd, []string) {
	tb.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(append(os.Environ(), envRunMain+"=1"), env...)
	stderr, err := cmd.StderrPipe()
	require.NoError(tb, err)
	require.NoError(tb, cmd.Start())
	found, said := make([]string, 0, len(patterns)), ""
	lines := bufio.NewScanner(stderr)
	for len(found) < len(patterns) && lines.Scan() {
		said += lines.Text() + "\n"
		if m := regexp.MustCompile(patterns[len(found)]).FindStringSubmatch(lines.Text()); m != nil {
			found = append(found, m[1])
		}
	}
	require.Len(tb, found, len(patterns), "%s ended before it was ready: %s", args[0], said)
	go func() { // What it says later belongs to the report.
		for lines.Scan() {
			if t := lines.Text(); strings.Contains(t, "warn") || strings.Contains(t, "error") || strings.Contains(t, "ClickHouse") {
				fmt.Fprintln(os.Stderr, args[0]+":", t)
			}
		}
		_, _ = io.Copy(io.Discard, stderr)
	}()
	return cmd, found
}

// ask answers a query; it returns an error while the engine is away.
func (l *loadBench) ask(ctx context.Context, sql string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.url, strings.NewReader(sql))
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, text)
	}
	return strings.TrimSpace(string(text)), err
}

// count answers a query for one number, -1 while the engine is away.
func (l *loadBench) count(ctx context.Context, sql string) int {
	text, err := l.ask(ctx, sql)
	if err != nil {
		return -1
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return -1
	}
	return n
}

// metric sums the values of a metric of the collector over its labels.
func (l *loadBench) metric(b *testing.B, name string) float64 {
	b.Helper()
	resp, err := http.Get(l.metrics)
	require.NoError(b, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(b, err)
	sum, found := 0.0, false
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 2 && (f[0] == name || strings.HasPrefix(f[0], name+"{")) {
			v, err := strconv.ParseFloat(f[1], 64)
			require.NoError(b, err)
			sum, found = sum+v, true
		}
	}
	require.True(b, found, "no metric %s in:\n%s", name, text)
	return sum
}

// processUse is what a process has used so far.
type processUse struct {
	cpu      time.Duration
	peak     uint64 // Resident memory at its highest, in bytes.
	resident uint64
}

func useOf(pid int) (u processUse) {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(status)) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		kib, _ := strconv.ParseUint(f[1], 10, 64)
		switch f[0] {
		case "VmHWM:":
			u.peak = kib << 10
		case "VmRSS:":
			u.resident = kib << 10
		}
	}
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if _, rest, ok := strings.Cut(string(stat), ") "); ok {
		if f := strings.Fields(rest); len(f) > 12 { // utime and stime, in hundredths of a second.
			user, _ := strconv.Atoi(f[11])
			system, _ := strconv.Atoi(f[12])
			u.cpu = time.Duration(user+system) * 10 * time.Millisecond
		}
	}
	return u
}
