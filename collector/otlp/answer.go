package otlp

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"go.opentelemetry.io/collector/consumer/consumererror"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// malformed is the error of a request that cannot be decoded, which must not be sent again.
func malformed(err error) error {
	return consumererror.NewPermanent(status.Error(codes.InvalidArgument, err.Error()))
}

// statusOf says what to answer for an error of the pipeline. What does not say passes, unless it is permanent, which
// is then a fault of this side: https://opentelemetry.io/docs/specs/otlp/#failures
func statusOf(err error) *status.Status {
	if s, ok := status.FromError(err); ok {
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
	case codes.OK:
		return http.StatusOK
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
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType:
		return codes.InvalidArgument
	case http.StatusUnauthorized:
		return codes.Unauthenticated
	case http.StatusForbidden:
		return codes.PermissionDenied
	case http.StatusNotFound:
		return codes.Unimplemented
	case http.StatusTooManyRequests:
		return codes.ResourceExhausted
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return codes.Unavailable
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
		for _, d := range s.Details() {
			if retry, ok := d.(*errdetails.RetryInfo); ok {
				seconds := (retry.GetRetryDelay().AsDuration() + time.Second - 1) / time.Second // Whole ones: rather late than early.
				w.Header().Set("Retry-After", strconv.Itoa(int(seconds)))
			}
		}
	}
	var body []byte
	var err error
	if content == contentProtobuf {
		body, err = proto.Marshal(s.Proto())
	} else {
		content = contentJSON
		body, err = protojson.Marshal(s.Proto())
	}
	if err != nil {
		answerText(w, http.StatusInternalServerError, fmt.Sprintf("BUG: write answer: %v", err))
		return
	}
	w.Header().Set("Content-Type", content)
	w.WriteHeader(code)
	_, _ = w.Write(body) // A client that has left gets none.
}

// answerHTTPError answers what the HTTP server found wrong by itself, such as a body that it cannot decompress.
func answerHTTPError(w http.ResponseWriter, req *http.Request, message string, code int) {
	answerCode(w, contentType(req), code, status.New(grpcCode(code), message))
}

func answerText(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	_, _ = w.Write([]byte(text))
}
