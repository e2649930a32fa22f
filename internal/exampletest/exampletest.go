// Package exampletest checks that the examples of a package show all of it.
package exampletest

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

// EveryFeature fails unless the files example_*.go of the package under test use each exported function, method and kind of
// value, of which there must be more than least.
func EveryFeature(t *testing.T, least int) {
	t.Helper()
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
	require.Greater(t, len(exported), least)
}

// exportedOf returns the exported functions and methods of exported types, and the types.
func exportedOf(t *testing.T, file string) (names []string) {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	require.NoError(t, err)
	for _, d := range parsed.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Name.IsExported() && (d.Recv == nil || isExportedReceiver(d.Recv)) && !ofInterface(d.Name.Name) {
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

// ofInterface tells whether a method is there for an interface that everybody knows, and called by others.
func ofInterface(name string) bool {
	switch name {
	case "String", "Error", "Unwrap", "MarshalJSON", "UnmarshalJSON":
		return true
	default:
		return false
	}
}
