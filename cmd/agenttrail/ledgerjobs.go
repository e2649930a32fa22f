package main

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/agenttrail/agenttrail/ledger"
	"github.com/agenttrail/agenttrail/ledger/jobs"
	"github.com/agenttrail/agenttrail/ledger/pgstore"
)

// expireBatch is how many of each kind expire in one transaction.
const expireBatch = 200

// ledgerJobs are what the ledger does by itself.
func ledgerJobs(store ledger.Jobs, cfg ledgerConfig, registry prometheus.Registerer) []jobs.Job {
	expired := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "agenttrail_ledger_expired_total", Help: "Holds, approvals and grants that this instance let expire.",
	}, []string{"kind"})
	registry.MustRegister(expired)
	return []jobs.Job{
		{Name: "expire", Every: cfg.Jobs.ExpireEvery, Run: func(ctx context.Context) (int, bool, error) {
			e, err := store.ExpireDue(ctx, expireBatch)
			for kind, n := range map[string]int{"hold": e.Holds, "approval": e.Approvals, "grant": e.Grants} {
				expired.WithLabelValues(kind).Add(float64(n))
			}
			return e.Holds + e.Approvals + e.Grants, max(e.Holds, e.Approvals, e.Grants) >= expireBatch, err
		}},
		{Name: "seal", Every: cfg.Jobs.SealEvery, Run: func(ctx context.Context) (int, bool, error) {
			return 1, false, store.SealAudit(ctx)
		}},
		{Name: "maintain", Every: cfg.Jobs.MaintainEvery, Run: func(ctx context.Context) (int, bool, error) {
			return 1, false, store.Maintain(ctx)
		}},
	}
}

// poolMetrics are figures of the store's connections.
type poolMetrics struct {
	store *pgstore.Store

	connections, limit, acquired, waited, waiting *prometheus.Desc
}

func newPoolMetrics(store *pgstore.Store) *poolMetrics {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("agenttrail_ledger_pool_"+name, help, labels, nil)
	}
	return &poolMetrics{
		store:       store,
		connections: desc("connections", "Connections to Postgres by state.", "state"),
		limit:       desc("connections_limit", "Most connections that the pool opens."),
		acquired:    desc("acquires_total", "How often a connection was taken."),
		waited:      desc("acquires_waited_total", "How often none was free at once."),
		waiting:     desc("acquire_seconds_total", "Time spent on waiting for one."),
	}
}

// Describe implements [prometheus.Collector].
func (p *poolMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{p.connections, p.limit, p.acquired, p.waited, p.waiting} {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (p *poolMetrics) Collect(ch chan<- prometheus.Metric) {
	s := p.store.Pool()
	for state, n := range map[string]int32{"idle": s.IdleConns(), "in_use": s.AcquiredConns(), "opening": s.ConstructingConns()} {
		ch <- prometheus.MustNewConstMetric(p.connections, prometheus.GaugeValue, float64(n), state)
	}
	ch <- prometheus.MustNewConstMetric(p.limit, prometheus.GaugeValue, float64(s.MaxConns()))
	ch <- prometheus.MustNewConstMetric(p.acquired, prometheus.CounterValue, float64(s.AcquireCount()))
	ch <- prometheus.MustNewConstMetric(p.waited, prometheus.CounterValue, float64(s.EmptyAcquireCount()))
	ch <- prometheus.MustNewConstMetric(p.waiting, prometheus.CounterValue, s.AcquireDuration().Seconds())
}
