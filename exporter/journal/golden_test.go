package journal_test

import (
	"encoding/binary"
	"flag"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/exporter/journal"
)

var update = flag.Bool("update", false, "write the golden files of the current version anew")

const golden = "testdata/v1"

// newerPrelude is what begins a file of the next version, as every version has it.
func newerPrelude(b []byte) []byte {
	p := slices.Clone(b[:16])
	binary.LittleEndian.PutUint16(p[4:], binary.LittleEndian.Uint16(p[4:])+1)
	binary.LittleEndian.PutUint32(p[12:], crc32.Checksum(p[:12], crc32.MakeTable(crc32.Castagnoli)))
	return p
}

var goldenProgress = journal.Progress{Done: []string{"Span"}, Split: map[string][]journal.Range{"AgentLog": {{From: 0, To: 2}}}}

// TestGolden reads a folder that an earlier program of version 1 wrote.
func TestGolden(t *testing.T) {
	t.Parallel()
	if *update {
		writeGolden(t)
	}
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS(golden)))
	j := open(t, journal.Settings{Dir: dir})
	r := j.Recovery()
	require.Empty(t, r.Damages)
	require.Zero(t, r.Torn)
	require.Len(t, r.Segments, 2)
	require.Equal(t, "layout of version 1", string(r.Segments[0].Layout()))
	require.Equal(t, map[int]string{0: "two", 1: "three, part 0", 2: strings.Repeat("three, part 1. ", 20)}, data(t, r.Segments[0]))
	require.Equal(t, map[int]string{0: "four"}, data(t, r.Segments[1]))
	require.Equal(t, goldenProgress, r.Segments[0].Progress())
	for n := range 6 {
		require.Equal(t, n >= 1 && n <= 4, j.Known(hash(n)), "hash %d", n)
	}
	list, err := journal.ListDeadLetters(dir)
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.NoError(t, list[0].Err)
	require.Equal(t, "AgentLog", list[0].Table)
	run, err := os.ReadFile(filepath.Join(golden, "run"))
	require.NoError(t, err)
	require.Equal(t, strings.TrimSpace(string(run))+"/2/Span", r.Segments[0].Token("Span"))
}

func writeGolden(t *testing.T) {
	t.Helper()
	require.NoError(t, os.RemoveAll(golden))
	j, err := journal.Open(t.Context(), journal.Settings{
		Dir: golden, Layout: []byte("layout of version 1"), Compression: journal.CompressionLZ4,
	})
	require.NoError(t, err)
	appendOne(t, j, rec(1, "one"))
	require.NoError(t, rotate(t, j).Remove(t.Context()))
	appendOne(t, j, rec(2, "two"))
	appendOne(t, j,
		&journal.Record{Hash: hash(3), Data: []byte("three, part 0")},
		&journal.Record{Hash: hash(3), Part: 1, Data: []byte(strings.Repeat("three, part 1. ", 20))})
	s := rotate(t, j)
	require.NoError(t, s.SetProgress(t.Context(), goldenProgress))
	require.NoError(t, j.DeadLetter(t.Context(), journal.DeadLetter{
		Table: "AgentLog", Token: s.Token("AgentLog"), Rows: 1, Reason: "content", Message: "refused", Native: []byte("block"),
	}))
	appendOne(t, j, rec(4, "four"))
	require.NoError(t, j.Close(t.Context()))
	require.NoError(t, os.Remove(filepath.Join(golden, "reserve")))
	require.NoError(t, os.Remove(filepath.Join(golden, "LOCK")))
	require.NoError(t, os.WriteFile(filepath.Join(golden, "run"), fmt.Appendf(nil, "%x\n", s.Run), 0o600))
}
