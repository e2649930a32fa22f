package chserver

import (
	"io"
	"net/http"
	"strings"
	"time"
)

// notFoundText is ClickHouse's answer to an address it does not know (src/Server/NotFoundHandler.cpp, HTTPHandlerFactory.cpp).
const notFoundText = "There is no handle %s\n\n" +
	"Use / or /ping for health checks.\n" +
	"Or /replicas_status for more sophisticated health checks.\n\n" +
	"Send queries from your program with POST method or GET /?query=...\n\n" +
	"Use clickhouse-client:\n\n" +
	"For interactive data analysis:\n    clickhouse-client\n\n" +
	"For batch query processing:\n    clickhouse-client --query='SELECT 1' > result\n    clickhouse-client < query > result\n"

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.requests.Add(1)
	defer s.requests.Done()

	get := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case r.Method == http.MethodOptions:
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Access-Control-Allow-Headers", "origin, x-requested-with, x-clickhouse-format, x-clickhouse-user, x-clickhouse-key, Authorization")
		w.Header().Set("Access-Control-Allow-Methods", "POST, GET, OPTIONS")
		w.Header().Set("Access-Control-Max-Age", "86400")
		w.WriteHeader(http.StatusNoContent)
	case get && r.URL.Path == "/ping":
		s.plain(w, r, "Ok.\n")
	case get && r.URL.Path == "/replicas_status":
		s.plain(w, r, "Ok.\n") // no replicas, so none is behind
	case get && r.URL.Path == "/" && r.URL.RawQuery == "":
		s.plain(w, r, "Ok.\n")
	case r.Method == http.MethodPost, get && strings.Contains(r.RequestURI, "?"):
		s.query(w, r)
	default:
		w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
		w.Header().Set("X-ClickHouse-Server-Display-Name", s.cfg.DisplayName)
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, strings.Replace(notFoundText, "%s", r.URL.RequestURI(), 1)) //nolint:gosec // plain text
	}
}

func (s *Server) plain(w http.ResponseWriter, r *http.Request, text string) {
	w.Header().Set("Content-Type", "text/html; charset=UTF-8") // as ClickHouse's StaticRequestHandler
	w.Header().Set("X-ClickHouse-Server-Display-Name", s.cfg.DisplayName)
	if r.Method != http.MethodHead {
		_, _ = io.WriteString(w, text)
	}
}

const (
	drainLimit = 1 << 30
	drainTime  = 10 * time.Second
)

// drain reads what the client still sends, so that it comes to read an early error instead of failing to write.
func drain(w http.ResponseWriter, r *http.Request) {
	if r.Body == nil || r.Body == http.NoBody || r.Header.Get("Expect") != "" {
		return
	}
	rc := http.NewResponseController(w)
	if rc.SetReadDeadline(time.Now().Add(drainTime)) != nil {
		return
	}
	_, _ = io.CopyN(io.Discard, r.Body, drainLimit)
	_ = rc.SetReadDeadline(time.Time{})
}
