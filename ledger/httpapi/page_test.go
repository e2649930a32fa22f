package httpapi_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/ledger/httpapi"
)

// TestDescription checks what is generic about the description and the page that renders it.
func TestDescription(t *testing.T) {
	t.Parallel()
	w := setup(t)
	r := w.do(t, call{method: "GET", path: "/openapi.json"})
	require.Equal(t, http.StatusOK, r.status)
	require.Equal(t, "3.1.0", r.at("openapi"))

	t.Run("EverythingIsExplained", func(t *testing.T) {
		t.Parallel()
		for name, schema := range w.api.OpenAPI().Components.Schemas.Map() {
			for property, s := range schema.Properties {
				if property != "version" || name != "Agent" {
					require.NotEmpty(t, s.Description, "what does %s.%s mean?", name, property)
				}
			}
		}
		for path, item := range w.api.OpenAPI().Paths {
			for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Patch, item.Delete} {
				if op == nil {
					continue
				}
				require.NotEmpty(t, op.Summary, path)
				for _, p := range op.Parameters {
					require.NotEmpty(t, p.Description, "%s %s: what does %s mean?", op.Method, path, p.Name)
				}
				if op.Method == http.MethodPost {
					require.True(t, hasParam(op, "header", "Idempotency-Key"), path)
				}
			}
		}
	})

	t.Run("PageNeedsNoNetwork", func(t *testing.T) {
		t.Parallel()
		for _, file := range []string{"", "page.js", "page.css"} {
			r := w.do(t, call{method: "GET", path: "/docs/" + file})
			require.Equal(t, http.StatusOK, r.status, file)
			require.NotRegexp(t, `(?i)(src|href|url|import|fetch)\s*[=(]\s*["'(]?(https?:)?//`, r.text)
			require.Contains(t, r.header.Get("Content-Security-Policy"), "default-src 'none'")
		}
	})

	t.Run("EveryProblemHasItsAddress", func(t *testing.T) {
		t.Parallel()
		seen := map[string]bool{}
		for _, p := range httpapi.Problems() {
			require.False(t, seen[p.Type()], p.Type())
			seen[p.Type()] = true
			r := w.do(t, call{method: "GET", path: p.Type()})
			require.Equal(t, http.StatusOK, r.status)
			require.Contains(t, r.text, strings.ReplaceAll(p.Title, "'", "&#39;"))
			require.NotEmpty(t, p.Help)
		}
		require.Equal(t, "not-found", w.do(t, call{method: "GET", path: "/problems/none"}).problem())
	})

	t.Run("WrongPathsAndMethods", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, "not-found", w.do(t, call{method: "GET", path: "/v1/none"}).problem())
		r := w.do(t, call{method: "DELETE", path: "/v1/users"})
		require.Equal(t, "method-not-allowed", r.problem())
		require.Equal(t, "GET, HEAD, POST", r.header.Get("Allow"))
		require.Equal(t, "method-not-allowed", w.do(t, call{method: "BREW", path: "/v1/users"}).problem())
		require.Equal(t, "malformed-request", w.do(t, call{method: "GET", path: "/v1/agents/%00", key: w.admin}).problem())
		require.Equal(t, "malformed-request", w.do(t, call{method: "GET", path: "/v1/agents/%ff", key: w.admin}).problem())
	})
}

func hasParam(op *huma.Operation, in, name string) bool {
	for _, p := range op.Parameters {
		if p.In == in && p.Name == name {
			return true
		}
	}
	return false
}
