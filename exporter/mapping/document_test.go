package mapping

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/exporter/row"
)

//go:generate go test . -run ^TestDocument$ -update

const documentFile = "../../docs/mapping.md"

// TestDocument writes the document of the tables, and fails when the one in docs is not what the tables say.
func TestDocument(t *testing.T) {
	t.Parallel()
	d := newDocument(t)
	d.write()
	for _, key := range keys.names {
		if strings.Contains(key, ".") || strings.Contains(key, "_") {
			require.Contains(t, d.text(), "`"+key+"`", "an attribute that the mapping knows is not in the document")
		}
	}
	require.ElementsMatch(t, slices.Collect(maps.Keys(d.code.froms)), d.shown, "the tables of the document and those of the code")
	if *update {
		require.NoError(t, os.WriteFile(documentFile, []byte(d.text()), 0o600))
	}
	have, err := os.ReadFile(documentFile)
	require.NoError(t, err)
	if string(have) != d.text() {
		require.Failf(t, "docs/mapping.md is stale", "Run `make generate` and commit the file. The first line that differs:\n%s",
			firstDifference(string(have), d.text()))
	}
}

func firstDifference(have, want string) string {
	h, w := strings.Split(have, "\n"), strings.Split(want, "\n")
	for i := range min(len(h), len(w)) {
		if h[i] != w[i] {
			return fmt.Sprintf("line %d has  %s\nshould be %s", i+1, h[i], w[i])
		}
	}
	return fmt.Sprintf("%d lines, should be %d", len(h), len(w))
}

// document is the text under construction, and what it has shown so far.
type document struct {
	t     *testing.T
	code  *code
	b     strings.Builder
	shown []string             // variables of tables
	used  map[Dialect][]string // attributes by the dialect that uses them, in order of appearance
}

func newDocument(t *testing.T) *document {
	t.Helper()
	return &document{t: t, code: readCode(t), used: map[Dialect][]string{}}
}

func (d *document) text() string { return d.b.String() }

// say adds a paragraph, a heading or a list.
func (d *document) say(text string) {
	d.b.WriteString(strings.TrimSpace(text) + "\n\n")
}

// table adds a Markdown table.
func (d *document) table(header []string, rows [][]string) {
	line := func(cells []string) {
		for i, c := range cells {
			cells[i] = strings.ReplaceAll(c, "|", `\|`)
		}
		d.b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
	}
	line(header)
	d.b.WriteString(strings.Repeat("|---", len(header)) + "|\n")
	for _, r := range rows {
		line(r)
	}
	d.b.WriteByte('\n')
}

// use notes that a dialect uses an attribute and returns the dialect's name.
func (d *document) use(dialect Dialect, key string) string {
	if dialect == DialectNone {
		return ""
	}
	if !slices.Contains(d.used[dialect], key) {
		d.used[dialect] = append(d.used[dialect], key)
	}
	return dialect.String()
}

// users notes the dialects that a source names, and returns their names. semconv is the dialect that stands for the
// conventions of OpenTelemetry in this table, if any does.
func (d *document) users(from, key string, semconv Dialect) string {
	var names []string
	for _, x := range dialectsOf(d.t, from) {
		switch {
		case x != DialectGenAI || strings.HasPrefix(key, "gen_ai."):
		case strings.HasPrefix(key, "mcp."):
			x = DialectMCP
		default:
			x = semconv
		}
		if name := d.use(x, key); name != "" {
			names = append(names, name)
		}
	}
	if len(names) == 0 && semconv == DialectHTTP && from != "agenttrail" {
		names = append(names, d.use(semconv, key))
	}
	return strings.Join(names, ", ")
}

// attribute names an attribute and what of it is read.
func attribute(r *tableRow) string {
	s := quoted(keys.names[r.id])
	if r.path != nil {
		s += ", " + quoted(strings.Join(r.path, ".")) + " in its JSON"
	}
	switch r.scale {
	case inSeconds:
		s += ", s"
	case inMillis:
		s += ", ms"
	}
	return s
}

// decision adds the table of one decision under a caption that says what it fills.
func (d *document) decision(name string, tab *table, caption string, semconv Dialect) {
	d.t.Helper()
	d.shown = append(d.shown, name)
	var rows [][]string
	for i, from := range d.code.sources(d.t, name, tab) {
		r := &tab.rows[i]
		who := d.users(from, keys.names[r.id], semconv)
		if r.only != DialectNone {
			who = d.use(r.only, keys.names[r.id]) + " only"
		}
		rows = append(rows, []string{fmt.Sprint(i + 1), attribute(r), who, from})
	}
	d.say(caption)
	d.table([]string{"#", "attribute", "dialect", "source"}, rows)
}

func quoted(s string) string { return "`" + s + "`" }

func quotedList(list []string) string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = quoted(s)
	}
	return strings.Join(out, ", ")
}

// ownAttributes adds the attributes of the project with the comments of their constants.
func (d *document) ownAttributes() {
	var rows [][]string
	for _, name := range d.code.own {
		key, ok := ownKeys[name]
		require.True(d.t, ok, "%s is not in ownKeys", name)
		if name != "KeyOriginalTime" {
			d.use(DialectOwn, key)
		}
		meaning, ok := strings.CutPrefix(d.code.comments[name], name+" ")
		require.True(d.t, ok, "the comment of %s does not start with its name", name)
		rows = append(rows, []string{quoted(key), strings.TrimSuffix(strings.TrimPrefix(meaning, "is "), ".")})
	}
	require.Len(d.t, d.code.own, len(ownKeys))
	d.table([]string{"attribute", "meaning"}, rows)
}

// ownKeys are the constants of own.go by name.
var ownKeys = map[string]string{
	"KeyExecutionID": KeyExecutionID, "KeyExecutionParentID": KeyExecutionParentID,
	"KeyExecutionStatus": KeyExecutionStatus, "KeyExecutionErrorCode": KeyExecutionErrorCode,
	"KeyExecutionQueueTime": KeyExecutionQueueTime, "KeyExecutionResponseTime": KeyExecutionResponseTime,
	"KeyExecutionProcessingTime": KeyExecutionProcessingTime, "KeyCredits": KeyCredits, "KeyImported": KeyImported, "KeyCostUSD": KeyCostUSD,
	"KeyAgentID": KeyAgentID, "KeyAgentName": KeyAgentName, "KeyAgentVersion": KeyAgentVersion,
	"KeyUserID": KeyUserID, "KeySessionID": KeySessionID, "KeyOperation": KeyOperation,
	"KeyLogCategory": KeyLogCategory, "KeyClientAddress": KeyClientAddress, "KeyUserAgent": KeyUserAgent,
	"KeySecurityType": KeySecurityType, "KeySecurityOutcome": KeySecurityOutcome,
	"KeySecuritySeverity": KeySecuritySeverity, "KeySecurityActor": KeySecurityActor,
	"KeySecurityResource": KeySecurityResource, "KeyOriginalTime": KeyOriginalTime,
}

// classTable adds the table of classification.
func (d *document) classTable() {
	var out [][]string
	rank, last := 0, ""
	for _, r := range classRules {
		if r.key != last {
			rank, last = rank+1, r.key
		}
		key, value := quoted(r.key), quoted(r.value)
		if r.key == spanName {
			key = "name of the span"
		}
		if r.value == "" {
			value = "any"
		}
		var said string
		switch r.class {
		case classChain:
			said = "workflow at the root of a trace, else step"
		case classMarkedChain:
			said = "workflow if `langsmith.is_root`, else step"
		case classOther:
			said = "none"
		default:
			said = operations[r.class]
		}
		who := d.use(r.dialect, cmp.Or(strings.TrimSuffix(strings.TrimPrefix(r.key, spanName), spanName), "the name of the span"))
		out = append(out, []string{fmt.Sprint(rank), key, value, said, who, r.from})
	}
	d.table([]string{"#", "attribute", "value", "`Span.operation`", "dialect", "source"}, out)
}

// markTable adds the marks of failure.
func (d *document) markTable() {
	var out [][]string
	for _, f := range failureMarks {
		r := newTable(source{key: f.key, path: f.path}).rows[0]
		who := d.users(f.from, f.key, DialectGenAI)
		if f.only != DialectNone {
			who = d.use(f.only, f.key) + " only"
		}
		means := "failed"
		if f.threw {
			means = "failed, and something was thrown"
		}
		out = append(out, []string{attribute(&r), quoted(f.value), means, f.code, who, f.from})
	}
	d.table([]string{"attribute", "value", "means", "code", "dialect", "source"}, out)
}

// typeTable adds names of types of errors.
func (d *document) typeTable(rules []typeRule) {
	var out [][]string
	for _, r := range rules {
		how := "is"
		if r.suffix {
			how = "ends with"
		}
		out = append(out, []string{how, quoted(r.name), r.from})
	}
	d.table([]string{"the type", "", "source"}, out)
}

var categoryNames = map[row.Category]string{
	row.CategoryExecution: "execution", row.CategoryError: "error",
	row.CategoryPerformance: "performance", row.CategoryUserAction: "user_action",
}

var securityOutcomeNames = map[row.Outcome]string{
	row.OutcomeUnknown: "", row.OutcomeSuccess: "success", row.OutcomeFailure: "failure", row.OutcomeDenied: "denied",
}

// prefixed shows a name that stands for all that start with it.
func prefixed(name string) string {
	if strings.HasSuffix(name, ".") || strings.HasSuffix(name, "_") {
		return quoted(name + "*")
	}
	return quoted(name)
}

// dialectNames of a set, sorted.
func dialectSet(set map[Dialect]bool) string {
	var out []string
	for d := range set {
		out = append(out, d.String())
	}
	slices.Sort(out)
	return quotedList(out)
}

// dialects adds how each dialect is recognized and what it uses.
func (d *document) dialects() {
	scopes := map[Dialect][]string{}
	for _, s := range scopeDialects {
		scopes[s.dialect] = append(scopes[s.dialect], "scope "+quoted(s.prefix+"*")+" ("+s.from+")")
	}
	for _, name := range slices.Sorted(maps.Keys(exactScopes)) {
		scopes[exactScopes[name]] = append(scopes[exactScopes[name]], "scope "+quoted(name))
	}
	for _, name := range slices.Sorted(maps.Keys(systemDialects)) {
		scopes[systemDialects[name]] = append(scopes[systemDialects[name]], "`gen_ai.provider.name` or `gen_ai.system` is "+quoted(name))
	}
	classified := map[Dialect]bool{DialectHTTP: true}
	for _, r := range classRules {
		classified[r.dialect] = true
	}
	for x := DialectOwn; x < numDialects; x++ {
		require.True(d.t, classified[x] || len(scopes[x]) > 0, "nothing tells dialect %s", x)
		d.say("### " + x.String())
		if s := scopes[x]; s != nil {
			d.say("Told from others that follow the GenAI conventions by: " + strings.Join(s, "; ") + ".")
		}
		uses := quotedList(d.used[x])
		switch {
		case x == DialectHTTP:
			uses = "Server spans with an HTTP method. " + uses
		case uses == "":
			uses = "Uses the attributes of otel_genai."
		}
		d.say(strings.ReplaceAll(uses, "`the name of the span`", "the name of the span"))
	}
}
