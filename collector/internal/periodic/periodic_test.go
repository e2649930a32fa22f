package periodic

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func one(context.Context) (pmetric.Metrics, error) {
	md := pmetric.NewMetrics()
	md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics().AppendEmpty().SetEmptyGauge().DataPoints().AppendEmpty().SetIntValue(1)
	return md, nil
}

func newReceiver(t *testing.T, cfg Config, collect Collect, consume func(context.Context, pmetric.Metrics) error) (*Receiver, *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zap.InfoLevel)
	next, err := consumer.NewMetrics(consume)
	require.NoError(t, err)
	set := receiver.Settings{ID: component.MustNewID("periodic"), TelemetrySettings: componenttest.NewNopTelemetrySettings()}
	set.Logger = zap.New(core)
	r, err := New(set, cfg, next, collect)
	require.NoError(t, err)
	return r, logs
}

func TestItCollectsAtOnceAndThenEveryInterval(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var got atomic.Int32
		r, _ := newReceiver(t, Config{Enabled: true, CollectionInterval: 10 * time.Second}, one, func(context.Context, pmetric.Metrics) error {
			got.Add(1)
			return nil
		})
		require.NoError(t, r.Start(t.Context(), componenttest.NewNopHost()))
		synctest.Wait()
		require.Equal(t, int32(1), got.Load())
		time.Sleep(25 * time.Second) // Of the bubble's clock.
		synctest.Wait()
		require.Equal(t, int32(3), got.Load())
		require.NoError(t, r.Shutdown(t.Context()))
		require.NoError(t, r.Shutdown(t.Context()))
	})
}

func TestItSaysOnceThatNothingIsStored(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Bool
		down.Store(true)
		r, logs := newReceiver(t, Config{Enabled: true, CollectionInterval: time.Second},
			func(ctx context.Context) (pmetric.Metrics, error) {
				md, _ := one(ctx)
				return md, errors.New("no load here")
			},
			func(context.Context, pmetric.Metrics) error {
				if down.Load() {
					return errors.New("away")
				}
				return nil
			})
		require.NoError(t, r.Start(t.Context(), componenttest.NewNopHost()))
		time.Sleep(5500 * time.Millisecond)
		down.Store(false)
		time.Sleep(5 * time.Second)
		require.NoError(t, r.Shutdown(t.Context()))
		var said []string
		for _, e := range logs.All() {
			said = append(said, e.Message)
		}
		require.Equal(t, []string{
			"Some metrics cannot be collected; the others are",
			"Own metrics are not stored; those of the next collection will be tried again",
			"Own metrics are stored again",
		}, said)
	})
}

func TestShutdownStoresWhatWasCollectedLast(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stored := false
		r, logs := newReceiver(t, Config{Enabled: true, CollectionInterval: time.Hour}, one, func(ctx context.Context, _ pmetric.Metrics) error {
			select {
			case <-time.After(grace / 2):
				stored = true
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		require.NoError(t, r.Start(t.Context(), componenttest.NewNopHost()))
		synctest.Wait()
		require.NoError(t, r.Shutdown(t.Context()))
		require.True(t, stored)
		require.Empty(t, logs.All())
	})
}

func TestShutdownDoesNotWaitForLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, logs := newReceiver(t, Config{Enabled: true, CollectionInterval: time.Hour}, one, func(ctx context.Context, _ pmetric.Metrics) error {
			<-ctx.Done()
			return ctx.Err()
		})
		require.NoError(t, r.Start(t.Context(), componenttest.NewNopHost()))
		synctest.Wait()
		began := time.Now()
		require.NoError(t, r.Shutdown(t.Context()))
		require.Equal(t, grace, time.Since(began))
		require.Empty(t, logs.All(), "a shutdown is no failure")
	})
}

func TestSwitchedOff(t *testing.T) {
	t.Parallel()
	r, _ := newReceiver(t, Config{CollectionInterval: time.Second}, func(context.Context) (pmetric.Metrics, error) {
		panic("collects")
	}, func(context.Context, pmetric.Metrics) error { return nil })
	require.NoError(t, r.Start(t.Context(), componenttest.NewNopHost()))
	require.NoError(t, r.Shutdown(t.Context()))
	require.ErrorContains(t, (&Config{}).Validate(), "collection_interval: must be 1s or more")
}
