package mapping

import (
	"strings"

	"github.com/agenttrail/agenttrail/exporter/record"
)

// messageOf returns the message of what went wrong in a span, without stack traces.
func (m *Mapper) messageOf(s *record.Span, v *view, d Dialect, exc *exception) string {
	if exc != nil && exc.message != "" {
		return exc.message
	}
	if v.has.intersects(&errorMessages.need) {
		for i := range errorMessages.rows {
			if x, ok := errorMessages.rows[i].value(v, d); ok && x.Kind == record.ValueString && x.Str != "" {
				return m.message(x.Str)
			}
		}
	}
	return m.message(s.StatusMessage)
}

// message returns the text of an error as it is stored.
func (m *Mapper) message(s string) string {
	s, _ = splitType(withoutStack(s))
	return m.clean(s, m.cfg.MaxAttributeBytes)
}

// messageWraps are messages that say only where something went wrong; what went wrong is a member of the JSON object
// that follows.
var messageWraps = []struct{ prefix, member, from string }{
	{"Error in agent run: ", "error", "openai-agents"},
	{"Error running tool (non-fatal): ", "error", "openai-agents"},
	{"Error running tool: ", "error", "openai-agents"},
}

// splitType unwraps a message, splits "<message>\n\n<Type>: <message>", which LangChain's instrumentation writes, and returns the type
// that any other message starts with.
func splitType(s string) (message, kind string) {
	for _, w := range messageWraps {
		if rest, ok := strings.CutPrefix(s, w.prefix); ok {
			if raw, ok := jsonMember(rest, w.member); ok && len(raw) >= 2 && raw[0] == '"' {
				if inner := unquote(raw); inner != "" {
					s = inner
				}
			}
			if kind = leadingType(s); kind == "" || len(s) < len(kind)+3 {
				return s, kind
			}
			s = s[len(kind)+2:]
			if kind == "Error" { // Says nothing.
				kind = ""
			}
			return s, kind
		}
	}
	if i := strings.LastIndex(s, "\n\n"); i > 0 {
		if t := leadingType(s[i+2:]); t != "" && strings.TrimPrefix(s[i+2+len(t):], ": ") == s[:i] {
			return s[:i], t
		}
	}
	return s, leadingType(s)
}

// stackStarts are how the stack trace after a message begins.
var stackStarts = []string{
	"Traceback (most recent call last):", // Python
	"\n    at ",                          // JavaScript
	"\n\tat ",                            // Java
	"\ngoroutine ",                       // Go
	"\n   at ",                           // .NET
	"\n  File \"",                        // Python
	"\nstack backtrace:",                 // Rust
}

const pythonTrace = "Traceback (most recent call last):"

// withoutStack cuts the stack trace off a message. What is nothing but a Python trace ends with its message.
func withoutStack(s string) string {
	cut := len(s)
	for _, start := range stackStarts {
		if i := strings.Index(s[:cut], start); i >= 0 {
			cut = i
		}
	}
	if cut == len(s) {
		return s
	}
	if head := strings.TrimRight(s[:cut], " \t\r\n"); head != "" {
		return head
	}
	if strings.HasPrefix(strings.TrimLeft(s, " \t\r\n"), pythonTrace) {
		s = strings.TrimRight(s, " \t\r\n")
		if i := strings.LastIndexByte(s, '\n'); i >= 0 && s[i+1] != ' ' {
			return s[i+1:]
		}
	}
	return s
}

// leadingType returns the type that a message starts with, as in "RateLimitError: slow down", else "".
func leadingType(message string) string {
	i := strings.IndexByte(message, ':')
	if i < 0 {
		i = len(message)
	}
	if i == 0 || i > 100 {
		return ""
	}
	word := message[:i]
	for j := range len(word) {
		c := word[j]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '.' {
			return ""
		}
	}
	if strings.HasSuffix(word, "Error") || strings.HasSuffix(word, "Exception") {
		return word
	}
	return ""
}
