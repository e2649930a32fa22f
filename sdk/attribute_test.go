package agenttrail

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAttributesAreRead checks that every attribute that this package sets is one that docs/mapping.md tells of, so that
// none is lost to a typo. The page is written from the tables of the mapping.
func TestAttributesAreRead(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/mapping.md")
	require.NoError(t, err)
	// Attributes that stay what they are, in the attributes of their row.
	unmapped := map[string]bool{
		"gen_ai.tool.type": true, "http.request.body.size": true, "http.response.body.size": true, "exception.stacktrace": true,
	}
	file, err := parser.ParseFile(token.NewFileSet(), "attribute.go", nil, 0)
	require.NoError(t, err)
	checked := 0
	ast.Inspect(file, func(n ast.Node) bool {
		lit, ok := n.(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING {
			return true
		}
		key, err := strconv.Unquote(lit.Value)
		require.NoError(t, err)
		if strings.Contains(key, "/") || unmapped[key] {
			return true
		}
		require.Contains(t, string(page), "`"+key+"`", "%s", key)
		checked++
		return true
	})
	require.Greater(t, checked, 40)
}
