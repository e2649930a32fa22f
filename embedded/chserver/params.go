package chserver

import (
	"net/url"
	"slices"
	"strings"
)

// urlParam is one parameter of a request, in the order of the URL.
type urlParam struct{ name, value string }

type urlParams []urlParam

// parseParams splits a query string. Other than [url.ParseQuery] it takes a bare ";" as a part of the value, as
// ClickHouse does: statements in URLs often end with one.
func parseParams(raw string) urlParams {
	var out urlParams
	for raw != "" {
		var part string
		part, raw, _ = strings.Cut(raw, "&")
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		out = append(out, urlParam{unescape(name), unescape(value)})
	}
	return out
}

// unescape decodes %XX and "+"; what is no valid escape stays as it is.
func unescape(s string) string {
	if u, err := url.QueryUnescape(s); err == nil {
		return u
	}
	return s
}

func (p urlParams) lookup(name string) (string, bool) {
	for _, q := range p {
		if q.name == name {
			return q.value, true
		}
	}
	return "", false
}

func (p urlParams) get(name string) string {
	v, _ := p.lookup(name)
	return v
}

// last gives the last value of a parameter; ClickHouse lets the last one win for its flags.
func (p urlParams) last(name string) string {
	for _, v := range slices.Backward(p) {
		if v.name == name {
			return v.value
		}
	}
	return ""
}

// parseBool reads a flag as ClickHouse does.
func parseBool(s string) bool { return s == "1" || strings.EqualFold(s, "true") }

// reservedParams are parameters of the interface that are no settings of the statement (HTTPHandler::processQuery).
var reservedParams = map[string]bool{
	"compress": true, "decompress": true, "user": true, "password": true, "quota_key": true, "query_id": true,
	"stacktrace": true, "role": true, "buffer_size": true, "wait_end_of_query": true, "session_id": true,
	"session_timeout": true, "session_check": true, "client_protocol_version": true, "close_session": true,
	"database": true, "default_format": true, "query": true,
}
