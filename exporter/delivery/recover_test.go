package delivery

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/agenttrail/agenttrail/exporter/column"
	"github.com/agenttrail/agenttrail/exporter/journal"
	"github.com/agenttrail/agenttrail/exporter/row"
)

// writeJournal makes a journal with a request per record, as another run left it.
func writeJournal(t *testing.T, layout []byte, records ...[]byte) (dir string) {
	t.Helper()
	dir = t.TempDir()
	j, err := journal.Open(t.Context(), journal.Settings{Dir: dir, Layout: layout})
	require.NoError(t, err)
	for _, data := range records {
		_, err := j.Append(t.Context(), &journal.Record{Data: data})
		require.NoError(t, err)
	}
	require.NoError(t, j.Close(t.Context()))
	return dir
}

func logRecord(message string) []byte {
	s := column.NewSet()
	s.Log(&row.Log{Message: message})
	s.Span(&row.Span{Name: message})
	return s.AppendRecord(nil)
}

// segments returns the files of segments in a journal.
func segments(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.seg"))
	require.NoError(t, err)
	return files
}

func TestRowsOfAnotherVersionAreInsertedWithItsColumns(t *testing.T) {
	t.Parallel()
	layout := bytes.Replace(column.Layout(), []byte(`"AgentLog"`), []byte(`"AgentLogOfOld"`), 1)
	layout = bytes.Replace(layout, []byte(`"name":"eventName"`), []byte(`"name":"eventOfOld"`), 1)
	dir := writeJournal(t, layout, logRecord("old"))
	file := segments(t, dir)[0]
	fake := newFake(t)
	w := newTestWriter(t, fake.URL, func(s *Settings) { s.Journal.Dir = dir })
	require.NoError(t, put(t.Context(), w, "new"))
	drained(t, w)
	require.Equal(t, []string{"new"}, messages(fake.stored(column.TableAgentLog)))
	require.Equal(t, []string{"old"}, messages(fake.rows["AgentLogOfOld"]))
	i := slices.IndexFunc(fake.seen(), func(c insertCall) bool { return c.table == "AgentLogOfOld" })
	require.Contains(t, fake.seen()[i].query.Get("query"), "`eventOfOld`")
	require.NotContains(t, fake.seen()[i].query.Get("query"), "`eventName`")
	require.NoFileExists(t, file)
}

func TestASegmentThatCannotBeUnderstoodIsLeftAlone(t *testing.T) {
	t.Parallel()
	layout := bytes.Replace(column.Layout(), []byte(`"UUID"`), []byte(`"UUID8"`), 1)
	dir := writeJournal(t, layout, logRecord("of the future"))
	before := segments(t, dir)
	require.Len(t, before, 1)
	fake := newFake(t)
	logs, seen := observer.New(zapcore.ErrorLevel)
	w := newTestWriter(t, fake.URL, func(s *Settings) { s.Journal.Dir, s.Logger = dir, zap.New(logs) })
	require.NoError(t, put(t.Context(), w, "new"))
	shutdown(t, w)
	require.Equal(t, []string{"new"}, messages(fake.stored(column.TableAgentLog)))
	require.Equal(t, before, segments(t, dir))
	require.Equal(t, []string{"A segment of the journal is of another version and is left alone: start that version to send it"}, told(seen))
}

func TestARecordThatCannotBeReadCostsOnlyItself(t *testing.T) {
	t.Parallel()
	cut := logRecord("cut")
	cut[len(cut)-30] ^= 0xff // In the data of the last table, behind the head that counts rows.
	for name, c := range map[string]struct {
		record []byte
		spans  int
	}{
		"no record":                        {[]byte("no record"), 2},
		"a record with rows of two tables": {cut, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Error(t, mustBlocks(t).Append(c.record))
			dir := writeJournal(t, column.Layout(), logRecord("one"), c.record, logRecord("three"))
			file := segments(t, dir)[0]
			fake := newFake(t)
			counts := &counter{}
			for range 2 { // The second run sends nothing anew.
				w := newTestWriter(t, fake.URL, func(s *Settings) { s.Journal.Dir, s.Observer = dir, counts })
				eventually(t, func() bool {
					return len(fake.stored(column.TableAgentLog)) == 2 && len(fake.stored(column.TableSpan)) == c.spans
				})
				eventually(t, func() bool { return counts.damaged.Load() > 0 })
				shutdown(t, w)
				counts.damaged.Store(0)
			}
			require.Equal(t, []string{"one", "three"}, messages(fake.stored(column.TableAgentLog)))
			require.Len(t, fake.seen(), 2)
			require.FileExists(t, file, "for somebody to look at")
		})
	}
}

func mustBlocks(t *testing.T) *column.Blocks {
	t.Helper()
	b, err := column.NewBlocks(column.Layout())
	require.NoError(t, err)
	return b
}

func TestDamageCostsOnlyWhatItHits(t *testing.T) {
	t.Parallel()
	dir := writeJournal(t, column.Layout(), logRecord("one"), logRecord("find me"), logRecord("three"))
	file := segments(t, dir)[0]
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	text[bytes.Index(text, []byte("find me"))] ^= 1
	require.NoError(t, os.WriteFile(file, text, 0o600))
	fake := newFake(t)
	counts := &counter{}
	w := newTestWriter(t, fake.URL, func(s *Settings) { s.Journal.Dir, s.Observer = dir, counts })
	drained(t, w)
	require.Equal(t, []string{"one", "three"}, messages(fake.stored(column.TableAgentLog)))
	require.Equal(t, int64(1), counts.damaged.Load())
}

func TestASegmentThatCannotBeReadNowIsReadLater(t *testing.T) {
	t.Parallel()
	reads := readsOfOpen(t)
	dir := writeJournal(t, column.Layout(), logRecord("later"))
	file := segments(t, dir)[0]
	var away atomic.Bool
	var opened atomic.Int32
	fs := &testFS{open: func(name string) error {
		// The journal itself reads the file first.
		if name == file && opened.Add(1) > reads && away.Load() {
			return os.ErrDeadlineExceeded
		}
		return nil
	}}
	away.Store(true)
	fake := newFake(t)
	logs, seen := observer.New(zapcore.ErrorLevel)
	w := newTestWriter(t, fake.URL, func(s *Settings) {
		s.Journal.Dir, s.Journal.FS, s.Logger, s.feedPause = dir, fs, zap.New(logs), 10*time.Millisecond
	})
	require.NoError(t, put(t.Context(), w, "now"))
	eventually(t, func() bool { return len(fake.stored(column.TableAgentLog)) == 1 }, "others are not held up")
	eventually(t, func() bool { return seen.Len() > 0 })
	away.Store(false)
	drained(t, w)
	require.Equal(t, []string{"later", "now"}, messages(fake.stored(column.TableAgentLog)))
	require.Len(t, seen.FilterMessageSnippet("A segment of the journal cannot be read").All(), 1)
}

// readsOfOpen returns how often the journal opens the file of a segment that it finds.
func readsOfOpen(t *testing.T) int32 {
	t.Helper()
	dir := writeJournal(t, column.Layout(), logRecord("x"))
	file := segments(t, dir)[0]
	var n atomic.Int32
	fs := &testFS{open: func(name string) error {
		if name == file {
			n.Add(1)
		}
		return nil
	}}
	j, err := journal.Open(t.Context(), journal.Settings{Dir: dir, FS: fs})
	require.NoError(t, err)
	require.NoError(t, j.Close(t.Context()))
	return n.Load()
}
