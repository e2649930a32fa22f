package stripepay

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v76/webhook"

	"github.com/agenttrail/agenttrail/internal/stripetest"
)

func TestVerify(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	body := []byte(`{"id": "evt_1"}`)
	const secret, older, foreign = "whsec_current_secret", "whsec_older_secret", "whsec_foreign_secret"
	sign := func(at time.Time, secrets ...string) string { return stripetest.Sign(body, at, secrets...) }
	for name, c := range map[string]struct {
		header []string
		body   string
		want   *signatureError
	}{
		"signed now":                       {header: []string{sign(now, secret)}},
		"signed by a secret being rotated": {header: []string{sign(now, older)}},
		"signed by both":                   {header: []string{sign(now, foreign, secret)}},
		"as old as is tolerated":           {header: []string{sign(now.Add(-5*time.Minute), secret)}},
		"too old":                          {header: []string{sign(now.Add(-5*time.Minute-time.Second), secret)}, want: errStale},
		"as far ahead as is tolerated":     {header: []string{sign(now.Add(5*time.Minute), secret)}},
		"of the future":                    {header: []string{sign(now.Add(48*time.Hour), secret)}, want: errStale},
		"of the end of time":               {header: []string{sign(time.Unix(1<<62, 0), secret)}, want: errStale},
		"signed by others":                 {header: []string{sign(now, foreign)}, want: errSignature},
		"another body":                     {header: []string{sign(now, secret)}, body: `{"id": "evt_2"}`, want: errSignature},
		"the same JSON, written otherwise": {header: []string{sign(now, secret)}, body: `{"id":"evt_1"}`, want: errSignature},
		"another time than was signed":     {header: []string{strings.Replace(sign(now, secret), "t=1800000000", "t=1800000001", 1)}, want: errSignature},
		"two times":                        {header: []string{"t=1," + sign(now, secret)}, want: errNotSigned},
		"no time":                          {header: []string{strings.TrimPrefix(sign(now, secret), "t=1800000000,")}, want: errNotSigned},
		"an older kind of signature alone": {header: []string{strings.Replace(sign(now, secret), "v1=", "v0=", 1)}, want: errNotSigned},
		"two headers":                      {header: []string{sign(now, secret), sign(now, secret)}, want: errNotSigned},
		"an empty one":                     {header: []string{""}, want: errNotSigned},
		"none":                             {want: errNotSigned},
		"what is no signature":             {header: []string{"t=1800000000,v1=zz,v1,=,"}, want: errNotSigned},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sent := body
			if c.body != "" {
				sent = []byte(c.body)
			}
			require.Equal(t, c.want, verify(sent, c.header, []string{secret, older}, now, DefaultTolerance))
		})
	}
	// The reason for a check of our own.
	future := stripetest.Sign(body, time.Now().Add(48*time.Hour), secret)
	require.NoError(t, webhook.ValidatePayload(body, future, secret), "the library has a check of its own by now")
}

func FuzzVerify(f *testing.F) {
	now := time.Unix(1_800_000_000, 0)
	const secret = "whsec_current_secret"
	f.Add([]byte(`{}`), stripetest.Sign([]byte(`{}`), now, "whsec_other_secret"))
	f.Add([]byte(``), "t=1800000000,v1=")
	f.Add([]byte(`{}`), "t=9223372036854775807,v1=00")
	f.Fuzz(func(t *testing.T, body []byte, header string) {
		if verify(body, []string{header}, []string{secret}, now, DefaultTolerance) == nil {
			t.Errorf("%q passes for %q", header, body)
		}
	})
}

func TestRedact(t *testing.T) {
	t.Parallel()
	got, err := redact([]byte(`{
		"id": "pi_1", "amount": 12345678901234567890, "client_secret": "pi_1_secret_abc", "nested": [{"webhook_Secret": 1, "url": "https://hooks.stripe.com/3d?client_secret=src_1_secret_x&ok=1"}],
		"text": "key sk_live_51Habc and whsec_abc of pi_9_secret_zzz", "metadata": {"agenttrail_transaction": "019bde24-89a1-7c3e-8f10-0242ac120002"}, "nul": "a\u0000b"}`))
	require.NoError(t, err)
	require.JSONEq(t, `{"id": "pi_1", "amount": 12345678901234567890, "nested": [{"url": "https://hooks.stripe.com/3d?[redacted]&ok=1"}],
		"text": "key [redacted] and [redacted] of [redacted]", "metadata": {"agenttrail_transaction": "019bde24-89a1-7c3e-8f10-0242ac120002"}, "nul": "ab"}`, string(got))
	require.Contains(t, string(got), "12345678901234567890", "no number is rounded")
	_, err = redact([]byte(`{`))
	require.Error(t, err)
}

func TestParseEvent(t *testing.T) {
	t.Parallel()
	e, err := parseEvent([]byte(`{"object":"event","id":"evt_1","type":"charge.refunded","api_version":"2026-08-26.dahlia","created":1,"livemode":true,"data":{"object":{"id":"ch_1","payment_intent":{"id":"pi_1"}}}}`))
	require.NoError(t, err)
	require.Equal(t, []any{"evt_1", "ch_1", "pi_1", true}, []any{e.ID, e.ObjectID, e.PaymentID, e.Live}, "of any version of the API")
	e, err = parseEvent([]byte(`{"object":"event","id":"evt_1","type":"payment_intent.succeeded","data":{"object":{"id":"pi_1"}}}`))
	require.NoError(t, err)
	require.Equal(t, "pi_1", e.PaymentID)
	for _, body := range []string{``, `[]`, `{}`, `{"object":"event","id":"evt_1"}`, `{"object":"event","type":"x"}`, `{"object":"charge","id":"evt_1","type":"x"}`, `{"object":"event","id":"` + strings.Repeat("x", 256) + `","type":"x"}`} {
		_, err := parseEvent([]byte(body))
		require.Error(t, err, body)
	}
}
