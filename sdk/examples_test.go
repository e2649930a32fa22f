package agenttrail_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestEveryFeatureHasAnExample checks that some Example uses each exported function, method and kind of value.
func TestEveryFeatureHasAnExample(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	used, exported := "", []string{}
	for _, file := range files {
		source, err := os.ReadFile(file)
		require.NoError(t, err)
		switch {
		case strings.HasPrefix(file, "example_"):
			used += string(source)
		case !strings.HasSuffix(file, "_test.go"):
			exported = append(exported, exportedOf(t, file)...)
		}
	}
	for _, name := range exported {
		require.True(t, regexp.MustCompile(`\.`+name+`\b`).MatchString(used), "no example uses %s", name)
	}
	require.Greater(t, len(exported), 60)
}

// exportedOf returns the exported functions and methods of exported types, and the types.
func exportedOf(t *testing.T, file string) (names []string) {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	require.NoError(t, err)
	for _, d := range parsed.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Name.IsExported() && (d.Recv == nil || isExportedReceiver(d.Recv)) && d.Name.Name != "String" {
				names = append(names, d.Name.Name)
			}
		case *ast.GenDecl:
			for _, s := range d.Specs {
				if s, ok := s.(*ast.TypeSpec); ok && s.Name.IsExported() {
					switch s.Type.(type) {
					case *ast.Ident, *ast.FuncType: // Kinds of text and options are used through their values.
					default:
						names = append(names, s.Name.Name)
					}
				}
			}
		}
	}
	return names
}

func isExportedReceiver(r *ast.FieldList) bool {
	switch x := r.List[0].Type.(type) {
	case *ast.Ident:
		return x.IsExported()
	case *ast.StarExpr:
		id, ok := x.X.(*ast.Ident)
		return ok && id.IsExported()
	default:
		return false
	}
}

// TestREADMESnippet checks that the README shows the first example, which runs.
func TestREADMESnippet(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("example_test.go")
	require.NoError(t, err)
	function := regexp.MustCompile(`(?s)\nfunc answerTicket.*?\n}\n`).FindString(string(source))
	require.NotEmpty(t, function)
	readme, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	require.Contains(t, string(readme), "```go\nimport agenttrail \"github.com/agenttrail/agenttrail/sdk\"\n"+function+"```")
}
