package httpapi

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/agenttrail/agenttrail/ledger"
)

// totalsTimeout bounds the queries of one scrape.
const totalsTimeout = 5 * time.Second

// totals are figures of the whole ledger, which the database is asked for when they are read.
type totals struct {
	service ledger.Service

	up, users, balance, holds, due, oldest, approvals, unsealed, keys, expiry *prometheus.Desc
}

func newTotals(service ledger.Service) *totals {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(metricPrefix+name, help, labels, nil)
	}
	return &totals{
		service:   service,
		up:        desc("database_up", "1 when the database answered the questions for the other figures."),
		users:     desc("users", "Active users."),
		balance:   desc("credits", "Credits of all users: posted are all that they have, held those on hold for runs.", "balance"),
		holds:     desc("holds_active", "Holds that nobody has settled yet."),
		due:       desc("holds_due", "Active holds past their end, which the next run of the job lets expire."),
		oldest:    desc("holds_due_oldest_seconds", "How long the oldest of them is past its end."),
		approvals: desc("approvals_pending", "Approvals that wait for a decision."),
		unsealed:  desc("audit_rows_unsealed", "Audit rows that no block of hashes covers yet."),
		keys:      desc("api_keys", "API keys that can be used."),
		expiry:    desc("api_key_expiry_timestamp_seconds", "When API keys end that have no successor: the first twenty that do within 30 days, or did within the last day.", "name", "prefix"),
	}
}

// Describe implements [prometheus.Collector].
func (t *totals) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{t.up, t.users, t.balance, t.holds, t.due, t.oldest, t.approvals, t.unsealed, t.keys, t.expiry} {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (t *totals) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), totalsTimeout)
	defer cancel()
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	now, err := t.service.Totals(ctx)
	if err != nil {
		gauge(t.up, 0)
		return
	}
	gauge(t.up, 1)
	gauge(t.users, float64(now.Users))
	gauge(t.balance, credits(now.Posted), "posted")
	gauge(t.balance, credits(now.Held), "held")
	gauge(t.holds, float64(now.Holds[ledger.HoldActive]))
	gauge(t.due, float64(now.HoldsDue))
	gauge(t.oldest, now.OldestDue.Seconds())
	gauge(t.approvals, float64(now.Approvals))
	gauge(t.unsealed, float64(now.Unsealed))
	gauge(t.keys, float64(now.Keys))
	for _, k := range now.Expiring {
		gauge(t.expiry, float64(k.ExpiresAt.UnixMilli())/1e3, k.Name, k.Prefix)
	}
}

// credits is an amount for a chart; nothing is computed with it.
func credits(c ledger.Credits) float64 { return float64(c) / float64(ledger.Credit) }
