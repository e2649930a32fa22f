package mapping

// Reason says why something of a request was not stored as it came. The set is fixed, so that it can be a metric
// attribute.
type Reason uint8

// The reasons. Every reason is about a value. Nothing makes a span or log record go without its row; a metric point
// without a value has none.
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
	// ReasonRounded counts credits, costs and integers of metrics with more digits than the column holds.
	ReasonRounded
	// ReasonFutureTime counts times of more than a day after receipt, replaced by the time of receipt.
	ReasonFutureTime
	// ReasonMissingTime counts spans without a start or an end, and log records and metric points without any time.
	ReasonMissingTime
	// ReasonEndBeforeStart counts spans that end before they start; their duration is 0.
	ReasonEndBeforeStart
	// ReasonParentCycle counts spans whose parents lead back to themselves; they are taken for roots.
	ReasonParentCycle
	// ReasonDuplicateSpan counts spans with the trace and span id of another span of the request.
	ReasonDuplicateSpan
	// ReasonMergedRun counts run spans that report the same run as the span around them.
	ReasonMergedRun
	// ReasonNoValue counts metric points without a value, such as those that mark the end of a series; they give no
	// row.
	ReasonNoValue
	// ReasonNotFinite counts numbers of metrics that are NaN or infinite: a gauge or sum gives no row, a histogram or
	// summary goes without that number.
	ReasonNotFinite
	// ReasonBadBuckets counts histograms with buckets that contradict each other; their values are in one bucket.
	ReasonBadBuckets
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
	ReasonNoValue:        "no_value",
	ReasonNotFinite:      "not_finite",
	ReasonBadBuckets:     "bad_buckets",
}

// Stats counts the rows that one request gave and what was adjusted in them.
type Stats struct {
	Executions, Spans, Logs, Requests, Errors int
	Metrics, SecurityEvents                   int
	Adjusted                                  [NumReasons]uint64
}
