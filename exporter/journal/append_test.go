package journal_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/exporter/journal"
	"github.com/agenttrail/agenttrail/internal/crashfs"
)

// stall lets the Syncs of segments wait until the returned function is called. entered has a value for each that waits.
func stall(fs *crashfs.FS) (entered chan struct{}, release func()) {
	entered, gate := make(chan struct{}, 100), make(chan struct{})
	fs.SetFault(func(op crashfs.Op, _ string) error {
		if op == crashfs.OpSync {
			entered <- struct{}{}
			<-gate
		}
		return nil
	})
	return entered, sync.OnceFunc(func() { close(gate) })
}

// started opens a journal in memory, with one record, whose next segment is made already.
func started(t *testing.T, s journal.Settings) (*journal.Journal, *crashfs.FS) {
	t.Helper()
	fs := crashfs.New()
	s.FS, s.Dir = fs, "/journal"
	j := open(t, s)
	appendOne(t, j, rec(0, "the first"))
	synctest.Wait()
	return j, fs
}

func TestRequestsThatComeTogetherShareOneFsync(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j, fs := started(t, journal.Settings{})
		entered, release := stall(fs)
		before := fs.Syncs()
		var wg sync.WaitGroup
		add := func(n int) {
			wg.Go(func() {
				_, err := j.Append(t.Context(), rec(n, "data"))
				require.NoError(t, err)
			})
		}
		add(1)
		<-entered
		for n := range 50 {
			add(2 + n)
		}
		synctest.Wait()
		release()
		wg.Wait()
		require.Equal(t, 2, fs.Syncs()-before, "one for the first, one for all that came meanwhile")
		require.Len(t, data(t, rotate(t, j)), 52)
		closeNow(t, j)
	})
}

func TestAppendIsNotDurableBeforeFsync(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j, fs := started(t, journal.Settings{})
		entered, release := stall(fs)
		done := false
		go func() {
			_, err := j.Append(t.Context(), rec(1, "data"))
			require.NoError(t, err)
			done = true
		}()
		<-entered
		synctest.Wait()
		require.False(t, done)
		require.False(t, j.Known(hash(1)))
		release()
		synctest.Wait()
		require.True(t, done)
		require.True(t, j.Known(hash(1)))
		closeNow(t, j)
	})
}

func TestDuplicates(t *testing.T) {
	t.Parallel()
	duplicate := func(t *testing.T, j *journal.Journal, n int) {
		t.Helper()
		require.True(t, j.Known(hash(n)))
		d, err := j.Append(t.Context(), rec(n, "again"))
		require.NoError(t, err)
		require.True(t, d)
	}
	fs := crashfs.New()
	s := journal.Settings{Dir: "/journal", FS: fs}
	j := open(t, s)
	require.False(t, j.Known(hash(1)))
	appendOne(t, j, rec(1, "one"))
	duplicate(t, j, 1)
	appendOne(t, j, &journal.Record{Data: []byte("no hash")})
	appendOne(t, j, &journal.Record{Data: []byte("no hash")})
	require.False(t, j.Known(journal.Hash{}))
	seg := rotate(t, j)
	require.Equal(t, map[int]string{0: "one", 1: "no hash", 2: "no hash"}, data(t, seg))
	require.NoError(t, seg.Remove(t.Context()))
	duplicate(t, j, 1) // After the removal.
	appendOne(t, j, rec(2, "two"))
	closeNow(t, j)

	j = open(t, s)
	duplicate(t, j, 1) // After removal and restart.
	duplicate(t, j, 2) // After restart.
	require.Len(t, j.Recovery().Segments, 1)
	require.NoError(t, j.Recovery().Segments[0].Remove(t.Context())) // Its hashes come from the file.
	closeNow(t, j)

	defer func() {
		logs := 0
		for name := range fs.Files() {
			if strings.Contains(name, "window-") {
				logs++
			}
		}
		require.LessOrEqual(t, logs, 10)
	}()
	for range 12 { // More restarts than window files are kept.
		j = open(t, s)
		require.Empty(t, j.Recovery().Damages)
		duplicate(t, j, 1)
		duplicate(t, j, 2)
		appendOne(t, j, &journal.Record{})
		require.NoError(t, rotate(t, j).Remove(t.Context()))
		closeNow(t, j)
		j = open(t, s)
		appendOne(t, j, rec(1000+fs.Syncs(), "another"))
		require.NoError(t, rotate(t, j).Remove(t.Context()))
		closeNow(t, j)
	}
}

func TestDuplicateInFlightWaits(t *testing.T) {
	t.Parallel()
	for _, fail := range []bool{false, true} {
		t.Run(fmt.Sprint("fails=", fail), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				j, fs := started(t, journal.Settings{})
				gate, entered := make(chan struct{}), make(chan struct{}, 1)
				var once sync.Once
				fs.SetFault(func(op crashfs.Op, _ string) (err error) {
					if op == crashfs.OpWrite {
						once.Do(func() {
							entered <- struct{}{}
							<-gate
							if fail {
								err = syscall.EIO
							}
						})
					}
					return err
				})
				var wg sync.WaitGroup
				var mu sync.Mutex
				outcome := map[string]int{}
				try := func() {
					wg.Go(func() {
						d, err := j.Append(t.Context(), rec(1, "data"))
						mu.Lock()
						defer mu.Unlock()
						outcome[fmt.Sprint(d, err != nil)]++
					})
				}
				try()
				<-entered
				try()
				try()
				synctest.Wait()
				require.Empty(t, outcome)
				close(gate)
				wg.Wait()
				if fail {
					require.Equal(t, map[string]int{"false true": 3}, outcome)
					appendOne(t, j, rec(1, "data"))
				} else {
					require.Equal(t, map[string]int{"false false": 1, "true false": 2}, outcome)
				}
				require.Len(t, data(t, rotate(t, j)), 2)
				closeNow(t, j)
			})
		})
	}
}

func TestWindowExpires(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := journal.Settings{Dir: "/journal", FS: crashfs.New(), Window: time.Minute}
		j := open(t, s)
		appendOne(t, j, rec(1, "one"))
		require.NoError(t, rotate(t, j).Remove(t.Context()))
		time.Sleep(59 * time.Second)
		appendOne(t, j, rec(2, "two"))
		require.True(t, j.Known(hash(1)))
		time.Sleep(30 * time.Second)
		require.False(t, j.Known(hash(1)))
		require.True(t, j.Known(hash(2)))
		appendOne(t, j, rec(1, "one again"))
		require.Len(t, data(t, rotate(t, j)), 2)
		closeNow(t, j)

		// How long the process was away is not known, so all of it is fresh.
		time.Sleep(time.Hour)
		j = open(t, s)
		require.True(t, j.Known(hash(1)))
		for _, seg := range j.Recovery().Segments {
			require.NoError(t, seg.Remove(t.Context()))
		}
		time.Sleep(59 * time.Second)
		require.True(t, j.Known(hash(2)))
		time.Sleep(30 * time.Second)
		require.False(t, j.Known(hash(1)))
		require.False(t, j.Known(hash(2)))
		for n := range 4 { // Files whose hashes are too old go away.
			appendOne(t, j, rec(10+n, "other"))
			require.NoError(t, rotate(t, j).Remove(t.Context()))
			time.Sleep(2 * time.Minute)
		}
		logs := 0
		for name := range s.FS.(*crashfs.FS).Files() {
			if strings.Contains(name, "window-") {
				logs++
			}
		}
		require.LessOrEqual(t, logs, 2)
		closeNow(t, j)
	})
}

func TestWindowIsBounded(t *testing.T) {
	t.Parallel()
	fs := crashfs.New()
	s := journal.Settings{Dir: "/journal", FS: fs, WindowRequests: 100}
	j := open(t, s)
	count := func() (known int) {
		for n := range 1000 {
			if j.Known(hash(n)) {
				known++
			}
		}
		return known
	}
	for n := range 1000 {
		appendOne(t, j, rec(n, ""))
		if n%10 == 0 {
			require.NoError(t, rotate(t, j).Remove(t.Context()))
		}
		require.True(t, j.Known(hash(max(0, n-99))))
	}
	require.LessOrEqual(t, count(), 125)
	closeNow(t, j)
	j = open(t, s)
	require.LessOrEqual(t, count(), 125)
	require.GreaterOrEqual(t, count(), 75)
	require.True(t, j.Known(hash(999)))
	closeNow(t, j)
}

func TestCallerGoesAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j, fs := started(t, journal.Settings{})
		entered, release := stall(fs)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		gone := func(n int) {
			wg.Go(func() {
				r := rec(n, "data")
				_, err := j.Append(ctx, r)
				require.ErrorIs(t, err, context.Canceled)
				r.Hash, r.Value = journal.Hash{}, "used again"
			})
		}
		gone(1) // It is being written.
		<-entered
		gone(2) // It waits.
		gone(3) // It waits, and somebody for it.
		synctest.Wait()
		wg.Go(func() {
			d, err := j.Append(t.Context(), rec(3, "data"))
			require.NoError(t, err)
			require.True(t, d)
		})
		synctest.Wait()
		cancel()
		synctest.Wait()
		release()
		wg.Wait()
		require.True(t, j.Known(hash(1)), "it became durable all the same")
		require.False(t, j.Known(hash(2)))
		seg := rotate(t, j)
		require.Equal(t, map[int]string{0: "the first", 1: "data", 2: "data"}, data(t, seg))
		require.Nil(t, seg.Records()[1].Value)
		require.Equal(t, hash(1), seg.Records()[1].Hash)
		closeNow(t, j)
	})
}

func TestCloseCommitsWhatWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		j, fs := started(t, journal.Settings{})
		entered, release := stall(fs)
		var wg sync.WaitGroup
		for n := range 3 {
			wg.Go(func() {
				_, err := j.Append(t.Context(), rec(1+n, "data"))
				require.NoError(t, err)
			})
			if n == 0 {
				<-entered
			}
		}
		synctest.Wait()
		wg.Go(func() { require.NoError(t, j.Close(t.Context())) })
		synctest.Wait()
		release()
		wg.Wait()
		_, err := j.Append(t.Context(), rec(9, ""))
		requireReason(t, journal.ReasonClosed, err)
		_, err = j.Rotate(t.Context())
		requireReason(t, journal.ReasonClosed, err)
		closeNow(t, j)
		j = open(t, journal.Settings{Dir: "/journal", FS: fs})
		require.Equal(t, 4, j.Recovery().Records)
		require.Zero(t, j.Recovery().Torn)
		closeNow(t, j)
	})
}

func requireReason(t *testing.T, want journal.Reason, err error) {
	t.Helper()
	var e *journal.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, want, e.Reason, err)
}
