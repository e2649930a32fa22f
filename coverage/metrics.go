package coverage

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// metricsTimeout bounds the question of one scrape.
	metricsTimeout = 3 * time.Second
	// metricsAge is for how long an answer is good: a scorecard is made every few minutes.
	metricsAge = 15 * time.Second
)

// Overall is the label of the score of all categories.
const Overall = "overall"

// Stored is where scorecards are kept.
type Stored interface {
	// Coverage gives the newest scorecard; ok is false when there is none.
	Coverage(ctx context.Context) (card Scorecard, ok bool, err error)
}

// Metrics are the newest scorecard as gauges, the same on all instances of the ledger.
type Metrics struct {
	stored                         Stored
	score, ratio, target, computed *prometheus.Desc

	mu   sync.Mutex
	at   time.Time
	card Scorecard
	ok   bool
}

// NewMetrics makes the metrics. The store is asked when they are read.
func NewMetrics(stored Stored) *Metrics {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("agenttrail_coverage_"+name, help, labels, nil)
	}
	return &Metrics{
		stored:   stored,
		score:    desc("score", "Coverage by category and overall, 0 to 10; absent when there was nothing to measure. Alert when it falls.", "category"),
		ratio:    desc("check_ratio", "Share of what each check looked at that is as it should be, 0 to 1; absent when there was nothing to measure.", "category", "check"),
		target:   desc("check_target", "What the ratio of each check should reach.", "category", "check"),
		computed: desc("computed_timestamp_seconds", "When coverage was last computed. Alert when it is long ago."),
	}
}

// Describe implements [prometheus.Collector].
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.score, m.ratio, m.target, m.computed} {
		ch <- d
	}
}

// Collect implements [prometheus.Collector]. It gives nothing while the store does not answer.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	card, ok := m.newest()
	if !ok {
		return
	}
	gauge := func(d *prometheus.Desc, value *float64, labels ...string) {
		if value != nil {
			ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, *value, labels...)
		}
	}
	gauge(m.score, card.Score, Overall)
	for _, category := range card.Categories {
		gauge(m.score, category.Score, string(category.Category))
		for _, c := range category.Checks {
			gauge(m.ratio, c.Value, string(category.Category), c.Check)
			gauge(m.target, &c.Target, string(category.Category), c.Check)
		}
	}
	at := float64(card.ComputedAt.UnixMilli()) / 1e3
	gauge(m.computed, &at)
}

func (m *Metrics) newest() (Scorecard, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if time.Since(m.at) < metricsAge {
		return m.card, m.ok
	}
	ctx, cancel := context.WithTimeout(context.Background(), metricsTimeout)
	defer cancel()
	card, ok, err := m.stored.Coverage(ctx)
	m.at, m.card, m.ok = time.Now(), card, ok && err == nil
	return m.card, m.ok
}
