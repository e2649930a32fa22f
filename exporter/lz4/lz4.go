// Package lz4 compresses blocks in LZ4's block format, those of INSERTs and those of the journal.
//
// It is written here and not taken from a library because after decoding it is the largest part of what a span costs,
// and the bytes are of one kind, columns of texts and numbers. Any implementation of LZ4 decompresses them.
package lz4

import (
	"encoding/binary"
	"math/bits"
	"slices"
	"unsafe"
)

// LZ4's block format is a row of sequences: a token with two lengths of four bits, literals, and a match: a distance of
// two bytes, and a length of at least four. A length of 15 goes on in further bytes. The last sequence has literals only,
// at least five of them, and the last match begins at least twelve bytes before the end.
// https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md
const (
	minMatch    = 4
	lastBytes   = 5
	matchMargin = 12
	maxDistance = 1<<16 - 1

	// tableLog makes a table of 16 KiB, which stays in the nearest cache. A larger one finds a tenth more and takes half
	// as long again.
	tableLog = 12
	// skipLog is how many positions without a match it takes until one more is skipped at each step.
	skipLog = 4
	// slack is how much the copies of eight and sixteen bytes may write behind their end.
	slack = 32

	// MaxBytes is how long data may be: positions are kept in 32 bits.
	MaxBytes = 1<<31 - 1
)

// Compressor finds matches through a table of where four or more bytes with some hash were seen last. Its zero value can
// be used, by one goroutine at a time; what it was given before does not matter.
type Compressor struct {
	table [1 << tableLog]uint32
}

// bound is how many bytes the compressed form of n may take.
func bound(n int) int { return n + n/255 + 16 }

// Room is how much room behind dst makes [Compressor.Append] allocate nothing for n bytes.
func Room(n int) int { return bound(n) + slack }

// Append appends the compressed form of src, at most [MaxBytes] long, to dst.
func (c *Compressor) Append(dst, src []byte) []byte {
	if len(src) > MaxBytes {
		panic("BUG: data is too long to be compressed as one block")
	}
	start := len(dst)
	dst = slices.Grow(dst, Room(len(src)))
	n := c.compress(dst[start:start+Room(len(src))], src)
	return dst[:start+n]
}

// compress writes the compressed form of src to dst, which has room for bound(len(src)) + slack bytes, and returns its
// length. Every read and write below is within these: positions never pass end-8 when eight bytes are read, matches end
// at least five bytes before the end, and copies that run over stay within the slack.
func (c *Compressor) compress(dst, src []byte) int {
	if len(src) == 0 {
		dst[0] = 0
		return 1
	}
	in, out := unsafe.Pointer(unsafe.SliceData(src)), unsafe.Pointer(unsafe.SliceData(dst))
	n := len(src)
	o, anchor := 0, 0
	if n <= matchMargin {
		return lastLiterals(out, o, in, anchor, n)
	}
	clear(c.table[:])
	table := &c.table
	limit, matchEnd := n-matchMargin, n-lastBytes
	pos := 1
	next := hash(load64(in, pos))
	for {
		// The next match, ever faster where there are none.
		var candidate int
		at, step, tried := pos, 1, 1<<skipLog
		for {
			h := next
			pos = at
			at += step
			step = tried >> skipLog
			tried++
			if at > limit {
				return lastLiterals(out, o, in, anchor, n)
			}
			candidate = int(table[h])
			next = hash(load64(in, at))
			table[h] = uint32(pos)
			if pos-candidate <= maxDistance && load32(in, candidate) == load32(in, pos) {
				break
			}
		}
		for pos > anchor && candidate > 0 && load8(in, pos-1) == load8(in, candidate-1) {
			pos--
			candidate--
		}
		token := o
		o = literals(out, o, in, anchor, pos)
		for {
			// A match at pos that refers to candidate.
			store16(out, o, uint16(pos-candidate)) //nolint:gosec // At most maxDistance.
			o += 2
			length := matchLength(in, candidate+minMatch, pos+minMatch, matchEnd)
			pos += minMatch + length
			if length < 15 {
				store8(out, token, load8(out, token)|byte(length)) //nolint:gosec // Below 15.
			} else {
				store8(out, token, load8(out, token)|15)
				o = moreLength(out, o, length-15)
			}
			anchor = pos
			if pos > limit {
				return lastLiterals(out, o, in, anchor, n)
			}
			table[hash(load64(in, pos-2))] = uint32(pos - 2) //nolint:gosec // At most MaxBytes.
			h := hash(load64(in, pos))
			candidate = int(table[h])
			table[h] = uint32(pos) //nolint:gosec // At most MaxBytes.
			if pos-candidate > maxDistance || load32(in, candidate) != load32(in, pos) {
				break
			}
			token = o
			store8(out, o, 0)
			o++
		}
		pos++
		if pos > limit {
			return lastLiterals(out, o, in, anchor, n)
		}
		next = hash(load64(in, pos))
	}
}

// hash is of the five lowest bytes.
func hash(v uint64) uint64 {
	const prime = 889523592379 // LZ4's own for five bytes.
	return (v << 24) * prime >> (64 - tableLog)
}

// matchLength returns how many bytes from a on are the same as those from b on, below end.
func matchLength(in unsafe.Pointer, a, b, end int) int {
	start := b
	for b+8 <= end {
		if x := load64(in, a) ^ load64(in, b); x != 0 {
			return b - start + bits.TrailingZeros64(x)>>3
		}
		a += 8
		b += 8
	}
	for b < end && load8(in, a) == load8(in, b) {
		a++
		b++
	}
	return b - start
}

// literals writes a token and the bytes of in from start to end, which is far from the end of in.
func literals(out unsafe.Pointer, o int, in unsafe.Pointer, start, end int) int {
	n := end - start
	token := o
	o++
	if n < 15 {
		store8(out, token, byte(n<<4)) //nolint:gosec // n is below 15.
		// Eight bytes more than there are may be read: the last match begins twelve bytes before the end.
		store64(out, o, load64(in, start))
		if n > 8 {
			store64(out, o+8, load64(in, start+8))
		}
		return o + n
	}
	store8(out, token, 15<<4)
	o = moreLength(out, o, n-15)
	if n > 64 {
		copy(unsafe.Slice((*byte)(unsafe.Add(out, o)), n), unsafe.Slice((*byte)(unsafe.Add(in, start)), n))
		return o + n
	}
	for i := 0; i < n; i += 8 {
		store64(out, o+i, load64(in, start+i))
	}
	return o + n
}

// lastLiterals writes the last sequence.
func lastLiterals(out unsafe.Pointer, o int, in unsafe.Pointer, start, end int) int {
	n := end - start
	if n < 15 {
		store8(out, o, byte(n<<4)) //nolint:gosec // n is below 15.
		o++
	} else {
		store8(out, o, 15<<4)
		o = moreLength(out, o+1, n-15)
	}
	copy(unsafe.Slice((*byte)(unsafe.Add(out, o)), n), unsafe.Slice((*byte)(unsafe.Add(in, start)), n))
	return o + n
}

// moreLength writes what a length has beyond 15.
func moreLength(out unsafe.Pointer, o, n int) int {
	for ; n >= 255; n -= 255 {
		store8(out, o, 255)
		o++
	}
	store8(out, o, byte(n)) //nolint:gosec // Below 255.
	return o + 1
}

func load8(p unsafe.Pointer, at int) byte     { return *(*byte)(unsafe.Add(p, at)) }
func store8(p unsafe.Pointer, at int, v byte) { *(*byte)(unsafe.Add(p, at)) = v }

func load32(p unsafe.Pointer, at int) uint32 {
	return binary.LittleEndian.Uint32((*[4]byte)(unsafe.Add(p, at))[:])
}

func load64(p unsafe.Pointer, at int) uint64 {
	return binary.LittleEndian.Uint64((*[8]byte)(unsafe.Add(p, at))[:])
}

func store16(p unsafe.Pointer, at int, v uint16) {
	binary.LittleEndian.PutUint16((*[2]byte)(unsafe.Add(p, at))[:], v)
}

func store64(p unsafe.Pointer, at int, v uint64) {
	binary.LittleEndian.PutUint64((*[8]byte)(unsafe.Add(p, at))[:], v)
}
