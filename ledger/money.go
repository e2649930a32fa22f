package ledger

import "fmt"

// Money is an amount of a currency that is charged or paid outside the ledger.
type Money struct {
	AmountCents int64  `json:"amountCents"` // in the currency's minor unit
	Currency    string `json:"currency"`    // ISO 4217, three capital letters
}

// String writes the amount in minor units with its currency: "1250 EUR cents".
func (m Money) String() string { return fmt.Sprintf("%d %s cents", m.AmountCents, m.Currency) }

// Validate refuses negative amounts and what cannot be a code of ISO 4217.
func (m Money) Validate() error {
	if m.AmountCents < 0 {
		return Invalid("amountCents", "must not be negative")
	}
	if len(m.Currency) != 3 {
		return Invalid("currency", "must be three capital letters, such as EUR")
	}
	for _, c := range []byte(m.Currency) {
		if c < 'A' || c > 'Z' {
			return Invalid("currency", "must be three capital letters, such as EUR")
		}
	}
	return nil
}
