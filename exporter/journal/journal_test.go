package journal_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/exporter/journal"
)

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for _, c := range []journal.Compression{journal.CompressionNone, journal.CompressionLZ4} {
		t.Run(string(c), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s := journal.Settings{Dir: dir, Layout: []byte("layout of the rows"), Compression: c}
			j := open(t, s)
			require.Empty(t, j.Recovery())
			long := strings.Repeat("a row like the others ", 5000)
			appendOne(t, j, rec(1, "one"))
			appendOne(t, j, &journal.Record{Hash: hash(2), Data: []byte("two/0")}, &journal.Record{Hash: hash(2), Part: 1, Data: []byte(long)})
			appendOne(t, j, rec(3, ""))
			records, bytes, since := j.OpenStats()
			require.Equal(t, 4, records)
			require.Positive(t, bytes)
			require.False(t, since.IsZero())
			want := map[int]string{0: "one", 1: "two/0", 2: long, 3: ""}

			seg := rotate(t, j)
			require.Equal(t, want, data(t, seg))
			require.Len(t, seg.Records(), 4)
			require.Equal(t, 1, seg.Records()[0].Value)
			require.Equal(t, uint32(1), seg.Records()[2].Part)
			records, _, _ = j.OpenStats()
			require.Zero(t, records)
			appendOne(t, j, rec(4, "four"))
			closeNow(t, j)

			j = open(t, s)
			r := j.Recovery()
			require.Len(t, r.Segments, 2)
			require.Equal(t, 5, r.Records)
			require.Zero(t, r.Torn)
			require.Empty(t, r.Damages)
			require.Equal(t, seg.Token("T"), r.Segments[0].Token("T"))
			require.Equal(t, seg.Layout(), r.Segments[0].Layout())
			require.Equal(t, seg.Bytes(), r.Segments[0].Bytes())
			require.Equal(t, want, data(t, r.Segments[0]))
			require.Equal(t, map[int]string{0: "four"}, data(t, r.Segments[1]))
			for _, s := range r.Segments {
				require.NoError(t, s.Remove(t.Context()))
			}
			size, _, n := j.Backlog()
			require.Zero(t, n)
			require.Zero(t, size)
		})
	}
}
