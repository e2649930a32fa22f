package mapping

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// code is what only the source of the package tells about its tables: where each row comes from, and the comments.
type code struct {
	froms    map[string][]string // the sources of the rows of a table, by the table's variable
	keys     map[string][]string // the attributes of the same rows, "" where a constant names it
	comments map[string]string   // of a table or of an attribute of the project, as sentences
	own      []string            // the constants of the project's attributes, in order
}

// readCode reads the tables in the files of the package that are built into the product.
func readCode(t *testing.T) *code {
	t.Helper()
	c := &code{froms: map[string][]string{}, keys: map[string][]string{}, comments: map[string]string{}}
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		require.NoError(t, err)
		for _, d := range file.Decls {
			if g, ok := d.(*ast.GenDecl); ok {
				c.readDecl(t, g)
			}
		}
	}
	return c
}

func (c *code) readDecl(t *testing.T, g *ast.GenDecl) {
	t.Helper()
	for _, s := range g.Specs {
		v, ok := s.(*ast.ValueSpec)
		if !ok || len(v.Names) != 1 || len(v.Values) != 1 {
			continue
		}
		name, doc := v.Names[0].Name, v.Doc
		if doc == nil && len(g.Specs) == 1 {
			doc = g.Doc
		}
		c.comments[name] = strings.Join(strings.Fields(doc.Text()), " ")
		if g.Tok == token.CONST && strings.HasPrefix(name, "Key") {
			c.own = append(c.own, name)
		}
		call, ok := v.Values[0].(*ast.CallExpr)
		if fun, named := callee(call, ok); !named || fun != "newTable" {
			continue
		}
		for _, arg := range call.Args {
			fields := map[string]string{}
			for _, e := range arg.(*ast.CompositeLit).Elts {
				kv := e.(*ast.KeyValueExpr)
				if lit, ok := kv.Value.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					text, err := strconv.Unquote(lit.Value)
					require.NoError(t, err)
					fields[kv.Key.(*ast.Ident).Name] = text
				}
			}
			require.NotEmpty(t, fields["from"], "a row of %s does not say where its attribute comes from", name)
			c.froms[name] = append(c.froms[name], fields["from"])
			c.keys[name] = append(c.keys[name], fields["key"])
		}
	}
}

func callee(call *ast.CallExpr, ok bool) (string, bool) {
	if !ok {
		return "", false
	}
	id, ok := call.Fun.(*ast.Ident)
	if !ok {
		return "", false
	}
	return id.Name, true
}

// sources returns where the rows of a table come from, after a check that they are the rows of that table.
func (c *code) sources(t *testing.T, name string, tab *table) []string {
	t.Helper()
	require.Len(t, c.froms[name], len(tab.rows), "rows of %s in the source", name)
	for i, key := range c.keys[name] {
		if key != "" {
			require.Equal(t, keys.names[tab.rows[i].id], key, "row %d of %s", i, name)
		}
	}
	return c.froms[name]
}

// emitterWords says which dialect uses an attribute, by the words of its source. The first match of a part decides.
var emitterWords = []struct {
	prefix  string
	dialect Dialect
}{
	{"agenttrail", DialectOwn},
	{"@ai-sdk/otel", DialectAISDK},
	{"ai v7", DialectAISDK},
	{"ai v", DialectAISDKLegacy},
	{"openinference", DialectOpenInference},
	{"openllmetry", DialectTraceloop},
	{"langfuse", DialectLangfuse},
	{"mastra", DialectMastra},
	{"google adk", DialectADK},
	{"adk", DialectADK},
	{"genkit", DialectGenkit},
	{"firebase genkit", DialectGenkit},
	{"pydantic-ai", DialectPydanticAI},
	{"strands", DialectStrands},
	{"langsmith", DialectLangSmith},
	{"openlit", DialectOpenLIT},
	{"eino", DialectEino},
	{"vLLM", DialectVLLM},
	{"claude code", DialectClaudeCode},
	{"mcp", DialectMCP},
	{"semconv", DialectGenAI},
	{"genai", DialectGenAI},
}

// outsiders are the sources that are no dialect: their attributes are read whoever sends them.
var outsiders = []string{
	"ECS", "by convention", "OWASP", "heroku", "nginx", "envoy", "new relic", "the same", "deprecated",
	"the name of the metric", "for logging libraries", "on tools",
}

// dialectsOf returns the dialects that a source names.
func dialectsOf(t *testing.T, from string) []Dialect {
	t.Helper()
	var out []Dialect
	text, _, _ := strings.Cut(from, ": ")
	for _, part := range strings.FieldsFunc(text, func(r rune) bool { return r == ';' || r == ',' }) {
		part = strings.TrimSpace(part)
		known := slices.ContainsFunc(outsiders, func(s string) bool { return strings.HasPrefix(part, s) })
		for _, w := range emitterWords {
			if strings.HasPrefix(part, w.prefix) {
				known = true
				if !slices.Contains(out, w.dialect) {
					out = append(out, w.dialect)
				}
				break
			}
		}
		known = known || len(out) > 0 // What follows a dialect is a remark about it.
		require.True(t, known, "no dialect for the source %q: add it to emitterWords or to outsiders", from)
	}
	return out
}
