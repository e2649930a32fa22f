package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/internal/stripetest"
)

// adminOf is the secret of the key that the first start of an instance has made.
func adminOf(t *testing.T, in *instance) string {
	t.Helper()
	text, err := os.ReadFile(in.LedgerKeyFile)
	require.NoError(t, err)
	return strings.TrimSpace(string(text))
}

// newBuyer makes a user without credits.
func newBuyer(t *testing.T, addr, secret string) string {
	t.Helper()
	return mustAsk(t, addr, secret, "/v1/users", map[string]any{"email": fmt.Sprintf("buyer-%d@example.com", ledgerKeys.Add(1))}).at("id")
}

func balanceOf(t *testing.T, addr, secret, user string) string {
	t.Helper()
	a, err := askPatiently(t.Context(), addr, secret, http.MethodGet, "/v1/users/"+user+"/balance", "", nil)
	require.NoError(t, err)
	return a.at("available")
}

// ledgerMetrics are the lines of /metrics with a name.
func ledgerMetrics(t *testing.T, addr, name string) (lines []string) {
	t.Helper()
	resp, err := http.Get("http://" + addr + "/metrics")
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, name) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// TestUpWithoutStripe refuses to sell, and does all else.
func TestUpWithoutStripe(t *testing.T) {
	t.Parallel()
	in := startUp(t, t.TempDir())
	secret := adminOf(t, in)
	p := newPayer(t, in.Ledger, secret, "payer")
	a, err := askLedger(t.Context(), in.Ledger, secret, http.MethodPost, "/v1/topups", "buy", map[string]any{"userId": p.user, "package": "sample-100"})
	require.NoError(t, err)
	require.Equal(t, http.StatusServiceUnavailable, a.status, a.text)
	require.Equal(t, "/problems/payments-disabled", a.at("type"))
	require.Empty(t, a.header.Get("Retry-After"))
	resp, err := http.Post("http://"+in.Ledger+"/webhooks/stripe", "application/json", strings.NewReader("{}"))
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusServiceUnavailable, resp.StatusCode, "Stripe sends it again")
	run := mustAsk(t, in.Ledger, secret, "/v1/authorizations", map[string]any{"userId": p.user, "mandateId": p.mandate, "agent": p.agent})
	mustAsk(t, in.Ledger, secret, "/v1/holds/"+run.at("hold", "id")+"/capture", nil)
	packages, err := askLedger(t.Context(), in.Ledger, secret, http.MethodGet, "/v1/packages", "", nil)
	require.NoError(t, err)
	require.Contains(t, packages.text, "sample-500")
	require.Empty(t, failures(in.output))
}

// TestUpWithStripeMock sells with a test key: Stripe's own mock, which is strict about requests, takes what is sent. It
// remembers nothing, so the top-up waits to be paid.
func TestUpWithStripeMock(t *testing.T) {
	t.Parallel()
	mock := stripetest.Start(t)
	config := filepath.Join(t.TempDir(), "ledger.yaml")
	require.NoError(t, os.WriteFile(config, []byte("stripe: {api_key: "+stripetest.Key+", api_url: '"+mock+"', webhook_secrets: ["+stripetest.Secret+"], sweep_every: 1s, events_every: 1s}\n"), 0o600))
	in := startUp(t, t.TempDir(), "--ledger-config", config)
	secret := adminOf(t, in)
	user := newBuyer(t, in.Ledger, secret)
	top := mustAsk(t, in.Ledger, secret, "/v1/topups", map[string]any{"userId": user, "package": "sample-500"})
	require.Equal(t, "created", top.at("status"))
	require.Equal(t, "requires_payment_method", top.at("stripeStatus"))
	require.Contains(t, top.at("stripePi"), "pi_")
	require.NotEmpty(t, top.at("clientSecret"))
	require.NotContains(t, fmt.Sprint(top.json["receiptJson"]), top.at("clientSecret"))
	body := fmt.Sprintf(`{"object":"event","id":"evt_1","type":"payment_intent.created","api_version":"%s","created":1,"livemode":false,"data":{"object":{"id":"%s","object":"payment_intent"}}}`, stripetest.APIVersion, top.at("stripePi"))
	require.Equal(t, http.StatusNoContent, sendEvent(t, in.Ledger, []byte(body), stripetest.Secret))
	require.Eventually(t, func() bool {
		return len(ledgerMetrics(t, in.Ledger, `agenttrail_ledger_stripe_events_processed_total{outcome="processed"} 1`)) == 1
	}, startTimeout, 20*time.Millisecond, "the job of the event")
	require.Eventually(t, func() bool {
		return len(ledgerMetrics(t, in.Ledger, `agenttrail_ledger_job_runs_total{job_name="stripe_events",outcome="success"}`)) == 1
	}, startTimeout, 20*time.Millisecond, "the sweep")
	require.Equal(t, "0", balanceOf(t, in.Ledger, secret, user))
	require.Empty(t, failures(in.output))
}

// TestUpWithWrongWebhookSecret takes no event, says why, and grants what was paid all the same, by the sweep.
func TestUpWithWrongWebhookSecret(t *testing.T) {
	t.Parallel()
	fake := stripetest.New(t)
	config := filepath.Join(t.TempDir(), "ledger.yaml")
	require.NoError(t, os.WriteFile(config, []byte("stripe: {api_key: "+stripetest.Key+", api_url: '"+fake.URL+"', webhook_secrets: [whsec_of_another_endpoint], sweep_every: 1s, events_every: 1s}\n"), 0o600))
	in := startUp(t, t.TempDir(), "--ledger-config", config)
	secret := adminOf(t, in)
	user := newBuyer(t, in.Ledger, secret)
	top := mustAsk(t, in.Ledger, secret, "/v1/topups", map[string]any{"userId": user, "package": "sample-500"})
	fake.Pay(top.at("stripePi"), stripetest.CardPays)
	for _, e := range fake.Events() {
		status, err := fake.Deliver(t.Context(), "http://"+in.Ledger+"/webhooks/stripe", e)
		require.NoError(t, err)
		require.Equal(t, http.StatusBadRequest, status)
	}
	why := func() int { return strings.Count(in.output.String(), "compare stripe.webhook_secrets") }
	require.Eventually(t, func() bool { return why() > 0 }, startTimeout, 10*time.Millisecond, "it does not say why:\n%s", in.output)
	require.Equal(t, 1, why(), "once, not for each event:\n%s", in.output)
	require.Equal(t, []string{fmt.Sprintf(`agenttrail_ledger_stripe_events_received_total{outcome="bad_signature"} %d`, len(fake.Events()))}, ledgerMetrics(t, in.Ledger, `agenttrail_ledger_stripe_events_received_total{outcome="bad_signature"}`))
	// The sweep asks for events that were not delivered, and their jobs settle the top-up.
	require.Eventually(t, func() bool { return balanceOf(t, in.Ledger, secret, user) == "550" }, startTimeout, 50*time.Millisecond)
	require.Empty(t, failures(in.output))
}

func sendEvent(t *testing.T, addr string, body []byte, secret string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://"+addr+"/webhooks/stripe", strings.NewReader(string(body)))
	require.NoError(t, err)
	require.True(t, json.Valid(body))
	req.Header.Set("Stripe-Signature", stripetest.Sign(body, time.Now(), secret))
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode
}
