package mapping

// Reason says why something of a request was not stored as it came. The set is fixed, so that it can be a metric
// attribute.
type Reason uint8

// The reasons. Rows are never dropped: every reason is about a value.
const (
	// ReasonInvalidUTF8 counts strings in which invalid UTF-8 was replaced by U+FFFD.
	ReasonInvalidUTF8 Reason = iota
	// ReasonTruncated counts values that were cut to the configured size.
	ReasonTruncated
	// ReasonDuplicateKey counts attributes that a later one with the same key replaced.
	ReasonDuplicateKey
	// ReasonWrongType counts known attributes of a type that cannot be read; the attribute itself is kept.
	ReasonWrongType
	// ReasonOutOfRange counts known attributes with a negative or absurd number; the attribute itself is kept.
	ReasonOutOfRange
	// ReasonUnknownValue counts agenttrail.* attributes with a value that is not in their list.
	ReasonUnknownValue
	// ReasonRounded counts credits and costs with more digits than the column holds.
	ReasonRounded
	// ReasonFutureTime counts times of more than a day after receipt, replaced by the time of receipt.
	ReasonFutureTime
	// ReasonMissingTime counts spans without a start or an end, and log records without any time.
	ReasonMissingTime
	// ReasonEndBeforeStart counts spans that end before they start; their duration is 0.
	ReasonEndBeforeStart
	// ReasonParentCycle counts spans whose parents lead back to themselves; they are taken for roots.
	ReasonParentCycle
	// ReasonDuplicateSpan counts spans with the trace and span id of another span of the request.
	ReasonDuplicateSpan
	// ReasonMergedRun counts run spans that report the same run as the span around them.
	ReasonMergedRun
	// NumReasons is the number of reasons.
	NumReasons
)

// String returns the name of the reason, as used in metrics.
func (r Reason) String() string {
	if r < NumReasons {
		return reasonNames[r]
	}
	return "unknown"
}

var reasonNames = [NumReasons]string{
	ReasonInvalidUTF8:    "invalid_utf8",
	ReasonTruncated:      "truncated",
	ReasonDuplicateKey:   "duplicate_key",
	ReasonWrongType:      "wrong_type",
	ReasonOutOfRange:     "out_of_range",
	ReasonUnknownValue:   "unknown_value",
	ReasonRounded:        "rounded",
	ReasonFutureTime:     "future_time",
	ReasonMissingTime:    "missing_time",
	ReasonEndBeforeStart: "end_before_start",
	ReasonParentCycle:    "parent_cycle",
	ReasonDuplicateSpan:  "duplicate_span",
	ReasonMergedRun:      "merged_run",
}

// Stats counts the rows that one request gave and what was adjusted in them.
type Stats struct {
	Executions, Spans, Logs, Requests, Errors int
	Adjusted                                  [NumReasons]uint64
}
