package fromwire

import "testing"

// The front ends are compared on any bytes: both reject them, or both give the same records and rows.

func FuzzTraces(f *testing.F)  { fuzz(f, signals[0]) }
func FuzzLogs(f *testing.F)    { fuzz(f, signals[1]) }
func FuzzMetrics(f *testing.F) { fuzz(f, signals[2]) }

func fuzz(f *testing.F, s signal) {
	f.Helper()
	for _, b := range recorded(f, s.name) {
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
