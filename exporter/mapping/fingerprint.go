package mapping

import (
	"github.com/cespare/xxhash/v2"
)

// maxFingerprintBytes is how much of a message goes into its fingerprint.
const maxFingerprintBytes = 4096

// fingerprint groups errors: xxHash64 of component, type (else code) and normalized message, so that errors of one
// service that differ only in ids, numbers, addresses and quoted values have the same one.
func (m *Mapper) fingerprint(component, kind, message string) uint64 {
	b := append(m.idScratch[:0], component...)
	b = append(b, 0)
	b = append(b, kind...)
	b = append(b, 0)
	b = appendNormalized(b, message[:min(len(message), maxFingerprintBytes)])
	m.idScratch = b
	return xxhash.Sum64(b)
}

// appendNormalized appends a message with what differs from one occurrence to the next replaced by placeholders:
// addresses with a scheme, quoted values, UUIDs, long hex, and digits. White space is one space. It reads the message
// once; looking for a closing quote stops after the first time that there is none.
func appendNormalized(dst []byte, s string) []byte {
	var noClosing [256]bool
	space := false
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			space = true
			i++
			continue
		case space && len(dst) > 0:
			dst = append(dst, ' ')
		}
		space = false
		switch {
		case (c == '"' || c == '\'' || c == '`') && !noClosing[c] && (i == 0 || !isWord(s[i-1])):
			end := closing(s, i)
			if end < 0 {
				noClosing[c] = true
				dst = append(dst, c)
				i++
				continue
			}
			dst = append(dst, "<str>"...)
			i = end
		case isWord(c):
			end := i + 1
			for end < len(s) && (isWord(s[end]) || s[end] == '-') {
				end++
			}
			if next, ok := address(s, end); ok {
				dst = append(dst, "<url>"...)
				i = next
				continue
			}
			dst = appendToken(dst, s[i:end])
			i = end
		default:
			dst = append(dst, c)
			i++
		}
	}
	return dst
}

func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c >= 0x80
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// closing returns the position after the quote that closes the one at i, on the same line, or -1.
func closing(s string, i int) int {
	for k := i + 1; k < len(s); k++ {
		if s[k] == s[i] && (s[i] != '\'' || k+1 == len(s) || !isWord(s[k+1])) {
			return k + 1
		}
	}
	return -1
}

// address returns the end of an address whose scheme ends at i.
func address(s string, i int) (int, bool) {
	if i+3 > len(s) || s[i:i+3] != "://" {
		return 0, false
	}
	for i += 3; i < len(s); i++ {
		switch s[i] {
		case ' ', '\t', '\n', '\r', '"', '\'', '`', ')', '>', ',':
			return i, true
		}
	}
	return i, true
}

// appendToken appends a word. Words of hex digits, some of them decimal, with at least eight of them are ids, as are
// words of at least 20 characters with digits in them; in other words each run of digits is a number.
func appendToken(dst []byte, w string) []byte {
	digits, hexes, dashes := 0, 0, 0
	for i := range len(w) {
		switch {
		case w[i] >= '0' && w[i] <= '9':
			digits++
			hexes++
		case isHex(w[i]):
			hexes++
		case w[i] == '-':
			dashes++
		}
	}
	switch {
	case digits == 0:
		return append(dst, w...)
	case hexes+dashes == len(w) && hexes >= 8 && hexes != digits, len(w) >= 20:
		return append(dst, "<id>"...)
	case len(w) > 2 && w[0] == '0' && (w[1] == 'x' || w[1] == 'X') && hexes == len(w)-1:
		return append(dst, "<id>"...)
	}
	number := false
	for i := range len(w) {
		if w[i] >= '0' && w[i] <= '9' {
			if !number {
				dst = append(dst, "<n>"...)
			}
			number = true
			continue
		}
		number = false
		dst = append(dst, w[i])
	}
	return dst
}
