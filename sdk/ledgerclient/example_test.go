package ledgerclient_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/agenttrail/agenttrail/ledger"
	agenttrail "github.com/agenttrail/agenttrail/sdk"
	"github.com/agenttrail/agenttrail/sdk/ledgerclient"
)

// A worker runs an agent that its user pays for.
func ExampleClient_PaidRun() {
	ctx := context.Background()
	trail, err := agenttrail.Init(ctx, agenttrail.WithService("worker", "1.4.0"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer trail.Shutdown(ctx)
	client, err := ledgerclient.New(ledgerclient.Config{URL: "http://127.0.0.1:8080", Key: "secret", OutboxDir: "/var/lib/worker/outbox"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close(ctx)

	err = client.PaidRun(ctx, trail, ledgerclient.PaidRun{
		Run:       agenttrail.Run{Agent: agenttrail.Agent{ID: "summarizer"}, UserID: "0198c0de-0000-7000-8000-000000000001"},
		MandateID: uuid.MustParse("0198c0de-0000-7000-8000-000000000002"),
		TTL:       5 * time.Minute,
		OnFailure: ledgerclient.ChargeOnFailure,
	}, func(ctx context.Context, run *agenttrail.Execution) error {
		_, call := agenttrail.StartModelCall(ctx, agenttrail.ModelCall{Provider: "openai", Model: "gpt-5-mini"})
		call.SetUsage(agenttrail.Usage{InputTokens: 900, OutputTokens: 120})
		call.End(nil)
		run.AddCredits(1_250_000)
		return nil
	})
	if refused, ok := errors.AsType[*ledgerclient.Problem](err); ok && refused.Code == ledger.CodeInsufficientFunds {
		fmt.Println("the user has too few credits")
	}
}

// An administrator gives credits and a limit. Called again with the same keys, also by another process, it has one effect.
func ExampleWithIdempotencyKey() {
	ctx := context.Background()
	client, err := ledgerclient.New(ledgerclient.Config{URL: "http://127.0.0.1:8080", Key: "secret"})
	if err != nil {
		fmt.Println(err)
		return
	}
	user := uuid.MustParse("0198c0de-0000-7000-8000-000000000001")
	if _, err := client.Grant(ledgerclient.WithIdempotencyKey(ctx, "top-up-2026-03"), ledgerclient.Grant{
		UserID: user, Category: ledger.GrantGoodwill, Amount: 5 * ledger.Credit, Reason: "sorry",
	}); err != nil {
		fmt.Println(err)
	}
	day := 2 * ledger.Credit
	if _, err := client.CreateMandate(ledgerclient.WithIdempotencyKey(ctx, "mandate-2026-03"), ledgerclient.Mandate{UserID: user, Rules: ledger.Rules{MaxPerDay: &day}}); err != nil {
		fmt.Println(err)
	}
	for hold, err := range client.Holds(ctx, ledger.HoldFilter{UserID: user, Status: ledger.HoldActive}) {
		fmt.Println(hold.ExecutionID, hold.Amount, err)
	}
}
