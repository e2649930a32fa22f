package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

const (
	tracesMethod = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
	logsMethod   = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
)

// raw hands encoded requests to gRPC as they are, so that sending costs as little as possible.
type raw struct{}

func (raw) Name() string { return "proto" }

func (raw) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }

func (raw) Unmarshal([]byte, any) error { return nil }

// send sends n copies of the mix's requests of spans, with their logs, from a few clients at a time, and sends again
// what was refused for the time being. It returns the number of requests that had to be sent again.
func send(ctx context.Context, addr string, m *mix, n, clients int) (again int64, err error) {
	return sendFrom(ctx, addr, m, 0, n, clients)
}

// sendFrom is send that goes on after the first copies.
func sendFrom(ctx context.Context, addr string, m *mix, first, n, clients int) (again int64, err error) {
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{})))
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		next, repeated atomic.Int64
		wait           sync.WaitGroup
	)
	export := func(method string, body *[]byte) error {
		for pause := 20 * time.Millisecond; ; pause = min(2*pause, time.Second) {
			var answer []byte
			err := conn.Invoke(ctx, method, body, &answer)
			switch status.Code(err) {
			case codes.OK:
				return nil
			case codes.Unavailable, codes.ResourceExhausted, codes.DeadlineExceeded, codes.Aborted:
				repeated.Add(1)
				if err := sleep(ctx, pause); err != nil {
					return err
				}
			default:
				return fmt.Errorf("export: %w", err)
			}
		}
	}
	for range clients {
		wait.Go(func() {
			var body []byte
			for {
				i := next.Add(1) - 1 + int64(first)
				if i >= int64(first+n) || ctx.Err() != nil {
					return
				}
				for _, x := range []struct {
					method    string
					templates []template
				}{{tracesMethod, m.traces}, {logsMethod, m.logs}} {
					t := &x.templates[int(i)%len(x.templates)]
					body = t.stamp(body, uint64(i)+1, i*requestSpacing)
					if err := export(x.method, &body); err != nil {
						cancel(err)
						return
					}
				}
			}
		})
	}
	wait.Wait()
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return repeated.Load(), cause
	}
	return repeated.Load(), nil
}

// listens waits until the process accepts connections at addr.
func (p *process) listens(ctx context.Context, addr string) error {
	for {
		conn, err := net.DialTimeout("tcp", addr, time.Second)
		if err == nil {
			return conn.Close()
		}
		select {
		case end := <-p.done:
			p.done <- end
			return fmt.Errorf("it ended (%v): see %s", end, p.log.Name())
		default:
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}
