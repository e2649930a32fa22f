package journal_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/agenttrail/agenttrail/exporter/journal"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open opens a journal that is closed with the test.
func open(t *testing.T, s journal.Settings) *journal.Journal {
	t.Helper()
	if s.Dir == "" {
		s.Dir = t.TempDir()
	}
	j, err := journal.Open(t.Context(), s)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, j.Close(context.WithoutCancel(t.Context()))) })
	return j
}

// ctx is for where there is no test to ask.
var ctx = context.Background()

func hash(n int) journal.Hash { return journal.Hash{byte(n), byte(n >> 8), byte(n >> 16), 1} }

func rec(n int, data string) *journal.Record {
	return &journal.Record{Hash: hash(n), Data: []byte(data), Value: n, Bytes: int64(len(data))}
}

func appendOne(t *testing.T, j *journal.Journal, recs ...*journal.Record) {
	t.Helper()
	duplicate, err := j.Append(t.Context(), recs...)
	require.NoError(t, err)
	require.False(t, duplicate)
}

func rotate(t *testing.T, j *journal.Journal) *journal.Segment {
	t.Helper()
	s, err := j.Rotate(t.Context())
	require.NoError(t, err)
	require.NotNil(t, s)
	return s
}

// data returns what a segment holds, by index.
func data(t *testing.T, s *journal.Segment) map[int]string {
	t.Helper()
	got := map[int]string{}
	require.NoError(t, s.Each(func(i int, b []byte) error {
		require.NotContains(t, got, i)
		got[i] = string(bytes.Clone(b))
		return nil
	}))
	return got
}

func closeNow(t *testing.T, j *journal.Journal) {
	t.Helper()
	require.NoError(t, j.Close(t.Context()))
}
