package fromwire

import (
	"encoding/binary"
	"math"

	"github.com/agenttrail/agenttrail/exporter/record"
)

func decodeNumber(a *record.Arena, r *reader, p *record.Point) {
	end := r.open()
	mark := a.AttrMark()
	for r.next() {
		switch r.num {
		case 2:
			p.Start = r.fixed64()
		case 3:
			p.Time = r.fixed64()
		case 4:
			p.Num = record.Number{Kind: record.NumberDouble, Double: r.double()}
		case 5:
			checkExemplar(r)
		case 6:
			p.Num = record.Number{Kind: record.NumberInt, Int: int64(r.fixed64())} //nolint:gosec // Two's complement.
		case 7:
			attr(a, r)
		case 8:
			p.NoValue = noValue(r.varint())
		default:
			r.skip()
		}
	}
	p.Attrs = a.TakeAttrs(mark)
	r.close(end, "NumberDataPoint")
}

func decodeHistogram(a *record.Arena, r *reader, p *record.Point) {
	end := r.open()
	mark := a.AttrMark()
	counts, bounds := a.Counts(), a.Floats()
	firstCount, firstBound := len(counts), len(bounds)
	for r.next() {
		switch r.num {
		case 2:
			p.Start = r.fixed64()
		case 3:
			p.Time = r.fixed64()
		case 4:
			p.Count = r.fixed64()
		case 5:
			p.Sum = r.optional()
		case 6:
			if r.wire == wireLen { // As in pdata, packed numbers replace those before, others are added to them.
				counts = counts[:firstCount]
			}
			for b := r.fixed64s(); len(b) > 0; b = b[8:] {
				counts = append(counts, binary.LittleEndian.Uint64(b))
			}
		case 7:
			if r.wire == wireLen { // As above.
				bounds = bounds[:firstBound]
			}
			for b := r.fixed64s(); len(b) > 0; b = b[8:] {
				bounds = append(bounds, math.Float64frombits(binary.LittleEndian.Uint64(b)))
			}
		case 8:
			checkExemplar(r)
		case 9:
			attr(a, r)
		case 10:
			p.NoValue = noValue(r.varint())
		case 11:
			p.Min = r.optional()
		case 12:
			p.Max = r.optional()
		default:
			r.skip()
		}
	}
	p.Attrs, p.Counts, p.Bounds = a.TakeAttrs(mark), a.TakeCounts(counts), a.TakeFloats(bounds)
	r.close(end, "HistogramDataPoint")
}

func decodeExponential(a *record.Arena, r *reader, p *record.Point) {
	end := r.open()
	start := r.pos
	mark := a.AttrMark()
	positive, negative := 0, 0
	for r.next() {
		switch r.num {
		case 1:
			attr(a, r)
		case 2:
			p.Start = r.fixed64()
		case 3:
			p.Time = r.fixed64()
		case 4:
			p.Count = r.fixed64()
		case 5:
			p.Sum = r.optional()
		case 6:
			p.Scale = r.zigzag()
		case 7:
			p.ZeroCount = r.fixed64()
		case 8:
			positive++
			decodeBuckets(a, r, &p.Positive)
		case 9:
			negative++
			decodeBuckets(a, r, &p.Negative)
		case 10:
			p.NoValue = noValue(r.varint())
		case 11:
			checkExemplar(r)
		case 12:
			p.Min = r.optional()
		case 13:
			p.Max = r.optional()
		case 14:
			p.ZeroThreshold = r.double()
		default:
			r.skip()
		}
	}
	p.Attrs = a.TakeAttrs(mark)
	if positive > 1 {
		r.rewind(start)
		p.Positive.Counts = gatherCounts(a, r, 8)
	}
	if negative > 1 {
		r.rewind(start)
		p.Negative.Counts = gatherCounts(a, r, 9)
	}
	r.close(end, "ExponentialHistogramDataPoint")
}

// decodeBuckets decodes Buckets, or a further piece of some, whose counts the caller then gathers.
func decodeBuckets(a *record.Arena, r *reader, b *record.Buckets) {
	end := r.open()
	counts := a.Counts()
	for r.next() {
		switch r.num {
		case 1:
			b.Offset = r.zigzag()
		case 2:
			counts = r.appendVarints(counts)
		default:
			r.skip()
		}
	}
	b.Counts = a.TakeCounts(counts)
	r.close(end, "ExponentialHistogramDataPoint.Buckets")
}

// gatherCounts decodes once more the counts of the Buckets in the fields num of the point at hand, from where r is to the
// end, when these come in pieces.
func gatherCounts(a *record.Arena, r *reader, num int32) []uint64 {
	counts := a.Counts()
	for r.next() {
		if r.num != num {
			r.skip()
			continue
		}
		end := r.open()
		for r.next() {
			if r.num == 2 {
				counts = r.appendVarints(counts)
			} else {
				r.skip()
			}
		}
		r.close(end, "")
	}
	return a.TakeCounts(counts)
}

func decodeSummary(a *record.Arena, r *reader, p *record.Point) {
	end := r.open()
	mark := a.AttrMark()
	p.Sum.Known = true
	pairs := a.Floats() // quantile, value, quantile, value and so on
	first := len(pairs)
	for r.next() {
		switch r.num {
		case 2:
			p.Start = r.fixed64()
		case 3:
			p.Time = r.fixed64()
		case 4:
			p.Count = r.fixed64()
		case 5:
			p.Sum.Value = r.double()
		case 6:
			quantile, v := decodeQuantile(r)
			pairs = append(pairs, quantile, v)
		case 7:
			attr(a, r)
		case 8:
			p.NoValue = noValue(r.varint())
		default:
			r.skip()
		}
	}
	p.Attrs = a.TakeAttrs(mark)
	p.Bounds, p.Values = takePairs(a, pairs, first)
	r.close(end, "SummaryDataPoint")
}

// takePairs takes the pairs that were appended to the arena's numbers from first on, apart.
func takePairs(a *record.Arena, pairs []float64, first int) (left, right []float64) {
	n := len(pairs) - first
	for i := first; i < first+n; i += 2 {
		pairs = append(pairs, pairs[i])
	}
	for i := first + 1; i < first+n; i += 2 {
		pairs = append(pairs, pairs[i])
	}
	copy(pairs[first:], pairs[first+n:])
	left = a.TakeFloats(pairs[:first+n/2])
	right = a.TakeFloats(pairs[:first+n])
	return left, right
}

func decodeQuantile(r *reader) (quantile, v float64) {
	end := r.open()
	for r.next() {
		switch r.num {
		case 1:
			quantile = r.double()
		case 2:
			v = r.double()
		default:
			r.skip()
		}
	}
	r.close(end, "SummaryDataPoint.ValueAtQuantile")
	return quantile, v
}
