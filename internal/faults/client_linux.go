package faults

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
)

// answer is what a sender makes of one attempt, by OTLP's rules: https://opentelemetry.io/docs/specs/otlp/#failures.
type answer struct {
	acknowledged bool
	final        bool          // Not to be sent again.
	wait         time.Duration // What the server asked for; 0 if it did not.
	code         string        // What was wrong, in a word.
	text         string        // What was wrong.
}

// noAnswer is the code of an attempt that got none.
const noAnswer = "HTTP without answer"

// client sends requests in one of OTLP's transports.
type client interface {
	send(ctx context.Context, s signal, body []byte) answer
	close()
}

// httpClient sends OTLP over HTTP.
type httpClient struct {
	base   string
	client *http.Client
}

func newHTTPClient(addr string) *httpClient {
	return &httpClient{base: "http://" + addr, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}}
}

func (c *httpClient) close() { c.client.CloseIdleConnections() }

func (c *httpClient) send(ctx context.Context, s signal, body []byte) answer {
	url := c.base + [...]string{"/v1/traces", "/v1/logs", "/v1/metrics"}[s]
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return answer{final: true, text: err.Error()}
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	req.GetBody = nil // Whether to send again is for the sender to decide.
	resp, err := c.client.Do(req)
	if err != nil {
		return answer{code: noAnswer, text: err.Error()}
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{code: noAnswer, text: err.Error()}
	}
	switch resp.StatusCode {
	case http.StatusOK:
		return accepted(text)
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		return answer{wait: time.Duration(seconds) * time.Second, code: "HTTP " + strconv.Itoa(resp.StatusCode), text: string(text)}
	default:
		return answer{final: true, text: fmt.Sprintf("%s: %q", resp.Status, text)}
	}
}

// accepted reads an answer of success: it must say that nothing was rejected. The answers of all signals have the same
// form.
func accepted(text []byte) answer {
	resp := ptraceotlp.NewExportResponse()
	if err := resp.UnmarshalProto(text); err != nil {
		return answer{final: true, text: "answer cannot be read: " + err.Error()}
	}
	if n := resp.PartialSuccess().RejectedSpans(); n > 0 {
		return answer{final: true, text: fmt.Sprintf("%d records rejected: %s", n, resp.PartialSuccess().ErrorMessage())}
	}
	return answer{acknowledged: true}
}

// grpcClient sends OTLP over gRPC.
type grpcClient struct{ conn *grpc.ClientConn }

func newGRPCClient(addr string) (*grpcClient, error) {
	conn, err := grpc.NewClient("passthrough:///"+addr,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDisableRetry(), // As above.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 500 * time.Millisecond},
			MinConnectTimeout: time.Second,
		}))
	if err != nil {
		return nil, fmt.Errorf("make gRPC client: %w", err)
	}
	return &grpcClient{conn}, nil
}

func (c *grpcClient) close() { _ = c.conn.Close() }

func (c *grpcClient) send(ctx context.Context, s signal, body []byte) answer {
	method := "/opentelemetry.proto.collector." + [...]string{"trace.v1.TraceService", "logs.v1.LogsService", "metrics.v1.MetricsService"}[s] + "/Export"
	var text []byte
	err := c.conn.Invoke(ctx, method, &body, &text, grpc.ForceCodecV2(rawCodec{}))
	if err == nil {
		return accepted(text)
	}
	st := status.Convert(err)
	a := answer{code: st.Code().String(), text: st.Code().String() + ": " + st.Message()}
	for _, d := range st.Details() {
		if info, ok := d.(*errdetails.RetryInfo); ok {
			a.wait = info.GetRetryDelay().AsDuration()
		}
	}
	switch st.Code() {
	case codes.Canceled, codes.DeadlineExceeded, codes.Aborted, codes.OutOfRange, codes.Unavailable, codes.DataLoss:
	case codes.ResourceExhausted:
		a.final = a.wait == 0
	default:
		a.final = true
	}
	return a
}

// rawCodec passes the bytes of messages as they are.
type rawCodec struct{}

var _ encoding.CodecV2 = rawCodec{}

func (rawCodec) Name() string { return "proto" }

func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(*v.(*[]byte))}, nil
}

func (rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = data.Materialize()
	return nil
}
