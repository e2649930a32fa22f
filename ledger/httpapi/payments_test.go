package httpapi_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/internal/stripetest"
	"github.com/agenttrail/agenttrail/ledger/httpapi"
)

// event sends what Stripe sends, with a signature of one's own.
func (w *world) event(t *testing.T, body []byte, signature string) (status int, answer string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.server.URL+"/webhooks/stripe", bytes.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	if signature != "" {
		req.Header.Set("Stripe-Signature", signature)
	}
	resp, err := w.server.Client().Do(req)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(text)
}

func TestEventsOfStripe(t *testing.T) {
	t.Parallel()
	w := setup(t)
	c := w.customer(t)
	id := w.topUp(t, c, "")
	intent := w.must(t, call{method: "GET", path: "/v1/topups/" + id}).text1("stripePi")
	w.stripe.Pay(intent, stripetest.CardPays)
	for _, e := range w.stripe.Events() {
		for range 2 {
			status, answer := w.event(t, e.Body, stripetest.Sign(e.Body, time.Now(), stripetest.Secret))
			require.Equal(t, http.StatusNoContent, status, answer)
			require.Empty(t, answer)
		}
		require.Equal(t, "created", w.must(t, call{method: "GET", path: "/v1/topups/" + id}).text1("status"), "it is stored and no more")
	}
	for _, e := range w.stripe.Events() {
		require.NoError(t, w.payments.Process(t.Context(), e.ID))
	}
	require.Equal(t, "succeeded", w.must(t, call{method: "GET", path: "/v1/topups/" + id}).text1("status"))
	require.Equal(t, "210", w.must(t, call{method: "GET", path: "/v1/users/" + c.user + "/balance"}).text1("available"))

	body := w.stripe.Events()[0].Body
	for name, signature := range map[string]string{
		"none": "", "by another secret": stripetest.Sign(body, time.Now(), "whsec_of_somebody_else"),
		"of the future": stripetest.Sign(body, time.Now().Add(48*time.Hour), stripetest.Secret), "old": stripetest.Sign(body, time.Now().Add(-time.Hour), stripetest.Secret),
		"of another body": stripetest.Sign([]byte("{}"), time.Now(), stripetest.Secret),
	} {
		status, answer := w.event(t, body, signature)
		require.Equal(t, http.StatusBadRequest, status, name)
		require.Contains(t, answer, "/problems/bad-signature", name)
	}
	status, answer := w.event(t, []byte("[]"), stripetest.Sign([]byte("[]"), time.Now(), stripetest.Secret))
	require.Equal(t, http.StatusUnprocessableEntity, status, answer)
	large := []byte(strings.Repeat(" ", 2<<20))
	status, answer = w.event(t, large, stripetest.Sign(large, time.Now(), stripetest.Secret))
	require.Equal(t, http.StatusRequestEntityTooLarge, status, answer)
	w.checkBooks(t)
}

func TestWithoutPayments(t *testing.T) {
	t.Parallel()
	w := setup(t, func(s *httpapi.Settings) { s.Payments = nil })
	c := w.customer(t)
	for _, request := range []call{
		{method: "POST", path: "/v1/topups", body: map[string]any{"userId": c.user, "package": "starter"}},
		{method: "POST", path: "/v1/topups/" + nobody + "/cancel"},
		{method: "POST", path: "/v1/topups/" + nobody + "/refunds"},
	} {
		request.key = w.admin
		r := w.do(t, request)
		require.Equal(t, http.StatusServiceUnavailable, r.status, r.text)
		require.Equal(t, "payments-disabled", r.problem())
		require.Empty(t, r.header.Get("Retry-After"), "waiting does not help")
	}
	status, answer := w.event(t, []byte("{}"), "")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Contains(t, answer, "/problems/payments-disabled")
	require.NotContains(t, w.logs.String(), "request failed", "that is no failure")
	w.captured(t, c, "1") // All else works.
}
