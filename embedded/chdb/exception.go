package chdb

import (
	"strconv"
	"strings"
)

// Exception is an error of the engine. Text has the form
// "Code: 60. DB::Exception: Unknown table … (UNKNOWN_TABLE)".
type Exception struct {
	// Code is ClickHouse's error code (src/Common/ErrorCodes.cpp); 1002 (UNKNOWN_EXCEPTION) when the text names none.
	Code int
	// Text is the whole message.
	Text string
}

// Error gives the text.
func (e *Exception) Error() string { return e.Text }

const codeUnknownException = 1002

// parseException reads the code from the engine's message.
func parseException(text string) *Exception {
	text = strings.TrimSpace(text)
	e := &Exception{Code: codeUnknownException, Text: text}
	if i := strings.Index(text, "Code: "); i >= 0 {
		digits, _, ok := strings.Cut(text[i+len("Code: "):], ".")
		if code, err := strconv.Atoi(digits); ok && err == nil {
			e.Code, e.Text = code, text[i:]
		}
	}
	return e
}
