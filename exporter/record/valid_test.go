package record

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestValidUTF8(t *testing.T) {
	t.Parallel()
	for n := range 100 {
		ascii := strings.Repeat("a", n)
		require.True(t, ValidUTF8(ascii))
		for at := range n {
			for _, other := range []string{"é", "€", "😀", "\x80", "\xff", "\xc3", "\xed\xa0\x80", "\xf8", "\xc0\xaf"} {
				s := ascii[:at] + other + ascii[at:]
				require.Equal(t, utf8.ValidString(s), ValidUTF8(s), "%q at %d of %d", other, at, n)
			}
		}
	}
}

func FuzzValidUTF8(f *testing.F) {
	f.Add("plain", "é")
	f.Fuzz(func(t *testing.T, a, b string) {
		for _, s := range []string{a, a + b, strings.Repeat(a, 9) + b, b + strings.Repeat(a, 9)} {
			require.Equal(t, utf8.ValidString(s), ValidUTF8(s))
		}
	})
}
