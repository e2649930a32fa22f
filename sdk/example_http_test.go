package agenttrail_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	agenttrail "github.com/agenttrail/agenttrail/sdk"
)

func ExampleTrail_Middleware() {
	ctx, trail := begin()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/tickets/{ticket}", func(w http.ResponseWriter, r *http.Request) {
		ctx := agenttrail.WithIdentity(r.Context(), agenttrail.Identity{UserID: "user-7"}) // Who logged in.
		_, run := trail.StartExecution(ctx, agenttrail.Run{ID: "run-1", Agent: triage})
		run.End(nil)
		w.WriteHeader(http.StatusAccepted)
	})
	server := trail.Middleware(mux)
	server.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/v1/tickets/T-1", nil))
	end(ctx, trail)
	stored.print("RequestLog", "method", "route", "path", "httpStatus", "executionId", "agentId", "userId")
	// Output:
	// RequestLog: POST, /v1/tickets/{ticket}, /v1/tickets/T-1, 202, run-1, support-triage, user-7
}

func ExampleWithBodies() {
	ctx, trail := begin()
	echo := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
		_, _ = io.Copy(w, r.Body)
	})
	server := trail.Middleware(echo, agenttrail.WithBodies(64), agenttrail.WithSecrets("loyalty_number"), agenttrail.WithRedaction(func(body string) string {
		return strings.ReplaceAll(body, "Ada", "[name]")
	}))
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(`{"name":"Ada","password":"hunter2","loyaltyNumber":77}`))
	r.Header.Set("Content-Type", "application/json")
	server.ServeHTTP(httptest.NewRecorder(), r)
	end(ctx, trail)
	stored.print("RequestLog", "requestBody")
	// Output:
	// RequestLog: {"name":"[name]","password":"[redacted]","loyaltyNumber":"[redacted]"}
}

func ExampleWithRequestHeaders() {
	ctx, trail := begin()
	server := trail.Middleware(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Retry-After", "3") }),
		agenttrail.WithRequestHeaders("X-Request-Id", "Authorization"), agenttrail.WithResponseHeaders("Retry-After"))
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("X-Request-Id", "r-1")
	r.Header.Set("Authorization", "Bearer abc")
	server.ServeHTTP(httptest.NewRecorder(), r)
	end(ctx, trail)
	stored.print("RequestLog", "x-request-id", "authorization", "retry-after")
	// Output:
	// RequestLog: r-1, [redacted], 3
}

// A server behind a proxy that anybody can call.
func ExampleWithPublicEndpoint() {
	ctx, trail := begin()
	server := trail.Middleware(http.NotFoundHandler(), agenttrail.WithPublicEndpoint(), agenttrail.WithTrustedProxy(),
		agenttrail.WithFilter(func(r *http.Request) bool { return r.URL.Path != "/healthz" }))
	for _, path := range []string{"/healthz", "/v1/tickets"} {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		r.Header.Set("Baggage", "agenttrail.user.id=somebody-else")
		r.Header.Set("X-Forwarded-For", "203.0.113.9")
		server.ServeHTTP(httptest.NewRecorder(), r)
	}
	end(ctx, trail)
	stored.print("RequestLog", "path", "httpStatus", "ipAddress", "userId")
	// Output:
	// RequestLog: /v1/tickets, 404, 203.0.113.9
}

// A router other than that of net/http says which route matched, and code why a request did not succeed.
func ExampleSetRoute() {
	ctx, trail := begin()
	server := trail.Middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		agenttrail.SetRoute(r.Context(), "/users/:id")
		agenttrail.SetRequestError(r.Context(), errors.New("the database is away"))
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	server.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/users/7", nil))
	end(ctx, trail)
	stored.print("RequestLog", "route", "httpStatus", "errorCode", "errorMessage")
	// Output:
	// RequestLog: /users/:id, 503, error, the database is away
}

// An agent asks a service of one's own: the request that it serves belongs to the run, too.
func ExampleTrail_Transport() {
	ctx, trail := begin()
	search := httptest.NewServer(trail.Middleware(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "found") })))
	defer search.Close()
	client := &http.Client{Transport: trail.Transport(nil, agenttrail.WithPropagation(func(r *http.Request) bool { return r.URL.Hostname() == "127.0.0.1" }))}

	ctx, run := trail.StartExecution(ctx, agenttrail.Run{ID: "run-1", Agent: triage, UserID: "user-7"})
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, search.URL+"/handbook", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	resp, err := client.Do(req)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	run.End(nil)
	end(ctx, trail)
	stored.print("RequestLog", "path", "executionId", "userId")
	// Output:
	// RequestLog: /handbook, run-1, user-7
}
