package agenttrail

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"runtime"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/log"
)

// Category is what a log record is about, as in AgentLog.category.
type Category string

const (
	// CategoryExecution is about the course of a run.
	CategoryExecution Category = "execution"
	// CategoryError is about something that went wrong.
	CategoryError Category = "error"
	// CategoryPerformance is about how long something took.
	CategoryPerformance Category = "performance"
	// CategoryUserAction is about what a user did.
	CategoryUserAction Category = "user_action"
)

// Log records a message with the ids and, if category is empty, the category of the context. Without a Trail in the context
// it does nothing. An error among the attributes of a record of level error becomes a row of SystemErrors with its type;
// recorded by a step or run of the trace, too, it is that one.
func Log(ctx context.Context, level slog.Level, category Category, message string, attrs ...slog.Attr) {
	s := scopeFrom(ctx)
	if s.trail == nil || level < s.trail.logLevel {
		return
	}
	r := s.trail.newRecord(level, time.Now(), message)
	c := converter{level: level}
	for _, a := range attrs {
		c.add("", a)
	}
	if category == "" {
		category = s.category
	}
	s.trail.emit(ctx, s, &r, category, c.attrs)
}

// newRecord makes a record with what does not come from attributes.
func (t *Trail) newRecord(level slog.Level, at time.Time, message string) log.Record {
	var r log.Record
	r.SetTimestamp(at)
	r.SetObservedTimestamp(at)
	r.SetSeverity(severityOf(level))
	r.SetSeverityText(level.String())
	r.SetBody(attribute.StringValue(message))
	return r
}

// emit adds the ids of the context, over which the attributes of the record win, and hands the record on.
func (t *Trail) emit(ctx context.Context, s *scope, r *log.Record, category Category, attrs []attribute.KeyValue) {
	buf := buffers.take()
	all := s.identity.append(buf.attrs)
	if category != "" {
		all = append(all, keyCategory.String(string(category)))
	}
	all = append(all, attrs...)
	r.AddAttributes(all...)
	buf.attrs = all
	buffers.give(buf)
	t.logger.Emit(ctx, *r)
}

// severityOf places slog's levels among OpenTelemetry's severities: four steps of each are one of the other.
func severityOf(level slog.Level) log.Severity {
	n := int(level) + 9 // Info is 0 there and 9 here; both have steps of 4 between names.
	return log.Severity(min(max(n, 1), 24))
}

// converter makes attributes of those of log/slog. Groups become dots in the keys.
type converter struct {
	level    slog.Level
	category Category
	attrs    []attribute.KeyValue
}

func (c *converter) add(prefix string, a slog.Attr) {
	v := a.Value.Resolve()
	if a.Equal(slog.Attr{}) {
		return
	}
	if v.Kind() == slog.KindGroup {
		if a.Key != "" {
			prefix += a.Key + "."
		}
		for _, inner := range v.Group() {
			c.add(prefix, inner)
		}
		return
	}
	key := prefix + a.Key
	if key == string(keyCategory) {
		c.category = Category(v.String())
		return
	}
	if err, ok := v.Any().(error); ok && err != nil {
		c.addError(key, err)
		return
	}
	c.attrs = append(c.attrs, attribute.KeyValue{Key: attribute.Key(key), Value: valueOf(v)})
}

// addError adds an error. Of a record of level error it is what the record is about.
func (c *converter) addError(key string, err error) {
	o := outcomeOf(err)
	if o.status == StatusSuccess || c.level < slog.LevelError {
		c.attrs = append(c.attrs, attribute.String(key, clip(textOf(err), maxMessage)))
		return
	}
	c.attrs = append(c.attrs, keyExceptionType.String(o.kind), keyExceptionMessage.String(o.message), keyErrorType.String(o.code))
}

func valueOf(v slog.Value) attribute.Value {
	switch v.Kind() {
	case slog.KindString:
		return attribute.StringValue(v.String())
	case slog.KindInt64:
		return attribute.Int64Value(v.Int64())
	case slog.KindUint64:
		if n := v.Uint64(); n <= 1<<63-1 {
			return attribute.Int64Value(int64(n))
		}
		return attribute.StringValue(v.String())
	case slog.KindFloat64:
		return attribute.Float64Value(v.Float64())
	case slog.KindBool:
		return attribute.BoolValue(v.Bool())
	case slog.KindDuration:
		return attribute.StringValue(v.Duration().String())
	case slog.KindTime:
		return attribute.StringValue(v.Time().Format(time.RFC3339Nano))
	}
	switch x := v.Any().(type) {
	case fmt.Stringer:
		return attribute.StringValue(x.String())
	case []byte:
		return attribute.ByteSliceValue(x)
	case []string:
		return attribute.StringSliceValue(x)
	case json.Marshaler, map[string]any, []any:
		if text, err := json.Marshal(x); err == nil {
			return attribute.StringValue(string(text))
		}
	}
	return attribute.StringValue(fmt.Sprintf("%+v", v.Any()))
}

// sourceOf returns where a record was made.
func sourceOf(pc uintptr) []attribute.KeyValue {
	if pc == 0 {
		return nil
	}
	f, _ := runtime.CallersFrames([]uintptr{pc}).Next()
	if f.File == "" {
		return nil
	}
	return []attribute.KeyValue{keyFunctionName.String(f.Function), keyFilePath.String(f.File), keyLineNumber.Int(f.Line)}
}
