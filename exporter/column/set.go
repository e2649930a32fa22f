package column

import (
	"github.com/agenttrail/agenttrail/exporter/row"
)

// Table is a table that the exporter writes.
type Table uint8

// The tables, in the order in which their blocks are sent.
const (
	TableSpan Table = iota
	TableAgentExecution
	TableAgentLog
	TableRequestLog
	TableSystemErrors
	TableSystemMetrics
	TableSecurityEvents
	TableCount // How many tables there are.
)

// String returns the name of the table in ClickHouse.
func (t Table) String() string {
	switch t {
	case TableSpan:
		return "Span"
	case TableAgentExecution:
		return "AgentExecution"
	case TableAgentLog:
		return "AgentLog"
	case TableRequestLog:
		return "RequestLog"
	case TableSystemErrors:
		return "SystemErrors"
	case TableSystemMetrics:
		return "SystemMetrics"
	case TableSecurityEvents:
		return "SecurityEvents"
	default:
		panic("BUG: unknown table")
	}
}

// Columns returns the columns that blocks of t have, in order. Columns that the server fills in are not among them.
func (t Table) Columns() []Column {
	fields := NewSet().block(t).fields
	columns := make([]Column, len(fields))
	for i, f := range fields {
		columns[i] = f.Column
	}
	return columns
}

// Set holds one block per table. It is not safe for concurrent use.
type Set struct {
	spans      spanBlock
	executions executionBlock
	logs       logBlock
	requests   requestBlock
	errors     errorBlock
	metrics    metricBlock
	security   securityBlock
}

var _ row.Sink = (*Set)(nil)

// NewSet returns an empty set.
func NewSet() *Set {
	s := &Set{}
	s.spans.init()
	s.executions.init()
	s.logs.init()
	s.requests.init()
	s.errors.init()
	s.metrics.init()
	s.security.init()
	for t := range TableCount {
		s.block(t).measure()
	}
	return s
}

// Span implements [row.Sink].
func (s *Set) Span(r *row.Span) { s.spans.Append(r) }

// Execution implements [row.Sink].
func (s *Set) Execution(r *row.Execution) { s.executions.Append(r) }

// Log implements [row.Sink].
func (s *Set) Log(r *row.Log) { s.logs.Append(r) }

// Request implements [row.Sink].
func (s *Set) Request(r *row.Request) { s.requests.Append(r) }

// Error implements [row.Sink].
func (s *Set) Error(r *row.Error) { s.errors.Append(r) }

// Metric implements [row.Sink].
func (s *Set) Metric(r *row.Metric) { s.metrics.Append(r) }

// SecurityEvent implements [row.Sink].
func (s *Set) SecurityEvent(r *row.SecurityEvent) { s.security.Append(r) }

// Rows returns how many rows of t there are.
func (s *Set) Rows(t Table) int { return s.block(t).rows }

// Size returns about how many bytes the rows of t take in Native format. It is never much too low.
func (s *Set) Size(t Table) int { return s.block(t).size() }

// AppendNative appends the block of t in Native format to dst.
func (s *Set) AppendNative(dst []byte, t Table) []byte { return s.block(t).appendNative(dst) }

// Merge adds the rows of t in src to those in s. Nothing of src is referred to afterwards.
func (s *Set) Merge(t Table, src *Set) { s.block(t).merge(src.block(t)) }

// EndRequest must be called when the rows of one request are complete and the set is kept: what was remembered of its
// rows to save work is not valid for those of the next.
func (s *Set) EndRequest() {
	s.spans.resourceAttributes.endRequest()
	s.logs.resourceAttributes.endRequest()
	s.metrics.resourceAttributes.endRequest()
}

// Reset empties the set and keeps its memory for the next rows, unless that is very much.
func (s *Set) Reset() {
	for t := range TableCount {
		s.block(t).reset()
	}
}

func (s *Set) block(t Table) *block {
	switch t {
	case TableSpan:
		return &s.spans.block
	case TableAgentExecution:
		return &s.executions.block
	case TableAgentLog:
		return &s.logs.block
	case TableRequestLog:
		return &s.requests.block
	case TableSystemErrors:
		return &s.errors.block
	case TableSystemMetrics:
		return &s.metrics.block
	case TableSecurityEvents:
		return &s.security.block
	default:
		panic("BUG: unknown table")
	}
}
