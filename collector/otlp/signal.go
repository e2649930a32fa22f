package otlp

import (
	"context"

	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"go.opentelemetry.io/collector/receiver/receiverhelper"

	"github.com/agenttrail/agenttrail/exporter/direct"
)

// signal is what the receiver does for one kind of data.
type signal interface {
	signal() direct.Signal
	// method is the full name of the gRPC method.
	method() string
	// carry sends an empty request down the pipeline, for the one that ctx carries.
	carry(ctx context.Context) error
	// decode reads a request, of protobuf or else JSON, and returns how many records it has and a function that
	// sends it down the pipeline.
	decode(body []byte, protobuf bool) (records int, send func(context.Context) error, err error)
	// begin and end tell the receiver's own metrics.
	begin(ctx context.Context, report *receiverhelper.ObsReport) context.Context
	end(ctx context.Context, report *receiverhelper.ObsReport, format string, records int, err error)
}

type traces struct{ next consumer.Traces }

func (traces) signal() direct.Signal { return direct.SignalTraces }

func (traces) method() string {
	return "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
}

func (s traces) carry(ctx context.Context) error {
	return s.next.ConsumeTraces(ctx, ptrace.NewTraces())
}

func (s traces) decode(body []byte, protobuf bool) (int, func(context.Context) error, error) {
	r := ptraceotlp.NewExportRequest()
	err := unmarshal(r, body, protobuf)
	return r.Traces().SpanCount(), func(ctx context.Context) error { return s.next.ConsumeTraces(ctx, r.Traces()) }, err
}

func (traces) begin(ctx context.Context, report *receiverhelper.ObsReport) context.Context {
	return report.StartTracesOp(ctx)
}

func (traces) end(ctx context.Context, report *receiverhelper.ObsReport, format string, records int, err error) {
	report.EndTracesOp(ctx, format, records, err)
}

type logs struct{ next consumer.Logs }

func (logs) signal() direct.Signal             { return direct.SignalLogs }
func (logs) method() string                    { return "/opentelemetry.proto.collector.logs.v1.LogsService/Export" }
func (s logs) carry(ctx context.Context) error { return s.next.ConsumeLogs(ctx, plog.NewLogs()) }

func (s logs) decode(body []byte, protobuf bool) (int, func(context.Context) error, error) {
	r := plogotlp.NewExportRequest()
	err := unmarshal(r, body, protobuf)
	return r.Logs().LogRecordCount(), func(ctx context.Context) error { return s.next.ConsumeLogs(ctx, r.Logs()) }, err
}

func (logs) begin(ctx context.Context, report *receiverhelper.ObsReport) context.Context {
	return report.StartLogsOp(ctx)
}

func (logs) end(ctx context.Context, report *receiverhelper.ObsReport, format string, records int, err error) {
	report.EndLogsOp(ctx, format, records, err)
}

type metrics struct{ next consumer.Metrics }

func (metrics) signal() direct.Signal { return direct.SignalMetrics }

func (metrics) method() string {
	return "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
}

func (s metrics) carry(ctx context.Context) error {
	return s.next.ConsumeMetrics(ctx, pmetric.NewMetrics())
}

func (s metrics) decode(body []byte, protobuf bool) (int, func(context.Context) error, error) {
	r := pmetricotlp.NewExportRequest()
	err := unmarshal(r, body, protobuf)
	return r.Metrics().DataPointCount(), func(ctx context.Context) error { return s.next.ConsumeMetrics(ctx, r.Metrics()) }, err
}

func (metrics) begin(ctx context.Context, report *receiverhelper.ObsReport) context.Context {
	return report.StartMetricsOp(ctx)
}

func (metrics) end(ctx context.Context, report *receiverhelper.ObsReport, format string, records int, err error) {
	report.EndMetricsOp(ctx, format, records, err)
}

// message is a request of pdata.
type message interface {
	UnmarshalProto(data []byte) error
	UnmarshalJSON(data []byte) error
}

func unmarshal(m message, body []byte, protobuf bool) error {
	if protobuf {
		return m.UnmarshalProto(body)
	}
	return m.UnmarshalJSON(body)
}
