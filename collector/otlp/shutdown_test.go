package otlp_test

import (
	"context"
	"net"
	"net/http"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	"github.com/agenttrail/agenttrail/collector/otlp"
	"github.com/agenttrail/agenttrail/exporter/direct"
)

// underWay runs a receiver with one request over gRPC and one over HTTP that are being looked after until release.
func underWay(t *testing.T) (s *server, release func(), answers func() (grpcAnswer, httpAnswer, error)) {
	t.Helper()
	arrived, held := make(chan struct{}), make(chan struct{})
	n := &next{aware: true, hold: func(context.Context, direct.Signal) {
		arrived <- struct{}{}
		<-held
	}}
	c, tel, logs := create(t, otlp.NewFactory(), ours(local()), n)
	require.NoError(t, c.Start(t.Context(), clientSettings{}.host()))
	s = connect(t, c, tel, logs, n, clientSettings{})
	m, _ := signals[0].request(t)
	body := protobuf(t, m)
	var clients sync.WaitGroup
	var overGRPC grpcAnswer
	var overHTTP httpAnswer
	var errHTTP error
	clients.Go(func() { overGRPC = s.call(context.WithoutCancel(t.Context()), signals[0].method, "", body) })
	<-arrived
	clients.Go(func() {
		overHTTP, errHTTP = s.try(context.WithoutCancel(t.Context()), httpRequest{method: http.MethodPost, path: "/v1/traces", content: contentProtobuf, body: body})
	})
	<-arrived
	return s, sync.OnceFunc(func() { close(held) }), func() (grpcAnswer, httpAnswer, error) {
		clients.Wait()
		return overGRPC, overHTTP, errHTTP
	}
}

func TestShutdownWaitsForRequestsUnderWay(t *testing.T) {
	t.Parallel()
	s, release, answers := underWay(t)
	defer release()
	ended := make(chan error)
	go func() { ended <- s.component.Shutdown(context.Background()) }()
	require.Eventually(t, func() bool {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.addr)
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
	overGRPC, overHTTP, err := answers()
	require.Equal(t, codes.OK, overGRPC.status.Code())
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, overHTTP.code)
	require.Len(t, s.received(), 2)
	require.NoError(t, s.component.Shutdown(t.Context()), "twice is safe")
}

func TestShutdownWaitsOnlyAsLongAsItMay(t *testing.T) {
	t.Parallel()
	s, release, answers := underWay(t)
	defer release()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := s.component.Shutdown(ctx)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, "wait for requests over HTTP")
	require.ErrorContains(t, err, "wait for requests over gRPC")
	overGRPC, _, err := answers()
	require.Equal(t, codes.Unavailable, overGRPC.status.Code(), "the client must not believe that it was stored")
	require.Error(t, err, "nor this one")
	require.NoError(t, s.component.Shutdown(t.Context()))
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
	for range 2 { // As at a reload.
		c, _, _ := create(t, f, ours(local()), &next{})
		require.NoError(t, c.Start(t.Context(), clientSettings{}.host()))
		require.NoError(t, c.Start(t.Context(), clientSettings{}.host()), "once for each signal")
		require.NoError(t, c.Shutdown(t.Context()))
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
