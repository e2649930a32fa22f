package stripepay

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v76"

	"github.com/agenttrail/agenttrail/internal/stripetest"
	"github.com/agenttrail/agenttrail/ledger"
)

// account is a Stripe that the suite runs against.
type account struct {
	url  string
	fake *stripetest.Fake // nil for one that remembers nothing
}

func (a account) client() *client { return newClient(stripetest.Key, a.url, http.DefaultTransport) }

// TestConformance sends everything that we ever send to Stripe's own mock, which knows every parameter of the API, and to
// the fake that the other tests work with. What needs a memory runs against the fake alone.
func TestConformance(t *testing.T) {
	t.Parallel()
	t.Run("stripe-mock", func(t *testing.T) {
		t.Parallel()
		conform(t, account{url: stripetest.Start(t)})
	})
	t.Run("fake", func(t *testing.T) {
		t.Parallel()
		f := stripetest.New(t)
		conform(t, account{f.URL, f})
	})
}

func conform(t *testing.T, a account) {
	t.Helper()
	for name, c := range map[string]struct {
		run    func(t *testing.T, a account)
		memory bool
	}{
		"customer":                       {run: customerIsMade},
		"payment in the browser":         {run: intentIsMade},
		"payment with a saved card":      {run: savedCardIsCharged},
		"payment is canceled":            {run: intentIsCanceled},
		"refund":                         {run: refundIsMade},
		"lists":                          {run: listsCanBeRead},
		"required parameter is missing":  {run: missingIsRefused},
		"another version of the API":     {run: otherVersionIsRefused},
		"another key":                    {run: otherKeyIsRefused},
		"same key is the same request":   {run: sameKeyIsSameRequest, memory: true},
		"same key, another request":      {run: sameKeyOtherRequest, memory: true},
		"found again by its metadata":    {run: foundByMetadata, memory: true},
		"declined card leaves a payment": {run: declinedLeavesIntent, memory: true},
		"what is not there":              {run: unknownIsMissing, memory: true},
		"states of a payment":            {run: statesOfPayment, memory: true},
		"refunds and disputes":           {run: reversalsAreReported, memory: true},
		"events that were not delivered": {run: undeliveredAreListed, memory: true},
		"pages of a list":                {run: pagesAreTurned, memory: true},
	} {
		if c.memory && a.fake == nil {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.run(t, a)
		})
	}
}

func someUser() ledger.User {
	id := uuid.Must(uuid.NewV7())
	return ledger.User{ID: id, Email: id.String() + "@example.com"}
}

// someTopUp is one that was written down, of a customer that is made for it.
func someTopUp(t *testing.T, c *client, method string) ledger.TopUp {
	t.Helper()
	u := someUser()
	id, err := c.createCustomer(t.Context(), u, "customer-"+u.ID.String())
	require.NoError(t, err)
	top := ledger.TopUp{ID: uuid.Must(uuid.NewV7()), CreatedAt: time.Now()}
	pack := ledger.Package{ID: "starter", AmountCents: 1000, Currency: "EUR", Credits: 100 * ledger.Credit}
	top.RequestJSON, err = json.Marshal(newIntentRequest(id, pack, method, top.ID.String(), u.ID.String()))
	require.NoError(t, err)
	return top
}

func customerIsMade(t *testing.T, a account) {
	t.Helper()
	u := someUser()
	id, err := a.client().createCustomer(t.Context(), u, "key-"+u.ID.String())
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(id, "cus_"), id)
	found, err := a.client().findCustomer(t.Context(), u)
	require.NoError(t, err)
	if a.fake != nil {
		require.Equal(t, id, found)
	}
}

func intentIsMade(t *testing.T, a account) {
	t.Helper()
	top := someTopUp(t, a.client(), "")
	id, err := a.client().createIntent(t.Context(), top)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(id, "pi_"), id)
	r, pi, err := a.client().report(t.Context(), id, true)
	require.NoError(t, err)
	require.Equal(t, ledger.StatusCreated, r.Status)
	require.Equal(t, "requires_payment_method", r.StripeStatus)
	require.NotEmpty(t, pi.ClientSecret)
	require.NotContains(t, string(r.Receipt), pi.ClientSecret)
	require.Contains(t, string(r.Receipt), id)
}

func savedCardIsCharged(t *testing.T, a account) {
	t.Helper()
	id, err := a.client().createIntent(t.Context(), someTopUp(t, a.client(), stripetest.CardPays))
	require.NoError(t, err)
	r, _, err := a.client().report(t.Context(), id, false)
	require.NoError(t, err)
	if a.fake != nil {
		require.Equal(t, ledger.StatusSucceeded, r.Status)
		require.Equal(t, ledger.Money{AmountCents: 1000, Currency: "EUR"}, r.Amount)
		require.EqualValues(t, 1000, r.Received)
	}
}

func intentIsCanceled(t *testing.T, a account) {
	t.Helper()
	top := someTopUp(t, a.client(), "")
	var err error
	top.StripePI, err = a.client().createIntent(t.Context(), top)
	require.NoError(t, err)
	require.NoError(t, a.client().cancelIntent(t.Context(), top))
	r, _, err := a.client().report(t.Context(), top.StripePI, false)
	require.NoError(t, err)
	if a.fake != nil {
		require.Equal(t, ledger.StatusCanceled, r.Status)
		// With another key: the same one would give the same answer.
		_, err := a.client().intents.Cancel(top.StripePI, nil)
		require.Equal(t, refused, outcomeOf(err))
	}
}

func refundIsMade(t *testing.T, a account) {
	t.Helper()
	pi, err := a.client().createIntent(t.Context(), someTopUp(t, a.client(), stripetest.CardPays))
	require.NoError(t, err)
	r := ledger.Reversal{ID: uuid.Must(uuid.NewV7())}
	r.RequestJSON, err = json.Marshal(refundRequest{PaymentIntent: pi, Amount: 100, Metadata: map[string]string{metaTransaction: r.ID.String()}})
	require.NoError(t, err)
	require.NoError(t, a.client().createRefund(t.Context(), r))
	list, err := a.client().refundsOf(t.Context(), pi)
	require.NoError(t, err)
	require.NotEmpty(t, list)
	if a.fake != nil {
		require.Len(t, list, 1)
		require.Equal(t, r.ID, refundReport(list[0]).TransactionID)
	}
}

func listsCanBeRead(t *testing.T, a account) {
	t.Helper()
	c := a.client()
	pi, err := c.createIntent(t.Context(), someTopUp(t, c, stripetest.CardPays))
	require.NoError(t, err)
	_, err = c.disputesOf(t.Context(), pi)
	require.NoError(t, err)
	_, err = c.findIntent(t.Context(), someTopUp(t, c, ""))
	require.NoError(t, err)
	since := &stripe.RangeQueryParams{GreaterThanOrEqual: time.Now().Add(-time.Hour).Unix()}
	e := &stripe.EventListParams{DeliverySuccess: new(false), Types: stripe.StringSlice(eventTypes()), CreatedRange: since}
	e.Single = true
	events := c.events.List(e)
	events.Next()
	require.NoError(t, events.Err())
	r := &stripe.RefundListParams{CreatedRange: since}
	r.Single = true
	refunds := c.refunds.List(r)
	refunds.Next()
	require.NoError(t, refunds.Err())
	d := &stripe.DisputeListParams{CreatedRange: since}
	d.Single = true
	disputes := c.disputes.List(d)
	disputes.Next()
	require.NoError(t, disputes.Err())
}

func missingIsRefused(t *testing.T, a account) {
	t.Helper()
	_, err := a.client().intents.New(&stripe.PaymentIntentParams{Amount: stripe.Int64(1000)})
	require.Equal(t, refused, outcomeOf(err), "%v", err)
}

func (a account) post(t *testing.T, header, value string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, a.url+"/v1/customers", http.NoBody)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+stripetest.Key)
	req.Header.Set("Stripe-Version", stripe.APIVersion)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set(header, value)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode
}

func otherVersionIsRefused(t *testing.T, a account) {
	t.Helper()
	require.Equal(t, stripetest.APIVersion, stripe.APIVersion)
	require.Equal(t, http.StatusOK, a.post(t, "Stripe-Version", stripe.APIVersion))
	require.Equal(t, http.StatusBadRequest, a.post(t, "Stripe-Version", "2026-08-26.dahlia"))
}

func otherKeyIsRefused(t *testing.T, a account) {
	t.Helper()
	require.Equal(t, http.StatusUnauthorized, a.post(t, "Authorization", "Bearer nonsense"))
	_, err := newClient("nonsense", a.url, http.DefaultTransport).createCustomer(t.Context(), someUser(), "k")
	require.Equal(t, unauthorized, outcomeOf(err), "%v", err)
}

func sameKeyIsSameRequest(t *testing.T, a account) {
	t.Helper()
	top := someTopUp(t, a.client(), stripetest.CardPays)
	first, err := a.client().createIntent(t.Context(), top)
	require.NoError(t, err)
	second, err := a.client().createIntent(t.Context(), top)
	require.NoError(t, err)
	require.Equal(t, first, second)
}

func sameKeyOtherRequest(t *testing.T, a account) {
	t.Helper()
	top := someTopUp(t, a.client(), "")
	_, err := a.client().createIntent(t.Context(), top)
	require.NoError(t, err)
	other := someTopUp(t, a.client(), "")
	other.ID = top.ID
	_, err = a.client().createIntent(t.Context(), other)
	require.Error(t, err)
	require.Equal(t, unknown, outcomeOf(err), "something was made with the key: %v", err)
}

func foundByMetadata(t *testing.T, a account) {
	t.Helper()
	top := someTopUp(t, a.client(), "")
	none, err := a.client().findIntent(t.Context(), top)
	require.NoError(t, err)
	require.Empty(t, none)
	id, err := a.client().createIntent(t.Context(), top)
	require.NoError(t, err)
	found, err := a.client().findIntent(t.Context(), top)
	require.NoError(t, err)
	require.Equal(t, id, found)
}

func declinedLeavesIntent(t *testing.T, a account) {
	t.Helper()
	top := someTopUp(t, a.client(), stripetest.CardDeclined)
	for range 2 { // The answer is kept under the key.
		id, err := a.client().createIntent(t.Context(), top)
		require.NoError(t, err)
		r, _, err := a.client().report(t.Context(), id, false)
		require.NoError(t, err)
		require.Equal(t, ledger.StatusFailed, r.Status)
		require.Equal(t, "generic_decline", r.Failure.Code)
	}
}

func unknownIsMissing(t *testing.T, a account) {
	t.Helper()
	_, err := a.client().intent(t.Context(), "pi_unknown")
	require.True(t, missing(err), "%v", err)
	require.Equal(t, refused, outcomeOf(err))
}

func statesOfPayment(t *testing.T, a account) {
	t.Helper()
	id, err := a.client().createIntent(t.Context(), someTopUp(t, a.client(), ""))
	require.NoError(t, err)
	status := func() ledger.TransactionStatus {
		r, _, err := a.client().report(t.Context(), id, false)
		require.NoError(t, err)
		return r.Status
	}
	a.fake.Pay(id, stripetest.CardNeedsProof)
	require.Equal(t, ledger.StatusProcessing, status())
	a.fake.Prove(id, false)
	require.Equal(t, ledger.StatusFailed, status())
	a.fake.Pay(id, stripetest.SlowTransfer)
	require.Equal(t, ledger.StatusProcessing, status())
	a.fake.Clear(id, true)
	require.Equal(t, ledger.StatusSucceeded, status())
}

func reversalsAreReported(t *testing.T, a account) {
	t.Helper()
	id, err := a.client().createIntent(t.Context(), someTopUp(t, a.client(), stripetest.CardPays))
	require.NoError(t, err)
	report := func(returned bool) ledger.PaymentReport {
		r, _, err := a.client().report(t.Context(), id, returned)
		require.NoError(t, err)
		return r
	}
	require.Empty(t, report(true).Refunds)
	refund := a.fake.Refund(id, 250)
	dispute := a.fake.Dispute(id, 750)
	r := report(false)
	require.Equal(t, []any{refund, ledger.StatusSucceeded, int64(250)}, []any{r.Refunds[0].StripeID, r.Refunds[0].Status, r.Refunds[0].AmountCents})
	require.Equal(t, []any{dispute, ledger.StatusDisputed, int64(750)}, []any{r.Disputes[0].StripeID, r.Disputes[0].Status, r.Disputes[0].AmountCents})
	a.fake.FailRefund(refund)
	a.fake.Answer(dispute)
	a.fake.Decide(dispute, true)
	r = report(false)
	require.Equal(t, ledger.StatusFailed, r.Refunds[0].Status)
	require.Equal(t, "expired_or_canceled_card", r.Refunds[0].Failure.Code)
	require.Equal(t, ledger.StatusWon, r.Disputes[0].Status)
}

func undeliveredAreListed(t *testing.T, _ account) {
	t.Helper()
	f := stripetest.New(t)
	own := account{f.URL, f}
	id, err := own.client().createIntent(t.Context(), someTopUp(t, own.client(), stripetest.CardPays))
	require.NoError(t, err)
	list := func() (types []string) {
		p := &stripe.EventListParams{DeliverySuccess: new(false), Types: stripe.StringSlice(eventTypes())}
		p.Context = t.Context()
		for all := own.client().events.List(p); all.Next(); {
			e, err := eventOf(all.Event())
			require.NoError(t, err)
			require.Equal(t, id, e.PaymentID)
			types = append(types, e.Type)
		}
		return types
	}
	require.Equal(t, []string{"payment_intent.succeeded", "payment_intent.created"}, list())
	f.MarkDelivered(f.Events()[0].ID)
	require.Equal(t, []string{"payment_intent.succeeded"}, list())
}

func pagesAreTurned(t *testing.T, a account) {
	t.Helper()
	first := someTopUp(t, a.client(), "")
	_, err := a.client().createIntent(t.Context(), first)
	require.NoError(t, err)
	for range 25 { // A page has 10.
		other := first
		other.ID = uuid.Must(uuid.NewV7())
		other.RequestJSON = []byte(strings.ReplaceAll(string(first.RequestJSON), first.ID.String(), other.ID.String()))
		_, err := a.client().createIntent(t.Context(), other)
		require.NoError(t, err)
	}
	found, err := a.client().findIntent(t.Context(), first)
	require.NoError(t, err)
	require.NotEmpty(t, found)
}

func TestOutcomeOfLostConnection(t *testing.T) {
	t.Parallel()
	f := stripetest.New(t)
	f.OnRequest(func(*http.Request) stripetest.Fault { return stripetest.Fault{Drop: true} })
	_, err := account{url: f.URL}.client().intent(t.Context(), "pi_1")
	require.Equal(t, unknown, outcomeOf(err))
	require.Equal(t, ledger.CodeUnavailable, ledger.CodeOf(answerOf(err)))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = account{url: f.URL}.client().intent(ctx, "pi_1")
	require.Equal(t, unknown, outcomeOf(err))
}
