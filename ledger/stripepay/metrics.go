package stripepay

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/agenttrail/agenttrail/ledger"
)

// metrics counts what goes to Stripe and what comes from there.
type metrics struct {
	requests  *prometheus.CounterVec
	seconds   *prometheus.HistogramVec
	received  *prometheus.CounterVec
	processed *prometheus.CounterVec
}

func newMetrics(registry prometheus.Registerer, book Book) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "agenttrail_ledger_stripe_requests_total", Help: "Requests to Stripe by what they are about and the HTTP status of the answer, or none.",
		}, []string{"method", "resource", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "agenttrail_ledger_stripe_request_duration_seconds", Help: "How long Stripe took to answer.",
			Buckets: []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 20},
		}, []string{"method", "resource"}),
		received: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "agenttrail_ledger_stripe_events_received_total",
			Help: "Events of Stripe by outcome: stored, duplicate, swept because the delivery failed, bad_signature, stale, malformed, unavailable.",
		}, []string{"outcome"}),
		processed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "agenttrail_ledger_stripe_events_processed_total", Help: "Events of Stripe that were worked on, by outcome: processed, ignored, retried, failed.",
		}, []string{"outcome"}),
	}
	for _, c := range []prometheus.Collector{m.requests, m.seconds, m.received, m.processed, newTotals(book)} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics of payments: %w", err)
		}
	}
	// What seldom happens begins at zero, so that the first time is a step that a rate sees.
	for _, outcome := range []string{"stored", "duplicate", "swept", "bad_signature", "stale", "malformed", "unavailable"} {
		m.received.WithLabelValues(outcome)
	}
	for _, outcome := range []string{"processed", "ignored", "retried", "failed"} {
		m.processed.WithLabelValues(outcome)
	}
	return m, nil
}

// transport counts requests.
type transport struct {
	next    http.RoundTripper
	metrics *metrics
}

// RoundTrip implements [http.RoundTripper].
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	resource, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v1/"), "/")
	began := time.Now()
	resp, err := t.next.RoundTrip(r)
	status := "none"
	if err == nil {
		status = strconv.Itoa(resp.StatusCode)
	}
	t.metrics.requests.WithLabelValues(r.Method, resource, status).Inc()
	t.metrics.seconds.WithLabelValues(r.Method, resource).Observe(time.Since(began).Seconds())
	return resp, err
}

// totals tells what is written down, for all instances together.
type totals struct {
	book                            Book
	topUps, events, oldest, overdue *prometheus.Desc
}

func newTotals(book Book) *totals {
	return &totals{
		book:    book,
		topUps:  prometheus.NewDesc("agenttrail_ledger_topups", "Top-ups by status. Of all instances.", []string{"status"}, nil),
		events:  prometheus.NewDesc("agenttrail_ledger_stripe_events", "Events of Stripe that are pending, or have failed and need a person. Of all instances.", []string{"state"}, nil),
		oldest:  prometheus.NewDesc("agenttrail_ledger_stripe_events_oldest_pending_seconds", "Age of the oldest event that is not done with. Of all instances.", nil, nil),
		overdue: prometheus.NewDesc("agenttrail_ledger_topups_overdue", "Top-ups that should have been compared with Stripe ten minutes ago. Of all instances.", nil, nil),
	}
}

// Describe implements [prometheus.Collector].
func (t *totals) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{t.topUps, t.events, t.oldest, t.overdue} {
		ch <- d
	}
}

// totalsTimeout is how long the database may take.
const totalsTimeout = 2 * time.Second

// Collect implements [prometheus.Collector]. It gives nothing while the database does not answer.
func (t *totals) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), totalsTimeout)
	defer cancel()
	sums, err := t.book.PaymentTotals(ctx)
	if err != nil {
		return
	}
	for status, n := range sums.TopUps {
		ch <- prometheus.MustNewConstMetric(t.topUps, prometheus.GaugeValue, float64(n), string(status))
	}
	for _, state := range []ledger.EventState{ledger.EventPending, ledger.EventFailed} {
		ch <- prometheus.MustNewConstMetric(t.events, prometheus.GaugeValue, float64(sums.Events[state]), string(state))
	}
	ch <- prometheus.MustNewConstMetric(t.oldest, prometheus.GaugeValue, sums.OldestPending.Seconds())
	ch <- prometheus.MustNewConstMetric(t.overdue, prometheus.GaugeValue, float64(sums.Overdue))
}
