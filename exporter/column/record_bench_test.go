package column

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkRecord writes and reads records, beside what is done to the set itself; an operation is a row.
func BenchmarkRecord(b *testing.B) {
	set := func(rows int, tables ...Table) *Set {
		s := NewSet()
		for i := range rows {
			one := NewSet()
			addSample(one, i%64)
			for _, table := range tables {
				s.Merge(table, one)
			}
		}
		return s
	}
	for _, c := range []struct {
		name string
		rows int // A record.
		set  *Set
	}{
		{"Span of 8192", 8192, set(8192, TableSpan)},
		{"Span of 100", 100, set(100, TableSpan)},
		{"Span of 1", 1, set(1, TableSpan)},
		{"AgentLog of 8192", 8192, set(8192, TableAgentLog)},
	} {
		table := TableSpan
		if c.set.Rows(table) == 0 {
			table = TableAgentLog
		}
		data := c.set.AppendRecord(nil)
		run := func(name string, record func(fresh bool) (bytes int)) {
			b.Run(name+"/"+c.name, func(b *testing.B) {
				b.ReportAllocs()
				bytes, start := 0, cpuTime(b)
				for i := 0; i < b.N; i += c.rows {
					bytes = record(i%8192 < c.rows)
				}
				b.ReportMetric((cpuTime(b)-start)/float64(b.N), "cpu-ns/op")
				if bytes > 0 {
					b.ReportMetric(float64(bytes)/float64(c.rows), "bytes/op")
				}
			})
		}
		var buf []byte
		run("native", func(bool) int {
			buf = c.set.AppendNative(buf[:0], table)
			return len(buf)
		})
		run("write", func(bool) int {
			buf = c.set.AppendRecord(buf[:0])
			return len(buf)
		})
		merged := NewSet()
		run("merge", func(fresh bool) int {
			if fresh {
				merged.Reset()
			}
			merged.Merge(table, c.set)
			return 0
		})
		blocks := newBlocks(b)
		run("read", func(fresh bool) int {
			if fresh {
				blocks.Reset()
			}
			require.NoError(b, blocks.Append(data))
			return 0
		})
		var tables []RecordTable
		run("rows", func(bool) int {
			var err error
			tables, err = RecordRows(tables[:0], data)
			require.NoError(b, err)
			return 0
		})
	}
}

// cpuTime returns the CPU time of the process, ns: unlike wall time it does not depend on what else runs.
func cpuTime(b *testing.B) float64 {
	b.Helper()
	var u syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return float64(u.Utime.Nano() + u.Stime.Nano())
}
