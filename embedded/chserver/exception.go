package chserver

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/agenttrail/agenttrail/embedded/chdb"
)

// Error codes of ClickHouse that the server itself gives (src/Common/ErrorCodes.cpp).
const (
	codeCannotParseText       = 6
	codeAttemptToReadAfterEOF = 32
	codeCannotReadAllData     = 33
	codeBadArguments          = 36
	codeChecksumMismatch      = 40
	codeNotImplemented        = 48
	codeSyntaxError           = 62
	codeUnknownTypeOfQuery    = 78
	codeUnknownSetting        = 115
	codeReadonly              = 164
	codeUnknownUser           = 192
	codeTooManyQueries        = 202
	codeNetworkError          = 210
	codeQueryIDInUse          = 216
	codeCannotDecompress      = 271
	codeTooLargeCompressed    = 39
	codeIntoOutfileNotAllowed = 358
	codeSessionNotFound       = 372
	codeSessionIsLocked       = 373
	codeInvalidSessionTimeout = 374
	codeQueryWasCancelled     = 394
	codeUnknownRole           = 511
	codeAuthenticationFailed  = 516
	codeUnknownException      = 1002
	codeAborted               = 236
	codeSessionIDEmpty        = 744
)

var codeNames = map[int]string{
	codeCannotParseText:       "CANNOT_PARSE_TEXT",
	codeAttemptToReadAfterEOF: "ATTEMPT_TO_READ_AFTER_EOF",
	codeCannotReadAllData:     "CANNOT_READ_ALL_DATA",
	codeBadArguments:          "BAD_ARGUMENTS",
	codeChecksumMismatch:      "CHECKSUM_DOESNT_MATCH",
	codeNotImplemented:        "NOT_IMPLEMENTED",
	codeSyntaxError:           "SYNTAX_ERROR",
	codeUnknownTypeOfQuery:    "UNKNOWN_TYPE_OF_QUERY",
	codeUnknownSetting:        "UNKNOWN_SETTING",
	codeReadonly:              "READONLY",
	codeUnknownUser:           "UNKNOWN_USER",
	codeTooManyQueries:        "TOO_MANY_SIMULTANEOUS_QUERIES",
	codeNetworkError:          "NETWORK_ERROR",
	codeQueryIDInUse:          "QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING",
	codeAborted:               "ABORTED",
	codeCannotDecompress:      "CANNOT_DECOMPRESS",
	codeTooLargeCompressed:    "TOO_LARGE_SIZE_COMPRESSED",
	codeIntoOutfileNotAllowed: "INTO_OUTFILE_NOT_ALLOWED",
	codeSessionNotFound:       "SESSION_NOT_FOUND",
	codeSessionIsLocked:       "SESSION_IS_LOCKED",
	codeInvalidSessionTimeout: "INVALID_SESSION_TIMEOUT",
	codeQueryWasCancelled:     "QUERY_WAS_CANCELLED",
	codeUnknownRole:           "UNKNOWN_ROLE",
	codeAuthenticationFailed:  "AUTHENTICATION_FAILED",
	codeUnknownException:      "UNKNOWN_EXCEPTION",
	codeSessionIDEmpty:        "SESSION_ID_EMPTY",
}

// serverError is an exception in ClickHouse's form. text lacks the version, which exceptionText adds.
type serverError struct {
	code int
	text string
}

func (e *serverError) Error() string { return e.text }

// newError makes an exception of the server's own.
func newError(code int, format string, args ...any) *serverError {
	return &serverError{
		code: code,
		text: fmt.Sprintf("Code: %d. DB::Exception: %s. (%s)", code, fmt.Sprintf(format, args...), codeNames[code]),
	}
}

// asServerError gives any error the form of a ClickHouse exception.
func asServerError(err error) *serverError {
	if own, ok := errors.AsType[*serverError](err); ok {
		return own
	}
	if engine, ok := errors.AsType[*chdb.Exception](err); ok {
		text := engine.Text
		if !strings.HasPrefix(text, "Code: ") {
			return newError(codeUnknownException, "%s", text)
		}
		return &serverError{code: engine.Code, text: text}
	}
	return newError(codeUnknownException, "%s", err)
}

// versionSuffix matches the version that some messages of the engine already carry at their end.
var versionSuffix = regexp.MustCompile(`\(version [0-9.]+[^()]*(\([^()]*\))?\)$`)

// exceptionText is the text that is sent to clients, without a line break at its end.
func exceptionText(e *serverError, version string) string {
	if versionSuffix.MatchString(e.text) {
		return e.text
	}
	return e.text + " (version " + version + " (official build))"
}

// httpStatus maps an error code to the status (src/Server/HTTP/exceptionCodeToHTTPStatus.cpp; the numbers are those that
// errorCodeToName gives in 26.7).
func httpStatus(code int) int {
	switch code {
	case 194: // REQUIRED_PASSWORD
		return http.StatusUnauthorized
	case 192, 193, 516, 512, 497: // UNKNOWN_USER, WRONG_PASSWORD, AUTHENTICATION_FAILED, SET_NON_GRANTED_ROLE, ACCESS_DENIED
		return http.StatusForbidden
	case 6, 25, 26, 27, 38, 41, 72, 376, 441, 675, 676, // CANNOT_PARSE_*
		8, 15, 36, 37, 44, 53, 62, // THERE_IS_NO_COLUMN, DUPLICATE_COLUMN, BAD_ARGUMENTS, UNKNOWN_ELEMENT_IN_AST, ILLEGAL_COLUMN, TYPE_MISMATCH, SYNTAX_ERROR
		117, 123, 167, 168, 223, 321, 427: // INCORRECT_DATA, UNKNOWN_TYPE_OF_AST_NODE, TOO_DEEP_AST, TOO_BIG_AST, UNEXPECTED_AST_STRUCTURE, VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE, CANNOT_COMPILE_REGEXP
		return http.StatusBadRequest
	case 46, 47, 50, 56, 60, 63, 73, 78, 81, // UNKNOWN_FUNCTION, _IDENTIFIER, _TYPE, _STORAGE, _TABLE, _AGGREGATE_FUNCTION, _FORMAT, _TYPE_OF_QUERY, _DATABASE
		115, 152, 336, 511: // UNKNOWN_SETTING, _DIRECTION_OF_SORTING, _DATABASE_ENGINE, _ROLE
		return http.StatusNotFound
	case 229: // QUERY_IS_TOO_LARGE
		return http.StatusRequestEntityTooLarge
	case 48: // NOT_IMPLEMENTED
		return http.StatusNotImplemented
	case 209, 76, 439: // SOCKET_TIMEOUT, CANNOT_OPEN_FILE, CANNOT_SCHEDULE_TASK
		return http.StatusServiceUnavailable
	case 381: // HTTP_LENGTH_REQUIRED
		return http.StatusLengthRequired
	case 159: // TIMEOUT_EXCEEDED
		return http.StatusRequestTimeout
	case 779: // UNSUPPORTED_MEDIA_TYPE
		return http.StatusUnsupportedMediaType
	}
	return http.StatusInternalServerError
}
