package otlp

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/collector/consumer/consumererror"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// malformed is the error of a request that cannot be read, which must not be sent again.
func malformed(err error) error { return status.Error(codes.InvalidArgument, err.Error()) }

// statusOf says what to answer for an error of the pipeline, never OK. What does not say passes, unless it is
// permanent, which is then a fault of this side: https://opentelemetry.io/docs/specs/otlp/#failures
func statusOf(err error) *status.Status {
	if s, ok := status.FromError(err); ok && s.Code() != codes.OK {
		return s
	}
	if consumererror.IsPermanent(err) {
		return status.New(codes.Internal, err.Error())
	}
	return status.New(codes.Unavailable, err.Error())
}

// httpCode is the HTTP status for a gRPC code: 429 and 503 say that the request may be sent again, the others that it
// must not. https://opentelemetry.io/docs/specs/otlp/#failures-1
func httpCode(c codes.Code) int {
	switch c {
	case codes.Canceled, codes.DeadlineExceeded, codes.Aborted, codes.OutOfRange, codes.Unavailable, codes.DataLoss:
		return http.StatusServiceUnavailable
	case codes.ResourceExhausted:
		return http.StatusTooManyRequests
	case codes.InvalidArgument:
		return http.StatusBadRequest
	case codes.Unauthenticated:
		return http.StatusUnauthorized
	case codes.PermissionDenied:
		return http.StatusForbidden
	case codes.Unimplemented:
		return http.StatusNotFound
	default:
		return http.StatusInternalServerError
	}
}

// grpcCode is the gRPC code of an error that the HTTP server found before the request came here.
func grpcCode(httpCode int) codes.Code {
	switch httpCode {
	case http.StatusBadRequest:
		return codes.InvalidArgument
	case http.StatusUnauthorized:
		return codes.Unauthenticated
	default:
		return codes.Unknown
	}
}

// answerStatus answers an error in the encoding of the request.
func answerStatus(w http.ResponseWriter, content string, s *status.Status) {
	answerCode(w, content, httpCode(s.Code()), s)
}

func answerCode(w http.ResponseWriter, content string, code int, s *status.Status) {
	if code == http.StatusTooManyRequests || code == http.StatusServiceUnavailable {
		if delay, ok := retryDelay(s); ok {
			seconds := (delay + time.Second - 1) / time.Second // Whole ones: rather late than early.
			w.Header().Set("Retry-After", strconv.FormatInt(int64(seconds), 10))
		}
	}
	marshal := protojson.Marshal
	if content == contentProtobuf {
		marshal = proto.Marshal
	} else {
		content = contentJSON
	}
	answer := s.Proto()
	answer.Message = strings.ToValidUTF8(answer.GetMessage(), "\uFFFD") // It may quote what was malformed.
	body, err := marshal(answer)
	if err != nil { // This program does not know one of the details.
		answer.Details = nil
		body, _ = marshal(answer)
	}
	w.Header().Set("Content-Type", content)
	w.WriteHeader(code)
	_, _ = w.Write(body) // A client that has left gets none.
}

// retryDelay is when the request may be sent again, if s says so.
func retryDelay(s *status.Status) (time.Duration, bool) {
	for _, d := range s.Details() {
		if retry, ok := d.(*errdetails.RetryInfo); ok {
			return retry.GetRetryDelay().AsDuration(), true
		}
	}
	return 0, false
}

// answerHTTPError answers what the HTTP server found wrong by itself, such as a body that it cannot decompress.
func answerHTTPError(w http.ResponseWriter, req *http.Request, message string, code int) {
	answerCode(w, contentType(req), code, status.New(grpcCode(code), message))
}
