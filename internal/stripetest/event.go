package stripetest

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stripe/stripe-go/v76/webhook"
)

// Event is one that the account has made.
type Event struct {
	ID, Type  string
	Body      []byte // as it is sent
	Delivered bool

	object object
	then   map[string]object // what there was to be read, if that is remembered
}

// emit makes an event of what an object is like now.
func (f *Fake) emit(kind string, o object) {
	e := &Event{ID: f.newID("evt"), Type: kind}
	e.object = object{
		"id": e.ID, "object": "event", "type": kind, "api_version": APIVersion, "created": f.clock().Unix(), "livemode": false, "pending_webhooks": int64(1),
		"request": object{"id": nil, "idempotency_key": nil}, "data": object{"object": copyOf(o)},
	}
	body, err := json.Marshal(e.object)
	if err != nil {
		panic("BUG: write event: " + err.Error())
	}
	e.Body = body
	if f.remember {
		e.then = make(map[string]object, len(f.objects))
		for id, o := range f.objects {
			e.then[id] = copyOf(o)
		}
	}
	f.events = append(f.events, e)
}

// Events are all that were made, oldest first.
func (f *Fake) Events() []Event {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := make([]Event, len(f.events))
	for i, e := range f.events {
		all[i] = *e
	}
	return all
}

// Sign is the header of an event that was signed by these secrets.
func Sign(body []byte, at time.Time, secrets ...string) string {
	parts := []string{"t=" + strconv.FormatInt(at.Unix(), 10)}
	for _, s := range secrets {
		parts = append(parts, "v1="+hex.EncodeToString(webhook.ComputeSignature(at, body, s)))
	}
	return strings.Join(parts, ",")
}

// Deliver sends an event, signed, and returns the status of the answer. A success is a delivery.
func (f *Fake) Deliver(ctx context.Context, url string, e Event) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(e.Body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	req.Header.Set("Stripe-Signature", Sign(e.Body, time.Now(), Secret))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	_, _ = io.Copy(io.Discard, resp.Body) // The status says all.
	_ = resp.Body.Close()
	if resp.StatusCode < http.StatusMultipleChoices {
		f.MarkDelivered(e.ID)
	}
	return resp.StatusCode, nil
}

// MarkDelivered says that an event has arrived, so that it is not among the undelivered ones.
func (f *Fake) MarkDelivered(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if i := slices.IndexFunc(f.events, func(e *Event) bool { return e.ID == id }); i >= 0 {
		f.events[i].Delivered = true
	}
}
