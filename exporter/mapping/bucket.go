package mapping

import (
	"math"

	"github.com/agenttrail/agenttrail/exporter/record"
)

// Limits of exponential histograms.
const (
	// maxScale is the largest scale that is kept, the largest of OpenTelemetry's SDKs. Buckets of a larger one are so
	// narrow that many would have the same bounds as float64.
	maxScale = 20
	// maxBuckets is how many buckets of one sign a row has at most, twice the default of OpenTelemetry's SDKs.
	maxBuckets = 320
)

// explicitBuckets returns the buckets of a histogram: counts is always one longer than bounds, and the last count is
// of what is above all bounds. Without buckets, or when they contradict each other, all values are in one bucket.
func (m *Mapper) explicitBuckets(p *record.Point) (bounds []float64, counts []uint64) {
	bounds, counts = p.Bounds, p.Counts
	if len(bounds) == 0 && len(counts) == 0 {
		return nil, m.oneBucket(p.Count)
	}
	if len(counts) != len(bounds)+1 {
		m.stats.Adjusted[ReasonBadBuckets]++
		return nil, m.oneBucket(p.Count)
	}
	for i, b := range bounds {
		if math.IsNaN(b) || i > 0 && b <= bounds[i-1] {
			m.stats.Adjusted[ReasonBadBuckets]++
			return nil, m.oneBucket(p.Count)
		}
	}
	if len(bounds) > 0 && (math.IsInf(bounds[0], -1) || math.IsInf(bounds[len(bounds)-1], 1)) {
		// Some emitters write the outermost bounds, which are implied.
		all := m.newBuckets()
		for i, b := range bounds {
			all.add(b, counts[i])
		}
		all.add(math.Inf(1), counts[len(bounds)])
		return all.take(m)
	}
	return bounds, counts
}

func (m *Mapper) oneBucket(count uint64) []uint64 {
	return m.arena.TakeCounts(append(m.arena.Counts(), count))
}

// exponentialBuckets returns the buckets of an exponential histogram as explicit ones: the bounds are -base^i, the
// zero threshold on both sides of zero (or zero itself) and base^i, where base is 2^(2^-scale), as OTLP defines them.
// Empty buckets at both ends of each sign are left out. When there are more than maxBuckets of one sign, neighbors are
// joined, which is the same as a smaller scale and as exact.
//
// Explicit buckets include their upper bound. Those of negative values do not here, as they mirror the positive ones.
func (m *Mapper) exponentialBuckets(p *record.Point) (bounds []float64, counts []uint64) {
	zero := p.ZeroThreshold
	if !finite(zero) || zero < 0 {
		m.stats.Adjusted[ReasonBadBuckets]++
		zero = 0
	}
	neg, pos := spanOf(&p.Negative), spanOf(&p.Positive)
	scale := int64(p.Scale)
	join := max(0, scale-maxScale)
	for neg.width(join) > maxBuckets || pos.width(join) > maxBuckets {
		join++
	}
	scale -= join

	b := m.newBuckets()
	if neg.hi >= neg.lo {
		b.add(-boundary(scale, shift(neg.hi, join)+1), 0)
	}
	for i := neg.hi; i >= neg.lo; {
		var group int64
		var n uint64
		for group = shift(i, join); i >= neg.lo && shift(i, join) == group; i-- {
			n += neg.count(i)
		}
		b.add(-max(boundary(scale, group), zero), n)
	}
	if zero > 0 {
		b.add(-zero, 0)
	}
	b.add(zero, p.ZeroCount)
	if pos.hi >= pos.lo {
		b.add(boundary(scale, shift(pos.lo, join)), 0)
	}
	for i := pos.lo; i <= pos.hi; {
		var group int64
		var n uint64
		for group = shift(i, join); i <= pos.hi && shift(i, join) == group; i++ {
			n += pos.count(i)
		}
		b.add(boundary(scale, group+1), n)
	}
	return b.take(m)
}

// bucketSpan is the buckets of one sign from the first to the last that is not empty; lo is above hi if all are.
type bucketSpan struct {
	lo, hi, offset int64
	counts         []uint64
}

func spanOf(b *record.Buckets) bucketSpan {
	first, last := 0, len(b.Counts)-1
	for first <= last && b.Counts[first] == 0 {
		first++
	}
	for last >= first && b.Counts[last] == 0 {
		last--
	}
	offset := int64(b.Offset)
	return bucketSpan{lo: offset + int64(first), hi: offset + int64(last), offset: offset, counts: b.Counts}
}

func (s *bucketSpan) count(i int64) uint64 { return s.counts[i-s.offset] }

// width is how many buckets there are when 2^join of them are joined.
func (s *bucketSpan) width(join int64) int64 {
	if s.lo > s.hi {
		return 0
	}
	return shift(s.hi, join) - shift(s.lo, join) + 1
}

// shift returns the index of the bucket that holds bucket i when 2^by of them are joined.
func shift(i, by int64) int64 { return i >> min(by, 63) }

// boundary returns base^i for base 2^(2^-scale), 0 or infinity where a float64 ends. It is the nearest float64, on
// every machine the same.
func boundary(scale, i int64) float64 {
	const far = 1 << 12 // 2^far and 2^-far are beyond float64.
	if scale <= 0 {
		return math.Ldexp(1, int(min(max(i, -far), far)<<min(-scale, 12)))
	}
	whole := min(max(i>>scale, -far), far)
	f := pair{hi: 1}
	for k := int64(1); k <= scale; k++ {
		if i>>(scale-k)&1 == 1 {
			f = f.times(rootsOfTwo[k-1])
		}
	}
	return math.Ldexp(f.hi, int(whole))
}

// pair is a number of about 106 bits, the sum of two float64. math.Exp2 is off by a unit in the last place now and
// then, differently on different processors.
type pair struct{ hi, lo float64 }

func (a pair) times(b pair) pair {
	hi := a.hi * b.hi
	lo := math.FMA(a.hi, b.hi, -hi) + math.FMA(a.hi, b.lo, float64(a.lo*b.hi))
	sum := hi + lo
	return pair{hi: sum, lo: hi - sum + lo}
}

// rootsOfTwo are 2^(2^-k) for k from 1 to maxScale, computed with 80 digits.
var rootsOfTwo = [maxScale]pair{
	{1.4142135623730951, -9.667293313452913e-17},  // 2^(2^-1)
	{1.189207115002721, 3.982015231465646e-17},    // 2^(2^-2)
	{1.0905077326652577, -3.046782079812471e-17},  // 2^(2^-3)
	{1.0442737824274138, 8.551889705537965e-17},   // 2^(2^-4)
	{1.0218971486541166, 5.109225028973444e-17},   // 2^(2^-5)
	{1.0108892860517005, -1.5234778603368577e-17}, // 2^(2^-6)
	{1.0054299011128027, 9.499186535455032e-17},   // 2^(2^-7)
	{1.0027112750502025, -3.636615928692264e-17},  // 2^(2^-8)
	{1.0013547198921082, -1.8973728416792993e-17}, // 2^(2^-9)
	{1.0006771306930664, -5.1151232976856676e-17}, // 2^(2^-10)
	{1.0003385080526823, -5.141333931318957e-18},  // 2^(2^-11)
	{1.0001692397053021, 9.336185335478462e-17},   // 2^(2^-12)
	{1.0000846162726944, -9.121259996276464e-17},  // 2^(2^-13)
	{1.0000423072413958, 6.341578872441936e-17},   // 2^(2^-14)
	{1.0000211533969647, 7.325570192377791e-17},   // 2^(2^-15)
	{1.0000105766425498, -5.5293019776913155e-17}, // 2^(2^-16)
	{1.0000052883072919, -8.77020184136073e-17},   // 2^(2^-17)
	{1.0000026441501502, -4.9621552656751707e-17}, // 2^(2^-18)
	{1.0000013220742012, -1.0836472500078521e-16}, // 2^(2^-19)
	{1.0000006610368821, -4.717084746532034e-17},  // 2^(2^-20)
}

// buckets collects buckets in ascending order.
type buckets struct {
	bounds []float64
	counts []uint64
	at     int // where the bounds begin
	atc    int // where the counts begin
	below  uint64
	above  uint64
}

func (m *Mapper) newBuckets() buckets {
	b := buckets{bounds: m.arena.Floats(), counts: m.arena.Counts()}
	b.at, b.atc = len(b.bounds), len(b.counts)
	return b
}

// add adds the bucket from the last bound to upper with n values. One without any width, because its bounds are the
// same number as float64, becomes a part of the one before.
func (b *buckets) add(upper float64, n uint64) {
	switch {
	case math.IsInf(upper, 1):
		b.above += n
	case math.IsInf(upper, -1):
		b.below += n
	case len(b.bounds) > b.at && upper <= b.bounds[len(b.bounds)-1]:
		b.counts[len(b.counts)-1] += n
	default:
		b.bounds = append(b.bounds, upper+0) // Adding turns -0 into 0.
		b.counts = append(b.counts, n+b.below)
		b.below = 0
	}
}

func (b *buckets) take(m *Mapper) (bounds []float64, counts []uint64) {
	b.counts = append(b.counts, b.above+b.below)
	return m.arena.TakeFloats(b.bounds), m.arena.TakeCounts(b.counts)
}
