package marketplace

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/agenttrail/agenttrail/ledger"
	"github.com/agenttrail/agenttrail/sdk/ledgerclient"
)

// Shares of what users do.
const (
	strangerShare = 0.006 // Requests of nobody.
	loginShare    = 0.08  // Runs before which a user logs in.
	forgetShare   = 0.1   // Logins with a wrong password.
	opinionShare  = 0.12  // Runs that a user has an opinion about.
	refillShare   = 0.7   // Users who buy credits when they have none.
)

// visit lets a user ask for a run, and do what users do around it.
func (m *market) visit(ctx context.Context, r *run) {
	if m.chance(strangerShare) {
		_ = m.request(ctx, r, "no-such-token", http.MethodPost, "/v1/agents/"+r.agent.slug+"/runs", "", map[string]string{"input": "let me in"})
	}
	token := r.user.token()
	if m.chance(loginShare) {
		password := map[string]string{"password": "correct horse"}
		if m.chance(forgetShare) {
			password["password"] = ""
		}
		_ = m.request(ctx, r, token, http.MethodPost, "/v1/sessions", "", password)
	}
	id := uuid.NewString()
	m.remember(id, r)
	switch m.request(ctx, r, token, http.MethodPost, "/v1/agents/"+r.agent.slug+"/runs", id, map[string]string{"input": "please, " + r.agent.name}) {
	case http.StatusOK:
		if m.chance(opinionShare) {
			_ = m.request(ctx, r, token, http.MethodPut, "/v1/agents/"+r.agent.slug+"/opinion", "", m.opinion())
		}
	case http.StatusPaymentRequired:
		m.refill(ctx, r.user)
	}
	m.recall(id)
}

// opinion is what somebody says of an agent.
func (m *market) opinion() ledgerclient.Interaction {
	rating := 3 + m.draw(3)
	said := ledgerclient.Interaction{Rating: &rating, IsFavorite: rating == 5 && m.chance(0.5)}
	if m.chance(0.1) {
		rating = 1
		said.Feedback = "That was not what I asked for."
	} else if m.chance(0.3) {
		said.Feedback = []string{"Quick and to the point.", "Saved me an hour.", "Good, but it could be shorter.", "I use it every day."}[m.draw(4)]
	}
	return said
}

// refill buys credits, as by bank transfer, after the money has come.
func (m *market) refill(ctx context.Context, u *user) {
	if u.isBroke(m.indexOf(u)) || !m.chance(refillShare) {
		return
	}
	if m.wait(ctx, time.Now().Add(time.Duration(200+m.draw(800))*time.Millisecond)) != nil {
		return
	}
	amount := ledger.Credits(100*(1+m.draw(5))) * ledger.Credit
	if _, err := m.desk.support.Grant(ctx, purchase(u, amount, "bank transfer")); err != nil {
		m.complain(ctx, "buy credits", err)
		return
	}
	m.tally.count(&m.tally.refills)
}

func (m *market) indexOf(u *user) int {
	for i := range m.users {
		if &m.users[i] == u {
			return i
		}
	}
	return 0
}

// request sends a request of a user to the API server, as through its proxy, and returns the status of the answer; 0 for
// none.
func (m *market) request(ctx context.Context, r *run, token, method, path, id string, body any) int {
	text, err := json.Marshal(body)
	if err != nil {
		return 0
	}
	req, err := http.NewRequestWithContext(ctx, method, m.url+path, bytes.NewReader(text))
	if err != nil {
		return 0
	}
	if id == "" {
		id = uuid.NewString()
	}
	req.Host = apiHost
	for name, value := range map[string]string{
		"Authorization": "Bearer " + token, "Content-Type": "application/json", "User-Agent": r.user.userAgent,
		"X-Forwarded-For": r.user.ip, "X-Forwarded-Proto": "https", headerRequest: id, headerSession: r.session,
	} {
		req.Header.Set(name, value)
	}
	resp, err := m.http.Do(req)
	if err != nil {
		return 0 // The marketplace is closed.
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp.StatusCode
}
