package reconcile

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/agenttrail/agenttrail/ledger"
)

// metricsTimeout bounds the questions of one scrape.
const metricsTimeout = 5 * time.Second

// Totals is where the figures come from. Package pgstore implements it.
type Totals interface {
	ReconTotals(ctx context.Context) (ledger.ReconTotals, error)
}

// Metrics are how many runs do not agree, of all instances together. See the rules in dashboards/rules.
type Metrics struct {
	totals                    Totals
	open, drift, oldest, last *prometheus.Desc
}

// NewMetrics makes the metrics. The database is asked when they are read.
func NewMetrics(totals Totals) *Metrics {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("agenttrail_ledger_reconciliation_"+name, help, labels, nil)
	}
	return &Metrics{
		totals: totals,
		open:   desc("open", "Runs whose charge and telemetry do not agree, and that nobody has corrected or waived, by state. Alert when it is not 0.", "state"),
		drift:  desc("open_credits", "Sum of the differences of these runs, each without its sign.", "state"),
		oldest: desc("oldest_open_seconds", "For how long the oldest of them has been known; 0 when there is none."),
		last:   desc("last_run_timestamp_seconds", "When charges and telemetry were last compared. Alert when it is long ago."),
	}
}

// Describe implements [prometheus.Collector].
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.open, m.drift, m.oldest, m.last} {
		ch <- d
	}
}

// Collect implements [prometheus.Collector]. It gives nothing while the database does not answer.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), metricsTimeout)
	defer cancel()
	t, err := m.totals.ReconTotals(ctx)
	if err != nil {
		return
	}
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	for _, state := range ledger.ReconStates() {
		if state.Open() {
			gauge(m.open, float64(t.Open[state]), string(state))
			gauge(m.drift, float64(t.Drift[state])/float64(ledger.Credit), string(state))
		}
	}
	gauge(m.oldest, t.Oldest.Seconds())
	if t.Last != nil {
		gauge(m.last, float64(t.Last.UnixMilli())/1e3)
	}
}
