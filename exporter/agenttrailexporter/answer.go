package agenttrailexporter

import (
	"errors"

	"go.opentelemetry.io/collector/consumer/consumererror"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/agenttrail/agenttrail/exporter/delivery"
)

// answer turns an error of the writer into what the OTLP receiver answers, by OTLP's rules for failures: for good is
// InvalidArgument (HTTP 400), overload is ResourceExhausted with a delay (429 with Retry-After), anything else is
// Unavailable with a delay (503 with Retry-After).
// https://opentelemetry.io/docs/specs/otlp/#failures
func answer(err error) error {
	var e *delivery.Error
	if !errors.As(err, &e) {
		return err
	}
	if e.Permanent() {
		return consumererror.NewPermanent(&statusError{error: err, status: status.New(codes.InvalidArgument, err.Error())})
	}
	code := codes.Unavailable
	if e.Reason == delivery.ReasonOverload {
		code = codes.ResourceExhausted
	}
	s := status.New(code, err.Error())
	if detailed, err := s.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(e.RetryAfter)}); err == nil {
		s = detailed
	}
	return &statusError{error: err, status: s}
}

// statusError is an error with the gRPC status to answer with.
type statusError struct {
	error
	status *status.Status
}

func (e *statusError) Unwrap() error { return e.error }

// GRPCStatus is what package status looks for.
func (e *statusError) GRPCStatus() *status.Status { return e.status }
