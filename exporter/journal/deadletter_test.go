package journal_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/exporter/journal"
)

func letters(t *testing.T) (dir string, j *journal.Journal, first, second journal.DeadLetter) {
	t.Helper()
	dir = t.TempDir()
	j = open(t, journal.Settings{Dir: dir})
	first = journal.DeadLetter{
		Table: "AgentLog", Token: "00ff/12/AgentLog/3-4", Rows: 1, Reason: "content", Code: 241,
		Message: "Cannot parse \"x\": <é>", Created: time.Date(2026, 11, 24, 1, 2, 3, 4, time.UTC), Native: []byte("a block\x00\xff"),
	}
	second = first
	second.Token, second.Created, second.Native = "00ff/13/AgentLog", first.Created.Add(-time.Hour), nil
	require.NoError(t, j.DeadLetter(t.Context(), first))
	require.NoError(t, j.DeadLetter(t.Context(), second))
	return dir, j, first, second
}

func TestDeadLetters(t *testing.T) {
	t.Parallel()
	none, err := journal.ListDeadLetters(t.TempDir())
	require.NoError(t, err)
	require.Empty(t, none)

	dir, j, first, second := letters(t)
	first.Reason = "content again"
	require.NoError(t, j.DeadLetter(t.Context(), first), "it takes the place of the first")
	list, err := journal.ListDeadLetters(dir)
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.Equal(t, "00ff-13-AgentLog", list[0].Name)
	require.Equal(t, second.Token, list[0].Token)
	require.Equal(t, int64(len(first.Native)), list[1].Bytes)
	require.Nil(t, list[1].Native)
	require.NoError(t, list[1].Err)
	got, err := journal.ReadDeadLetter(dir, list[1].Name)
	require.NoError(t, err)
	require.Equal(t, first, got)
	plain, err := os.ReadFile(filepath.Join(dir, "deadletter", "00ff-12-AgentLog-3-4.native"))
	require.NoError(t, err)
	require.Equal(t, first.Native, plain)

	require.NoError(t, journal.RemoveDeadLetter(dir, list[1].Name))
	require.ErrorIs(t, journal.RemoveDeadLetter(dir, list[1].Name), os.ErrNotExist)
	require.Error(t, journal.RemoveDeadLetter(dir, "../LOCK"))
	list, err = journal.ListDeadLetters(dir)
	require.NoError(t, err)
	require.Len(t, list, 1)
	closeNow(t, j)
	requireReason(t, journal.ReasonClosed, j.DeadLetter(t.Context(), first))
}

func TestFlippedBytesOfDeadLetters(t *testing.T) {
	t.Parallel()
	dir, _, first, _ := letters(t)
	const name = "00ff-12-AgentLog-3-4"
	found := 0
	for _, suffix := range []string{".json", ".native"} {
		file := filepath.Join(dir, "deadletter", name+suffix)
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		for at := range content {
			content[at] ^= 1 << (at % 7)
			require.NoError(t, os.WriteFile(file, content, 0o600))
			list, err := journal.ListDeadLetters(dir)
			require.NoError(t, err)
			require.Len(t, list, 2)
			got, err := journal.ReadDeadLetter(dir, name)
			if err != nil {
				found++
				require.ErrorContains(t, err, name)
			} else {
				require.Equal(t, first, got, "%s at %d", suffix, at)
			}
			content[at] ^= 1 << (at % 7)
		}
		require.NoError(t, os.WriteFile(file, content, 0o600))
	}
	require.Greater(t, found, 200)
}
