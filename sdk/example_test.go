package agenttrail_test

import (
	"context"
	"fmt"
	"log/slog"

	agenttrail "github.com/agenttrail/agenttrail/sdk"
)

// answerTicket is in the README, word for word.
func answerTicket(ctx context.Context, ticket string) (err error) {
	trail, err := agenttrail.Init(ctx, agenttrail.WithService("support", "1.4.0"))
	if err != nil {
		return err
	}
	defer trail.Shutdown(ctx)

	ctx, run := trail.StartExecution(ctx, agenttrail.Run{Agent: agenttrail.Agent{ID: "support-triage"}, UserID: "user-7"})
	defer run.End(&err) // The error becomes the status; a panic is recorded, and goes on.

	_, call := agenttrail.StartModelCall(ctx, agenttrail.ModelCall{Provider: "openai", Model: "gpt-5-mini"})
	queue, usage := askModel(ticket)
	call.SetUsage(usage)
	call.End(nil)

	_, tool := agenttrail.StartTool(ctx, agenttrail.ToolCall{Name: "assign_queue"})
	err = assign(ticket, queue)
	tool.End(&err)

	run.AddCredits(2_500_000) // Millionths of a credit.
	agenttrail.Log(ctx, slog.LevelInfo, agenttrail.CategoryExecution, "ticket answered", slog.String("ticket", ticket))
	return err
}

// askModel and assign are the agent's own work.
func askModel(string) (string, agenttrail.Usage) {
	return "billing", agenttrail.Usage{InputTokens: 812, OutputTokens: 64}
}

func assign(_, _ string) error { return nil }

func Example() {
	if err := answerTicket(context.Background(), "T-1001"); err != nil {
		fmt.Println(err)
	}
	stored.print("AgentExecution", "agentId", "userId", "status", "creditsConsumed", "model", "inputTokens", "outputTokens")
	// Output:
	// AgentExecution: support-triage, user-7, success, 2.500000, gpt-5-mini, 812, 64
}

// begin starts a Trail for an example. What the example leaves is forgotten with it.
func begin(opts ...agenttrail.Option) (context.Context, *agenttrail.Trail) {
	stored.forget()
	ctx := context.Background()
	trail, err := agenttrail.Init(ctx, append([]agenttrail.Option{agenttrail.WithService("support", "1.4.0")}, opts...)...)
	if err != nil {
		panic(err)
	}
	return ctx, trail
}

// end sends what an example recorded.
func end(ctx context.Context, trail *agenttrail.Trail) {
	if err := trail.Shutdown(ctx); err != nil {
		fmt.Println(err)
	}
}

var triage = agenttrail.Agent{ID: "support-triage", Name: "Support Triage", Version: "1.4.0"}
