package httpapi

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/agenttrail/agenttrail/ledger"
)

// metricPrefix begins the name of each metric of the ledger.
const metricPrefix = "agenttrail_ledger_"

// metrics are what requests are counted in. Labels have few values each: the route's pattern, never its path.
type metrics struct {
	requests  *prometheus.CounterVec
	latency   *prometheus.HistogramVec
	inFlight  prometheus.Gauge
	outcomes  *prometheus.CounterVec
	settled   *prometheus.CounterVec
	replays   prometheus.Counter
	refusals  *prometheus.CounterVec
	panicking prometheus.Counter
}

func newMetrics(registry prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: metricPrefix + "http_requests_total", Help: "Answered requests by route and status.",
		}, []string{"method", "route", "status"}),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: metricPrefix + "http_request_duration_seconds", Help: "Time from a request's header to the end of its answer.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"method", "route"}),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: metricPrefix + "http_requests_in_flight", Help: "Requests being answered.",
		}),
		outcomes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: metricPrefix + "authorizations_total", Help: "Authorizations by outcome and the rule that decided; one that several rules refused counts once under each.",
		}, []string{"outcome", "rule"}),
		settled: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: metricPrefix + "holds_settled_total", Help: "Holds that this instance settled, by their state then; a job lets others expire.",
		}, []string{"state"}),
		replays: prometheus.NewCounter(prometheus.CounterOpts{
			Name: metricPrefix + "idempotent_replays_total", Help: "Requests answered with what an earlier one with the same Idempotency-Key got.",
		}),
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: metricPrefix + "problems_total", Help: "Requests refused, by type of problem.",
		}, []string{"problem"}),
		panicking: prometheus.NewCounter(prometheus.CounterOpts{
			Name: metricPrefix + "panics_total", Help: "Requests that hit a programming error.",
		}),
	}
	for _, c := range []prometheus.Collector{m.requests, m.latency, m.inFlight, m.outcomes, m.settled, m.replays, m.refusals, m.panicking} {
		if err := registry.Register(c); err != nil {
			return nil, err
		}
	}
	// What seldom happens begins at zero, so that the first time is a step that a rate sees.
	for _, state := range []ledger.HoldStatus{ledger.HoldCaptured, ledger.HoldReleased, ledger.HoldExpired} {
		m.settled.WithLabelValues(string(state))
	}
	return m, nil
}

// request counts one that was answered.
func (m *metrics) request(method, route string, status int, took time.Duration) {
	if route == "" {
		route = "none"
	}
	m.requests.WithLabelValues(methodLabel(method), route, strconv.Itoa(status)).Inc()
	m.latency.WithLabelValues(methodLabel(method), route).Observe(took.Seconds())
}

// methodLabel keeps what clients invent out of the labels.
func methodLabel(method string) string {
	switch method {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS":
		return method
	}
	return "other"
}
