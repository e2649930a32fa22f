package ledgerclient_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/ledger"
	agenttrail "github.com/agenttrail/agenttrail/sdk"
	"github.com/agenttrail/agenttrail/sdk/ledgerclient"
)

func nothing(context.Context, *agenttrail.Execution) error { return nil }

func TestPaidRunCostsWhatItSays(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	for name, c := range map[string]struct {
		f         func(context.Context, *agenttrail.Execution) error
		onFailure ledgerclient.Policy
		captured  ledger.Credits
		status    ledger.HoldStatus
		told      string // Credits of telemetry.
		outcome   string
		err       error
	}{
		"AllThatIsHeldWhenItSaysNothing": {f: nothing, captured: 2 * credit, status: ledger.HoldCaptured, told: "2.000000", outcome: "success"},
		"WhatItUsed": {
			f: func(_ context.Context, run *agenttrail.Execution) error { run.AddCredits(1_250_001); return nil }, captured: 1_250_001,
			status: ledger.HoldCaptured, told: "1.250001", outcome: "success",
		},
		"AtMostWhatIsHeld": {
			f: func(_ context.Context, run *agenttrail.Execution) error { run.AddCredits(7_000_000); return nil }, captured: 2 * credit,
			status: ledger.HoldCaptured, told: "2.000000", outcome: "success",
		},
		"NothingUsed": {
			f:      func(_ context.Context, run *agenttrail.Execution) error { run.AddCredits(0); return nil },
			status: ledger.HoldCaptured, told: "0.000000", outcome: "success",
		},
		"FailureIsReleased": {
			f: func(_ context.Context, run *agenttrail.Execution) error { run.AddCredits(500_000); return boom }, err: boom,
			status: ledger.HoldReleased, told: "0.000000", outcome: "error",
		},
		"FailureIsChargedWhenAsked": {
			f: func(_ context.Context, run *agenttrail.Execution) error { run.AddCredits(500_000); return boom }, err: boom, onFailure: ledgerclient.ChargeOnFailure,
			captured: 500_000, status: ledger.HoldCaptured, told: "0.500000", outcome: "error",
		},
		"FailureThatUsedNothingIsReleased": {
			f: func(context.Context, *agenttrail.Execution) error { return boom }, err: boom, onFailure: ledgerclient.ChargeOnFailure,
			status: ledger.HoldReleased, told: "0.000000", outcome: "error",
		},
		"FailedWithoutAnError": {
			f:      func(_ context.Context, run *agenttrail.Execution) error { run.Fail(boom); return nil },
			status: ledger.HoldReleased, told: "0.000000", outcome: "error",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			p := w.run()
			p.OnFailure = c.onFailure
			require.ErrorIs(t, w.client.PaidRun(t.Context(), w.trail, p, c.f), c.err)
			hold := w.holds(t)[0]
			require.Equal(t, c.status, hold.Status)
			require.Equal(t, c.captured, hold.Captured)
			require.Equal(t, ledger.Balance{UserID: w.user, Posted: 10*credit - c.captured, Available: 10*credit - c.captured}, w.balance(t))
			told := w.told(t)
			require.Equal(t, hold.ExecutionID, told["agenttrail.execution.id"])
			require.Equal(t, c.told, told["agenttrail.credits"])
			require.Equal(t, c.outcome, told["agenttrail.execution.status"])
			require.Equal(t, w.user.String(), told["agenttrail.user.id"])
		})
	}
}

func TestPaidRunSettlesWhateverHappens(t *testing.T) {
	t.Parallel()
	t.Run("Panic", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		require.PanicsWithValue(t, "boom", func() {
			_ = w.client.PaidRun(t.Context(), w.trail, w.run(), func(context.Context, *agenttrail.Execution) error { panic("boom") })
		})
		require.Equal(t, ledger.HoldReleased, w.holds(t)[0].Status)
		require.Equal(t, "panic", w.told(t)["agenttrail.execution.error_code"])
	})
	t.Run("Goexit", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = w.client.PaidRun(t.Context(), w.trail, w.run(), func(context.Context, *agenttrail.Execution) error { runtime.Goexit(); return nil })
		}()
		<-done
		require.Equal(t, ledger.HoldReleased, w.holds(t)[0].Status)
		require.Equal(t, "error", w.told(t)["agenttrail.execution.status"])
	})
	t.Run("Cancellation", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		ctx, cancel := context.WithCancel(t.Context())
		err := w.client.PaidRun(ctx, w.trail, w.run(), func(ctx context.Context, _ *agenttrail.Execution) error {
			cancel()
			<-ctx.Done()
			return ctx.Err()
		})
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, ledger.HoldReleased, w.holds(t)[0].Status)
		require.Equal(t, "failed", w.told(t)["agenttrail.execution.status"])
	})
	t.Run("TheRunEndsBeforeItsHold", func(t *testing.T) {
		t.Parallel()
		began := time.Now()
		w := setupAt(t, func() time.Time { return began }) // It stands still: a settlement may take as long as it likes.
		p := w.run()
		p.TTL, p.OnFailure = 10*time.Second, ledgerclient.ChargeOnFailure
		var ends time.Time
		err := w.client.PaidRun(t.Context(), w.trail, p, func(ctx context.Context, run *agenttrail.Execution) error {
			run.AddCredits(10)
			ends, _ = ctx.Deadline()
			<-ctx.Done()
			return ctx.Err()
		})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		hold := w.holds(t)[0]
		require.Equal(t, hold.ExpiresAt.Add(-time.Second), ends.UTC(), "a tenth is for the settlement")
		require.Equal(t, ledger.HoldCaptured, hold.Status)
		require.EqualValues(t, 10, hold.Captured)
		require.Equal(t, "timeout", w.told(t)["agenttrail.execution.status"])
	})
}

func TestPaidRunDoesNotStart(t *testing.T) {
	t.Parallel()
	t.Run("WithoutCredits", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		_, err := w.client.RegisterAgent(t.Context(), ledgerclient.Agent{
			Slug: "dear", Name: "Dear", Category: "support", OwnerID: w.user, Version: &ledgerclient.Version{Pricing: &ledger.Pricing{PerExecution: 1}},
		})
		require.NoError(t, err)
		p, eleven := w.run(), 11*credit
		p.Amount = &eleven
		mandate, err := w.client.CreateMandate(t.Context(), ledgerclient.Mandate{UserID: w.user})
		require.NoError(t, err)
		p.MandateID = mandate.ID
		err = w.client.PaidRun(t.Context(), w.trail, p, func(context.Context, *agenttrail.Execution) error { t.Error("it runs"); return nil })
		problem, ok := errors.AsType[*ledgerclient.Problem](err)
		require.True(t, ok, "%v", err)
		require.Equal(t, ledger.CodeInsufficientFunds, problem.Code)
		require.Equal(t, 402, problem.Status)
		require.Equal(t, ledger.RuleCredits, problem.Violations[0].Rule)
		require.NotEmpty(t, problem.Instance)
		require.Equal(t, ledger.OutcomeRefused, problem.Receipt.Outcome)
		require.Empty(t, w.spans.Ended())
		require.Empty(t, w.holds(t))
	})
	t.Run("WithoutAnApproval", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		p, six := w.run(), 6*credit
		p.Amount = &six
		err := w.client.PaidRun(t.Context(), w.trail, p, nothing)
		waits, ok := errors.AsType[*ledgerclient.ApprovalRequiredError](err)
		require.True(t, ok, "%v", err)
		require.Empty(t, w.spans.Ended())

		// Somebody else decides; then there is a hold, and the run has its id.
		other, err := w.store.CreateKey(t.Context(), &ledger.Call{Actor: ledger.System("test")}, ledger.KeyInput{Name: "boss", Scopes: []ledger.Scope{ledger.ScopeApprove}})
		require.NoError(t, err)
		boss := w.newClient(t, func(c *ledgerclient.Config) { c.Key = other.Secret })
		approved, err := boss.Approve(t.Context(), waits.Approval.ID, "")
		require.NoError(t, err)
		p.HoldID, p.Run.ID = approved.Hold.ID, approved.Hold.ExecutionID
		require.NoError(t, w.client.PaidRun(t.Context(), w.trail, p, nothing))
		require.Equal(t, 4*credit, w.balance(t).Posted)
		require.Equal(t, approved.Hold.ExecutionID, w.told(t)["agenttrail.execution.id"])
	})
	t.Run("WithoutAUser", func(t *testing.T) {
		t.Parallel()
		w := setup(t)
		p := w.run()
		p.Run.UserID = "ada"
		require.ErrorContains(t, w.client.PaidRun(t.Context(), w.trail, p, nothing), "not an id of the ledger")
	})
}

// TestADeliveredJobRunsOnce delivers the same job again, to another process, before and after it was settled.
func TestADeliveredJobRunsOnce(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ctx, id := w.trail.PlanExecution(t.Context(), w.run().Run)
	// The first worker authorizes and dies.
	amount := 2 * credit
	_, err := w.client.Authorize(ledgerclient.WithIdempotencyKey(ctx, "authorize-"+id), ledgerclient.Authorize{
		UserID: w.user, MandateID: w.mandate, Agent: "triage", ExecutionID: id, Amount: &amount,
	})
	require.NoError(t, err)
	p := w.run()
	p.Amount = &amount
	runs := 0
	count := func(context.Context, *agenttrail.Execution) error { runs++; return nil }
	require.NoError(t, w.newClient(t).PaidRun(ctx, w.trail, p, count))
	err = w.newClient(t).PaidRun(ctx, w.trail, p, count)
	settled, ok := errors.AsType[*ledgerclient.SettledError](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, ledger.HoldCaptured, settled.Hold.Status)
	require.Equal(t, 1, runs)
	require.Len(t, w.holds(t), 1)
	require.Equal(t, id, w.told(t)["agenttrail.execution.id"])
}

// TestLostAnswers loses answers of each call of a paid run: it has one hold, which is captured once.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		part  string
		after bool
	}{{"authorizations", true}, {"authorizations", false}, {"capture", true}, {"capture", false}} {
		t.Run(c.part, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			w.wire.breakNext(c.part, 3, c.after)
			require.NoError(t, w.client.PaidRun(t.Context(), w.trail, w.run(), nothing))
			require.Equal(t, 3, w.wire.broken())
			require.Len(t, w.holds(t), 1)
			require.Equal(t, 8*credit, w.balance(t).Posted)
			require.Equal(t, "2.000000", w.told(t)["agenttrail.credits"])
		})
	}
}

// TestTheOutboxSettles loses every answer until the run is over: the next process on the folder settles.
func TestTheOutboxSettles(t *testing.T) {
	t.Parallel()
	for name, after := range map[string]bool{"NeverArrived": false, "AnswerLost": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			w := setup(t, func(c *ledgerclient.Config) { c.OutboxDir = dir })
			w.wire.breakNext("capture", 1<<30, after)
			require.NoError(t, w.client.PaidRun(t.Context(), w.trail, w.run(), nothing), "it will be settled")
			require.Equal(t, "2.000000", w.told(t)["agenttrail.credits"])
			require.NoError(t, w.client.Close(t.Context()))
			w.wire.breakNext("", 0, false)
			w.newClient(t, func(c *ledgerclient.Config) { c.OutboxDir = dir })
			for deadline := time.Now().Add(time.Minute); len(files(t, dir)) > 0; time.Sleep(20 * time.Millisecond) { // The outbox does not tell.
				require.True(t, time.Now().Before(deadline), "it is not settled")
			}
			require.Equal(t, ledger.HoldCaptured, w.holds(t)[0].Status)
			require.Equal(t, 8*credit, w.balance(t).Posted)
		})
	}
}

func TestWithoutAnOutboxTheCallerLearns(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.wire.breakNext("capture", 1<<30, false)
	err := w.client.PaidRun(t.Context(), w.trail, w.run(), nothing)
	failed, ok := errors.AsType[*ledgerclient.SettlementError](err)
	require.True(t, ok, "%v", err)
	require.Nil(t, failed.Hold)
	require.ErrorIs(t, err, errWire)
	require.Equal(t, "success", w.told(t)["agenttrail.execution.status"], "the run did succeed")
	require.Equal(t, ledger.HoldActive, w.holds(t)[0].Status, "the ledger will let it expire")
}

// TestAnExpiredHoldIsNotCharged lets the run ignore its context.
func TestAnExpiredHoldIsNotCharged(t *testing.T) {
	t.Parallel()
	w := setup(t, func(c *ledgerclient.Config) { c.OutboxDir = t.TempDir() })
	p := w.run()
	p.TTL = time.Second
	err := w.client.PaidRun(t.Context(), w.trail, p, func(context.Context, *agenttrail.Execution) error {
		time.Sleep(1200 * time.Millisecond)
		return nil
	})
	failed, ok := errors.AsType[*ledgerclient.SettlementError](err)
	require.True(t, ok, "%v", err)
	require.NotNil(t, failed.Hold)
	require.Equal(t, "0.000000", w.told(t)["agenttrail.credits"])
	require.Equal(t, 10*credit, w.balance(t).Posted)
}

func TestSettledByAnother(t *testing.T) {
	t.Parallel()
	w := setup(t)
	err := w.client.PaidRun(t.Context(), w.trail, w.run(), func(ctx context.Context, _ *agenttrail.Execution) error {
		half := credit / 2
		_, err := w.newClient(t).Capture(ctx, w.holds(t)[0].ID, &half)
		return err
	})
	require.NoError(t, err)
	require.Equal(t, "0.500000", w.told(t)["agenttrail.credits"], "telemetry tells what the ledger took")
}
