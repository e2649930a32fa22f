package agenttrail_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"

	agenttrail "github.com/agenttrail/agenttrail/sdk"
)

func ExampleTrail_StartExecution() {
	ctx, trail := begin()
	work := func(ctx context.Context) (err error) {
		_, run := trail.StartExecution(ctx, agenttrail.Run{
			Agent: triage, UserID: "user-7", SessionID: "session-3", QueuedAt: time.Now().Add(-time.Second),
			Attributes: []attribute.KeyValue{attribute.String("topic", "billing")},
		})
		defer run.End(&err)
		run.SetAttributes(attribute.Int("attempt", 1))
		return nil
	}
	if err := work(ctx); err != nil {
		fmt.Println(err)
	}
	end(ctx, trail)
	stored.print("AgentExecution", "agentId", "agentVersion", "userId", "sessionId", "status", "topic")
	// Output:
	// AgentExecution: support-triage, 1.4.0, user-7, session-3, success, billing
}

func ExampleTrail_Execute() {
	ctx, trail := begin()
	err := trail.Execute(ctx, agenttrail.Run{Agent: triage}, func(ctx context.Context, run *agenttrail.Execution) error {
		// Below another run it is a run of its own, with that one as parent.
		return trail.Execute(ctx, agenttrail.Run{Agent: agenttrail.Agent{ID: "summarizer"}}, func(_ context.Context, below *agenttrail.Execution) error {
			fmt.Println(below.ID() != run.ID(), below.Identity().UserID == run.Identity().UserID)
			return context.DeadlineExceeded
		})
	})
	fmt.Println(err)
	end(ctx, trail)
	stored.print("AgentExecution", "agentId", "status", "errorCode")
	// Output:
	// true true
	// context deadline exceeded
	// AgentExecution: summarizer, timeout, deadline_exceeded
	// AgentExecution: support-triage, timeout, deadline_exceeded
}

// quotaError is an error of the program with a code of its own.
type quotaError struct{ left int }

func (e quotaError) Error() string   { return fmt.Sprintf("only %d tokens left", e.left) }
func (quotaError) ErrorCode() string { return "quota_exceeded" }

func ExampleCodedError() {
	ctx, trail := begin()
	_, run := trail.StartExecution(ctx, agenttrail.Run{Agent: triage})
	var coded agenttrail.CodedError = quotaError{left: 3}
	err := fmt.Errorf("answer: %w", coded)
	run.End(&err)
	end(ctx, trail)
	stored.print("AgentExecution", "status", "errorCode", "errorMessage")
	stored.print("SystemErrors", "errorCode", "errorType", "message")
	// Output:
	// AgentExecution: failed, quota_exceeded, answer: only 3 tokens left
	// SystemErrors: quota_exceeded, agenttrail_test.quotaError, answer: only 3 tokens left
}

// handoffError ends a run that did what it should.
type handoffError struct{}

func (handoffError) Error() string                      { return "handed to a person" }
func (handoffError) ExecutionStatus() agenttrail.Status { return agenttrail.StatusSuccess }

// providerError is an error that a provider of models answered with.
type providerError struct{ kind, message string }

func (e providerError) Error() string     { return e.message }
func (e providerError) ErrorType() string { return e.kind }

func ExampleTypedError() {
	ctx, trail := begin()
	_, run := trail.StartExecution(ctx, agenttrail.Run{Agent: triage})
	var typed agenttrail.TypedError = providerError{"overloaded_error", "try again later"}
	err := error(typed)
	run.End(&err)
	end(ctx, trail)
	stored.print("SystemErrors", "errorType", "message")
	// Output:
	// SystemErrors: overloaded_error, try again later
}

func ExampleStatusedError() {
	ctx, trail := begin()
	_, run := trail.StartExecution(ctx, agenttrail.Run{Agent: triage})
	var statused agenttrail.StatusedError = handoffError{}
	err := error(statused)
	run.End(&err)
	end(ctx, trail)
	stored.print("AgentExecution", "status", "errorCode")
	// Output:
	// AgentExecution: success
}

func ExampleExecution_End() {
	ctx, trail := begin()
	func() {
		defer func() { fmt.Println("the panic goes on:", recover()) }()
		_, run := trail.StartExecution(ctx, agenttrail.Run{Agent: triage})
		defer run.End(nil)
		panic("out of cheese")
	}()
	end(ctx, trail)
	stored.print("AgentExecution", "status", "errorCode", "errorMessage")
	// Output:
	// the panic goes on: out of cheese
	// AgentExecution: error, panic, out of cheese
}

func ExampleExecution_Fail() {
	ctx, trail := begin()
	_, run := trail.StartExecution(ctx, agenttrail.Run{Agent: triage})
	run.Fail(errors.New("the answer is empty")) // The agent tells errors in its answers.
	run.StopClock()                             // What comes now is no part of the run.
	fmt.Println(run.StatusWith(nil))
	run.End(nil)
	end(ctx, trail)
	stored.print("AgentExecution", "status", "errorMessage")
	// Output:
	// error
	// AgentExecution: error, the answer is empty
}

// A run that is over is recorded with the times when it happened.
func ExampleExecution_EndAt() {
	ctx, trail := begin()
	start := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	ctx, run := trail.StartExecution(ctx, agenttrail.Run{Agent: triage, QueuedAt: start.Add(-time.Second), StartedAt: start})
	_, call := agenttrail.StartModelCall(ctx, agenttrail.ModelCall{Provider: "openai", Model: "gpt-5-mini", StartedAt: start})
	call.FirstOutputAt(start.Add(300 * time.Millisecond))
	call.EndAt(start.Add(time.Second), nil)
	run.FirstOutputAt(start.Add(400 * time.Millisecond))
	run.EndAt(start.Add(2*time.Second), nil)
	end(ctx, trail)
	stored.print("AgentExecution", "queueTime", "responseTime", "duration")
	// Output:
	// AgentExecution: 1000, 1400, 2000
}

func ExampleExecution_AddCredits() {
	ctx, trail := begin()
	_, run := trail.StartExecution(ctx, agenttrail.Run{Agent: triage})
	price, err := agenttrail.ParseCredits("1.25")
	if err != nil {
		fmt.Println(err)
	}
	run.AddCredits(price)
	run.AddCredits(price)
	run.FirstOutput()
	sum, _ := run.Credits()
	run.SetCredits(sum - 500_000) // A discount.
	run.End(nil)
	end(ctx, trail)
	stored.print("AgentExecution", "creditsConsumed")
	// Output:
	// AgentExecution: 2.000000
}

func ExampleExecution_AddUsage() {
	ctx, trail := begin()
	_, run := trail.StartExecution(ctx, agenttrail.Run{Agent: triage})
	cost, err := agenttrail.ParseUSD("0.0125")
	if err != nil {
		fmt.Println(err)
	}
	run.AddUsage("self_hosted", "llama-4-70b", agenttrail.Usage{InputTokens: 900, OutputTokens: 80, Cost: cost})
	run.End(nil)
	end(ctx, trail)
	stored.print("AgentExecution", "model", "inputTokens", "outputTokens", "cost")
	// Output:
	// AgentExecution: llama-4-70b, 900, 80, 0.012500000
}

// A server plans the run, a worker that gets the message starts it.
func ExampleTrail_PlanExecution() {
	ctx, trail := begin()
	planned, id := trail.PlanExecution(ctx, agenttrail.Run{Agent: triage, UserID: "user-7"})
	message := map[string]string{}
	agenttrail.Propagator().Inject(planned, propagation.MapCarrier(message))

	arrived := agenttrail.Propagator().Extract(ctx, propagation.MapCarrier(message))
	fmt.Println(agenttrail.IsPlanned(arrived))
	_, run := trail.StartExecution(arrived, agenttrail.Run{Agent: triage})
	fmt.Println(run.ID() == id)
	run.End(nil)
	end(ctx, trail)
	stored.print("AgentExecution", "agentId", "userId", "status")
	// Output:
	// true
	// true
	// AgentExecution: support-triage, user-7, success
}

func ExamplePropagator() {
	ctx := agenttrail.WithIdentity(context.Background(), agenttrail.Identity{UserID: "user-7", SessionID: "session-3"})
	headers := propagation.MapCarrier{}
	agenttrail.Propagator().Inject(ctx, headers)
	arrived := agenttrail.Propagator().Extract(context.Background(), headers)
	fmt.Println(agenttrail.IdentityFrom(arrived).UserID, agenttrail.IdentityFrom(arrived).SessionID)
	// Output:
	// user-7 session-3
}
