package main

import (
	"bytes"
	"errors"
	"fmt"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

var errLossy = errors.New("the JSON form does not read back to the request that came in")

// codec is what pdata offers for one signal.
type codec[T any] struct {
	fromProto, fromJSON func([]byte) (T, error)
	toProto, toJSON     func(T) ([]byte, error)
	resources           func(T) []pcommon.Resource
}

// toJSON converts one export request to OTLP/JSON.
func toJSON(signal string, isJSON bool, raw []byte) ([]byte, error) {
	switch signal {
	case "traces":
		return convert(isJSON, raw, codec[ptrace.Traces]{
			fromProto: (&ptrace.ProtoUnmarshaler{}).UnmarshalTraces,
			fromJSON:  (&ptrace.JSONUnmarshaler{}).UnmarshalTraces,
			toProto:   (&ptrace.ProtoMarshaler{}).MarshalTraces,
			toJSON:    (&ptrace.JSONMarshaler{}).MarshalTraces,
			resources: func(t ptrace.Traces) (out []pcommon.Resource) {
				for _, r := range t.ResourceSpans().All() {
					out = append(out, r.Resource())
				}
				return out
			},
		})
	case "logs":
		return convert(isJSON, raw, codec[plog.Logs]{
			fromProto: (&plog.ProtoUnmarshaler{}).UnmarshalLogs,
			fromJSON:  (&plog.JSONUnmarshaler{}).UnmarshalLogs,
			toProto:   (&plog.ProtoMarshaler{}).MarshalLogs,
			toJSON:    (&plog.JSONMarshaler{}).MarshalLogs,
			resources: func(l plog.Logs) (out []pcommon.Resource) {
				for _, r := range l.ResourceLogs().All() {
					out = append(out, r.Resource())
				}
				return out
			},
		})
	default:
		return convert(isJSON, raw, codec[pmetric.Metrics]{
			fromProto: (&pmetric.ProtoUnmarshaler{}).UnmarshalMetrics,
			fromJSON:  (&pmetric.JSONUnmarshaler{}).UnmarshalMetrics,
			toProto:   (&pmetric.ProtoMarshaler{}).MarshalMetrics,
			toJSON:    (&pmetric.JSONMarshaler{}).MarshalMetrics,
			resources: func(m pmetric.Metrics) (out []pcommon.Resource) {
				for _, r := range m.ResourceMetrics().All() {
					out = append(out, r.Resource())
				}
				return out
			},
		})
	}
}

func convert[T any](isJSON bool, raw []byte, c codec[T]) ([]byte, error) {
	decode := c.fromProto
	if isJSON {
		decode = c.fromJSON
	}
	request, err := decode(raw)
	if err != nil {
		return nil, fmt.Errorf("decode request: %w", err)
	}
	text, err := c.toJSON(request)
	if err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	if err := checkLossless(request, text, c); err != nil {
		return nil, err
	}
	if !removeMachine(c.resources(request)) {
		return text, nil
	}
	return c.toJSON(request)
}

func checkLossless[T any](request T, text []byte, c codec[T]) error {
	want, err := c.toProto(request)
	if err != nil {
		return fmt.Errorf("encode request as protobuf: %w", err)
	}
	back, err := c.fromJSON(text)
	if err != nil {
		return fmt.Errorf("read JSON back: %w", err)
	}
	got, err := c.toProto(back)
	if err != nil {
		return fmt.Errorf("encode read-back request: %w", err)
	}
	if !bytes.Equal(want, got) {
		return errLossy
	}
	return nil
}

// machineKeys are the resource attributes that describe the machine of whoever records.
var machineKeys = map[string]bool{
	"host.name": true, "host.id": true, "host.ip": true, "host.mac": true, "host.arch": true, "os.version": true,
	"process.pid": true, "process.parent_pid": true, "process.owner": true, "process.command": true,
	"process.command_args": true, "process.command_line": true, "process.executable.path": true,
	"process.executable.name": true, "service.instance.id": true,
}

func removeMachine(resources []pcommon.Resource) bool {
	var removed bool
	for _, r := range resources {
		r.Attributes().RemoveIf(func(key string, _ pcommon.Value) bool {
			removed = removed || machineKeys[key]
			return machineKeys[key]
		})
	}
	return removed
}
