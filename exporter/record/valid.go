package record

import (
	"encoding/binary"
	"unicode/utf8"
	"unsafe"
)

// ValidUTF8 reports whether s is valid UTF-8, as [utf8.ValidString] does. It is faster for ASCII, which is what nearly
// all texts of telemetry are.
func ValidUTF8(s string) bool {
	const high = 0x8080808080808080
	b := unsafe.Slice(unsafe.StringData(s), len(s))
	for len(b) >= 32 {
		p := (*[32]byte)(b)
		if (binary.LittleEndian.Uint64(p[:])|binary.LittleEndian.Uint64(p[8:])|
			binary.LittleEndian.Uint64(p[16:])|binary.LittleEndian.Uint64(p[24:]))&high != 0 {
			return utf8.Valid(b)
		}
		b = b[32:]
	}
	for len(b) >= 8 {
		if binary.LittleEndian.Uint64(b)&high != 0 {
			return utf8.Valid(b)
		}
		b = b[8:]
	}
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return utf8.Valid(b)
		}
	}
	return true
}
