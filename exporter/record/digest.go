package record

import (
	"encoding/binary"

	"github.com/zeebo/xxh3"
)

// digest gathers what is hashed, as the hash is slow for short pieces. It lives on the stack.
type digest struct {
	n   int // Bytes of buf that wait.
	buf [4096]byte
	h   xxh3.Hasher
}

// room returns the next n bytes to be hashed, for the caller to fill.
func (d *digest) room(n int) []byte {
	if n > len(d.buf)-d.n {
		d.flush()
	}
	d.n += n
	return d.buf[d.n-n : d.n]
}

func (d *digest) flush() {
	_, _ = d.h.Write(d.buf[:d.n]) // Never fails.
	d.n = 0
}

func (d *digest) word(v uint64) {
	binary.LittleEndian.PutUint64(d.room(8), v)
}

func (d *digest) words2(v, w uint64) {
	b := d.room(16)
	binary.LittleEndian.PutUint64(b, v)
	binary.LittleEndian.PutUint64(b[8:], w)
}

func (d *digest) words4(v, w, x, y uint64) {
	b := d.room(32)
	binary.LittleEndian.PutUint64(b, v)
	binary.LittleEndian.PutUint64(b[8:], w)
	binary.LittleEndian.PutUint64(b[16:], x)
	binary.LittleEndian.PutUint64(b[24:], y)
}

func (d *digest) ids(trace *[16]byte, span *[8]byte) {
	b := d.room(24)
	copy(b, trace[:])
	copy(b[16:], span[:])
}

func (d *digest) bytes8(id *[8]byte) { copy(d.room(8), id[:]) }

// text adds a string, whose length must have been added before.
func (d *digest) text(s string) {
	if len(s) <= len(d.buf)-d.n {
		d.n += copy(d.buf[d.n:], s)
		return
	}
	d.long(s)
}

func (d *digest) long(s string) {
	d.flush()
	if len(s) < len(d.buf) {
		d.n = copy(d.buf[:], s)
		return
	}
	_, _ = d.h.WriteString(s) // Never fails.
}

func (d *digest) sum() [16]byte {
	d.flush()
	return d.h.Sum128().Bytes()
}
