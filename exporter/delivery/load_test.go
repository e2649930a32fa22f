package delivery

import (
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/exporter/column"
	"github.com/agenttrail/agenttrail/exporter/journal"
	"github.com/agenttrail/agenttrail/exporter/row"
)

// countingFS counts how often a segment is opened for reading.
type countingFS struct {
	journal.FS
	segments atomic.Int64
}

func (f *countingFS) Open(name string) (journal.File, error) {
	if strings.HasSuffix(name, ".seg") {
		f.segments.Add(1)
	}
	return f.FS.Open(name)
}

func TestAFullSegmentIsReadBackOnceForAllItsTables(t *testing.T) {
	t.Parallel()
	fs := &countingFS{FS: journal.OS{}}
	w := newTestWriter(t, newFake(t).URL, func(s *Settings) {
		s.MaxQueueBytes, s.FlushInterval, s.Journal.FS = 800_000, time.Hour, fs
	})
	b, err := w.Begin(t.Context(), 0)
	require.NoError(t, err)
	b.Log(&row.Log{Message: strings.Repeat("x", 90_000)}) // All but closing the segment.
	b.Span(&row.Span{Name: "span"})
	b.Execution(&row.Execution{ID: "run"})
	b.Request(&row.Request{Path: "/"})
	b.Error(&row.Error{Message: "error"})
	require.NoError(t, b.Commit(t.Context()))
	js, err := w.journal.Rotate(t.Context())
	require.NoError(t, err)
	s := newSegment(w, js)
	before := fs.segments.Load()
	var bodies []*body
	for _, table := range []column.Table{column.TableSpan, column.TableAgentLog, column.TableAgentExecution, column.TableRequestLog, column.TableSystemErrors} {
		body, rows, _, err := s.body(t.Context(), table.String(), s.all())
		require.NoError(t, err)
		require.Equal(t, 1, rows)
		bodies = append(bodies, body)
	}
	require.EqualValues(t, 1, fs.segments.Load()-before)
	s.spill()
	// The long text of the log record stays in the record, which stays until the body goes, however often it is read.
	waiting := w.gate.used()
	require.Greater(t, waiting, int64(90_000))
	for range 2 {
		read := bodies[1].open()
		all, err := io.ReadAll(read)
		require.NoError(t, err)
		require.Len(t, all, bodies[1].size)
		require.Contains(t, string(all), strings.Repeat("x", 90_000))
		require.NoError(t, read.Close())
		require.NoError(t, read.Close())
	}
	for _, b := range bodies {
		b.release()
	}
	require.Less(t, w.gate.used(), waiting-90_000)
	require.NoError(t, js.Remove(t.Context()))
}
