package marketplace

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"go.opentelemetry.io/otel/propagation"

	"github.com/agenttrail/agenttrail/ledger"
	agenttrail "github.com/agenttrail/agenttrail/sdk"
	"github.com/agenttrail/agenttrail/sdk/ledgerclient"
)

// Headers of requests beside the usual ones.
const (
	headerRequest = "X-Request-Id"
	headerSession = "X-Session-Id"
)

// routes are what users can ask for. They come through a proxy, as it were, which says who they are.
func (m *market) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/sessions", m.forUser(m.serveLogin))
	mux.HandleFunc("POST /v1/agents/{agent}/runs", m.forUser(m.serveRun))
	mux.HandleFunc("PUT /v1/agents/{agent}/opinion", m.forUser(m.serveOpinion))
	return m.apiTrail.Middleware(mux, agenttrail.WithTrustedProxy(), agenttrail.WithBodies(2048),
		agenttrail.WithRequestHeaders("Content-Type", headerRequest), agenttrail.WithResponseHeaders("Content-Type"))
}

// problem is an error with a code, which is answered to a user and kept with the request.
type problem struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

func (p *problem) Error() string     { return p.Message }
func (p *problem) ErrorCode() string { return p.Code }

// forUser lets those in that somebody knows, and gives their requests their identity.
func (m *market) forUser(serve func(http.ResponseWriter, *http.Request, *user)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		u := m.byToken[token]
		if u == nil {
			agenttrail.RecordSecurity(r.Context(), agenttrail.SecurityEvent{
				Type: agenttrail.SecurityDenied, Outcome: agenttrail.OutcomeDenied, Severity: agenttrail.SeverityWarning,
				Actor: "stranger", Resource: r.URL.Path, Message: "a token that nobody knows",
			})
			refuse(w, r, http.StatusUnauthorized, &problem{"unauthenticated", "nobody knows this token"})
			return
		}
		id := agenttrail.Identity{UserID: u.id.String(), SessionID: r.Header.Get(headerSession)}
		serve(w, r.WithContext(agenttrail.WithIdentity(r.Context(), id)), u)
	}
}

// serveLogin begins a session. Some users have forgotten their password.
func (m *market) serveLogin(w http.ResponseWriter, r *http.Request, u *user) {
	var asked struct {
		Password string `json:"password"`
	}
	if json.NewDecoder(r.Body).Decode(&asked) != nil || asked.Password == "" {
		agenttrail.RecordSecurity(r.Context(), agenttrail.SecurityEvent{Type: agenttrail.SecurityLogin, Outcome: agenttrail.OutcomeFailure, Severity: agenttrail.SeverityWarning, Resource: "session", Message: "wrong password"})
		refuse(w, r, http.StatusUnauthorized, &problem{"wrong_password", "wrong password"})
		return
	}
	agenttrail.RecordSecurity(r.Context(), agenttrail.SecurityEvent{Type: agenttrail.SecurityLogin, Outcome: agenttrail.OutcomeSuccess, Resource: "session", Message: u.name + " logged in"})
	answer(w, http.StatusCreated, map[string]string{"sessionId": r.Header.Get(headerSession)})
}

// serveRun plans a run, lets a worker do it, and answers when it is over.
func (m *market) serveRun(w http.ResponseWriter, r *http.Request, u *user) {
	var asked struct {
		Input string `json:"input"`
	}
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil || asked.Input == "" {
		refuse(w, r, http.StatusBadRequest, &problem{"malformed", "what is the agent to do? send an input"})
		return
	}
	plan := m.recall(r.Header.Get(headerRequest))
	if plan == nil || plan.agent.slug != r.PathValue("agent") || plan.user != u {
		refuse(w, r, http.StatusNotFound, &problem{"not_found", "there is no such agent"})
		return
	}
	ctx, id := m.apiTrail.PlanExecution(r.Context(), agenttrail.Run{Agent: agenttrail.Agent{ID: plan.agent.slug}})
	plan.id = id
	agenttrail.Log(ctx, slog.LevelInfo, agenttrail.CategoryUserAction, "run requested", slog.String("user.action", "run")) //nolint:sloglint // A name of OpenTelemetry.
	j := job{plan: plan, message: propagation.MapCarrier{}, answer: make(chan error, 1)}
	agenttrail.Propagator().Inject(ctx, j.message)
	err := m.hand(ctx, j)
	if err == nil {
		answer(w, http.StatusOK, map[string]string{"executionId": id, "status": outcomeSuccess, "output": "Answer to: " + asked.Input})
		return
	}
	status, p := m.explain(ctx, plan, err)
	m.tally.refused(p.Code, status)
	refuse(w, r, status, p)
}

// explain tells what is answered to a user whose run did not succeed.
func (m *market) explain(ctx context.Context, plan *run, err error) (int, *problem) {
	if refusal, ok := errors.AsType[*ledgerclient.Problem](err); ok {
		p := &problem{string(refusal.Code), refusal.Error()}
		switch refusal.Code {
		case ledger.CodeInsufficientFunds:
			return http.StatusPaymentRequired, p
		case ledger.CodeMandateDenied:
			agenttrail.RecordSecurity(ctx, agenttrail.SecurityEvent{
				Type: agenttrail.SecurityPolicyViolation, Outcome: agenttrail.OutcomeDenied, Severity: agenttrail.SeverityWarning,
				Resource: "agent " + plan.agent.slug, Message: refusal.Error(),
			})
			return http.StatusForbidden, p
		default:
			return http.StatusServiceUnavailable, p
		}
	}
	if coded, ok := errors.AsType[agenttrail.CodedError](err); ok {
		p := &problem{coded.ErrorCode(), err.Error()}
		if ended, ok := errors.AsType[runError](err); ok {
			return httpStatusOf(ended.outcome), p
		}
		if p.Code == codeRejected {
			return http.StatusForbidden, p
		}
		return http.StatusServiceUnavailable, p
	}
	return http.StatusInternalServerError, &problem{"error", err.Error()}
}

// serveOpinion takes what a user says of an agent.
func (m *market) serveOpinion(w http.ResponseWriter, r *http.Request, u *user) {
	var said ledgerclient.Interaction
	if err := json.NewDecoder(r.Body).Decode(&said); err != nil {
		refuse(w, r, http.StatusBadRequest, &problem{"malformed", "this is no opinion"})
		return
	}
	for i := range m.agents {
		if a := &m.agents[i]; a.slug == r.PathValue("agent") {
			if _, err := m.desk.api.PutInteraction(r.Context(), u.id, a.id, ledgerclient.AnyVersion, said); err != nil {
				refuse(w, r, http.StatusServiceUnavailable, &problem{"ledger", err.Error()})
				return
			}
			m.tally.count(&m.tally.opinions)
			rating := 0
			if said.Rating != nil {
				rating = *said.Rating
			}
			agenttrail.Log(r.Context(), slog.LevelInfo, agenttrail.CategoryUserAction, "agent rated", slog.String("agent", a.slug), slog.Int("rating", rating))
			answer(w, http.StatusOK, said)
			return
		}
	}
	refuse(w, r, http.StatusNotFound, &problem{"not_found", "there is no such agent"})
}

func refuse(w http.ResponseWriter, r *http.Request, status int, p *problem) {
	agenttrail.SetRequestError(r.Context(), p)
	answer(w, status, p)
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // Who has gone does not read it.
}
