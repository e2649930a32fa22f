package agenttrail

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// request sends one to a handler behind the middleware and returns its span.
func (r recorded) request(name string, h http.Handler, req *http.Request, opts ...HTTPOption) (*ended, *httptest.ResponseRecorder) {
	r.t.Helper()
	w := httptest.NewRecorder()
	r.Middleware(h, opts...).ServeHTTP(w, req)
	return r.span(name), w
}

func respond(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func TestMiddlewareRecordsARequest(t *testing.T) {
	t.Parallel()
	r := newRecorded(t)
	mux := http.NewServeMux()
	mux.Handle("POST /v1/agents/{agent}/runs", respond(http.StatusCreated, "made"))
	req := httptest.NewRequest(http.MethodPost, "http://api.example.com:8080/v1/agents/triage/runs?limit=5&token=x", strings.NewReader("hello"))
	req.Header.Set("User-Agent", "me/1")
	span, w := r.request("POST /v1/agents/{agent}/runs", mux, req)
	require.Equal(t, "made", w.Body.String())
	require.Equal(t, trace.SpanKindServer, span.SpanKind())
	require.Equal(t, codes.Unset, span.Status().Code)
	require.Equal(t, map[string]any{
		"http.request.method": "POST", "url.scheme": "http", "url.path": "/v1/agents/triage/runs", "url.query": "limit=5&token=[redacted]",
		"server.address": "api.example.com", "server.port": int64(8080), "client.address": "192.0.2.1", "user_agent.original": "me/1",
		"http.response.status_code": int64(201), "http.response.body.size": int64(4), "http.request.body.size": int64(5), "http.route": "/v1/agents/{agent}/runs",
	}, span.attrs)
}

func TestMiddlewareStatuses(t *testing.T) {
	t.Parallel()
	gone, leave := context.WithCancel(t.Context())
	leave()
	for name, c := range map[string]struct {
		h      http.HandlerFunc
		ctx    context.Context
		status int
		code   any
		bad    bool
	}{
		"Nothing":  {h: func(http.ResponseWriter, *http.Request) {}, status: 200},
		"NotFound": {h: respond(404, ""), status: 404},
		"Broken":   {h: respond(503, ""), status: 503, code: "503", bad: true},
		"Gone":     {h: func(http.ResponseWriter, *http.Request) {}, ctx: gone, status: 499},
		"GoneLate": {h: respond(200, "x"), ctx: gone, status: 200},
		"Early": {h: func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusNoContent)
		}, status: 204},
		"Twice": {h: func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(nil)
			w.WriteHeader(http.StatusInternalServerError)
		}, status: 200},
		"Refused": {h: func(w http.ResponseWriter, r *http.Request) {
			SetRequestError(r.Context(), limitError{})
			w.WriteHeader(http.StatusTooManyRequests)
		}, status: 429, code: "rate_limited"},
		"Explained": {h: func(w http.ResponseWriter, r *http.Request) {
			SetRequestError(r.Context(), limitError{})
			w.WriteHeader(http.StatusInternalServerError)
		}, status: 500, code: "rate_limited", bad: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRecorded(t)
			req := httptest.NewRequest(http.MethodGet, "/", nil)
			if c.ctx != nil {
				req = req.WithContext(c.ctx)
			}
			span, _ := r.request("GET", c.h, req)
			require.EqualValues(t, c.status, span.attrs["http.response.status_code"])
			require.Equal(t, c.code, span.attrs["error.type"])
			require.Equal(t, c.bad, span.Status().Code == codes.Error)
		})
	}
}

func TestMiddlewareRecordsAPanic(t *testing.T) {
	t.Parallel()
	r := newRecorded(t)
	h := r.Middleware(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("boom") }))
	require.PanicsWithValue(t, "boom", func() { h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)) })
	span := r.span("GET")
	require.EqualValues(t, 500, span.attrs["http.response.status_code"])
	require.Equal(t, "panic", span.attrs["error.type"])
	require.Equal(t, []any{"panic"}, span.exceptions())

	r = newRecorded(t)
	h = r.Middleware(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	require.PanicsWithValue(t, http.ErrAbortHandler, func() { h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)) })
	require.Empty(t, r.span("GET").exceptions(), "net/http's way to end a request")
}

func TestARunTellsItsRequest(t *testing.T) {
	t.Parallel()
	start := func(r recorded, ctx context.Context, id string) {
		_, run := r.StartExecution(ctx, Run{ID: id, Agent: Agent{ID: "agent-" + id}})
		run.End(nil)
	}
	for name, c := range map[string]struct {
		serve            func(r recorded, ctx context.Context)
		execution, agent any
	}{
		"One":  {func(r recorded, ctx context.Context) { start(r, ctx, "1") }, "1", "agent-1"},
		"None": {func(recorded, context.Context) {}, nil, nil},
		"Two":  {func(r recorded, ctx context.Context) { start(r, ctx, "1"); start(r, ctx, "2") }, nil, nil},
		"Nested": {func(r recorded, ctx context.Context) {
			_ = r.Execute(ctx, Run{ID: "1", Agent: Agent{ID: "agent-1"}}, func(ctx context.Context, _ *Execution) error { start(r, ctx, "2"); return nil })
		}, "1", "agent-1"},
		"Planned": {func(r recorded, ctx context.Context) { r.PlanExecution(ctx, Run{ID: "p", Agent: Agent{ID: "later"}}) }, "p", "later"},
		"PlannedAndStarted": {func(r recorded, ctx context.Context) {
			ctx, _ = r.PlanExecution(ctx, Run{ID: "p", Agent: Agent{ID: "later"}})
			_, run := r.StartExecution(ctx, Run{Agent: Agent{ID: "later"}})
			run.End(nil)
		}, "p", "later"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRecorded(t)
			span, _ := r.request("GET", http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
				ctx := WithIdentity(req.Context(), Identity{UserID: "u", SessionID: "s"})
				c.serve(r, ctx)
			}), httptest.NewRequest(http.MethodGet, "/", nil))
			require.Equal(t, c.execution, span.attrs["agenttrail.execution.id"])
			require.Equal(t, c.agent, span.attrs["agenttrail.agent.id"])
			require.Equal(t, "u", span.attrs["agenttrail.user.id"])
			require.Equal(t, "s", span.attrs["agenttrail.session.id"])
		})
	}
}

func TestAFailedRunExplainsItsRequest(t *testing.T) {
	t.Parallel()
	r := newRecorded(t)
	span, _ := r.request("GET", http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		err := r.Execute(req.Context(), Run{Agent: Agent{ID: "a"}}, func(context.Context, *Execution) error { return limitError{} })
		http.Error(w, err.Error(), http.StatusTooManyRequests)
	}), httptest.NewRequest(http.MethodGet, "/", nil))
	require.Equal(t, "rate_limited", span.attrs["error.type"])
	run := r.span("invoke_agent a")
	require.Equal(t, "192.0.2.1", run.attrs["agenttrail.client.address"])
	require.Equal(t, span.SpanContext().SpanID(), run.Parent().SpanID())
}

func TestMiddlewareOptions(t *testing.T) {
	t.Parallel()
	t.Run("FilterLeavesOut", func(t *testing.T) {
		t.Parallel()
		r := newRecorded(t)
		h := r.Middleware(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
			Log(req.Context(), 0, CategoryExecution, "still there")
		}), WithFilter(func(req *http.Request) bool { return req.URL.Path != "/healthz" }))
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/healthz", nil))
		require.Empty(t, r.spans.Ended())
		r.record("still there")
	})
	t.Run("PublicEndpointTrustsNobody", func(t *testing.T) {
		t.Parallel()
		r := newRecorded(t)
		req := httptest.NewRequest(http.MethodGet, "/", nil)
		req.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
		req.Header.Set("Baggage", "agenttrail.user.id=somebody-else")
		span, _ := r.request("GET", respond(200, ""), req, WithPublicEndpoint())
		require.NotContains(t, span.attrs, "agenttrail.user.id")
		require.NotEqual(t, "0af7651916cd43dd8448eb211c80319c", span.SpanContext().TraceID().String())
		require.Equal(t, "0af7651916cd43dd8448eb211c80319c", span.Links()[0].SpanContext.TraceID().String())
	})
	t.Run("TrustedProxyKnowsTheClient", func(t *testing.T) {
		t.Parallel()
		r := newRecorded(t)
		req := httptest.NewRequest(http.MethodGet, "/", nil)
		req.Header.Set("X-Forwarded-For", "6.6.6.6, 203.0.113.9")
		req.Header.Set("X-Forwarded-Proto", "https")
		span, _ := r.request("GET", respond(200, ""), req, WithTrustedProxy())
		require.Equal(t, "203.0.113.9", span.attrs["client.address"], "the last entry is the proxy's; the first anybody can write")
		require.Equal(t, "https", span.attrs["url.scheme"])
		span, _ = newRecorded(t).request("GET", respond(200, ""), req)
		require.Equal(t, "192.0.2.1", span.attrs["client.address"])
	})
	t.Run("HeadersAndBodies", func(t *testing.T) {
		t.Parallel()
		r := newRecorded(t)
		req := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(`{"q":"hi","token":"zz"}`))
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Cookie", "a=b")
		req.Header.Set("X-Customer", "c-1")
		span, _ := r.request("POST", http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			_, _ = io.Copy(io.Discard, req.Body)
			w.Header().Set("Content-Type", "text/plain")
			_, _ = io.WriteString(w, "secret=abc")
		}), req, WithBodies(100), WithRequestHeaders("cookie", "X-Customer", "X-Absent"), WithResponseHeaders("Content-Type"), WithSecrets("x-customer"))
		require.JSONEq(t, `{"q":"hi","token":"[redacted]"}`, span.attrs["http.request.body.content"].(string))
		require.Equal(t, "secret=[redacted]", span.attrs["http.response.body.content"])
		require.Equal(t, []string{"[redacted]"}, span.attrs["http.request.header.cookie"])
		require.Equal(t, []string{"[redacted]"}, span.attrs["http.request.header.x-customer"])
		require.NotContains(t, span.attrs, "http.request.header.x-absent")
		require.Equal(t, []string{"text/plain"}, span.attrs["http.response.header.content-type"])
	})
	t.Run("SetRoute", func(t *testing.T) {
		t.Parallel()
		span, _ := newRecorded(t).request("GET /users/:id", http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
			SetRoute(req.Context(), "/users/:id")
		}), httptest.NewRequest(http.MethodGet, "/users/7", nil))
		require.Equal(t, "/users/:id", span.attrs["http.route"])
	})
	t.Run("UnknownMethod", func(t *testing.T) {
		t.Parallel()
		span, _ := newRecorded(t).request("BREW", respond(418, ""), httptest.NewRequest("BREW", "/", nil))
		require.Equal(t, "_OTHER", span.attrs["http.request.method"])
		require.Equal(t, "BREW", span.attrs["http.request.method_original"])
	})
}

// TestMiddlewareHidesNothing serves over real connections and uses what handlers look for in their writer.
func TestMiddlewareHidesNothing(t *testing.T) {
	t.Parallel()
	r := newRecorded(t)
	mux := http.NewServeMux()
	mux.HandleFunc("/stream", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "first\n")
		w.(http.Flusher).Flush()
		time.Sleep(10 * time.Millisecond)
		_, _ = io.WriteString(w, "second\n")
	})
	mux.HandleFunc("/copy", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.(io.ReaderFrom).ReadFrom(strings.NewReader("copied"))
	})
	mux.HandleFunc("/hijack", func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\n\r\nraw")
		_ = rw.Flush()
		_ = conn.Close()
	})
	mux.HandleFunc("/controller", func(w http.ResponseWriter, _ *http.Request) {
		if http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Minute)) != nil {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	// The server does not wait for a connection that was taken from it.
	instrumented, hijacked := r.Middleware(mux), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		instrumented.ServeHTTP(w, req)
		if req.URL.Path == "/hijack" {
			close(hijacked)
		}
	}))
	defer server.Close()
	get := func(path string) string {
		resp, err := http.Get(server.URL + path)
		require.NoError(t, err)
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Equal(t, 200, resp.StatusCode)
		return string(body)
	}
	require.Equal(t, "first\nsecond\n", get("/stream"))
	require.Equal(t, "copied", get("/copy"))
	require.Empty(t, get("/controller"))
	require.EqualValues(t, 6, r.span("GET /copy").attrs["http.response.body.size"])
	require.EqualValues(t, 13, r.span("GET /stream").attrs["http.response.body.size"])

	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	_, err = io.WriteString(conn, "GET /hijack HTTP/1.1\r\nHost: x\r\n\r\n")
	require.NoError(t, err)
	line, err := bufio.NewReader(conn).ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, line, "101")
	<-hijacked
	require.EqualValues(t, 101, r.span("GET /hijack").attrs["http.response.status_code"])
}

func TestTransport(t *testing.T) {
	t.Parallel()
	r, far := newRecorded(t), newRecorded(t)
	var got http.Header
	server := httptest.NewServer(far.Middleware(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		got = req.Header.Clone()
		if req.URL.Path == "/bad" {
			w.WriteHeader(http.StatusNotFound)
		}
		_, _ = io.WriteString(w, "answer")
	})))
	defer server.Close()
	ctx, run := r.StartExecution(t.Context(), Run{ID: "run 1", Agent: Agent{ID: "a"}, UserID: "ü", SessionID: "s"})
	client := &http.Client{Transport: r.Transport(nil)}
	send := func(url string) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader("ask"))
		require.NoError(t, err)
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		return resp.Body.Close()
	}
	require.NoError(t, send(server.URL+"/ok?api_key=zz"))
	run.End(nil)
	span := r.span("POST")
	require.Equal(t, trace.SpanKindClient, span.SpanKind())
	require.Equal(t, server.URL+"/ok?api_key=[redacted]", span.attrs["url.full"])
	require.EqualValues(t, 200, span.attrs["http.response.status_code"])
	require.EqualValues(t, 3, span.attrs["http.request.body.size"])
	require.EqualValues(t, 6, span.attrs["http.response.body.size"])
	require.Equal(t, "run 1", span.attrs["agenttrail.execution.id"])
	served := far.span("POST")
	require.Equal(t, span.SpanContext().SpanID(), served.Parent().SpanID())
	require.Equal(t, "run 1", served.attrs["agenttrail.execution.id"])
	require.Equal(t, "ü", served.attrs["agenttrail.user.id"])
	require.NotEmpty(t, got.Get("Traceparent"))

	bad := newRecorded(t)
	client.Transport = bad.Transport(nil)
	require.NoError(t, send(server.URL+"/bad"))
	require.Equal(t, codes.Error, bad.span("POST").Status().Code)
	require.Equal(t, "404", bad.span("POST").attrs["error.type"])

	broken := newRecorded(t)
	client.Transport = broken.Transport(roundTrip(func(*http.Request) (*http.Response, error) { return nil, errors.New("no route") }))
	require.Error(t, send("http://models.example.com/v1"))
	require.Equal(t, "no route", broken.span("POST").Status().Description)
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestIDsStayInside sends to a provider of models: it learns nothing of users.
func TestIDsStayInside(t *testing.T) {
	t.Parallel()
	r := newRecorded(t)
	ctx := WithIdentity(t.Context(), Identity{UserID: "u"})
	for url, want := range map[string]bool{
		"https://api.openai.com/v1": false, "http://8.8.8.8/": false, "http://tools/": true, "http://10.1.2.3:80/": true, "http://[::1]:80/": true,
		"http://search.prod.svc.cluster.local/": true, "http://search.internal./": true, "http://localhost:8080/": true, "http://internal.example.com/": false,
	} {
		var seen http.Header
		tr := r.Transport(roundTrip(func(req *http.Request) (*http.Response, error) { seen = req.Header; return nil, io.EOF }))
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		require.NoError(t, err)
		_, _ = tr.RoundTrip(req) //nolint:bodyclose // There is none.
		require.Equal(t, want, seen.Get("Baggage") != "", url)
		require.Equal(t, want, seen.Get("Traceparent") != "", url)
		require.Empty(t, req.Header, "the caller's request stays as it is")
	}
}

func TestSplitHost(t *testing.T) {
	t.Parallel()
	for in, want := range map[string][2]string{
		"example.com": {"example.com", ""}, "example.com:80": {"example.com", "80"}, "[::1]:80": {"::1", "80"}, "[::1]": {"::1", ""}, "::1": {"::1", ""}, "": {"", ""},
	} {
		host, port := splitHost(in)
		require.Equal(t, want, [2]string{host, port}, in)
	}
}
