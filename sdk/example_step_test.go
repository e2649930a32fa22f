package agenttrail_test

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"go.opentelemetry.io/otel/attribute"

	agenttrail "github.com/agenttrail/agenttrail/sdk"
)

func ExampleStartModelCall() {
	ctx, trail := begin()
	ctx, run := trail.StartExecution(ctx, agenttrail.Run{Agent: triage})
	_, call := agenttrail.StartModelCall(ctx, agenttrail.ModelCall{
		Provider: "anthropic", Model: "claude-haiku-4-5", Attributes: []attribute.KeyValue{attribute.Float64("gen_ai.request.temperature", 0.2)},
	})
	call.FirstOutput() // The first part of a stream.
	call.SetUsage(agenttrail.Usage{InputTokens: 900, OutputTokens: 120, CacheReadTokens: 300, Cost: 1_200_000})
	call.SetResponse("claude-haiku-4-5-20251001", "stop")
	call.End(nil)
	run.End(nil)
	end(ctx, trail)
	stored.print("Span", "operation", "model", "inputTokens", "cost")
	// Output:
	// Span: inference, claude-haiku-4-5-20251001, 900, 0.001200000
	// Span: agent, claude-haiku-4-5-20251001, 900, 0.001200000
}

func ExampleStartTool() {
	ctx, trail := begin()
	ctx, run := trail.StartExecution(ctx, agenttrail.Run{ID: "run-1", Agent: triage})
	_, tool := agenttrail.StartTool(ctx, agenttrail.ToolCall{Name: "lookup_ticket", ID: "call_1"})
	err := errors.New("no such ticket")
	tool.End(&err) // The model reads the error and goes on.
	run.End(nil)
	end(ctx, trail)
	stored.print("Span", "operation", "tool", "executionId", "statusMessage")
	stored.print("AgentExecution", "status")
	// Output:
	// Span: tool, lookup_ticket, run-1, no such ticket
	// Span: agent, , run-1
	// AgentExecution: success
}

func ExampleStartStep() {
	ctx, trail := begin()
	ctx, run := trail.StartExecution(ctx, agenttrail.Run{Agent: triage})
	start := time.Now()
	_, step := agenttrail.StartStep(ctx, agenttrail.StepRetrieval, "search handbook")
	search := func(step *agenttrail.Step) { step.SetAttributes(attribute.String("shard", "eu")) }
	search(step)
	step.EndAt(start.Add(50*time.Millisecond), nil)
	run.End(nil)
	end(ctx, trail)
	stored.print("Span", "operation", "name", "shard")
	// Output:
	// Span: retrieval, search handbook, eu
	// Span: agent, invoke_agent Support Triage
}

func ExampleLog() {
	ctx, trail := begin()
	ctx, run := trail.StartExecution(ctx, agenttrail.Run{ID: "run-1", Agent: triage, UserID: "user-7"})
	agenttrail.Log(ctx, slog.LevelWarn, agenttrail.CategoryPerformance, "model is slow", slog.String("ticket", "T-1"))
	run.End(nil)
	end(ctx, trail)
	stored.print("AgentLog", "level", "category", "message", "executionId", "agentId", "userId", "ticket")
	// Output:
	// AgentLog: warn, performance, model is slow, run-1, support-triage, user-7, T-1
}

func ExampleWithCategory() {
	ctx, trail := begin()
	ctx = agenttrail.WithCategory(trail.Context(ctx), agenttrail.CategoryUserAction)
	agenttrail.Log(ctx, slog.LevelInfo, "", "answer rated")
	end(ctx, trail)
	stored.print("AgentLog", "category", "message")
	// Output:
	// AgentLog: user_action, answer rated
}

// A logger of log/slog that writes to standard error and to AgentLog.
func ExampleTrail_Handler() {
	ctx, trail := begin(agenttrail.WithLogLevel(slog.LevelDebug))
	text := slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})
	logger := slog.New(slog.NewMultiHandler(text, trail.Handler()))
	ctx, run := trail.StartExecution(ctx, agenttrail.Run{ID: "run-1", Agent: triage})
	logger.DebugContext(ctx, "looking at the ticket", "ticket", "T-1")
	run.End(nil)
	end(ctx, trail)
	stored.print("AgentLog", "level", "message", "executionId", "ticket")
	// Output:
	// AgentLog: debug, looking at the ticket, run-1, T-1
}

func ExampleRecordSecurity() {
	ctx, trail := begin()
	ctx = agenttrail.WithIdentity(trail.Context(ctx), agenttrail.Identity{UserID: "user-7"})
	agenttrail.RecordSecurity(ctx, agenttrail.SecurityEvent{
		Type: agenttrail.SecurityPolicyViolation, Outcome: agenttrail.OutcomeDenied, Severity: agenttrail.SeverityWarning,
		Resource: "tool/transfer_money", Message: "the agent may not use this tool", Details: []slog.Attr{slog.String("rule", "no-money")},
	})
	end(ctx, trail)
	stored.print("SecurityEvents", "type", "outcome", "severity", "actor", "resource", "message")
	// Output:
	// SecurityEvents: policy.violation, denied, warning, user-7, tool/transfer_money, the agent may not use this tool
}

func ExampleParseCredits() {
	credits, err := agenttrail.ParseCredits("2.5")
	fmt.Println(credits, int64(credits), err)
	_, err = agenttrail.ParseCredits("0.0000001")
	fmt.Println(err)
	// Output:
	// 2.500000 2500000 <nil>
	// read credits "0.0000001": more than 6 decimals
}

func ExampleParseUSD() {
	cost, err := agenttrail.ParseUSD("0.0125")
	fmt.Println(cost, int64(cost), err)
	// Output:
	// 0.012500000 12500000 <nil>
}
