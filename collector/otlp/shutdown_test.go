package otlp_test

import (
	"context"
	"net"
	"net/http"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/receiver"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc/codes"

	"github.com/agenttrail/agenttrail/collector/otlp"
	"github.com/agenttrail/agenttrail/exporter/direct"
)

// underWay runs a receiver with a request that is being looked after until release. succeeded waits for its answer.
func underWay(t *testing.T, overHTTP bool) (s *server, release func(), succeeded func() bool) {
	t.Helper()
	arrived, held, answered := make(chan struct{}), make(chan struct{}), make(chan bool, 1)
	n := &next{aware: true, hold: func(context.Context, direct.Signal) {
		arrived <- struct{}{}
		<-held
	}}
	c, tel, logs := create(t, otlp.NewFactory(), ours(local()), n)
	require.NoError(t, c.Start(t.Context(), clientSettings{}.host()))
	s = connect(t, c, tel, logs, n, clientSettings{})
	m, _ := signals[0].request(t)
	body := protobuf(t, m)
	ctx := context.WithoutCancel(t.Context())
	go func() {
		if overHTTP {
			a, err := s.try(ctx, httpRequest{method: http.MethodPost, path: "/v1/traces", content: contentProtobuf, body: body})
			answered <- err == nil && a.code == http.StatusOK
		} else {
			answered <- s.call(ctx, signals[0].method, "", body).status.Code() == codes.OK
		}
	}()
	<-arrived
	return s, sync.OnceFunc(func() { close(held) }), func() bool { return <-answered }
}

func TestShutdownWaitsForRequestsUnderWay(t *testing.T) {
	t.Parallel()
	for _, overHTTP := range []bool{true, false} {
		s, release, succeeded := underWay(t, overHTTP)
		defer release()
		ended := make(chan error)
		go func() { ended <- s.component.Shutdown(context.Background()) }()
		addr := s.addr
		if !overHTTP {
			addr = s.conn.Target()
		}
		require.Eventually(t, func() bool {
			conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
			if err == nil {
				_ = conn.Close()
			}
			return err != nil
		}, waitFor, tick, "nobody else comes in")
		select {
		case err := <-ended:
			t.Fatalf("it has not waited: %v", err)
		default:
		}
		release()
		require.NoError(t, <-ended)
		require.True(t, succeeded())
		require.Len(t, s.received(), 1)
		require.NoError(t, s.component.Shutdown(t.Context()), "twice is safe")
	}
}

func TestShutdownWaitsOnlyAsLongAsItMay(t *testing.T) {
	t.Parallel()
	for _, overHTTP := range []bool{true, false} {
		s, release, succeeded := underWay(t, overHTTP)
		defer release()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := s.component.Shutdown(ctx)
		require.ErrorIs(t, err, context.Canceled)
		require.ErrorContains(t, err, map[bool]string{true: "wait for requests over HTTP", false: "wait for requests over gRPC"}[overHTTP])
		require.False(t, succeeded(), "its client must not believe that it was stored")
		require.NoError(t, s.component.Shutdown(t.Context()))
	}
}

func TestShutdownWithoutStart(t *testing.T) {
	t.Parallel()
	for _, direct := range []string{"on", "off", "auto"} {
		settings := local()
		settings["direct"] = direct
		c, _, _ := create(t, otlp.NewFactory(), settings, &next{})
		require.NoError(t, c.Shutdown(t.Context()))
		require.NoError(t, c.Shutdown(t.Context()))
	}
}

func TestAFactoryMakesReceiversAnew(t *testing.T) {
	t.Parallel()
	f := otlp.NewFactory()
	cfg := f.CreateDefaultConfig()
	require.NoError(t, confmap.NewFromStringMap(ours(local())).Unmarshal(cfg))
	for range 2 { // As when a collector starts its components again.
		set := receiver.Settings{ID: component.NewID(otlp.Type), TelemetrySettings: componenttest.NewNopTelemetrySettings()}
		c, err := f.CreateTraces(t.Context(), set, cfg, &next{})
		require.NoError(t, err)
		core, logs := observer.New(zap.InfoLevel)
		set.Logger = zap.New(core)
		other, err := f.CreateMetrics(t.Context(), set, cfg, &next{})
		require.NoError(t, err)
		require.Same(t, c, other)
		require.NoError(t, c.Start(t.Context(), clientSettings{}.host()))
		require.NoError(t, other.Start(t.Context(), clientSettings{}.host()), "once for each signal")
		require.Empty(t, logs.All())
		require.NoError(t, c.Shutdown(t.Context()))
		again, err := f.CreateTraces(t.Context(), set, cfg, &next{})
		require.NoError(t, err)
		require.NotSame(t, c, again)
		require.NoError(t, again.Shutdown(t.Context()))
	}
}

func TestATakenPortIsAnError(t *testing.T) {
	t.Parallel()
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, taken.Close()) }()
	for _, protocol := range []string{"grpc", "http"} {
		free, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		require.NoError(t, err)
		require.NoError(t, free.Close())
		settings := local()
		for p, s := range settings["protocols"].(map[string]any) {
			s.(map[string]any)["endpoint"] = free.Addr().String()
			if p == protocol {
				s.(map[string]any)["endpoint"] = taken.Addr().String()
			}
		}
		c, _, _ := create(t, otlp.NewFactory(), ours(settings), &next{})
		require.ErrorIs(t, c.Start(t.Context(), clientSettings{}.host()), syscall.EADDRINUSE, protocol)
		require.ErrorIs(t, c.Start(t.Context(), clientSettings{}.host()), syscall.EADDRINUSE, "the other signals learn it too")
		again, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", free.Addr().String())
		require.NoError(t, err, "the other port is free again")
		require.NoError(t, again.Close())
		require.NoError(t, c.Shutdown(t.Context()))
	}
}
