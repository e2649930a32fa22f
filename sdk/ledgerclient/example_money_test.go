package ledgerclient_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/agenttrail/agenttrail/ledger"
	"github.com/agenttrail/agenttrail/sdk/ledgerclient"
)

// A user permits agents to spend ten credits a day, changes that, and looks at what is left.
func ExampleClient_CreateMandate() {
	ctx, client := context.Background(), connect()
	day := 10 * ledger.Credit
	mandate, err := client.CreateMandate(ctx, ledgerclient.Mandate{UserID: userID, Name: "research", Rules: ledger.Rules{MaxPerDay: &day, AllowCategories: []string{"research"}}})
	if err != nil {
		log.Fatal(err)
	}
	day = 20 * ledger.Credit
	mandate, err = client.ReplaceRules(ctx, mandate.ID, ledgerclient.IfVersion(mandate.RowVersion), ledgerclient.MandateVersion{Rules: ledger.Rules{MaxPerDay: &day}})
	if err != nil {
		log.Fatal(err)
	}
	usage, err := client.MandateUsage(ctx, mandate.ID)
	fmt.Println(usage.Day, err)
	for version, err := range client.MandateVersions(ctx, mandate.ID) {
		fmt.Println(version.Version, version.CreatedBy, err)
	}
	for mandate, err := range client.Mandates(ctx, ledger.MandateFilter{UserID: userID}) {
		fmt.Println(mandate.Name, mandate.Status, err)
	}
	mandate, err = client.Mandate(ctx, mandate.ID)
	fmt.Println(mandate.Version, err)
}

// A mandate is stopped for a while, and in the end for good.
func ExampleClient_SuspendMandate() {
	ctx, client := context.Background(), connect()
	if _, err := client.SuspendMandate(ctx, mandateID, ledgerclient.AnyVersion, "unusual use"); err != nil {
		log.Fatal(err)
	}
	if _, err := client.ResumeMandate(ctx, mandateID, ledgerclient.AnyVersion, "it was all right"); err != nil {
		log.Fatal(err)
	}
	_, err := client.RevokeMandate(ctx, mandateID, ledgerclient.AnyVersion, ledgerclient.Revocation{Reason: "the project is over", ReleaseHolds: true})
	fmt.Println(err)
}

// A form asks whether a run would be permitted, before somebody starts it.
func ExampleClient_EvaluateMandate() {
	ctx, client := context.Background(), connect()
	receipt, err := client.EvaluateMandate(ctx, mandateID, ledgerclient.Evaluation{UserID: userID, Agent: "summarizer"})
	fmt.Println(receipt.Outcome, receipt.Rule, err)
}

// A mandate stops by itself once its credits would last for less than two days.
func ExampleClient_PutGuard() {
	ctx, client := context.Background(), connect()
	guard, err := client.Guard(ctx, mandateID)
	if err != nil {
		log.Fatal(err)
	}
	_, err = client.PutGuard(ctx, mandateID, ledgerclient.IfVersion(guard.RowVersion), 48*time.Hour)
	fmt.Println(err)
}

// Somebody decides about runs that wait.
func ExampleClient_Approve() {
	ctx, client := context.Background(), connect()
	for waiting, err := range client.Approvals(ctx, ledger.ApprovalFilter{Status: ledger.ApprovalPending}) {
		if err != nil {
			log.Fatal(err)
		}
		if waiting.Amount > 100*ledger.Credit {
			_, err = client.Reject(ctx, waiting.ID, "too expensive")
		} else {
			_, err = client.Approve(ctx, waiting.ID, "")
		}
		decided, readErr := client.Approval(ctx, waiting.ID)
		fmt.Println(decided.Status, errors.Join(err, readErr))
	}
}

// A worker without [ledgerclient.Client.PaidRun] holds credits and settles by itself.
func ExampleClient_Authorize() {
	ctx, client := context.Background(), connect()
	run, err := client.Authorize(ctx, ledgerclient.Authorize{UserID: userID, MandateID: mandateID, Agent: "summarizer", ExecutionID: "run-1", TTL: time.Minute})
	if err != nil {
		log.Fatal(err)
	}
	if run.Hold == nil {
		log.Fatal("it waits for an approval")
	}
	used := ledger.Credit / 2
	if _, err := client.Capture(ctx, run.Hold.ID, &used); err != nil {
		_, err = client.Release(ctx, run.Hold.ID)
		fmt.Println(err)
	}
	hold, err := client.Hold(ctx, run.Hold.ID)
	fmt.Println(hold.Status, hold.Captured, err)
}

// What the ledger refuses is a problem with a code and, of a run, all rules that refused it.
func ExampleProblem() {
	ctx, client := context.Background(), connect()
	_, err := client.Authorize(ctx, ledgerclient.Authorize{UserID: userID, MandateID: mandateID, Agent: "summarizer"})
	if p, ok := errors.AsType[*ledgerclient.Problem](err); ok {
		fmt.Println(p.ErrorCode(), p.Detail)
		for _, v := range p.Violations {
			fmt.Println(v.Rule, v.Limit)
		}
		show := func(e ledgerclient.FieldError) { fmt.Println(e.Location, e.Message) }
		for _, e := range p.Errors {
			show(e)
		}
	}
	if unknown, ok := errors.AsType[*ledgerclient.UnknownError](err); ok {
		fmt.Println(unknown.ErrorCode(), "it may have had its effect: ask again with the same idempotency key")
	}
}

// A paid run tells apart why it did not start, or was not settled.
func ExamplePaidRun() {
	var client *ledgerclient.Client
	var policy ledgerclient.Policy // ReleaseOnFailure, unless it says otherwise.
	run := ledgerclient.PaidRun{MandateID: mandateID, OnFailure: policy}
	err := client.PaidRun(context.Background(), nil, run, nil)
	if waits, ok := errors.AsType[*ledgerclient.ApprovalRequiredError](err); ok {
		fmt.Println(waits.ErrorCode(), waits.Approval.ID)
	}
	if over, ok := errors.AsType[*ledgerclient.SettledError](err); ok {
		fmt.Println(over.ErrorCode(), "another worker did it", over.Hold.Captured)
	}
	if unsettled, ok := errors.AsType[*ledgerclient.SettlementError](err); ok {
		fmt.Println(unsettled.ExecutionID, "reconciliation tells of it")
	}
}

// Support looks for a run, gives its credits back, and looks at what was posted.
func ExampleClient_Refund() {
	ctx, client := context.Background(), connect()
	for t, err := range client.Transactions(ctx, ledger.TransactionFilter{UserID: userID, ExecutionID: "run-1"}) {
		if err != nil {
			log.Fatal(err)
		}
		if _, err := client.Refund(ctx, t.ID, nil, "the answer was of no use"); err != nil {
			log.Fatal(err)
		}
		read, err := client.Transaction(ctx, t.ID)
		fmt.Println(read.Status, read.Refunded, err)
		for entry, err := range client.Entries(ctx, ledger.EntryFilter{TransactionID: t.ID}) {
			fmt.Println(entry.Account, entry.Amount, err)
		}
	}
}

// Support gives credits that expire, and takes back what is left of them.
func ExampleClient_Grant() {
	ctx, client := context.Background(), connect()
	until := time.Now().AddDate(0, 1, 0)
	grant, err := client.Grant(ctx, ledgerclient.Grant{UserID: userID, Category: ledger.GrantPromo, Amount: 5 * ledger.Credit, ExpiresAt: &until})
	if err != nil {
		log.Fatal(err)
	}
	grant, err = client.VoidGrant(ctx, grant.ID, ledgerclient.IfVersion(grant.RowVersion), "the campaign was a mistake")
	fmt.Println(grant.Remaining, err)
	grant, err = client.GrantByID(ctx, grant.ID)
	fmt.Println(grant.VoidedAt, err)
	for grant, err := range client.Grants(ctx, ledger.GrantFilter{UserID: userID, Open: true}) {
		fmt.Println(grant.Category, grant.Remaining, err)
	}
}

// A user buys a package of credits, and gets the money back.
func ExampleClient_TopUp() {
	ctx, client := context.Background(), connect()
	for p, err := range client.Packages(ctx) {
		fmt.Println(p.ID, p.Credits, p.AmountCents, p.Currency, err)
	}
	topUp, err := client.TopUp(ctx, ledgerclient.TopUp{UserID: userID, Package: "starter", PaymentMethod: "pm_card_visa"})
	if err != nil {
		log.Fatal(err)
	}
	topUp, err = client.TopUpByID(ctx, topUp.ID)
	fmt.Println(topUp.Status, err)
	if topUp.Status == ledger.StatusSucceeded {
		_, err = client.RefundTopUp(ctx, topUp.ID, nil, "bought by mistake")
	} else {
		_, err = client.CancelTopUp(ctx, topUp.ID)
	}
	fmt.Println(err)
	for topUp, err := range client.TopUps(ctx, ledger.TopUpFilter{UserID: userID}) {
		fmt.Println(topUp.Status, topUp.AmountCents, err)
	}
}

// Finance goes through runs whose charge and telemetry do not agree.
func ExampleClient_Differences() {
	ctx, client := context.Background(), connect()
	for d, err := range client.Differences(ctx, ledger.ReconFilter{Open: true}) {
		if err != nil {
			log.Fatal(err)
		}
		if d.State == ledger.ReconDrift {
			_, err = client.Adjust(ctx, d.ExecutionID, nil, "metered late")
		} else {
			_, err = client.Waive(ctx, d.ExecutionID, "known outage of telemetry")
		}
		fmt.Println(d.ExecutionID, d.State, err)
	}
	for run, err := range client.Reconciliations(ctx) {
		fmt.Println(run.FinishedAt, run.Matched, err)
	}
}

// What is below its target, and what to do about it.
func ExampleClient_Coverage() {
	card, err := connect().Coverage(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	for _, check := range card.Worst() {
		fmt.Println(check.Check, check.Evidence, check.Remedy)
	}
}

// Somebody else decides about large corrections.
func ExampleClient_ApproveAdjustment() {
	ctx, client := context.Background(), connect()
	for d, err := range client.Decisions(ctx, ledger.DecisionFilter{Status: ledger.DecisionPending}) {
		if err != nil {
			log.Fatal(err)
		}
		if d.Amount < 50*ledger.Credit {
			_, err = client.ApproveAdjustment(ctx, d.ID, "")
		} else {
			_, err = client.RejectAdjustment(ctx, d.ID, "ask the team first")
		}
		fmt.Println(err)
	}
}

// An auditor asks who changed a mandate's limits, and whether the trail is whole.
func ExampleClient_Audit() {
	ctx, client := context.Background(), connect()
	for change, err := range client.Audit(ctx, ledger.TrailMandates, ledger.AuditFilter{EntityID: mandateID, Field: "rules.maxPerDay"}) {
		fmt.Println(change.ChangedBy, string(change.OldValue), string(change.NewValue), err)
	}
	report, err := client.VerifyAudit(ctx, ledger.TrailMandates)
	fmt.Println(report.Sealed, report.Problems, err)
}

// A newer ledger can do something that this client has no method for.
func ExampleClient_Call() {
	ctx, client := context.Background(), connect()
	var answer struct{ ID uuid.UUID }
	fmt.Println(client.Call(ctx, http.MethodGet, "/v1/key", nil, nil, &answer))
}
