// Package row holds the typed rows of the ClickHouse tables that the exporter writes.
//
// Field names follow the columns of schema/clickhouse. Strings alias the request they were mapped from: a row is
// valid only until the function that received it returns. All durations are milliseconds, all times nanoseconds
// since the epoch.
package row

import "github.com/agenttrail/agenttrail/exporter/record"

// TraceID, SpanID and UUID are stored as text or 16 raw bytes; zero means absent.
type (
	// TraceID is a W3C trace id; absent is stored as an empty string.
	TraceID [16]byte
	// SpanID is a W3C span id; absent is stored as an empty string.
	SpanID [8]byte
	// UUID is the id of a row that the emitter gave none, in RFC 9562 byte order.
	UUID [16]byte
)

// Credits counts millionths of a credit, the scale of Decimal(18, 6).
type Credits int64

// Cost is an amount of USD in billionths, the scale of Decimal(18, 9). Known is false when nobody gave one.
type Cost struct {
	NanoUSD int64
	Known   bool
}

// Tokens counts the tokens of a run or of one span. Cached tokens are part of Input, reasoning is part of Output.
type Tokens struct {
	Input, Output, CacheRead, CacheWrite, Reasoning uint64
}

// Status is the outcome of a run, numbered as in AgentExecution.status.
type Status int8

// The outcomes of a run.
const (
	StatusSuccess Status = 1
	StatusFailed  Status = 2
	StatusTimeout Status = 3
	StatusError   Status = 4
)

// Category says what a log record is about, numbered as in AgentLog.category.
type Category int8

// The categories of a log record.
const (
	CategoryExecution   Category = 1
	CategoryError       Category = 2
	CategoryPerformance Category = 3
	CategoryUserAction  Category = 4
)

// Level is a log level, numbered as in AgentLog.level.
type Level int8

// The levels of a log record.
const (
	LevelDebug Level = 1
	LevelInfo  Level = 2
	LevelWarn  Level = 3
	LevelError Level = 4
)

// Severity says how bad an error or a security event is, numbered as in SystemErrors.severity and
// SecurityEvents.severity.
type Severity int8

// The severities. Only a security event can be for information.
const (
	SeverityInfo     Severity = 0
	SeverityWarning  Severity = 1
	SeverityError    Severity = 2
	SeverityCritical Severity = 3
)

// Execution is a row of AgentExecution.
type Execution struct {
	ID                string
	TraceID           TraceID
	SpanID            SpanID
	ParentSpanID      SpanID
	ParentExecutionID string
	AgentID           string
	AgentName         string
	AgentVersion      string
	UserID            string
	SessionID         string
	Status            Status
	StartedAt         int64
	Duration          float64
	ResponseTime      float64
	ProcessingTime    float64
	QueueTime         float64
	ErrorCode         string
	ErrorMessage      string
	HTTPStatus        uint16
	CreditsConsumed   Credits
	Model             string
	Provider          string
	Tokens            Tokens
	Cost              Cost
	PriceVersion      string // Empty unless a list of prices gave the cost.
	UserAgent         string
	IPAddress         string
	ServiceName       string
	Environment       string
	Dialect           string
	Attributes        record.Attrs
}

// Span is a row of Span. Events and Links are taken from the span as they are.
type Span struct {
	TraceID            TraceID
	SpanID             SpanID
	ParentSpanID       SpanID
	Name               string
	Kind               record.Kind
	StartedAt          int64
	Duration           float64
	Status             record.StatusCode
	StatusMessage      string
	AgentID            string
	ExecutionID        string
	UserID             string
	SessionID          string
	Operation          string
	Model              string
	Provider           string
	Tool               string
	Tokens             Tokens
	Cost               Cost
	PriceVersion       string // Empty unless a list of prices gave the cost.
	ServiceName        string
	Environment        string
	ScopeName          string
	ScopeVersion       string
	ResourceAttributes record.Attrs
	Attributes         record.Attrs
	Events             []record.Event
	Links              []record.Link
}

// Log is a row of AgentLog.
type Log struct {
	ID                 UUID
	Timestamp          int64
	ExecutionID        string
	AgentID            string
	UserID             string
	SessionID          string
	TraceID            TraceID
	SpanID             SpanID
	Category           Category
	Level              Level
	Message            string
	Context            string // JSON object
	Metadata           record.Attrs
	EventName          string
	SeverityNumber     uint8
	ServiceName        string
	Environment        string
	ResourceAttributes record.Attrs
}

// Request is a row of RequestLog.
type Request struct {
	ID              UUID
	Timestamp       int64
	Method          string
	URL             string
	Path            string
	Route           string
	HTTPStatus      uint16
	Duration        float64
	RequestHeaders  record.Attrs
	RequestBody     string
	ResponseHeaders record.Attrs
	ResponseBody    string
	ErrorCode       string
	ErrorMessage    string
	AgentID         string
	ExecutionID     string
	UserID          string
	SessionID       string
	IPAddress       string
	UserAgent       string
	TraceID         TraceID
	SpanID          SpanID
	ServiceName     string
	Environment     string
}

// Error is a row of SystemErrors.
type Error struct {
	ID          UUID
	Timestamp   int64
	ErrorCode   string
	ErrorType   string
	Severity    Severity
	Component   string
	AgentID     string
	UserID      string
	ExecutionID string
	TraceID     TraceID
	SpanID      SpanID
	Fingerprint uint64
	Message     string
	Details     record.Attrs
	Environment string
}

// Outcome says how a security event ended, numbered as in SecurityEvents.outcome.
type Outcome int8

// The outcomes of a security event.
const (
	OutcomeUnknown Outcome = 0
	OutcomeSuccess Outcome = 1
	OutcomeFailure Outcome = 2
	OutcomeDenied  Outcome = 3
)

// Metric is a row of SystemMetrics, one metric point.
type Metric struct {
	ID                 UUID
	Timestamp          int64
	StartedAt          int64 // 0: not given
	Metric             string
	Kind               record.MetricKind
	Temporality        record.Temporality
	Monotonic          bool
	Value              float64 // of a gauge or sum; mean of the others
	Unit               string
	Component          string
	Count              uint64
	Sum                float64
	Min, Max           record.OptionalDouble
	Bounds             []float64
	Counts             []uint64
	QuantileValues     []float64
	Attributes         record.Attrs
	ResourceAttributes record.Attrs
	ScopeName          string
	Environment        string
}

// SecurityEvent is a row of SecurityEvents.
type SecurityEvent struct {
	ID          UUID
	Timestamp   int64
	Type        string
	Severity    Severity
	Outcome     Outcome
	Actor       string
	UserID      string
	IPAddress   string
	UserAgent   string
	Resource    string
	Message     string
	Details     record.Attrs
	TraceID     TraceID
	SpanID      SpanID
	ExecutionID string
	Component   string
	Environment string
}

// Sink takes rows. A row and everything it points to is valid only during the call.
type Sink interface {
	Execution(*Execution)
	Span(*Span)
	Log(*Log)
	Request(*Request)
	Error(*Error)
	Metric(*Metric)
	SecurityEvent(*SecurityEvent)
}
