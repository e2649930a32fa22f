package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
)

// sender sends runs over OTLP and remembers which were acknowledged. A run whose acknowledgement did not come is sent
// no second time: what became of it is unknown, and it does not count.
type sender struct {
	mu    sync.Mutex
	acked map[string]bool
	sent  int
}

func (s *sender) run(ctx context.Context, in *instance, prefix string) {
	client := &http.Client{Timeout: 30 * time.Second}
	for i := 0; ctx.Err() == nil; i++ {
		td := ptrace.NewTraces()
		rs := td.ResourceSpans().AppendEmpty()
		rs.Resource().Attributes().PutStr("service.name", "crash-test")
		spans := rs.ScopeSpans().AppendEmpty().Spans()
		var ids []string
		for j := range 5 {
			id := fmt.Sprintf("%s-%d-%d", prefix, i, j)
			ids = append(ids, id)
			addRun(spans.AppendEmpty(), id, byte(j+1))
		}
		body, err := ptraceotlp.NewExportRequestFromTraces(td).MarshalProto()
		if err != nil {
			panic(err)
		}
		s.mu.Lock()
		s.sent += len(ids)
		s.mu.Unlock()
		resp, err := client.Post("http://"+in.OTLPHTTP+"/v1/traces", "application/x-protobuf", bytes.NewReader(body))
		if err != nil {
			time.Sleep(5 * time.Millisecond) // Nobody listens at the moment.
			continue
		}
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			s.mu.Lock()
			for _, id := range ids {
				s.acked[id] = true
			}
			s.mu.Unlock()
		}
	}
}

func addRun(span ptrace.Span, id string, n byte) {
	end := time.Now()
	span.SetName("invoke_agent crash")
	span.SetTraceID([16]byte{1, n, byte(end.UnixNano()), byte(end.UnixNano() >> 8), byte(end.UnixNano() >> 16), 1})
	span.SetSpanID([8]byte{1, n, byte(end.UnixNano()), byte(end.UnixNano() >> 8), byte(end.UnixNano() >> 16), 1})
	span.SetStartTimestamp(tsOf(end.Add(-time.Second)))
	span.SetEndTimestamp(tsOf(end))
	span.Attributes().PutStr("gen_ai.operation.name", "invoke_agent")
	span.Attributes().PutStr("gen_ai.agent.id", "crash")
	span.Attributes().PutStr("agenttrail.execution.id", id)
}

// TestCrash kills the ClickHouse child, then Postgres, then "up" itself, each while telemetry arrives, and checks that
// the next start works, that no acknowledged row is gone and that no process is left behind.
func TestCrash(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	in := startUp(t, dir)
	sender := &sender{acked: map[string]bool{}}

	ledger := connectPostgres(t, in.Postgres)
	_, err := ledger.Exec(t.Context(), "SELECT set_config('app.actor', 'system:test', false)")
	require.NoError(t, err)
	_, err = ledger.Exec(t.Context(), "INSERT INTO ledger.users (id, email) VALUES ('0198c0de-0000-7000-8000-000000000001', 'kept@example.com')")
	require.NoError(t, err)

	ackedAfter := func(n int) func() bool {
		return func() bool {
			sender.mu.Lock()
			defer sender.mu.Unlock()
			return len(sender.acked) > n
		}
	}
	count := func() int {
		sender.mu.Lock()
		defer sender.mu.Unlock()
		return len(sender.acked)
	}
	for round, victim := range []string{"clickhouse", "postgres", "up"} {
		ctx, stop := context.WithCancel(t.Context())
		var sending sync.WaitGroup
		for w := range 4 {
			sending.Go(func() { sender.run(ctx, in, fmt.Sprintf("run-%d-%d", round, w)) })
		}
		before := count()
		require.Eventually(t, ackedAfter(before+50), startTimeout, 10*time.Millisecond, "telemetry is acknowledged before %s is killed", victim)
		children := in.children(t)
		if victim == "up" {
			in.kill(t)
			stop()
			sending.Wait()
			require.Eventually(t, func() bool { return !alive(children["clickhouse"]) && !alive(children["postgres"]) },
				startTimeout, 20*time.Millisecond, "no orphan stays")
			in = startUp(t, dir)
		} else {
			require.NoError(t, syscall.Kill(children[victim], syscall.SIGKILL))
			if victim == "clickhouse" {
				killed := count()
				require.Eventually(t, ackedAfter(killed+50), startTimeout, 10*time.Millisecond, "telemetry goes on after %s was killed", victim)
			} else {
				require.Eventually(t, func() bool {
					conn, err := pgx.Connect(t.Context(), in.Postgres)
					if err != nil {
						return false
					}
					defer conn.Close(t.Context())
					return conn.Ping(t.Context()) == nil
				}, startTimeout, 50*time.Millisecond, "Postgres is back")
			}
			stop()
			sending.Wait()
		}
	}

	conn := in.open(t)
	var stored map[string]int
	lost := func() (n int) {
		stored = map[string]int{}
		rows, err := conn.Query(t.Context(), "SELECT id FROM AgentExecution")
		require.NoError(t, err)
		defer rows.Close()
		for rows.Next() {
			var id string
			require.NoError(t, rows.Scan(&id))
			stored[id]++
		}
		require.NoError(t, rows.Err())
		for id := range sender.acked {
			if stored[id] == 0 {
				n++
			}
		}
		return n
	}
	require.Eventually(t, func() bool { return lost() == 0 }, startTimeout, 100*time.Millisecond, "every acknowledged run is stored")
	t.Logf("%d runs sent, %d acknowledged, %d stored", sender.sent, len(sender.acked), len(stored))
	for id, n := range stored {
		require.Equal(t, 1, n, "how often %s is stored", id)
	}

	var email string
	require.NoError(t, connectPostgres(t, in.Postgres).QueryRow(t.Context(), "SELECT email FROM ledger.users WHERE email = 'kept@example.com'").Scan(&email))
}

func connectPostgres(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}
