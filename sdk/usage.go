package agenttrail

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/attribute"
)

// Credits are what runs cost their users, in millionths of a credit.
type Credits int64

// USD is what a model cost, in billionths of a US dollar.
type USD int64

// Decimals of the two.
const (
	creditDecimals = 6
	usdDecimals    = 9
)

// ParseCredits reads a decimal number such as 1.25. More than six decimals are an error, and so is what does not fit.
func ParseCredits(s string) (Credits, error) {
	n, err := parseDecimal(s, creditDecimals)
	if err != nil {
		return 0, fmt.Errorf("read credits %q: %w", s, err)
	}
	return Credits(n), nil
}

// ParseUSD reads a decimal number such as 0.0125. More than nine decimals are an error, and so is what does not fit.
func ParseUSD(s string) (USD, error) {
	n, err := parseDecimal(s, usdDecimals)
	if err != nil {
		return 0, fmt.Errorf("read USD %q: %w", s, err)
	}
	return USD(n), nil
}

// String writes all six decimals: 1.250000.
func (c Credits) String() string { return formatDecimal(int64(c), creditDecimals) }

// String writes all nine decimals: 0.012500000.
func (u USD) String() string { return formatDecimal(int64(u), usdDecimals) }

// Usage is what a model call used.
type Usage struct {
	InputTokens      int64 // With those read from or written to a cache.
	OutputTokens     int64 // With those spent on reasoning.
	CacheReadTokens  int64
	CacheWriteTokens int64
	ReasoningTokens  int64
	// Cost is what the provider charges. 0 leaves it to AgentTrail's list of prices.
	Cost USD
}

// add sums up.
func (u *Usage) add(v Usage) {
	u.InputTokens += v.InputTokens
	u.OutputTokens += v.OutputTokens
	u.CacheReadTokens += v.CacheReadTokens
	u.CacheWriteTokens += v.CacheWriteTokens
	u.ReasoningTokens += v.ReasoningTokens
	u.Cost += v.Cost
}

// append adds the attributes of the usage.
func (u *Usage) append(attrs []attribute.KeyValue) []attribute.KeyValue {
	attrs = append(attrs, keyInputTokens.Int64(u.InputTokens), keyOutputTokens.Int64(u.OutputTokens))
	if u.CacheReadTokens != 0 {
		attrs = append(attrs, keyCacheRead.Int64(u.CacheReadTokens))
	}
	if u.CacheWriteTokens != 0 {
		attrs = append(attrs, keyCacheWrite.Int64(u.CacheWriteTokens))
	}
	if u.ReasoningTokens != 0 {
		attrs = append(attrs, keyReasoning.Int64(u.ReasoningTokens))
	}
	return attrs
}

var errDecimal = errors.New("not a decimal number")

// parseDecimal reads a number with so many decimals as an integer.
func parseDecimal(s string, decimals int) (int64, error) {
	whole, fraction, _ := strings.Cut(s, ".")
	digits := strings.TrimPrefix(whole, "-")
	if digits+fraction == "" || !isDigits(digits) || !isDigits(fraction) {
		return 0, errDecimal
	}
	if len(fraction) > decimals {
		if strings.Trim(fraction[decimals:], "0") != "" {
			return 0, fmt.Errorf("more than %d decimals", decimals)
		}
		fraction = fraction[:decimals]
	}
	n, err := strconv.ParseInt(whole+fraction+strings.Repeat("0", decimals-len(fraction)), 10, 64)
	if err != nil {
		return 0, errors.New("out of range")
	}
	return n, nil
}

func isDigits(s string) bool {
	return strings.Trim(s, "0123456789") == ""
}

// formatDecimal writes an integer with so many decimals: 1500000 with 6 as 1.500000.
func formatDecimal(n int64, decimals int) string {
	digits := strconv.FormatUint(magnitude(n), 10)
	if missing := decimals + 1 - len(digits); missing > 0 {
		digits = strings.Repeat("0", missing) + digits
	}
	whole := len(digits) - decimals
	text := digits[:whole] + "." + digits[whole:]
	if n < 0 {
		return "-" + text
	}
	return text
}

func magnitude(n int64) uint64 {
	if n == math.MinInt64 {
		return 1 << 63
	}
	if n < 0 {
		n = -n
	}
	return uint64(n) //nolint:gosec // Not negative.
}
