// Package periodic is a receiver that collects metrics every few seconds by itself.
//
// The scraper helper of the OpenTelemetry Collector does the same, but what it has collected cannot be interrupted: a
// collector whose ClickHouse is away would take until the end of all retries to stop.
package periodic

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/receiverhelper"
	"go.uber.org/zap"
)

// Config is what receivers of this kind have in common.
type Config struct {
	// Enabled can be false to collect nothing.
	Enabled bool `mapstructure:"enabled"`
	// CollectionInterval is the time from one collection to the next.
	CollectionInterval time.Duration `mapstructure:"collection_interval"`
}

// Validate implements [go.opentelemetry.io/collector/confmap.Validator].
func (c *Config) Validate() error {
	if c.CollectionInterval < time.Second {
		return errors.New("collection_interval: must be 1s or more")
	}
	return nil
}

// Collect returns the metrics of now. It may return some of them and an error.
type Collect func(context.Context) (pmetric.Metrics, error)

// Receiver is a receiver of metrics that nobody sends.
type Receiver struct {
	cfg     Config
	collect Collect
	next    consumer.Metrics
	logger  *zap.Logger
	obs     *receiverhelper.ObsReport

	stop   sync.Once
	quit   chan struct{} // Closed to collect no more.
	ended  chan struct{} // Closed when nothing runs; nil before Start.
	cancel context.CancelFunc

	collectFailed, storeFailed bool // Said already.
}

var _ receiver.Metrics = (*Receiver)(nil)

// New returns a receiver that collects from Start to Shutdown, the first time at once.
func New(set receiver.Settings, cfg Config, next consumer.Metrics, collect Collect) (*Receiver, error) {
	obs, err := receiverhelper.NewObsReport(receiverhelper.ObsReportSettings{ReceiverID: set.ID, ReceiverCreateSettings: set})
	if err != nil {
		return nil, fmt.Errorf("make metrics of receiver: %w", err)
	}
	return &Receiver{cfg: cfg, collect: collect, next: next, logger: set.Logger, obs: obs, quit: make(chan struct{})}, nil
}

// Start implements [component.Component].
func (r *Receiver) Start(ctx context.Context, _ component.Host) error {
	if !r.cfg.Enabled {
		return nil
	}
	ctx, r.cancel = context.WithCancel(context.WithoutCancel(ctx))
	r.ended = make(chan struct{})
	go func() {
		defer close(r.ended)
		r.run(ctx)
	}()
	return nil
}

// grace is how long a shutdown waits for what was collected last to be stored.
const grace = 2 * time.Second

// Shutdown implements [component.Component].
func (r *Receiver) Shutdown(ctx context.Context) error {
	r.stop.Do(func() { close(r.quit) })
	if r.ended == nil {
		return nil
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-r.ended:
	case <-timer.C:
	case <-ctx.Done():
	}
	r.cancel()
	<-r.ended
	return nil
}

func (r *Receiver) run(ctx context.Context) {
	tick := time.NewTicker(r.cfg.CollectionInterval)
	defer tick.Stop()
	for {
		r.once(ctx)
		select {
		case <-tick.C:
		case <-r.quit:
			return
		}
	}
}

// once collects and hands over. What cannot be stored is given up: the next collection says the same, only later.
func (r *Receiver) once(ctx context.Context) {
	md, err := r.collect(ctx)
	if ctx.Err() != nil {
		return
	}
	if err != nil && !r.collectFailed {
		r.logger.Warn("Some metrics cannot be collected; the others are", zap.Error(err))
	}
	r.collectFailed = err != nil
	n := md.DataPointCount()
	if n == 0 {
		return
	}
	op := r.obs.StartMetricsOp(ctx)
	err = r.next.ConsumeMetrics(op, md)
	r.obs.EndMetricsOp(op, "", n, err)
	switch {
	case ctx.Err() != nil:
		return
	case err != nil && !r.storeFailed:
		r.logger.Warn("Own metrics are not stored; those of the next collection will be tried again", zap.Error(err))
	case err == nil && r.storeFailed:
		r.logger.Info("Own metrics are stored again")
	}
	r.storeFailed = err != nil
}
