package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// system is one of the two that are compared.
type system struct {
	name       string
	spans      string // The table with a row per span.
	logs       string // The table with a row per log record.
	prepare    func(ctx context.Context, b *bench, database string) error
	collect    func(ctx context.Context, b *bench, dir, database string) (*process, string, string, error) // with the addresses of OTLP over gRPC and of the metrics
	metricName string                                                                                      // Of the bytes that it allocated.
}

// ours is the collector of AgentTrail with a journal that is synced before every acknowledgement.
func ours(name string, set ...string) *system {
	return &system{
		name: name, spans: "Span", logs: "AgentLog",
		prepare: func(ctx context.Context, b *bench, database string) error {
			return b.run(ctx, b.program, "migrate", "clickhouse", "--url", b.clickhouse, "--database", database)
		},
		collect: func(ctx context.Context, b *bench, dir, database string) (*process, string, string, error) {
			metrics, err := freePort()
			if err != nil {
				return nil, "", "", err
			}
			args := []string{
				"collector",
				"--set", "receivers::otlp::protocols::grpc::endpoint=127.0.0.1:0",
				"--set", "receivers::otlp::protocols::http::endpoint=127.0.0.1:0",
				"--set", "extensions::health_check::endpoint=127.0.0.1:0",
				"--set", "exporters::agenttrail::database=" + database,
				"--set", fmt.Sprintf("service::telemetry::metrics::readers=[{pull: {exporter: {prometheus: {host: 127.0.0.1, port: %d}}}}]", metrics),
			}
			for _, s := range set {
				args = append(args, "--set", s)
			}
			env := []string{"AGENTTRAIL_CLICKHOUSE_URL=" + b.clickhouse, "AGENTTRAIL_OWN_METRICS=false", "AGENTTRAIL_JOURNAL_DIR=" + dir + "/journal"}
			p, err := start(dir, name, env, b.program, args...)
			if err != nil {
				return nil, "", "", err
			}
			addr, err := p.line(ctx, "OTLP over gRPC on ")
			return p, addr, fmt.Sprintf("http://127.0.0.1:%d/metrics", metrics), err
		},
		metricName: "process_runtime_total_alloc_bytes",
	}
}

// contrib is a collector with contrib's clickhouseexporter, as its README recommends.
func contrib() *system {
	return &system{
		name: "contrib", spans: "otel_traces", logs: "otel_logs",
		prepare: func(ctx context.Context, b *bench, database string) error {
			_, err := b.ask(ctx, "CREATE DATABASE "+database)
			return err
		},
		collect: func(ctx context.Context, b *bench, dir, database string) (*process, string, string, error) {
			grpc, err := freePort()
			if err != nil {
				return nil, "", "", err
			}
			metrics, err := freePort()
			if err != nil {
				return nil, "", "", err
			}
			addr := fmt.Sprintf("127.0.0.1:%d", grpc)
			p, err := start(dir, "contrib", nil, b.self, rivalCommand, fmt.Sprintf(rivalConfig, addr, b.clickhouse, database, metrics))
			if err != nil {
				return nil, "", "", err
			}
			return p, addr, fmt.Sprintf("http://127.0.0.1:%d/metrics", metrics), p.listens(ctx, addr)
		},
		metricName: "process_runtime_total_alloc_bytes",
	}
}

// ask sends a query to ClickHouse and returns its answer.
func (b *bench) ask(ctx context.Context, query string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, b.clickhouse+"/?"+url.Values{"wait_end_of_query": {"1"}}.Encode(), strings.NewReader(query))
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", err
	}
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("clickhouse answered %s to %q: %s", resp.Status, query, text)
	}
	return strings.TrimSpace(string(text)), nil
}

func (b *bench) number(ctx context.Context, query string) (int64, error) {
	text, err := b.ask(ctx, query)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(text, 10, 64)
}

// stored waits until the tables have the rows that were sent and nothing more arrives or is merged, and returns when
// the last row was seen and when the last merge had ended.
func (b *bench) stored(ctx context.Context, s *system, database string, spans, logs int64) (seen, merged time.Time, err error) {
	for {
		n, err := b.number(ctx, fmt.Sprintf("SELECT (SELECT count() FROM %s.%s) + (SELECT count() FROM %s.%s)", database, s.spans, database, s.logs))
		switch {
		case err != nil:
			return seen, merged, err
		case n > spans+logs:
			return seen, merged, fmt.Errorf("%s stored %d rows of %d: something is there twice", s.name, n, spans+logs)
		case n == spans+logs:
			seen = time.Now()
		}
		if !seen.IsZero() {
			break
		}
		if err := sleep(ctx, 50*time.Millisecond); err != nil {
			return seen, merged, fmt.Errorf("%s stored %d rows of %d: %w", s.name, n, spans+logs, err)
		}
	}
	merged = time.Now()
	for time.Since(merged) < time.Second {
		n, err := b.number(ctx, "SELECT count() FROM system.merges WHERE database = '"+database+"'")
		if err != nil {
			return seen, merged, err
		}
		if n > 0 {
			merged = time.Now()
		}
		if err := sleep(ctx, 50*time.Millisecond); err != nil {
			return seen, merged, err
		}
	}
	return seen, merged, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
