package prices

import (
	"math/bits"
	"time"
)

// Price is what a model costs from one moment until another, in billionths of USD per million tokens.
type Price struct {
	Version  string // Of the list.
	Provider string
	Model    string

	EffectiveFrom time.Time
	EffectiveTo   time.Time // Exclusive; zero when no end is known.

	Input      int64 // Tokens that no cache was involved in.
	Output     int64 // Reasoning included.
	CacheRead  int64 // That of input where none is published.
	CacheWrite int64 // That of input where none is published.

	Source string // Where it is published.
}

// MaxNanoUSD is the greatest cost that a column holds: Decimal(18, 9).
const MaxNanoUSD = 999_999_999_999_999_999

// Cost is what tokens cost, in billionths of USD, halves rounded up. Cached tokens are part of input, reasoning is part
// of output. A cost that the column cannot hold is its greatest.
func (p Price) Cost(input, output, cacheRead, cacheWrite uint64) int64 {
	plain := input
	for _, cached := range []uint64{cacheRead, cacheWrite} {
		plain -= min(plain, cached)
	}
	var hi, lo uint64
	for _, part := range [...]struct {
		tokens uint64
		price  int64
	}{{plain, p.Input}, {output, p.Output}, {cacheRead, p.CacheRead}, {cacheWrite, p.CacheWrite}} {
		h, l := bits.Mul64(part.tokens, uint64(part.price)) //nolint:gosec // Prices are not negative.
		var carry uint64
		lo, carry = bits.Add64(lo, l, 0)
		if hi, carry = bits.Add64(hi, h, carry); carry != 0 {
			return MaxNanoUSD
		}
	}
	const million = 1_000_000
	var carry uint64
	lo, carry = bits.Add64(lo, million/2, 0)
	if hi, carry = bits.Add64(hi, 0, carry); carry != 0 || hi >= million {
		return MaxNanoUSD
	}
	nano, _ := bits.Div64(hi, lo, million)
	return int64(min(nano, MaxNanoUSD)) //nolint:gosec // At most MaxNanoUSD.
}
