package httpapi_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestEscapes checks which texts a body may have: all but NUL, also where it looks like an escape and is none.
func TestEscapes(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for body, want := range map[string]int{
		`{"email": "a@example.com", "displayName": "\\u0000"}`:          http.StatusCreated, // A backslash and five more.
		`{"email": "b@example.com", "displayName": "\u0000"}`:           http.StatusBadRequest,
		`{"email": "c@example.com", "displayName": "\\\u0000"}`:         http.StatusBadRequest,
		`{"email": "d@example.com", "profile": {"x": "\ud800"}}`:        http.StatusCreated, // Half a character becomes U+FFFD.
		`{"email": "e@example.com", "profile": {"\u0000": 1}}`:          http.StatusBadRequest,
		`{"email": "f@example.com", "profile": {"n": 1e308}}`:           http.StatusCreated,
		`{"email": "g@example.com", "profile": {"n": 1e309}}`:           http.StatusBadRequest,
		`{"email": "h@example.com", "email": "i@example.com"}`:          http.StatusCreated, // The last one counts.
		`{"email": "j@example.com", "displayName": "日本語 \ud83d\ude00"}`: http.StatusCreated,
	} {
		r := w.do(t, call{method: "POST", path: "/v1/users", key: w.admin, body: []byte(body)})
		require.Equal(t, want, r.status, "%s\n%s", body, r.text)
	}
}
