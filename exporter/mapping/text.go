package mapping

import (
	"encoding/base64"
	"strconv"
	"unicode/utf8"

	"github.com/agenttrail/agenttrail/exporter/record"
)

// Limits of short texts, in bytes: attribute keys, and the columns that hold names and ids.
const (
	maxKeyBytes  = 512
	maxNameBytes = 1024
)

func base64Len(n int) int { return base64.StdEncoding.EncodedLen(n) }

// clean returns s as valid UTF-8 of at most limit bytes plus a marker of what was cut.
func (m *Mapper) clean(s string, limit int) string {
	if len(s) <= limit && record.ValidUTF8(s) {
		return s
	}
	keep := s
	if len(s) > limit {
		keep = s[:runeBoundary(s, limit)]
		m.stats.Adjusted[ReasonTruncated]++
	}
	dst := m.arena.Text()
	if !record.ValidUTF8(keep) {
		m.stats.Adjusted[ReasonInvalidUTF8]++
		dst = appendValid(dst, keep)
	} else {
		dst = append(dst, keep...)
	}
	if len(keep) < len(s) {
		dst = appendCutMarker(dst, len(s)-len(keep))
	}
	return m.arena.TakeText(dst)
}

// name returns s as it is stored in a column of names or ids.
func (m *Mapper) name(s string) string { return m.clean(s, maxNameBytes) }

// runeBoundary returns the greatest position up to limit at which no rune is cut.
func runeBoundary(s string, limit int) int {
	for i := limit; i > 0 && i > limit-utf8.UTFMax; i-- {
		if utf8.RuneStart(s[i]) {
			return i
		}
	}
	return limit // Not UTF-8 here: anywhere is as good.
}

// appendValid appends s with each run of invalid bytes replaced by U+FFFD.
func appendValid(dst []byte, s string) []byte {
	bad := false
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 {
			if !bad {
				dst = utf8.AppendRune(dst, utf8.RuneError)
			}
			bad = true
			i++
			continue
		}
		bad = false
		dst = append(dst, s[i:i+n]...)
		i += n
	}
	return dst
}

func appendCutMarker(dst []byte, bytes int) []byte {
	dst = append(dst, "…[truncated "...)
	dst = strconv.AppendInt(dst, int64(bytes), 10)
	return append(dst, " bytes]"...)
}

const lowerHex = "0123456789abcdef"

// hexText returns an id as lower-case hex.
func (m *Mapper) hexText(id []byte) string {
	dst := m.arena.Text()
	for _, b := range id {
		dst = append(dst, lowerHex[b>>4], lowerHex[b&0xf])
	}
	return m.arena.TakeText(dst)
}

// uintText returns a number as text.
func (m *Mapper) uintText(n uint64) string {
	return m.arena.TakeText(strconv.AppendUint(m.arena.Text(), n, 10))
}

// isName reports whether a text is stored in a column of names as it is.
func (m *Mapper) isName(s string) bool { return len(s) <= maxNameBytes && record.ValidUTF8(s) }
