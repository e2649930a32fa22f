package delivery

import (
	"fmt"
	"net/http"
	"strings"
)

// Class says what to do about an INSERT that failed.
type Class int

// The classes.
const (
	// ClassRetry: the same block can be stored later. What an operator can put right belongs here too, such as a
	// missing table or a wrong password: the rows are good, and nothing may be lost over a mistake around them.
	ClassRetry Class = iota
	// ClassContent: the rows themselves cannot be stored, now or later.
	ClassContent
)

// Failure is what ClickHouse, or something between it and us, answered to an INSERT.
type Failure struct {
	Status  int    // HTTP status; 0 if there was no answer.
	Code    int    // ClickHouse's exception code; 0 if there was none.
	Message string // The text of the answer, or of the error that kept it away.
}

// Error implements error. It ends with what to do where somebody can do something.
func (f *Failure) Error() string {
	var b strings.Builder
	switch {
	case f.Status == 0:
		b.WriteString("no answer from clickhouse")
	case f.Code == 0:
		fmt.Fprintf(&b, "clickhouse answered HTTP %d", f.Status)
	default:
		fmt.Fprintf(&b, "clickhouse refused the insert with code %d", f.Code)
	}
	if f.Message != "" {
		b.WriteString(": " + f.Message)
	}
	if _, _, advice := Classify(f); advice != "" {
		b.WriteString(": " + advice)
	}
	return b.String()
}

const (
	adviceMigrate = "run `agenttrail migrate clickhouse`"
	adviceAuth    = "check username and password of the exporter"
	adviceGrant   = "grant the user of the exporter INSERT on its database"
	adviceVersion = "ClickHouse 26.2 or later is needed"
	adviceFull    = "free disk space or memory of the ClickHouse server"
)

// contentCodes are the exceptions that lie in the rows: ClickHouse understood the block and cannot hold a value of it.
// Codes that a cut or damaged body may cause are not among them, such as 33 (CANNOT_READ_ALL_DATA), 40
// (CHECKSUM_DOESNT_MATCH) and 271 (CANNOT_DECOMPRESS). Numbers: ClickHouse src/Common/ErrorCodes.cpp.
var contentCodes = map[int]string{
	6:   "cannot_parse",         // CANNOT_PARSE_TEXT
	26:  "cannot_parse",         // CANNOT_PARSE_QUOTED_STRING
	27:  "cannot_parse",         // CANNOT_PARSE_INPUT_ASSERTION_FAILED
	38:  "cannot_parse",         // CANNOT_PARSE_DATE
	41:  "cannot_parse",         // CANNOT_PARSE_DATETIME
	53:  "type_mismatch",        // TYPE_MISMATCH
	69:  "out_of_bound",         // ARGUMENT_OUT_OF_BOUND
	70:  "cannot_convert",       // CANNOT_CONVERT_TYPE
	72:  "cannot_parse",         // CANNOT_PARSE_NUMBER
	117: "incorrect_data",       // INCORRECT_DATA
	128: "too_large_array",      // TOO_LARGE_ARRAY_SIZE
	131: "too_large_string",     // TOO_LARGE_STRING_SIZE
	190: "array_sizes",          // SIZES_OF_ARRAYS_DONT_MATCH
	321: "out_of_range",         // VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
	349: "null",                 // CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN
	376: "cannot_parse",         // CANNOT_PARSE_UUID
	407: "decimal_overflow",     // DECIMAL_OVERFLOW
	469: "constraint",           // VIOLATED_CONSTRAINT
	691: "unknown_enum_element", // UNKNOWN_ELEMENT_OF_ENUM
}

// operatorCodes are exceptions that somebody has to put right, and how.
var operatorCodes = map[int]struct{ reason, advice string }{
	10:  {"schema", adviceMigrate},      // NOT_FOUND_COLUMN_IN_BLOCK
	16:  {"schema", adviceMigrate},      // NO_SUCH_COLUMN_IN_TABLE
	20:  {"schema", adviceMigrate},      // NUMBER_OF_COLUMNS_DOESNT_MATCH
	60:  {"schema", adviceMigrate},      // UNKNOWN_TABLE
	81:  {"schema", adviceMigrate},      // UNKNOWN_DATABASE
	115: {"version", adviceVersion},     // UNKNOWN_SETTING
	164: {"readonly", adviceGrant},      // READONLY
	192: {"auth", adviceAuth},           // UNKNOWN_USER
	193: {"auth", adviceAuth},           // WRONG_PASSWORD
	194: {"auth", adviceAuth},           // REQUIRED_PASSWORD
	243: {"disk_full", adviceFull},      // NOT_ENOUGH_SPACE
	241: {"memory_limit", adviceFull},   // MEMORY_LIMIT_EXCEEDED
	497: {"access_denied", adviceGrant}, // ACCESS_DENIED
	516: {"auth", adviceAuth},           // AUTHENTICATION_FAILED
}

// passingCodes are exceptions that pass by themselves.
var passingCodes = map[int]string{
	159: "timeout",             // TIMEOUT_EXCEEDED
	160: "timeout",             // TOO_SLOW
	202: "too_many_queries",    // TOO_MANY_SIMULTANEOUS_QUERIES
	209: "timeout",             // SOCKET_TIMEOUT
	210: "network",             // NETWORK_ERROR
	225: "keeper",              // NO_ZOOKEEPER
	236: "aborted",             // ABORTED
	242: "readonly_table",      // TABLE_IS_READ_ONLY
	252: "too_many_parts",      // TOO_MANY_PARTS
	285: "too_few_replicas",    // TOO_FEW_LIVE_REPLICAS
	286: "too_few_replicas",    // UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE
	289: "replica",             // REPLICA_IS_NOT_IN_QUORUM
	319: "unknown_insert",      // UNKNOWN_STATUS_OF_INSERT
	394: "killed",              // QUERY_WAS_CANCELLED
	439: "no_threads",          // CANNOT_SCHEDULE_TASK
	649: "unknown_transaction", // UNKNOWN_STATUS_OF_TRANSACTION
	999: "keeper",              // KEEPER_EXCEPTION
}

// Classify is the one place that decides whether an INSERT can be retried. reason is a word for metrics; advice, if
// not empty, says what an operator has to do. What is not known is retried: a wrong retry costs time, a wrong
// rejection costs data.
func Classify(f *Failure) (class Class, reason, advice string) {
	if f.Status == 0 {
		return ClassRetry, "connection", ""
	}
	// An error in a materialized view leaves the rows in the table. Only the same block with the same token fills the
	// view without storing the rows twice, so such a block must not be split, whatever the code.
	inView := strings.Contains(f.Message, "while pushing to view")
	if reason, ok := contentCodes[f.Code]; ok && !inView {
		return ClassContent, reason, ""
	}
	if inView {
		return ClassRetry, "view", "repair the materialized view"
	}
	if op, ok := operatorCodes[f.Code]; ok {
		return ClassRetry, op.reason, op.advice
	}
	if reason, ok := passingCodes[f.Code]; ok {
		return ClassRetry, reason, ""
	}
	if f.Code != 0 {
		return ClassRetry, "other", ""
	}
	switch f.Status {
	case http.StatusRequestEntityTooLarge:
		return ClassContent, "body_too_large", "raise the limit of the proxy in front of ClickHouse"
	case http.StatusUnauthorized, http.StatusForbidden:
		return ClassRetry, "auth", adviceAuth
	case http.StatusNotFound, http.StatusOK:
		return ClassRetry, "not_clickhouse", "check that the endpoint is the HTTP interface of ClickHouse"
	}
	return ClassRetry, "http", ""
}
