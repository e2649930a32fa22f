package agenttrail

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"runtime/debug"
	"strings"

	"go.opentelemetry.io/otel/attribute"
)

// Status is how a run ended, as in AgentExecution.status.
type Status string

const (
	// StatusSuccess ended with the wanted result.
	StatusSuccess Status = "success"
	// StatusFailed ended without the wanted result, in a way that is foreseen: a refusal, a limit, a cancellation.
	StatusFailed Status = "failed"
	// StatusTimeout ran out of time.
	StatusTimeout Status = "timeout"
	// StatusError broke: an error that nobody foresaw, or a panic.
	StatusError Status = "error"
)

// CodedError is an error that knows its reason, which becomes AgentExecution.errorCode and SystemErrors.errorCode. Codes
// are few and stable, such as rate_limited or invalid_output; an error with one is foreseen, so that a run that it ends
// is [StatusFailed] unless it ran out of time or the error is a [StatusError] too.
type CodedError interface {
	error
	ErrorCode() string
}

// StatusedError is an error that knows how a run ends that it ends.
type StatusedError interface {
	error
	ExecutionStatus() Status
}

// TypedError is an error that knows a better type than the one that it has in Go, for example because it came from another
// process: it becomes SystemErrors.errorType.
type TypedError interface {
	error
	ErrorType() string
}

// The codes of errors that have none of their own.
const (
	codeDeadline = "deadline_exceeded"
	codeCanceled = "canceled"
	codePanic    = "panic"
	codeError    = "error"
)

// Limits of what is told of an error, bytes.
const (
	maxMessage = 4 << 10
	maxStack   = 16 << 10
)

// outcome is how a run, a step or a request ended.
type outcome struct {
	status  Status
	code    string
	kind    string // Type of the error.
	message string
	stack   string // With a panic.
}

var success = outcome{status: StatusSuccess}

// outcomeOf tells how something ended from its error. A method of the error that panics is one that does not tell.
func outcomeOf(err error) (o outcome) {
	if err == nil {
		return success
	}
	defer func() {
		if recover() != nil {
			o = outcome{status: StatusError, code: codeError, kind: reflect.TypeOf(err).String(), message: clip(textOf(err), maxMessage)}
		}
	}()
	if p, ok := errors.AsType[*panicError](err); ok {
		return outcome{status: StatusError, code: codePanic, kind: p.kind(), message: clip(p.text(), maxMessage), stack: p.stack}
	}
	o = outcome{kind: kindOf(err), message: clip(textOf(err), maxMessage)}
	coded, hasCode := errors.AsType[CodedError](err)
	switch {
	case isTimeout(err):
		o.status, o.code = StatusTimeout, codeDeadline
	case errors.Is(err, context.Canceled):
		o.status, o.code = StatusFailed, codeCanceled
	case hasCode:
		o.status = StatusFailed
	default:
		o.status, o.code = StatusError, codeOf(o.kind)
	}
	if hasCode && coded.ErrorCode() != "" {
		o.code = coded.ErrorCode()
	}
	fill(&o.code, codeError)
	if s, ok := errors.AsType[StatusedError](err); ok {
		switch told := s.ExecutionStatus(); told {
		case StatusSuccess:
			return success
		case StatusFailed, StatusTimeout, StatusError:
			o.status = told
		}
	}
	return o
}

// textOf returns the text of an error. Package fmt writes something even if the error is a nil pointer.
func textOf(err error) string { return fmt.Sprint(err) }

func isTimeout(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
		return true
	}
	t, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err)
	return ok && t.Timeout()
}

// kindOf returns the type of an error.
func kindOf(err error) string {
	if t, ok := errors.AsType[TypedError](err); ok && t.ErrorType() != "" {
		return t.ErrorType()
	}
	return typeName(err)
}

// plainTypes are the types of errors that say nothing but their text.
var plainTypes = map[string]bool{
	"*errors.errorString": true, "*fmt.wrapError": true, "*fmt.wrapErrors": true, "*errors.joinError": true,
}

// typeName returns the type of the innermost error of a chain that says more than a text.
func typeName(err error) string {
	name := ""
	for ; err != nil; err = errors.Unwrap(err) {
		if kind := reflect.TypeOf(err).String(); name == "" || !plainTypes[kind] || plainTypes[name] {
			name = kind
		}
	}
	return name
}

// codeOf makes a code of the type of an error.
func codeOf(kind string) string {
	if plainTypes[kind] {
		return codeError
	}
	return strings.TrimPrefix(kind, "*")
}

// panicError is the value of a panic.
type panicError struct {
	value any
	stack string
}

func newPanic(value any) *panicError {
	return &panicError{value: value, stack: clip(string(debug.Stack()), maxStack)}
}

func (p *panicError) Error() string { return "panic: " + p.text() }

func (p *panicError) text() string { return fmt.Sprint(p.value) }

func (p *panicError) kind() string {
	if err, ok := p.value.(error); ok {
		return kindOf(err)
	}
	return codePanic
}

// exception returns the attributes of an exception event.
func (o *outcome) exception() []attribute.KeyValue {
	attrs := []attribute.KeyValue{keyExceptionType.String(o.kind), keyExceptionMessage.String(o.message)}
	if o.stack != "" {
		attrs = append(attrs, keyExceptionStacktrace.String(o.stack))
	}
	return attrs
}

// clip cuts a text that is too long, between characters.
func clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "…"
}
