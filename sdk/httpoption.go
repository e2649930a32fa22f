package agenttrail

import (
	"net/http"
	"net/netip"
	"strings"
)

// HTTPOption sets something of [Trail.Middleware] or [Trail.Transport].
type HTTPOption func(*httpConfig)

type httpConfig struct {
	requestHeaders, responseHeaders []header
	bodyBytes                       int
	bodyTypes                       []string
	redact                          func(string) string
	secrets                         secretNames
	public, trustProxy              bool
	filter                          func(*http.Request) bool
	propagate                       func(*http.Request) bool
}

// header is one that is recorded.
type header struct {
	name string // As in http.Header.
	key  string // Of the attribute, without its prefix.
}

func newHTTPConfig(opts []HTTPOption) *httpConfig {
	c := &httpConfig{propagate: func(r *http.Request) bool { return isPrivate(r.URL.Hostname()) }}
	for _, o := range opts {
		o(c)
	}
	return c
}

// WithRequestHeaders records request headers. The values of those that carry credentials, such as Authorization and
// Cookie, are replaced by "[redacted]".
func WithRequestHeaders(names ...string) HTTPOption {
	return func(c *httpConfig) { c.requestHeaders = append(c.requestHeaders, headersOf(names)...) }
}

// WithResponseHeaders is [WithRequestHeaders] for response headers.
func WithResponseHeaders(names ...string) HTTPOption {
	return func(c *httpConfig) { c.responseHeaders = append(c.responseHeaders, headersOf(names)...) }
}

func headersOf(names []string) []header {
	var out []header
	for _, n := range names {
		out = append(out, header{http.CanonicalHeaderKey(n), strings.ToLower(n)})
	}
	return out
}

// WithBodies records the first maxBytes of request and response bodies of these media types; without any of JSON, forms and
// plain text. Secrets are replaced before anything leaves the process: values of JSON members, form fields and parameters
// whose names say that they are secret (password, token, api_key and their like), and in all text bearer tokens, keys of
// known shapes, JSON web tokens, private keys and card numbers. Bodies that cannot be read as what they say to be, and
// compressed ones, are not recorded.
func WithBodies(maxBytes int, types ...string) HTTPOption {
	return func(c *httpConfig) {
		c.bodyBytes, c.bodyTypes = maxBytes, types
		if len(types) == 0 {
			c.bodyTypes = []string{"application/json", "application/problem+json", "application/x-www-form-urlencoded", "text/plain"}
		}
	}
}

// WithSecrets adds names whose values are replaced by "[redacted]" in bodies, parameters and headers. They compare
// without case, dashes, dots and underscores.
func WithSecrets(names ...string) HTTPOption {
	return func(c *httpConfig) { c.secrets = append(c.secrets, names...) }
}

// WithRedaction adds a function that gets each recorded body, after everything else was replaced in it, and returns
// what is recorded.
func WithRedaction(f func(body string) string) HTTPOption {
	return func(c *httpConfig) { c.redact = f }
}

// WithPublicEndpoint is for servers that anybody can call: ids in the baggage of requests are not taken, and a request
// begins a trace of its own, linked to that of the caller.
func WithPublicEndpoint() HTTPOption {
	return func(c *httpConfig) { c.public = true }
}

// WithTrustedProxy takes the address of the client from the last entry of X-Forwarded-For, which the proxy in front of
// the server wrote, and the scheme from X-Forwarded-Proto. Only for servers that cannot be reached past their proxy.
func WithTrustedProxy() HTTPOption {
	return func(c *httpConfig) { c.trustProxy = true }
}

// WithFilter leaves out requests for which f returns false, such as health checks.
func WithFilter(f func(*http.Request) bool) HTTPOption {
	return func(c *httpConfig) { c.filter = f }
}

// WithPropagation says which outgoing requests carry trace context and ids. Without it those to private addresses and
// to names of internal networks do: ids of users are nothing that a model's provider should get.
func WithPropagation(f func(*http.Request) bool) HTTPOption {
	return func(c *httpConfig) { c.propagate = f }
}

// internalSuffixes are the ends of names that are never public, and RFC 6762's and RFC 8375's.
var internalSuffixes = []string{".internal", ".local", ".localhost", ".svc", ".cluster.local", ".lan", ".home.arpa", ".intranet", ".private", ".corp"}

// isPrivate reports whether a host is one of an internal network.
func isPrivate(host string) bool {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.IsPrivate() || addr.IsLoopback() || addr.IsLinkLocalUnicast()
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if host == "" {
		return false
	}
	if !strings.Contains(host, ".") {
		return true // A name that only its own network knows.
	}
	for _, s := range internalSuffixes {
		if strings.HasSuffix(host, s) {
			return true
		}
	}
	return false
}
