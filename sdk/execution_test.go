package agenttrail

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/codes"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
)

var noMetrics = metricnoop.NewMeterProvider()

type limitError struct{}

func (limitError) Error() string     { return "too many runs" }
func (limitError) ErrorCode() string { return "rate_limited" }

type finalError struct{ status Status }

func (finalError) Error() string             { return "it is over" }
func (e finalError) ExecutionStatus() Status { return e.status }

type remoteError struct{}

func (remoteError) Error() string     { return "overloaded" }
func (remoteError) ErrorType() string { return "overloaded_error" }

type brokenError struct{ inner *limitError }

func (e *brokenError) Error() string     { return e.inner.Error() }
func (e *brokenError) ErrorCode() string { panic("no code: " + e.inner.Error()) }

func TestOutcomes(t *testing.T) {
	t.Parallel()
	_, statErr := os.Stat("/does/not/exist")
	for _, c := range []struct {
		err    error
		status Status
		code   string
		kind   string
	}{
		{nil, StatusSuccess, "", ""},
		{errors.New("x"), StatusError, "error", "*errors.errorString"},
		{fmt.Errorf("wrap: %w", errors.New("x")), StatusError, "error", "*errors.errorString"},
		{context.DeadlineExceeded, StatusTimeout, "deadline_exceeded", "context.deadlineExceededError"},
		{fmt.Errorf("ask model: %w", context.DeadlineExceeded), StatusTimeout, "deadline_exceeded", "context.deadlineExceededError"},
		{os.ErrDeadlineExceeded, StatusTimeout, "deadline_exceeded", "*poll.DeadlineExceededError"},
		{&net.DNSError{IsTimeout: true}, StatusTimeout, "deadline_exceeded", "*net.DNSError"},
		{context.Canceled, StatusFailed, "canceled", "*errors.errorString"},
		{limitError{}, StatusFailed, "rate_limited", "agenttrail.limitError"},
		{fmt.Errorf("start: %w", limitError{}), StatusFailed, "rate_limited", "agenttrail.limitError"},
		{errors.Join(limitError{}, context.DeadlineExceeded), StatusTimeout, "rate_limited", "*errors.joinError"},
		{finalError{StatusTimeout}, StatusTimeout, "agenttrail.finalError", "agenttrail.finalError"},
		{finalError{StatusFailed}, StatusFailed, "agenttrail.finalError", "agenttrail.finalError"},
		{finalError{StatusSuccess}, StatusSuccess, "", ""},
		{fmt.Errorf("ask: %w", remoteError{}), StatusError, "overloaded_error", "overloaded_error"},
		{statErr, StatusError, "syscall.Errno", "syscall.Errno"},
		{(*brokenError)(nil), StatusError, "error", "*agenttrail.brokenError"},
		{&brokenError{}, StatusError, "error", "*agenttrail.brokenError"},
	} {
		t.Run(fmt.Sprintf("%T %v", c.err, c.status), func(t *testing.T) {
			t.Parallel()
			o := outcomeOf(c.err)
			require.Equal(t, c.status, o.status)
			require.Equal(t, c.code, o.code)
			require.Equal(t, c.kind, o.kind)
		})
	}
}

func TestRunTakesItsOutcome(t *testing.T) {
	t.Parallel()
	r := newRecorded(t)
	work := func(name string, err error) {
		_, run := r.StartExecution(t.Context(), Run{Agent: Agent{ID: name}})
		run.End(&err)
		other := errors.New("too late")
		run.End(&other)
		run.AddCredits(1)
	}
	work("good", nil)
	work("late", context.DeadlineExceeded)
	good := r.span("invoke_agent good")
	require.Equal(t, "success", good.attrs["agenttrail.execution.status"])
	require.Equal(t, codes.Unset, good.Status().Code)
	require.NotContains(t, good.attrs, "agenttrail.credits")
	require.Empty(t, good.Events())
	late := r.span("invoke_agent late")
	require.Equal(t, "timeout", late.attrs["agenttrail.execution.status"])
	require.Equal(t, "deadline_exceeded", late.attrs["agenttrail.execution.error_code"])
	require.Equal(t, codes.Error, late.Status().Code)
	require.Equal(t, "context deadline exceeded", late.Status().Description)
}

func TestFailWinsOverNoError(t *testing.T) {
	t.Parallel()
	r := newRecorded(t)
	_, run := r.StartExecution(t.Context(), Run{Agent: Agent{ID: "a"}})
	run.Fail(limitError{})
	run.End(nil)
	require.Equal(t, "rate_limited", r.span("invoke_agent a").attrs["agenttrail.execution.error_code"])
}

func TestPanicsAreRecordedAndGoOn(t *testing.T) {
	t.Parallel()
	r := newRecorded(t)
	require.PanicsWithValue(t, "boom", func() {
		_ = r.Execute(t.Context(), Run{Agent: Agent{ID: "a"}}, func(ctx context.Context, _ *Execution) (err error) {
			_, step := StartTool(ctx, ToolCall{Name: "dig"})
			defer step.End(&err)
			panic("boom")
		})
	})
	step, run := r.span("execute_tool dig"), r.span("invoke_agent a")
	require.Equal(t, []any{"panic"}, step.exceptions())
	require.Contains(t, attributesOf(step.Events()[0].Attributes)["exception.stacktrace"], "TestPanicsAreRecordedAndGoOn")
	require.Empty(t, run.exceptions(), "the step told it")
	require.Equal(t, "error", run.attrs["agenttrail.execution.status"])
	require.Equal(t, "panic", run.attrs["agenttrail.execution.error_code"])
	require.Equal(t, "boom", run.Status().Description)

	require.Panics(t, func() {
		_, run := r.StartExecution(t.Context(), Run{Agent: Agent{ID: "b"}})
		defer run.End(nil)
		none := []int{}
		_ = none[run.queue]
	})
	require.Equal(t, []any{"runtime.boundsError"}, r.span("invoke_agent b").exceptions())
}

func TestGoexitIsNoSuccess(t *testing.T) {
	t.Parallel()
	r := newRecorded(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = r.Execute(t.Context(), Run{Agent: Agent{ID: "a"}}, func(context.Context, *Execution) error {
			runtime.Goexit()
			return nil
		})
	}()
	<-done
	require.Equal(t, "error", r.span("invoke_agent a").attrs["agenttrail.execution.status"])
}

func TestErrorsAreToldOnce(t *testing.T) {
	t.Parallel()
	r := newRecorded(t)
	_ = r.Execute(t.Context(), Run{Agent: Agent{ID: "outer"}}, func(ctx context.Context, _ *Execution) error {
		err := r.Execute(ctx, Run{Agent: Agent{ID: "inner"}}, func(ctx context.Context, _ *Execution) (err error) {
			_, step := StartModelCall(ctx, ModelCall{Provider: "openai", Model: "m"})
			defer step.End(&err)
			return limitError{}
		})
		return fmt.Errorf("ask inner: %w", err)
	})
	require.Len(t, r.span("chat m").exceptions(), 1)
	require.Empty(t, r.span("invoke_agent inner").exceptions())
	require.Empty(t, r.span("invoke_agent outer").exceptions())
	require.Equal(t, "rate_limited", r.span("invoke_agent outer").attrs["agenttrail.execution.error_code"])
}

func TestUsageIsSummedUp(t *testing.T) {
	t.Parallel()
	r := newRecorded(t)
	start := time.Now().Add(-time.Minute)
	ctx, run := r.StartExecution(t.Context(), Run{Agent: Agent{ID: "a"}, StartedAt: start, QueuedAt: start.Add(-2 * time.Second)})
	for i := range 2 {
		_, call := StartModelCall(ctx, ModelCall{Provider: "openai", Model: fmt.Sprint("m", i)})
		call.SetUsage(Usage{InputTokens: 10, OutputTokens: 5, CacheReadTokens: 3, CacheWriteTokens: 2, ReasoningTokens: 1, Cost: 7})
		call.End(nil)
	}
	run.FirstOutputAt(start.Add(time.Second))
	run.AddCredits(1)
	run.AddCredits(999_999)
	run.EndAt(start.Add(3*time.Second), nil)
	got := r.span("invoke_agent a")
	require.Equal(t, 3*time.Second, got.EndTime().Sub(got.StartTime()))
	for key, want := range map[string]any{
		"gen_ai.usage.input_tokens": int64(20), "gen_ai.usage.output_tokens": int64(10), "gen_ai.usage.cache_read.input_tokens": int64(6),
		"gen_ai.usage.cache_write.input_tokens": int64(4), "gen_ai.usage.reasoning.output_tokens": int64(2), "gen_ai.request.model": "m1",
		"gen_ai.provider.name": "openai", "agenttrail.cost_usd": "0.000000014", "agenttrail.credits": "1.000000",
		"agenttrail.execution.queue_time_ms": 2000.0, "agenttrail.execution.response_time_ms": 3000.0,
	} {
		require.Equal(t, want, got.attrs[key], key)
	}
}

func TestCostIsUnknownWhenAPartIs(t *testing.T) {
	t.Parallel()
	r := newRecorded(t)
	ctx, run := r.StartExecution(t.Context(), Run{Agent: Agent{ID: "a"}})
	for _, cost := range []USD{5, 0} {
		_, call := StartModelCall(ctx, ModelCall{Model: "m"})
		call.SetUsage(Usage{InputTokens: 1, Cost: cost})
		call.End(nil)
	}
	run.End(nil)
	require.NotContains(t, r.span("invoke_agent a").attrs, "agenttrail.cost_usd")
}

func TestNothingIsRecordedWithoutATrail(t *testing.T) {
	t.Parallel()
	ctx, step := StartTool(t.Context(), ToolCall{Name: "x"})
	require.Equal(t, t.Context(), ctx)
	step.SetUsage(Usage{})
	step.SetResponse("m", "stop")
	step.FirstOutput()
	step.SetAttributes()
	step.End(nil)
	var run *Execution
	run.AddCredits(1)
	run.FirstOutput()
	run.Fail(nil)
	run.SetAttributes()
	require.Empty(t, run.ID())
	require.Equal(t, Identity{}, run.Identity())
	run.EndAt(time.Now(), nil)
	Log(t.Context(), 0, CategoryExecution, "x")
	RecordSecurity(t.Context(), SecurityEvent{Type: SecurityLogin})
	SetRoute(t.Context(), "/")
	SetRequestError(t.Context(), errors.New("x"))
}

func TestDecimals(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Credits{
		"0": 0, "1": 1_000_000, "1.5": 1_500_000, "0.000001": 1, "-0.25": -250_000, "12.3450000": 12_345_000, ".5": 500_000,
		"9223372036854.775807": 1<<63 - 1, "-9223372036854.775808": -1 << 63,
	} {
		got, err := ParseCredits(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
		again, err := ParseCredits(got.String())
		require.NoError(t, err)
		require.Equal(t, got, again)
	}
	for _, text := range []string{"", ".", "-", "1e3", "+1", "1.0000001", "9223372036854.775808", "1,5", " 1", "0x1", "--1", "1.-5"} {
		_, err := ParseCredits(text)
		require.Error(t, err, text)
	}
	require.Equal(t, "-0.000001", Credits(-1).String())
	require.Equal(t, "0.012500000", USD(12_500_000).String())
	usd, err := ParseUSD("0.0125")
	require.NoError(t, err)
	require.Equal(t, USD(12_500_000), usd)
}
