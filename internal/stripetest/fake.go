package stripetest

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// APIVersion is the version of the API that the fake speaks.
const APIVersion = "2023-10-16"

// Key is an API key that the fake takes.
const Key = "sk_test_fake"

// Secret signs the fake's events.
const Secret = "whsec_fake_secret_of_tests" //nolint:gosec // It opens nothing but the tests.

// object is one of the API, as JSON.
type object map[string]any

func (o object) str(name string) string { s, _ := o[name].(string); return s }
func (o object) num(name string) int64  { n, _ := o[name].(int64); return n }

// saved is the answer to a request with an idempotency key.
type saved struct {
	params string
	status int
	body   object
}

// Fault is what goes wrong with a request.
type Fault struct {
	// Status is answered instead of doing it.
	Status int
	// Lose does it and ends the connection without an answer.
	Lose bool
	// Drop ends the connection without doing it.
	Drop bool
	// Save keeps the Status under the idempotency key, as Stripe does with failures of its own.
	Save bool
}

// Fake is an account at Stripe.
type Fake struct {
	// URL is where it listens.
	URL string

	mu      sync.Mutex
	server  *httptest.Server
	account int64 // part of all ids, for those of two accounts differ
	seq     int
	clock   func() time.Time
	objects map[string]object // by id
	order   []string          // ids, oldest first
	keys    map[string]saved
	events  []*Event
	fault   func(r *http.Request) Fault
	seen    []string
	// remember keeps what there was to be read at each event.
	remember bool
	lag      map[string]object // what reads see instead of the objects, if not nil
}

var accounts atomic.Int64

// New makes an account and ends it with the test.
func New(tb testing.TB) *Fake {
	tb.Helper()
	f := &Fake{account: accounts.Add(1), clock: time.Now, objects: map[string]object{}, keys: map[string]saved{}}
	f.server = httptest.NewServer(f)
	f.URL = f.server.URL
	tb.Cleanup(f.server.Close)
	return f
}

// OnRequest has f decide what goes wrong with each request. It may block, to delay it.
func (f *Fake) OnRequest(fault func(r *http.Request) Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
}

// SetClock replaces the clock, by which objects are dated.
func (f *Fake) SetClock(now func() time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.clock = now
}

// Remember keeps what there is to be read at each event from now on, for [Fake.Lag].
func (f *Fake) Remember() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.remember = true
}

// Lag has everything that is read be as it was right after an event, as a replica that lags behind would have it. An empty
// id ends that.
func (f *Fake) Lag(event string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lag = nil
	for _, e := range f.events {
		if e.ID == event {
			f.lag = e.then
		}
	}
}

// shown are the objects as they can be read.
func (f *Fake) shown() map[string]object {
	if f.lag != nil {
		return f.lag
	}
	return f.objects
}

// ForgetKeys forgets all idempotency keys, as Stripe does after a day.
func (f *Fake) ForgetKeys() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.keys)
}

// Requests are all that have come, as "POST /v1/refunds".
func (f *Fake) Requests() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.seen)
}

// Intent is a PaymentIntent as the account has it.
type Intent struct {
	ID, Status, Customer, Charge string
	Amount, Refunded             int64
	Metadata                     map[string]string
}

// Intents are all, oldest first.
func (f *Fake) Intents() []Intent {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []Intent
	for _, id := range f.order {
		if strings.HasPrefix(id, "pi_") {
			all = append(all, f.intentOf(id))
		}
	}
	return all
}

// Intent is one of them.
func (f *Fake) Intent(id string) Intent {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.intentOf(id)
}

func (f *Fake) intentOf(id string) Intent {
	pi := f.must(id)
	charge := pi.str("latest_charge")
	in := Intent{ID: id, Status: pi.str("status"), Customer: pi.str("customer"), Charge: charge, Amount: pi.num("amount"), Metadata: map[string]string{}}
	if charge != "" {
		in.Refunded = f.must(charge).num("amount_refunded")
	}
	for k, v := range pi["metadata"].(object) { //nolint:forcetypeassert // We have made it.
		in.Metadata[k] = fmt.Sprint(v)
	}
	return in
}

// Charged is the money that was taken for all PaymentIntents, and how often.
func (f *Fake) Charged() (times int, cents int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, o := range f.objects {
		if strings.HasPrefix(id, "ch_") && o["paid"] == true {
			times++
			cents += o.num("amount")
		}
	}
	return times, cents
}

// Count is how many objects there are whose ids begin like this: cus_, pi_, re_, dp_.
func (f *Fake) Count(prefix string) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id := range f.objects {
		if strings.HasPrefix(id, prefix) {
			n++
		}
	}
	return n
}

func (f *Fake) must(id string) object {
	o, ok := f.objects[id]
	if !ok {
		panic("BUG: the test asks for " + id + ", which is not there")
	}
	return o
}

func (f *Fake) newID(prefix string) string {
	f.seq++
	return fmt.Sprintf("%s_%dfake%06d", prefix, f.account, f.seq)
}

// add keeps a new object.
func (f *Fake) add(prefix, kind string, o object) object {
	id := f.newID(prefix)
	o["id"], o["object"], o["created"], o["livemode"] = id, kind, f.clock().Unix(), false
	f.objects[id] = o
	f.order = append(f.order, id)
	return o
}

func copyOf(o object) object {
	out := maps.Clone(o)
	for k, v := range out {
		if inner, ok := v.(object); ok {
			out[k] = copyOf(inner)
		}
	}
	return out
}
