package ledger

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Credits is an amount in micro-credits: one credit is 1,000,000. In text and JSON it is a decimal string of credits,
// such as "1.5", never a number, since readers would make that a float.
type Credits int64

// Amounts.
const (
	MicroCredit Credits = 1
	Credit      Credits = 1_000_000
	MaxCredits  Credits = math.MaxInt64
)

// creditDigits is the number of digits after the decimal point.
const creditDigits = 6

// ParseCredits reads a decimal number of credits, such as "12", "-0.5" or "0.000001". It takes no exponent, no spaces, no
// plus sign and no more digits than Credits can hold, so that nothing is ever rounded.
func ParseCredits(s string) (Credits, error) {
	digits, negative := strings.CutPrefix(s, "-")
	whole, fraction, point := strings.Cut(digits, ".")
	if !isDigits(whole) || point && !isDigits(fraction) || len(fraction) > creditDigits {
		return 0, Errorf(CodeInvalid, "read credits %q: want a decimal number with at most %d digits after the point, such as 1.5", clip(s), creditDigits)
	}
	// The sign goes in first, for the least value has no positive counterpart.
	sign := ""
	if negative {
		sign = "-"
	}
	n, err := strconv.ParseInt(sign+whole+fraction+strings.Repeat("0", creditDigits-len(fraction)), 10, 64)
	if err != nil {
		return 0, Errorf(CodeOverflow, "read credits %q: want at most %s", clip(s), MaxCredits)
	}
	return Credits(n), nil
}

func isDigits(s string) bool {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return s != ""
}

// clip keeps what a caller sent from filling a message.
func clip(s string) string {
	const most = 40
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// String is the shortest decimal number of credits: "1.5", "-0.000001", "7".
func (c Credits) String() string {
	sign, n := "", uint64(c) //nolint:gosec // The least value is its own negation modulo 2^64, which is meant.
	if c < 0 {
		sign, n = "-", -n
	}
	whole, fraction := n/uint64(Credit), n%uint64(Credit)
	if fraction == 0 {
		return sign + strconv.FormatUint(whole, 10)
	}
	return sign + strconv.FormatUint(whole, 10) + "." + strings.TrimRight(fmt.Sprintf("%0*d", creditDigits, fraction), "0")
}

// MarshalText writes c as [Credits.String] does.
func (c Credits) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads what [ParseCredits] reads.
func (c *Credits) UnmarshalText(text []byte) error {
	n, err := ParseCredits(string(text))
	if err != nil {
		return err
	}
	*c = n
	return nil
}

// Add returns c + d, or an error with [CodeOverflow].
func (c Credits) Add(d Credits) (Credits, error) {
	sum := c + d
	if (d > 0) != (sum > c) && d != 0 {
		return 0, Errorf(CodeOverflow, "add %s to %s: the sum is out of range", d, c)
	}
	return sum, nil
}

// Sub returns c - d, or an error with [CodeOverflow].
func (c Credits) Sub(d Credits) (Credits, error) {
	difference := c - d
	if (d > 0) != (difference < c) && d != 0 {
		return 0, Errorf(CodeOverflow, "take %s from %s: the difference is out of range", d, c)
	}
	return difference, nil
}

// Mul returns c × n, or an error with [CodeOverflow].
func (c Credits) Mul(n int64) (Credits, error) {
	product := c * Credits(n)
	if n != 0 && (product/Credits(n) != c || c == math.MinInt64 && n == -1) {
		return 0, Errorf(CodeOverflow, "multiply %s by %d: the product is out of range", c, n)
	}
	return product, nil
}
