package stripepay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stripe/stripe-go/v76"

	"github.com/agenttrail/agenttrail/ledger"
)

// eventTypes are those that say something of a top-up. An endpoint needs no others.
func eventTypes() []string {
	return []string{
		"payment_intent.created", "payment_intent.processing", "payment_intent.requires_action", "payment_intent.payment_failed",
		"payment_intent.succeeded", "payment_intent.canceled",
		"charge.refunded", "charge.refund.updated", "refund.created", "refund.updated", "refund.failed",
		"charge.dispute.created", "charge.dispute.updated", "charge.dispute.closed", "charge.dispute.funds_withdrawn", "charge.dispute.funds_reinstated",
	}
}

// ReceiveEvent implements [ledger.Payments].
func (s *Service) ReceiveEvent(ctx context.Context, header http.Header, body []byte) error {
	if s.client == nil || len(s.settings.WebhookSecrets) == 0 {
		return ledger.Errorf(ledger.CodePaymentsDisabled, "there is no secret to check events of Stripe with")
	}
	if err := verify(body, header.Values("Stripe-Signature"), s.settings.WebhookSecrets, s.settings.Now(), s.settings.Tolerance); err != nil {
		s.metrics.received.WithLabelValues(err.label).Inc()
		s.warn(ctx, err)
		return ledger.Errorf(ledger.CodeBadSignature, "%s", err.Error())
	}
	e, err := parseEvent(body)
	if err != nil {
		s.metrics.received.WithLabelValues("malformed").Inc()
		return &ledger.Error{Code: ledger.CodeInvalid, Message: "this is no event of Stripe", Err: err}
	}
	return s.store(ctx, e, "stored")
}

// warn logs about signatures, once a minute at most.
func (s *Service) warn(ctx context.Context, err error) {
	now := s.settings.Now().Unix()
	if last := s.warned.Load(); now-last >= 60 && s.warned.CompareAndSwap(last, now) {
		s.logger.LogAttrs(ctx, slog.LevelWarn, "an event of Stripe is not signed as it should be: compare stripe.webhook_secrets with the endpoint's signing secret, and the clock; top-ups are settled by the sweep meanwhile",
			slog.Any("error", err))
	}
}

// store keeps an event with the job that processes it.
func (s *Service) store(ctx context.Context, e ledger.Event, outcome string) error {
	var then func(ctx context.Context, tx pgx.Tx) error
	if s.settings.Enqueue != nil {
		then = func(ctx context.Context, tx pgx.Tx) error { return s.settings.Enqueue(ctx, tx, e.ID) }
	}
	fresh, err := s.book.SaveEvent(ctx, e, then)
	if err != nil {
		s.metrics.received.WithLabelValues("unavailable").Inc()
		return err
	}
	if !fresh {
		outcome = "duplicate"
	}
	s.metrics.received.WithLabelValues(outcome).Inc()
	return nil
}

// parseEvent reads an event as it was sent, in whichever version of the API.
func parseEvent(body []byte) (ledger.Event, error) {
	var in struct {
		ID         string `json:"id"`
		Object     string `json:"object"`
		Type       string `json:"type"`
		APIVersion string `json:"api_version"`
		Livemode   bool   `json:"livemode"`
		Created    int64  `json:"created"`
		Data       struct {
			Object struct {
				ID            string          `json:"id"`
				PaymentIntent json.RawMessage `json:"payment_intent"`
			} `json:"object"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return ledger.Event{}, fmt.Errorf("read event: %w", err)
	}
	if in.Object != "event" || in.ID == "" || len(in.ID) > ledger.MaxExternalID || in.Type == "" {
		return ledger.Event{}, errors.New("read event: it has no id or type")
	}
	payload, err := redact(body)
	if err != nil {
		return ledger.Event{}, err
	}
	e := ledger.Event{
		ID: in.ID, Type: in.Type, APIVersion: in.APIVersion, Live: in.Livemode, ObjectID: in.Data.Object.ID, Created: time.Unix(in.Created, 0).UTC(), Payload: payload,
		PaymentID: idOf(in.Data.Object.PaymentIntent),
	}
	if strings.HasPrefix(e.Type, "payment_intent.") {
		e.PaymentID = e.ObjectID
	}
	return e, nil
}

// idOf is the id of an object that may be there in full.
func idOf(raw json.RawMessage) string {
	var id string
	if json.Unmarshal(raw, &id) == nil {
		return id
	}
	var object struct {
		ID string `json:"id"`
	}
	_ = json.Unmarshal(raw, &object) // What is no object has no id.
	return object.ID
}

// eventOf is an event that Stripe was asked for.
func eventOf(e *stripe.Event) (ledger.Event, error) {
	body, err := json.Marshal(map[string]any{
		"id": e.ID, "object": "event", "type": e.Type, "api_version": e.APIVersion, "livemode": e.Livemode, "created": e.Created, "data": map[string]any{"object": e.Data.Raw},
	})
	if err != nil {
		return ledger.Event{}, fmt.Errorf("write event: %w", err)
	}
	return parseEvent(body)
}

// Process does what an event asks for: it reads the payment at Stripe. It may be called any number of times.
func (s *Service) Process(ctx context.Context, id string) error {
	e, err := s.book.Event(ctx, id)
	if err != nil || e.State != ledger.EventPending {
		return err
	}
	if s.client == nil {
		return errDisabled()
	}
	state, err := s.work(ctx, e)
	why := ""
	if err != nil {
		why = redactText(err.Error())
		if permanent(err) {
			state = ledger.EventFailed
			s.logger.LogAttrs(ctx, slog.LevelError, "an event of Stripe does not fit what was sold: look into it by hand", slog.String("event", e.ID), slog.String("payment", e.PaymentID), slog.String("error", why))
		}
	}
	outcome := string(state)
	if state == "" {
		outcome = "retried"
	}
	s.metrics.processed.WithLabelValues(outcome).Inc()
	if endErr := s.book.EndEvent(ctx, id, state, why); endErr != nil {
		return endErr
	}
	if state != "" {
		return nil
	}
	return fmt.Errorf("process event %s: %w", id, s.noted(ctx, err))
}

// permanent tells whether trying again is of no use.
func permanent(err error) bool {
	switch ledger.CodeOf(err) {
	case ledger.CodeConflict, ledger.CodeAlreadyExists, ledger.CodeInvalid, ledger.CodeOverflow:
		return true
	default:
		return outcomeOf(err) == refused
	}
}

func (s *Service) work(ctx context.Context, e ledger.Event) (ledger.EventState, error) {
	if e.PaymentID == "" || e.Live != s.settings.live() {
		return ledger.EventIgnored, nil
	}
	topUp, err := s.topUpOf(ctx, e.PaymentID)
	if ledger.CodeOf(err) == ledger.CodeNotFound {
		return ledger.EventIgnored, nil
	}
	if err == nil {
		_, err = s.settle(ctx, topUp, e.PaymentID, !strings.HasPrefix(e.Type, "payment_intent."))
	}
	if err != nil {
		return "", err
	}
	return ledger.EventProcessed, nil
}

// topUpOf finds the top-up of a PaymentIntent: by its id, or by its metadata if we do not know of it yet. What is not ours
// is CodeNotFound.
func (s *Service) topUpOf(ctx context.Context, intent string) (uuid.UUID, error) {
	id, err := s.book.TopUpByPayment(ctx, intent)
	if ledger.CodeOf(err) != ledger.CodeNotFound {
		return id, err
	}
	pi, err := s.client.intent(ctx, intent)
	if missing(err) {
		return uuid.Nil, ledger.Errorf(ledger.CodeNotFound, "Stripe has no such payment")
	}
	if err != nil {
		return uuid.Nil, err
	}
	id, err = uuid.Parse(pi.Metadata[metaTransaction])
	if err != nil {
		return uuid.Nil, ledger.Errorf(ledger.CodeNotFound, "the payment is for something else")
	}
	t, err := s.book.TopUpByID(ctx, system(), id)
	return t.ID, err
}
