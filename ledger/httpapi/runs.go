package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/agenttrail/agenttrail/ledger"
)

type authorizeInput struct {
	UserID      uuid.UUID `json:"userId" doc:"Whose credits"`
	MandateID   uuid.UUID `json:"mandateId" doc:"The mandate that permits the run"`
	Agent       string    `json:"agent" minLength:"1" maxLength:"63" doc:"Slug or id of the agent"`
	Amount      *amount   `json:"amount,omitempty" doc:"Credits to hold; the agent's price of an execution when absent"`
	ExecutionID string    `json:"executionId,omitempty" maxLength:"255" doc:"Your id of the run, the one in its telemetry; the ledger makes one when absent"`
	TTLSeconds  int       `json:"ttlSeconds,omitempty" minimum:"1" maximum:"604800" doc:"How long the credits are held, 15 minutes when absent"`
	Metadata    document  `json:"metadata,omitempty" doc:"An object of the platform's own"`
}

type captureInput struct {
	Amount *amount `json:"amount,omitempty" doc:"What the run cost, at most what is held; all of it when absent, 0 takes nothing"`
}

type refundInput struct {
	Amount *amount `json:"amount,omitempty" doc:"Credits to give back; all that were captured and not refunded yet when absent"`
	Reason string  `json:"reason,omitempty" maxLength:"1000" doc:"Why, for the history"`
}

// HoldPath names a hold.
type HoldPath struct {
	HoldID uuid.UUID `path:"holdId" doc:"Id of the hold"`
}

// TransactionPath names a transaction.
type TransactionPath struct {
	TransactionID uuid.UUID `path:"transactionId" doc:"Id of the transaction"`
}

// TimeRange narrows a list by time.
type TimeRange struct {
	From  time.Time `query:"from" doc:"Only what was made at this time or later"`
	Until time.Time `query:"until" doc:"Only what was made before this time"`
}

// authorizeRefusals are the refusals of what is judged like an authorization.
var authorizeRefusals = []ledger.Code{
	ledger.CodeInsufficientFunds, ledger.CodeMandateDenied, ledger.CodeUserClosed, ledger.CodeAgentUnavailable, ledger.CodeNotFound,
}

func (a *API) registerRuns() {
	execute := []ledger.Scope{ledger.ScopeExecute}
	settled := []ledger.Code{ledger.CodeHoldCaptured, ledger.CodeHoldReleased, ledger.CodeHoldExpired}
	add(a, operation{
		id: "authorize", method: http.MethodPost, path: "/v1/authorizations", tag: "Runs", summary: "Authorize a run: judge credits and mandate, hold the credits",
		description: "201 comes with a hold. 202 comes with an approval to wait for, and nothing is held yet. Both have a receipt that says which rule decided; so has a refusal.",
		scopes:      execute, status: http.StatusCreated, accepted: true, refusals: append([]ledger.Code{ledger.CodeOverflow, ledger.CodeAlreadyExists}, authorizeRefusals...),
	}, func(ctx context.Context, in *struct {
		IdempotentParams
		Body authorizeInput
	},
	) (*answer[ledger.Authorization], error) {
		amount, err := optionalCredits(in.Body.Amount)
		if err != nil {
			return nil, err
		}
		// Refusals are looked for by user and run, too.
		describeExecution(ctx, in.Body.ExecutionID, in.Body.Agent)
		describeUser(ctx, in.Body.UserID.String())
		out, err := a.service.Authorize(ctx, callOf(ctx), ledger.AuthorizeInput{
			UserID: in.Body.UserID, MandateID: in.Body.MandateID, Agent: in.Body.Agent, Amount: amount, ExecutionID: in.Body.ExecutionID,
			TTL: time.Duration(in.Body.TTLSeconds) * time.Second, Metadata: json.RawMessage(in.Body.Metadata),
		})
		a.countOutcome(ctx, out.Receipt, err)
		if err != nil {
			return nil, err
		}
		describeExecution(ctx, out.Transaction.ExecutionID, in.Body.Agent)
		if out.Hold == nil {
			return reply(ctx, http.StatusAccepted, "/v1/approvals/"+out.Approval.ID.String(), 0, out), nil
		}
		return reply(ctx, http.StatusCreated, "/v1/holds/"+out.Hold.ID.String(), out.Hold.RowVersion, out), nil
	})

	add(a, operation{
		id: "listHolds", method: http.MethodGet, path: "/v1/holds", tag: "Runs", summary: "List holds",
	}, func(ctx context.Context, in *struct {
		PageParams
		UserID    uuid.UUID         `query:"userId" doc:"Only holds of this user's credits"`
		MandateID uuid.UUID         `query:"mandateId" doc:"Only holds under this mandate"`
		Status    ledger.HoldStatus `query:"status" enum:"active,captured,released,expired" doc:"Only holds in this state"`
	},
	) (*listAnswer[ledger.Hold], error) {
		return list(a.service.Holds(ctx, actorOf(ctx), ledger.HoldFilter{UserID: in.UserID, MandateID: in.MandateID, Status: in.Status}, in.page()))
	})

	add(a, operation{
		id: "getHold", method: http.MethodGet, path: "/v1/holds/{holdId}", tag: "Runs", summary: "Read a hold",
	}, func(ctx context.Context, in *HoldPath) (*answer[ledger.Hold], error) {
		h, err := a.service.Hold(ctx, actorOf(ctx), in.HoldID)
		if err != nil {
			return nil, err
		}
		return show(h.RowVersion, h), nil
	})

	add(a, operation{
		id: "captureHold", method: http.MethodPost, path: "/v1/holds/{holdId}/capture", tag: "Runs", summary: "Settle a hold with what the run cost",
		description: "What is held and not captured is free again. A hold is settled once.",
		scopes:      execute, refusals: append([]ledger.Code{ledger.CodeOverflow, ledger.CodeCaptureExceedsHold}, settled...),
	}, func(ctx context.Context, in *struct {
		IdempotentParams
		HoldPath
		Body *captureInput
	},
	) (*answer[ledger.Settlement], error) {
		var input ledger.CaptureInput
		if in.Body != nil {
			var err error
			if input.Amount, err = optionalCredits(in.Body.Amount); err != nil {
				return nil, err
			}
		}
		s, err := a.service.Capture(ctx, callOf(ctx), in.HoldID, input)
		if err != nil {
			return nil, err
		}
		a.settled(ctx, s.Hold)
		return reply(ctx, http.StatusOK, "", s.Hold.RowVersion, s), nil
	})

	add(a, operation{
		id: "releaseHold", method: http.MethodPost, path: "/v1/holds/{holdId}/release", tag: "Runs", summary: "Settle a hold by giving everything back",
		scopes: execute, refusals: settled,
	}, func(ctx context.Context, in *struct {
		IdempotentParams
		HoldPath
	},
	) (*answer[ledger.Settlement], error) {
		s, err := a.service.Release(ctx, callOf(ctx), in.HoldID)
		if err != nil {
			return nil, err
		}
		a.settled(ctx, s.Hold)
		return reply(ctx, http.StatusOK, "", s.Hold.RowVersion, s), nil
	})

	add(a, operation{
		id: "listTransactions", method: http.MethodGet, path: "/v1/transactions", tag: "Transactions", summary: "List transactions",
	}, func(ctx context.Context, in *struct {
		PageParams
		TimeRange
		UserID      uuid.UUID                `query:"userId" doc:"Only those of this user"`
		AgentID     uuid.UUID                `query:"agentId" doc:"Only runs of this agent"`
		MandateID   uuid.UUID                `query:"mandateId" doc:"Only runs under this mandate"`
		Kind        ledger.TransactionKind   `query:"kind" enum:"execution,grant,refund,expiry,void,topup,bonus,card_refund,dispute,clawback,restore" doc:"Only those of this kind"`
		Status      ledger.TransactionStatus `query:"status" enum:"requires_approval,authorized,succeeded,partially_refunded,refunded,canceled,expired,failed,created,processing,disputed,won,lost" doc:"Only those in this state"`
		ExecutionID string                   `query:"executionId" maxLength:"255" doc:"Only the one of this run"`
	},
	) (*listAnswer[ledger.Transaction], error) {
		return list(a.service.Transactions(ctx, actorOf(ctx), ledger.TransactionFilter{
			UserID: in.UserID, AgentID: in.AgentID, MandateID: in.MandateID, Kind: in.Kind, Status: in.Status, ExecutionID: in.ExecutionID,
			From: in.From, Until: in.Until,
		}, in.page()))
	})

	add(a, operation{
		id: "getTransaction", method: http.MethodGet, path: "/v1/transactions/{transactionId}", tag: "Transactions", summary: "Read a transaction",
	}, func(ctx context.Context, in *TransactionPath) (*answer[ledger.Transaction], error) {
		t, err := a.service.Transaction(ctx, actorOf(ctx), in.TransactionID)
		if err != nil {
			return nil, err
		}
		return show(t.RowVersion, t), nil
	})

	add(a, operation{
		id: "refund", method: http.MethodPost, path: "/v1/transactions/{transactionId}/refunds", tag: "Transactions", summary: "Give credits of a captured run back",
		description: "They come as a grant that does not expire. The mandate gets no room back.",
		scopes:      []ledger.Scope{ledger.ScopeAdmin}, status: http.StatusCreated,
		refusals: []ledger.Code{ledger.CodeConflict, ledger.CodeRefundExceeds, ledger.CodeOverflow},
	}, func(ctx context.Context, in *struct {
		IdempotentParams
		TransactionPath
		Body *refundInput
	},
	) (*answer[ledger.Transaction], error) {
		var input ledger.RefundInput
		if in.Body != nil {
			var err error
			if input.Amount, err = optionalCredits(in.Body.Amount); err != nil {
				return nil, err
			}
			input.Reason = in.Body.Reason
		}
		t, err := a.service.Refund(ctx, callOf(ctx), in.TransactionID, input)
		if err != nil {
			return nil, err
		}
		return reply(ctx, http.StatusCreated, "/v1/transactions/"+t.ID.String(), t.RowVersion, t), nil
	})

	add(a, operation{
		id: "listEntries", method: http.MethodGet, path: "/v1/entries", tag: "Transactions", summary: "List entries of the journal",
	}, func(ctx context.Context, in *struct {
		PageParams
		TimeRange
		UserID        uuid.UUID `query:"userId" doc:"Only those of this user's wallet"`
		TransactionID uuid.UUID `query:"transactionId" doc:"Only those of this transaction"`
	},
	) (*listAnswer[ledger.Entry], error) {
		return list(a.service.Entries(ctx, actorOf(ctx), ledger.EntryFilter{UserID: in.UserID, TransactionID: in.TransactionID, From: in.From, Until: in.Until}, in.page()))
	})
}

// settled counts a hold that the request has settled.
func (a *API) settled(ctx context.Context, h ledger.Hold) {
	describeExecution(ctx, h.ExecutionID, "")
	describeUser(ctx, h.UserID.String())
	if !callOf(ctx).Replayed {
		a.metrics.settled.WithLabelValues(string(h.Status)).Inc()
	}
}

// countOutcome counts what became of an authorization; a replay was counted before.
func (a *API) countOutcome(ctx context.Context, receipt ledger.Receipt, err error) {
	if callOf(ctx).Replayed {
		return
	}
	if err == nil {
		a.metrics.outcomes.WithLabelValues(string(receipt.Outcome), string(receipt.Rule)).Inc()
		return
	}
	e, ok := errors.AsType[*ledger.Error](err)
	if !ok || e.Receipt == nil {
		return
	}
	for _, v := range e.Receipt.Violations {
		a.metrics.outcomes.WithLabelValues(string(ledger.OutcomeRefused), string(v.Rule)).Inc()
	}
}
