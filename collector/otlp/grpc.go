package otlp

import (
	"context"
	"fmt"
	"strings"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configgrpc"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/experimental"
	"google.golang.org/grpc/mem"
)

// newGRPC makes a server whose messages are bytes.
func (r *otlpReceiver) newGRPC(ctx context.Context, cfg *configgrpc.ServerConfig, host component.Host) (*grpc.Server, error) {
	buffers := &bufferPool{}
	server, err := cfg.ToServer(ctx, host.GetExtensions(), r.set.TelemetrySettings,
		configgrpc.WithGrpcServerOption(grpc.ForceServerCodecV2(rawCodec{buffers})),
		configgrpc.WithGrpcServerOption(experimental.BufferPool(buffers)))
	if err != nil {
		return nil, err
	}
	for _, s := range r.signals() {
		service, method, _ := strings.Cut(s.method()[1:], "/")
		server.RegisterService(&grpc.ServiceDesc{
			ServiceName: service,
			HandlerType: (*any)(nil),
			Methods: []grpc.MethodDesc{{
				MethodName: method,
				Handler: func(_ any, ctx context.Context, decode func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) {
					return r.serveGRPC(ctx, s, decode, intercept)
				},
			}},
		}, r)
	}
	return server, nil
}

func (r *otlpReceiver) serveGRPC(ctx context.Context, s signal, decode func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) {
	body := &rawMessage{}
	stillRead := false
	defer func() {
		if !stillRead {
			body.free()
		}
	}()
	if err := decode(body); err != nil {
		return nil, err
	}
	handle := func(ctx context.Context, _ any) (_ any, err error) {
		if stillRead, err = r.export(ctx, s, r.overGRPC, body.bytes()); err != nil {
			return nil, statusOf(err).Err()
		}
		return noMessage, nil // Without fields: all of it was accepted.
	}
	if intercept == nil {
		return handle(ctx, body)
	}
	return intercept(ctx, body, &grpc.UnaryServerInfo{Server: r, FullMethod: s.method()}, handle)
}

// rawMessage is the bytes of a message in memory of gRPC, to be freed.
type rawMessage struct{ buffer mem.Buffer }

// noMessage is the message without fields.
var noMessage = &rawMessage{}

func (m *rawMessage) bytes() []byte {
	if m.buffer == nil {
		return nil
	}
	return m.buffer.ReadOnlyData()
}

func (m *rawMessage) free() {
	if m.buffer != nil {
		m.buffer.Free()
		m.buffer = nil
	}
}

// rawCodec leaves messages as they are.
type rawCodec struct{ buffers mem.BufferPool }

var _ encoding.CodecV2 = rawCodec{}

// Name implements [encoding.CodecV2].
func (rawCodec) Name() string { return "proto" }

// Marshal implements [encoding.CodecV2]. Answers have no fields.
func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	if v != any(noMessage) {
		return nil, fmt.Errorf("BUG: marshal %T", v)
	}
	return nil, nil
}

// Unmarshal implements [encoding.CodecV2].
func (c rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(*rawMessage)
	if !ok {
		return fmt.Errorf("BUG: unmarshal %T", v)
	}
	m.buffer = data.MaterializeToBuffer(c.buffers)
	return nil
}
