package stripepay_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/ledger"
	"github.com/agenttrail/agenttrail/ledger/stripepay"
)

func TestSettingsThatCannotBeMeant(t *testing.T) {
	t.Parallel()
	require.NoError(t, stripepay.Settings{}.Validate(), "without a key nothing is for sale")
	require.NoError(t, stripepay.Settings{APIKey: "sk_test_1", APIURL: "http://127.0.0.1:1", WebhookSecrets: []string{"whsec_12345678", "whsec_abcdefgh"}, Packages: []ledger.Package{starter}}.Validate())
	pack := func(change func(p *ledger.Package)) stripepay.Settings {
		p := starter
		change(&p)
		return stripepay.Settings{Packages: []ledger.Package{p}}
	}
	for key, s := range map[string]stripepay.Settings{
		"stripe::api_key":            {APIKey: "pk_test_1"},
		"stripe::api_url":            {APIKey: "sk_live_1", APIURL: "http://stripe.example"},
		"http:// or https://":        {APIKey: "sk_test_1", APIURL: "stripe.example"},
		"stripe::webhook_secrets[1]": {APIKey: "sk_test_1", WebhookSecrets: []string{"whsec_12345678", "12345678"}},
		"need stripe::api_key":       {WebhookSecrets: []string{"whsec_12345678"}},
		"stripe::webhook_tolerance":  {Tolerance: -1},
		"packages[0]::id":            pack(func(p *ledger.Package) { p.ID = "" }),
		"packages[0]::amount_cents":  pack(func(p *ledger.Package) { p.AmountCents = 0 }),
		"packages[0]::currency":      pack(func(p *ledger.Package) { p.Currency = "eur" }),
		"packages[0]::credits":       pack(func(p *ledger.Package) { p.Credits = 0 }),
		"bonus_credits":              pack(func(p *ledger.Package) { p.BonusCredits = -1 }),
		"packages[0]::valid_days":    pack(func(p *ledger.Package) { p.ValidDays = -1 }),
		"packages[1]::id":            {Packages: []ledger.Package{starter, starter}},
	} {
		require.ErrorContains(t, s.Validate(), key)
	}
}
