package ledger

import (
	"encoding/json"
	"math"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestParseCredits(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Credits{
		"0": 0, "-0": 0, "1": Credit, "1.5": 1_500_000, "-0.000001": -1, "007.10": 7_100_000,
		"9223372036854.775807": math.MaxInt64, "-9223372036854.775808": math.MinInt64,
	} {
		got, err := ParseCredits(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"", "-", ".", "1.", ".5", "+1", "1e3", " 1", "1 ", "1,5", "0x10", "1.0000001", "NaN", "١", "--1", "1.-5"} {
		_, err := ParseCredits(text)
		require.Equal(t, CodeInvalid, CodeOf(err), "%q", text)
	}
	for _, text := range []string{"9223372036854.775808", "-9223372036854.775809", "99999999999999999999"} {
		_, err := ParseCredits(text)
		require.Equal(t, CodeOverflow, CodeOf(err), "%q", text)
	}
}

func TestCreditsText(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := Credits(rapid.Int64().Draw(t, "credits"))
		text, err := json.Marshal(c)
		require.NoError(t, err)
		var back Credits
		require.NoError(t, json.Unmarshal(text, &back))
		require.Equal(t, c, back)
		exact, ok := new(big.Rat).SetString(c.String())
		require.True(t, ok)
		require.Zero(t, exact.Cmp(big.NewRat(int64(c), int64(Credit))))
	})
	var c Credits
	require.Error(t, json.Unmarshal([]byte("1.5"), &c), "a number is refused")
}

func TestCreditsArithmetic(t *testing.T) {
	t.Parallel()
	edges := rapid.SampledFrom([]int64{math.MinInt64, math.MinInt64 + 1, -1, 0, 1, math.MaxInt64 - 1, math.MaxInt64})
	number := rapid.OneOf(rapid.Int64(), edges)
	rapid.Check(t, func(t *rapid.T) {
		a, b := number.Draw(t, "a"), number.Draw(t, "b")
		check := func(exact *big.Int, got Credits, err error) {
			if !exact.IsInt64() {
				require.Equal(t, CodeOverflow, CodeOf(err))
				return
			}
			require.NoError(t, err)
			require.Equal(t, exact.Int64(), int64(got))
		}
		x, y := big.NewInt(a), big.NewInt(b)
		got, err := Credits(a).Add(Credits(b))
		check(new(big.Int).Add(x, y), got, err)
		got, err = Credits(a).Sub(Credits(b))
		check(new(big.Int).Sub(x, y), got, err)
		got, err = Credits(a).Mul(b)
		check(new(big.Int).Mul(x, y), got, err)
	})
}
