package fromwire

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// The front ends are compared on any bytes: both reject them, or both give the same records and rows.

func FuzzTraces(f *testing.F)  { fuzz(f, signals[0]) }
func FuzzLogs(f *testing.F)    { fuzz(f, signals[1]) }
func FuzzMetrics(f *testing.F) { fuzz(f, signals[2]) }

// everyField has requests by hand, with every field of OTLP among them.
var everyField = map[string][][]byte{
	"traces":  {record1(everySpanField), msg(1, msg(1000, msg(2, everySpanField)))},
	"logs":    {record1(everyLogField), msg(1, msg(1000, msg(2, everyLogField)))},
	"metrics": {everyNumberField, everyHistogramField, everyExponentialField, everySummaryField},
}

func fuzz(f *testing.F, s signal) {
	f.Helper()
	for _, b := range recorded(f, s.name) {
		f.Add(b)
	}
	for _, b := range everyField[s.name] {
		f.Add(b)
	}
	for seed := range uint64(50) {
		f.Add(generate(s, seed, 1))
	}
	c := newComparer()
	f.Fuzz(func(t *testing.T, b []byte) {
		s.require(c, t, b)
	})
}

// TestGeneratedRequestsGiveTheSameRows also says whether the generator is worth anything: most requests are to be accepted, and some
// are not.
func TestGeneratedRequestsGiveTheSameRows(t *testing.T) {
	t.Parallel()
	const requests = 1000
	for _, s := range signals {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			c := newComparer()
			accepted := 0
			for seed := range uint64(requests) {
				if s.require(c, t, generate(s, seed, 0)) {
					accepted++
				}
			}
			t.Logf("%d of %d requests accepted", accepted, requests)
			require.Greater(t, accepted, requests/2)
			require.Less(t, accepted, requests*19/20)
		})
	}
}

// FuzzGenerated compares the front ends on generated requests.
func FuzzGenerated(f *testing.F) {
	f.Add(uint64(1), uint64(2))
	c := newComparer()
	f.Fuzz(func(t *testing.T, seed1, seed2 uint64) {
		for _, s := range signals {
			s.require(c, t, generate(s, seed1, seed2))
		}
	})
}
