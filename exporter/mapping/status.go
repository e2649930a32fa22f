package mapping

import (
	"strings"

	"github.com/agenttrail/agenttrail/exporter/record"
	"github.com/agenttrail/agenttrail/exporter/row"
)

// mark is an attribute value by which an emitter says that a span failed, whatever its status is.
type mark struct {
	key   string
	path  string // the member to read when the attribute holds a JSON object
	value string
	only  Dialect
	threw bool   // it says that something was thrown
	code  string // the reason, where nothing else tells
	from  string
}

var failureMarks = []mark{
	{key: "langfuse.observation.level", value: "ERROR", from: "langfuse: the status stays unset"},
	{key: "genkit:state", value: "error", from: "genkit"},
	{key: "ai.response.finishReason", value: "error", threw: true, from: "ai v4 to v6: a stream that broke, status unset"},
	{key: "gen_ai.response.finish_reasons", value: `["error"]`, threw: true, from: "@ai-sdk/otel 1.0, mastra: the same"},
	{key: "mastra.agent_run.output", path: "status", value: "aborted", code: "aborted", from: "mastra 1.4: status OK"},
	{key: "gen_ai.response.status", value: "failed", from: "genai, proposed"},
	{key: "gen_ai.response.status", value: "cancelled", code: "cancelled", from: "genai, proposed"},
	{key: "gen_ai.execution.status", value: "error", from: "openlit"},
	{key: "gen_ai.execution.status", value: "failed", from: "openlit"},
	{key: "gen_ai.task.status", value: "failure", from: "openllmetry"},
	{key: "gen_ai.tool.status", value: "error", from: "strands"},
	{key: "success", value: "false", only: DialectClaudeCode, from: "claude code"},
}

// statusThrows are the dialects whose emitters set status ERROR only when something was thrown, but record no
// exception.
var statusThrows = map[Dialect]bool{
	DialectLangfuse: true, // langfuse-js v5, startActiveObservation
}

// errorTypes is the low-cardinality reason of a failure.
var errorTypes = newTable(
	source{key: KeyExecutionErrorCode, from: "agenttrail"},
	source{key: "error.type", from: "semconv v1.21"},
)

// errorMessages is what emitters write apart from exceptions and the status.
var errorMessages = newTable(
	source{key: "error.message", from: "semconv, deprecated; mastra"},
	source{key: "langfuse.observation.status_message", from: "langfuse"},
	source{key: "gen_ai.execution.error", from: "openlit"},
)

// typeRule matches the name of an error type: its last segment in lower case, without separators.
type typeRule struct {
	name   string
	suffix bool // the name ends so
	from   string
}

// timeoutTypes are the types of errors that mean that time ran out.
var timeoutTypes = []typeRule{
	{"timeout", true, "any language; httpx.ReadTimeout, requests.ConnectTimeout"},
	{"timeouterror", true, "Python, JavaScript; asyncio.TimeoutError, openai.APITimeoutError"},
	{"timeoutexception", true, "Java, .NET, httpx"},
	{"timedout", true, "Node, Python"},
	{"timedouterror", true, "Node"},
	{"timedoutexception", true, "AWS SDKs"},
	{"deadlineexceeded", true, "Go context.DeadlineExceeded, gRPC"},
	{"deadlineexceedederror", true, "Go context.deadlineExceededError"},
	{"deadlineexceededexception", true, "gRPC"},
	{"etimedout", false, "Node, POSIX"},
	{"esockettimedout", false, "Node"},
	{"408", false, "HTTP"},
	{"504", false, "HTTP"},
}

// timeoutMessages are the few messages that mean the same where no type says so: whole, or after a colon.
var timeoutMessages = []string{
	"context deadline exceeded",                // Go
	"deadline exceeded",                        // gRPC
	"the operation was aborted due to timeout", // AbortSignal.timeout
	"the operation timed out",                  // Bun, browsers
	"the operation timed out.",                 // Firefox
	"request timed out.",                       // openai-python
	"request timed out",                        // Anthropic
	"context deadline exceeded (client.timeout exceeded while awaiting headers)", // Go net/http
	"i/o timeout", // Go net
}

// timeoutPrefixes are how gRPC starts such a message.
var timeoutPrefixes = []string{
	"4 deadline_exceeded:",                       // grpc-js
	"rpc error: code = deadlineexceeded desc = ", // grpc-go
	"504 deadline exceeded",                      // google-api-core
}

// cancelTypes are the types of errors that mean that somebody gave up on the run.
var cancelTypes = []typeRule{
	{"aborterror", true, "JavaScript AbortController"},
	{"cancelederror", true, "Go, axios"},
	{"cancellederror", true, "Python asyncio"},
	{"canceled", true, "Go context.Canceled"},
	{"cancelled", true, "gRPC, OpenAI"},
	{"aborted", false, "any; not ECONNABORTED"},
	{"cancellationexception", true, "Java, Kotlin"},
	{"taskcanceledexception", true, ".NET"},
	{"operationcanceledexception", true, ".NET"},
	{"useraborterror", true, "openai APIUserAbortError"},
	{"keyboardinterrupt", false, "Python"},
	{"499", false, "nginx"},
}

// cancelMessages are whole messages that mean the same.
var cancelMessages = []string{
	"context canceled",            // Go
	"this operation was aborted",  // JavaScript AbortController
	"the operation was aborted.",  // browsers
	"the user aborted a request.", // node-fetch
	"request was aborted.",        // openai-node
}

// resultTypes name an outcome without the wanted result, although they may look like an exception.
var resultTypes = []typeRule{
	{"toolerror", false, "MCP: CallToolResult.isError"},
	{"contentfilter", false, "finish reason"},
	{"refusal", false, "finish reason"},
	{"maxturns", false, "agent SDKs"},
	{"maxtokens", false, "finish reason"},
}

// matchType reports whether the name of an error type is in the list.
func matchType(rules []typeRule, name string) bool {
	if name == "" || len(name) > 200 {
		return false
	}
	var buf [200]byte
	n := foldType(&buf, name)
	folded := string(buf[:n])
	for i := range rules {
		if r := &rules[i]; folded == r.name || (r.suffix && strings.HasSuffix(folded, r.name)) {
			return true
		}
	}
	return false
}

// foldType writes the last segment of a type's name in lower case and without separators.
func foldType(buf *[200]byte, name string) int {
	n := 0
	for i := range len(name) {
		switch c := name[i]; {
		case c == '.' || c == ':' || c == '/' || c == '*' || c == '$':
			n = 0
		case c == '_' || c == '-' || c == ' ':
		case c >= 'A' && c <= 'Z':
			buf[n] = c + 'a' - 'A'
			n++
		default:
			buf[n] = c
			n++
		}
	}
	return n
}

// namesException reports whether an error type is that of something thrown: a type name, or a 5xx. Reasons such as
// rate_limit_exceeded and 4xx are outcomes.
func namesException(t string) bool {
	switch {
	case t == "" || matchType(resultTypes, t):
		return false
	case t == "_OTHER" || t == "unknown": // semconv's and mastra's word for an error without a type.
		return true
	case len(t) == 3 && t[0] >= '0' && t[0] <= '9':
		return t[0] == '5'
	}
	for i := range len(t) {
		if c := t[i]; (c >= 'A' && c <= 'Z') || c == '.' {
			return true
		}
	}
	return strings.HasSuffix(t, "error") || strings.HasSuffix(t, "exception")
}

func matchMessage(list []string, message string) bool {
	for _, want := range list {
		if len(message) < len(want) {
			continue
		}
		tail := len(message) - len(want)
		if strings.EqualFold(message[tail:], want) && (tail == 0 || strings.HasSuffix(message[:tail], ": ")) {
			return true
		}
	}
	return false
}

func isTimeoutMessage(message string) bool {
	for _, p := range timeoutPrefixes {
		if len(message) >= len(p) && strings.EqualFold(message[:len(p)], p) {
			return true
		}
	}
	return matchMessage(timeoutMessages, message)
}

type compiledMark struct {
	tableRow
	value string
	threw bool
	code  string
}

var (
	failMarks      = newMarks(failureMarks)
	failKeys       = markKeys(failMarks)
	idErrorType    = keys.intern("error.type")
	idOwnStatus    = keys.intern(KeyExecutionStatus)
	idOwnErrorCode = keys.intern(KeyExecutionErrorCode)
	idFinish       = keys.intern("gen_ai.response.finish_reasons")
	idFinishAI     = keys.intern("ai.response.finishReason")
)

func newMarks(marks []mark) []compiledMark {
	var out []compiledMark
	for _, m := range marks {
		out = append(out, compiledMark{newTable(source{key: m.key, path: m.path, only: m.only}).rows[0], m.value, m.threw, m.code})
	}
	return out
}

func markKeys(marks []compiledMark) *keySet {
	s := &keySet{}
	for _, m := range marks {
		s.add(m.id)
	}
	s.add(keys.intern("error.type"))
	s.add(keys.intern(KeyExecutionErrorCode))
	return s
}

// readFailure reads whether a span says of itself that it failed.
func readFailure(s *record.Span, v *view, n *node) {
	n.failing = s.Status == record.StatusError
	n.threw = n.failing && statusThrows[n.dialect]
	if !v.has.intersects(failKeys) {
		return
	}
	if s.Status != record.StatusOK && present(v, idErrorType) || present(v, idOwnErrorCode) {
		n.failing = true
	}
	for i := range failMarks {
		f := &failMarks[i]
		if x, ok := f.tableRow.value(v, n.dialect); ok && equalText(x, f.value) {
			n.failing, n.threw = true, n.threw || f.threw
			fill(&n.code, f.code)
		}
	}
}

// present reports whether an attribute has a value that is not empty.
func present(v *view, id keyID) bool {
	x, ok := v.get(id)
	return ok && x.Kind != record.ValueEmpty && (x.Kind != record.ValueString || x.Str != "")
}

func equalText(v record.Value, want string) bool {
	if v.Kind == record.ValueBool {
		return (want == "true") == v.Bool() && (want == "true" || want == "false")
	}
	return (v.Kind == record.ValueString || v.Kind == record.ValueArray) && strings.EqualFold(v.Str, want)
}

var ownStatuses = map[string]row.Status{
	"success": row.StatusSuccess,
	"failed":  row.StatusFailed,
	"timeout": row.StatusTimeout,
	"error":   row.StatusError,
}

// outcome is how a run ended.
type outcome struct {
	status  row.Status
	code    string
	message string
	own     bool // agenttrail.execution.status says so
}

// outcomeOf decides how the run of a span ended. exc is the last exception of the span, if any.
func (m *Mapper) outcomeOf(s *record.Span, v *view, n *node, exc *exception) outcome {
	var o outcome
	if x, ok := v.get(idOwnStatus); ok {
		if o.status, o.own = ownStatuses[x.Str]; !o.own {
			m.blame(v, idOwnStatus, ReasonUnknownValue)
		}
	}
	aborted := !n.failing && m.isAborted(s, v, n)
	if !n.failing && !aborted && (!o.own || o.status == row.StatusSuccess) {
		o.status = row.StatusSuccess
		return o
	}
	errType, _ := m.text(v, errorTypes, n.dialect)
	excType := ""
	if exc != nil {
		excType = exc.typeName()
	}
	o.message = m.messageOf(s, v, n.dialect, exc)
	if excType == "" {
		excType = leadingType(o.message)
	}
	status := m.judgeFailure(errType, excType, o.message, exc != nil || n.threw)
	if o.own && o.status == row.StatusSuccess { // The emitter knows better: a handled error.
		o.code = v.str(idOwnErrorCode)
		o.message = ""
		return o
	}
	if !o.own {
		o.status = status
	}
	o.code = m.codeOf(v, errType, excType, n.code, o, aborted)
	return o
}

// judgeFailure tells the kinds of failures apart.
func (m *Mapper) judgeFailure(errType, excType, message string, threw bool) row.Status {
	switch {
	case matchType(timeoutTypes, errType) || matchType(timeoutTypes, excType) || isTimeoutMessage(message):
		return row.StatusTimeout
	case matchType(cancelTypes, errType) || matchType(cancelTypes, excType) || matchMessage(cancelMessages, message):
		return row.StatusFailed
	case threw || namesException(errType) || namesException(excType):
		return row.StatusError
	default:
		return row.StatusFailed
	}
}

// codeOf returns the reason of a run that did not succeed: what names it, else the type that its message starts
// with, else its kind.
func (m *Mapper) codeOf(v *view, errType, excType, code string, o outcome, aborted bool) string {
	switch {
	case errType != "":
		return errType
	case excType != "":
		return excType
	case aborted:
		return "aborted"
	case code != "":
		return code
	}
	if x, ok := v.get(idFinish); ok && (strings.Contains(x.Str, "content_filter") || strings.Contains(x.Str, "content-filter")) {
		return "content_filter"
	}
	switch {
	case o.status == row.StatusTimeout:
		return "timeout"
	case matchMessage(cancelMessages, o.message):
		return "canceled"
	case o.status == row.StatusError:
		return "error"
	default:
		return "failed"
	}
}

// isAborted recognizes an aborted stream of the AI SDK: it ends with status unset, without usage and finish reasons.
func (m *Mapper) isAborted(s *record.Span, v *view, n *node) bool {
	return (n.dialect == DialectAISDK || n.dialect == DialectAISDKLegacy) && n.class == classAgent &&
		s.Status == record.StatusUnset && s.End != 0 && !n.use.known &&
		!v.has.contains(idFinish) && !v.has.contains(idFinishAI)
}
