package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"go.opentelemetry.io/otel/propagation"

	agenttrail "github.com/agenttrail/agenttrail/sdk"
)

var errStranger = errors.New("nobody knows this token")

// routes are those for users, which the middleware records, and those for workers, which it leaves out.
func (m *market) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/agents/{agent}/runs", m.serveRun)
	mux.HandleFunc("GET /v1/handbook", serveHandbook)
	mux.HandleFunc("GET /queue/{worker}", m.serveTake)
	mux.HandleFunc("POST /queue/{worker}/{execution}/{outcome}", m.serveDone)
	return m.trail.Middleware(mux,
		agenttrail.WithFilter(func(r *http.Request) bool { return !strings.HasPrefix(r.URL.Path, "/queue/") }),
		agenttrail.WithRequestHeaders("Content-Type", "Authorization"), agenttrail.WithBodies(4096))
}

// serveRun plans a run and puts it into the queue; a worker authorizes and starts it.
func (m *market) serveRun(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	u, ok := m.catalog.byToken[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
	if !ok {
		agenttrail.RecordSecurity(ctx, agenttrail.SecurityEvent{
			Type: agenttrail.SecurityDenied, Outcome: agenttrail.OutcomeDenied, Severity: agenttrail.SeverityWarning, Actor: "stranger", Resource: r.URL.Path, Message: "a token that nobody knows",
		})
		agenttrail.SetRequestError(ctx, errStranger)
		http.Error(w, "who are you?", http.StatusUnauthorized)
		return
	}
	slug := r.PathValue("agent")
	session := "s-" + u.id.String()[:8] + "-" + time.Now().Format("1504")
	ctx, id := m.trail.PlanExecution(ctx, agenttrail.Run{Agent: agenttrail.Agent{ID: slug}, UserID: u.id.String(), SessionID: session})
	logger(m.trail).InfoContext(agenttrail.WithCategory(ctx, agenttrail.CategoryUserAction), "run asked for", slog.String("agent", slug))
	headers := map[string]string{}
	agenttrail.Propagator().Inject(ctx, propagation.MapCarrier(headers))
	m.queue.put(job{ExecutionID: id, Agent: slug, UserID: u.id.String(), MandateID: u.mandate.String(), Headers: headers})
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	_ = json.NewEncoder(w).Encode(map[string]string{"executionId": id})
}

// serveHandbook is what the tools of agents ask.
func serveHandbook(w http.ResponseWriter, r *http.Request) {
	agenttrail.Log(r.Context(), slog.LevelInfo, agenttrail.CategoryPerformance, "handbook searched", slog.Int("hits", 3))
	_, _ = io.WriteString(w, "Turn it off and on again.")
}

func (m *market) serveTake(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
	defer cancel()
	j, ok := m.queue.take(ctx, r.PathValue("worker"))
	if !ok {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(j)
}

func (m *market) serveDone(w http.ResponseWriter, r *http.Request) {
	m.queue.done(r.PathValue("worker"), r.PathValue("execution"), r.PathValue("outcome"))
	w.WriteHeader(http.StatusNoContent)
}
