package otlp_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/agenttrail/agenttrail/collector/otlp"
)

const (
	contentProtobuf = "application/x-protobuf"
	contentJSON     = "application/json"
)

// limits are small, so that a request soon is too large: 1 MiB over gRPC, 100 kB over HTTP.
func limits() map[string]any {
	c := local()
	p := c["protocols"].(map[string]any)
	p["grpc"].(map[string]any)["max_recv_msg_size_mib"] = 1
	p["http"].(map[string]any)["max_request_body_size"] = 100_000
	return c
}

// withDelay is an error as the exporter's under overload.
func withDelay(code codes.Code, delay time.Duration) error {
	s, err := status.New(code, "come back").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(delay)})
	if err != nil {
		return err
	}
	return s.Err()
}

// okError is an error that says that there is none.
type okError struct{}

func (okError) Error() string              { return "not stored" }
func (okError) GRPCStatus() *status.Status { return status.New(codes.OK, "") }

// pipelineErrors are what comes after a receiver may answer.
func pipelineErrors() map[string]error {
	errs := map[string]error{
		"plain":                 errors.New("plain"),
		"permanent":             consumererror.NewPermanent(errors.New("for good")),
		"canceled":              context.Canceled,
		"too late":              context.DeadlineExceeded,
		"delay":                 withDelay(codes.Unavailable, 3*time.Second),
		"half a delay":          withDelay(codes.ResourceExhausted, 1500*time.Millisecond),
		"no delay":              withDelay(codes.ResourceExhausted, 0),
		"delay of another code": withDelay(codes.Internal, time.Second),
		"wrapped":               fmt.Errorf("pipeline: %w", withDelay(codes.ResourceExhausted, 2*time.Second)),
		"permanent status":      consumererror.NewPermanent(status.Error(codes.InvalidArgument, "too large")),
		"not UTF-8":             status.Error(codes.Internal, "half of \xe2\x82"),
		"OK":                    okError{},
	}
	for c := codes.Canceled; c <= codes.Unauthenticated; c++ {
		errs[c.String()] = status.Error(c, "because")
	}
	return errs
}

// three runs the standard receiver, this one before an exporter that takes requests past pdata, and this one before a
// pipeline that does not know of them.
func three(t *testing.T, settings map[string]any, client clientSettings) (standard *server, direct map[string]*server) {
	t.Helper()
	return run(t, otlpreceiver.NewFactory(), settings, &next{}, client), map[string]*server{
		"taken":     run(t, otlp.NewFactory(), ours(settings), &next{aware: true}, client),
		"not taken": run(t, otlp.NewFactory(), ours(settings), &next{}, client),
	}
}

// TestTheAnswersOverGRPCAreTheStandardReceivers has three deliberate differences: malformed protobuf is
// INVALID_ARGUMENT, as OTLP says of bad data, and not INTERNAL; an answer to what was accepted has no partial_success,
// which OTLP forbids there, where the standard receiver sends an empty one; and an error whose status is OK is none
// that acknowledges the request.
func TestTheAnswersOverGRPCAreTheStandardReceivers(t *testing.T) {
	t.Parallel()
	standard, direct := three(t, limits(), clientSettings{})
	check := func(name string, s signal, method, compressor string, body []byte, err error) {
		t.Helper()
		standard.answer(err)
		want := standard.call(t.Context(), method, compressor, body)
		arrived := standard.received()
		if text, ok := strings.CutPrefix(want.status.Message(), "grpc: failed to unmarshal the received message: "); ok {
			require.Equal(t, codes.Internal, want.status.Code(), name)
			want.status = status.New(codes.InvalidArgument, text)
		}
		if want.status.Code() == codes.OK {
			require.Equal(t, []byte{1<<3 | 2, 0}, want.reply, "an empty partial_success")
			want.reply = []byte{}
			if name == "OK" {
				want.status, want.reply = status.New(codes.Unavailable, err.Error()), nil
				want.header, want.trailer = nil, want.header // There is one frame of headers only.
			}
		}
		for kind, d := range direct {
			d.answer(err)
			got := d.call(t.Context(), method, compressor, body)
			about := fmt.Sprint(name, " ", s.Signal, " ", compressor, ", ", kind)
			requireSameStatus(t, want.status.Proto(), got.status.Proto(), about)
			require.Equal(t, want.reply, got.reply, about)
			require.Equal(t, want.header, got.header, about)
			// Trailers have the status with its details, in the encoding of the moment.
			require.ElementsMatch(t, slices.Collect(maps.Keys(want.trailer)), slices.Collect(maps.Keys(got.trailer)), about)
			require.Equal(t, arrived, d.received(), about)
			require.Len(t, arrived, map[string]int{"good": 1}[name], about)
		}
	}
	for _, s := range signals {
		m, _ := s.request(t)
		good := protobuf(t, m)
		for _, compressor := range []string{"", "gzip", "zstd", "snappy"} {
			check("good", s, s.method, compressor, good, nil)
			check("empty", s, s.method, compressor, nil, nil)
			check("without records", s, s.method, compressor, []byte{1<<3 | 2, 0}, nil)
			check("malformed", s, s.method, compressor, []byte("this is not protobuf"), nil)
			check("cut short", s, s.method, compressor, good[:len(good)-1], nil)
			check("too large", s, s.method, compressor, make([]byte, 1<<20+1), nil)
			check("no such method", s, s.method+"Nothing", compressor, good, nil)
			check("no such service", s, "/nothing"+s.method, compressor, good, nil)
		}
		for name, err := range pipelineErrors() {
			check(name, s, s.method, "", good, err)
			check(name+", but nothing to store", s, s.method, "", nil, err)
		}
	}
}

// TestTheAnswersOverHTTPAreTheStandardReceivers has these deliberate differences: Retry-After is rounded up, so that
// clients do not come too early; an answer to what was accepted has no partialSuccess, and an error with the status OK
// does not acknowledge, as above; methods other than POST get the header Allow, as HTTP asks, and like other content
// types a text of our own, which browsers do not take for a page; and what cannot be written, such as half of a character, does not make another error of an
// error.
func TestTheAnswersOverHTTPAreTheStandardReceivers(t *testing.T) {
	t.Parallel()
	standard, direct := three(t, limits(), clientSettings{})
	seen := map[int]int{}
	check := func(name string, r httpRequest, err error) {
		t.Helper()
		standard.answer(err)
		want := standard.send(t, r)
		arrived := standard.received()
		seen[want.code]++
		if want.header.Get("Retry-After") == "1" && name == "half a delay" {
			want.header.Set("Retry-After", "2")
		}
		wantStatus := func() *spb.Status { return decodeStatus(t, want) }
		switch name {
		case "OK":
			require.Equal(t, http.StatusOK, want.code)
			want.code, wantStatus = http.StatusServiceUnavailable, func() *spb.Status { return status.New(codes.Unavailable, err.Error()).Proto() }
		case "not UTF-8":
			require.Contains(t, string(want.body), "failed to marshal error message")
			wantStatus = func() *spb.Status { return status.New(codes.Internal, "half of \uFFFD").Proto() }
		}
		for kind, d := range direct {
			d.answer(err)
			got := d.send(t, r)
			about := fmt.Sprint(name, " ", r.method, " ", r.path, " ", r.content, " ", r.encoding, ", ", kind)
			require.Equal(t, arrived, d.received(), about)
			require.Len(t, arrived, map[string]int{"good": 1}[name], about)
			require.Equal(t, want.code, got.code, "%s: %s", about, got.body)
			if name == "OK" || name == "not UTF-8" {
				requireSameStatus(t, wantStatus(), decodeStatus(t, got), about)
				continue
			}
			switch got.code {
			case http.StatusOK:
				nothing := map[string]string{contentProtobuf: "\n\x00", contentJSON: `{"partialSuccess":{}}`}[want.header.Get("Content-Type")]
				require.Equal(t, nothing, string(want.body), about)
				require.Equal(t, map[string]string{contentProtobuf: "", contentJSON: "{}"}[want.header.Get("Content-Type")], string(got.body), about)
			case http.StatusMethodNotAllowed:
				require.Equal(t, http.MethodPost, got.header.Get("Allow"), about)
				if r.method != http.MethodHead {
					require.Contains(t, string(got.body), "OTLP is sent with POST", about)
				}
				got.header.Del("Allow")
			case http.StatusUnsupportedMediaType:
				require.Contains(t, string(got.body), "send application/x-protobuf or application/json", about)
			case http.StatusNotFound:
				if r.path == "/v1/nothing" {
					require.Equal(t, string(want.body), string(got.body), about)
					break
				}
				fallthrough
			default:
				requireSameStatus(t, wantStatus(), decodeStatus(t, got), about)
			}
			if got.code == http.StatusOK || strings.HasPrefix(got.header.Get("Content-Type"), "text/plain") {
				for _, h := range []http.Header{want.header, got.header} {
					h.Del("Content-Length")
					h.Del("X-Content-Type-Options")
					h.Set("Content-Type", strings.TrimSuffix(h.Get("Content-Type"), "; charset=utf-8"))
				}
			}
			require.Equal(t, want.header, got.header, about)
		}
	}
	for _, s := range signals {
		m, _ := s.request(t)
		for content, good := range map[string][]byte{contentProtobuf: protobuf(t, m), contentJSON: jsonText(t, m), contentJSON + "; charset=utf-8": jsonText(t, m)} {
			for _, encoding := range []string{"", "gzip", "zstd", "snappy"} {
				send := func(name string, body []byte) {
					t.Helper()
					check(name, httpRequest{method: http.MethodPost, path: s.path, content: content, encoding: encoding, body: compress(t, encoding, body)}, nil)
				}
				send("good", good)
				send("empty", nil)
				send("cut short", good[:len(good)-1])
				send("malformed", []byte("this is neither"))
				send("too large", make([]byte, 100_001))
				send("too large and not compressible", []byte(randomText(200_000)))
			}
			check("without records", httpRequest{method: http.MethodPost, path: s.path, content: content, body: map[bool][]byte{true: {1<<3 | 2, 0}, false: []byte("{}")}[content == contentProtobuf]}, nil)
			check("not as compressed as it says", httpRequest{method: http.MethodPost, path: s.path, content: content, encoding: "gzip", body: good}, nil)
			check("cut short when compressed", httpRequest{method: http.MethodPost, path: s.path, content: content, encoding: "gzip", body: compress(t, "gzip", good)[:40]}, nil)
			check("compressed in no known way", httpRequest{method: http.MethodPost, path: s.path, content: content, encoding: "rot13", body: good}, nil)
			check("other path", httpRequest{method: http.MethodPost, path: "/v1/nothing", content: content, body: good}, nil)
			for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodOptions, http.MethodHead} {
				check("other method", httpRequest{method: method, path: s.path, content: content}, nil)
			}
			for name, err := range pipelineErrors() {
				check(name, httpRequest{method: http.MethodPost, path: s.path, content: content, body: good}, err)
			}
		}
		for _, content := range []string{"", "text/plain", "application/x-protobuf; =", "application/grpc"} {
			check("other content type", httpRequest{method: http.MethodPost, path: s.path, content: content, body: protobuf(t, m)}, nil)
		}
		check("other encoding without content type", httpRequest{method: http.MethodPost, path: s.path, encoding: "rot13", body: protobuf(t, m)}, nil)
	}
	for _, code := range []int{200, 400, 401, 403, 404, 405, 415, 429, 500, 503} {
		require.Positive(t, seen[code], "no case is answered with %d", code)
	}
}

// randomText is a text that does not become smaller, the same in every run.
func randomText(n int) string {
	r := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return string(b)
}

func decodeStatus(t *testing.T, a httpAnswer) *spb.Status {
	t.Helper()
	s := &spb.Status{}
	switch a.header.Get("Content-Type") {
	case contentProtobuf:
		require.NoError(t, proto.Unmarshal(a.body, s))
	case contentJSON:
		require.NoError(t, protojson.Unmarshal(a.body, s), "%s", a.body)
	default:
		t.Fatalf("no status: %v %s", a.header, a.body)
	}
	return s
}

func requireSameStatus(t *testing.T, want, got *spb.Status, name string) {
	t.Helper()
	require.True(t, proto.Equal(want, got), "%s\nwant %v\ngot  %v", name, want, got)
}
