package delivery

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/agenttrail/agenttrail/exporter/column"
	"github.com/agenttrail/agenttrail/exporter/journal"
)

// testFS is the real file system with faults.
type testFS struct {
	journal.OS
	open  func(name string) error // Called before every open for reading.
	sync  func() error            // Called before every fdatasync of a file.
	write func() error            // Called before every write.
}

type testFile struct {
	journal.File
	fs *testFS
}

func (f *testFS) Create(name string) (journal.File, error) {
	file, err := f.OS.Create(name)
	return testFile{file, f}, err
}

func (f *testFS) Open(name string) (journal.File, error) {
	if f.open != nil {
		if err := f.open(name); err != nil {
			return nil, err
		}
	}
	file, err := f.OS.Open(name)
	return testFile{file, f}, err
}

func (f testFile) Sync() error {
	if f.fs.sync != nil {
		if err := f.fs.sync(); err != nil {
			return err
		}
	}
	return f.File.Sync()
}

func (f testFile) WriteAt(p []byte, off int64) (int, error) {
	if f.fs.write != nil {
		if err := f.fs.write(); err != nil {
			return 0, err
		}
	}
	return f.File.WriteAt(p, off)
}

var _ io.WriterAt = testFile{}

func TestADiskThatDoesNotWorkRefusesRequests(t *testing.T) {
	t.Parallel()
	fake := newFake(t)
	var broken atomic.Bool
	fs := &testFS{write: func() error {
		if broken.Load() {
			return syscall.ENOSPC
		}
		return nil
	}}
	logs, seen := observer.New(zapcore.InfoLevel)
	w := newTestWriter(t, fake.URL, func(s *Settings) { s.Journal.FS, s.Logger = fs, zap.New(logs) })
	require.NoError(t, put(t.Context(), w, "before"))
	drained(t, w)
	broken.Store(true)
	var e *Error
	for range 5 {
		require.ErrorAs(t, put(t.Context(), w, "refused"), &e)
		require.Equal(t, ReasonUnavailable, e.Reason)
		require.Positive(t, e.RetryAfter)
		require.ErrorContains(t, e, "make room on the disk")
	}
	require.Zero(t, w.QueueBytes())
	broken.Store(false)
	eventually(t, func() bool { return put(t.Context(), w, "after") == nil })
	drained(t, w)
	require.Equal(t, []string{"after", "before"}, messages(fake.stored(column.TableAgentLog)))
	require.LessOrEqual(t, len(seen.All()), 6)
}

func TestASlowDiskRefusesRequestsBeforeMemoryIsFull(t *testing.T) {
	t.Parallel()
	fake := newFake(t)
	var slow atomic.Bool
	goOn := make(chan struct{})
	fs := &testFS{sync: func() error {
		if slow.Load() {
			<-goOn
		}
		return nil
	}}
	const limit, size, mappers = 200_000, 10_000, 2
	w := newTestWriter(t, fake.URL, func(s *Settings) {
		s.Journal.FS, s.MaxQueueBytes, s.Mappers, s.MaxWait = fs, limit, mappers, 200*time.Millisecond
	})
	require.NoError(t, put(t.Context(), w, "before"))
	drained(t, w)
	slow.Store(true)
	var refused, acknowledged atomic.Int32
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			err := put(t.Context(), w, strings.Repeat("x", size))
			var e *Error
			switch {
			case err == nil:
				acknowledged.Add(1)
			case errors.As(err, &e) && (e.Reason == ReasonOverload || e.Reason == ReasonUnavailable) && e.RetryAfter > 0 && !e.Permanent():
				refused.Add(1)
			default:
				t.Errorf("unexpected error: %v", err)
			}
			require.LessOrEqual(t, w.QueueBytes(), int64(limit+mappers*(2*size+2000)))
		})
	}
	eventually(t, func() bool { return refused.Load() > 70 })
	slow.Store(false)
	close(goOn)
	wg.Wait()
	drained(t, w)
	require.Equal(t, int32(100), refused.Load()+acknowledged.Load())
	require.Len(t, fake.stored(column.TableAgentLog), 1+int(acknowledged.Load()))
}

func TestAClientThatLeavesIsADuplicateWhenItComesBack(t *testing.T) {
	t.Parallel()
	fake := newFake(t)
	var slow atomic.Bool
	arrived, goOn := make(chan struct{}, 10), make(chan struct{})
	fs := &testFS{sync: func() error {
		if slow.Load() {
			arrived <- struct{}{}
			<-goOn
		}
		return nil
	}}
	counts := &counter{}
	w := newTestWriter(t, fake.URL, func(s *Settings) { s.Journal.FS, s.Observer = fs, counts })
	require.NoError(t, put(t.Context(), w, "before"))
	drained(t, w)
	slow.Store(true)
	ctx, cancel := context.WithCancel(t.Context())
	hash := journal.Hash{1}
	left := make(chan error, 1)
	go func() { left <- putHash(ctx, w, hash, "once") }()
	<-arrived
	cancel()
	var e *Error
	require.ErrorAs(t, <-left, &e)
	require.Equal(t, ReasonCanceled, e.Reason)
	require.ErrorIs(t, e, context.Canceled)
	again := make(chan error, 1)
	go func() { again <- putHash(t.Context(), w, hash, "once") }()
	select {
	case err := <-again:
		t.Fatal("it is acknowledged before it is durable: ", err)
	case <-time.After(20 * time.Millisecond): // Nothing signals that nothing happens.
	}
	slow.Store(false)
	close(goOn)
	require.NoError(t, <-again)
	require.NoError(t, putHash(t.Context(), w, hash, "once"), "and once more")
	drained(t, w)
	require.Equal(t, []string{"before", "once"}, messages(fake.stored(column.TableAgentLog)))
	require.Equal(t, int64(2), counts.duplicates.Load())
	require.Equal(t, int64(2), counts.acknowledged.Load())
}

// counter counts what a writer tells.
type counter struct {
	noObserver
	acknowledged, duplicates, retries, damaged atomic.Int64
}

func (c *counter) Acknowledged(*[column.TableCount]int, time.Duration) { c.acknowledged.Add(1) }
func (c *counter) Duplicate()                                          { c.duplicates.Add(1) }
func (c *counter) Damaged()                                            { c.damaged.Add(1) }
func (c *counter) Retried(_, _ string)                                 { c.retries.Add(1) }

func TestADuplicateIsKnownAfterARestart(t *testing.T) {
	t.Parallel()
	fake := newFake(t)
	s := testSettings(t, fake.URL, nil)
	for range 3 {
		w, err := NewWriter(t.Context(), s)
		require.NoError(t, err)
		require.NoError(t, putHash(t.Context(), w, journal.Hash{7}, "once"))
		require.NoError(t, putHash(t.Context(), w, journal.Hash{}, "no hash"))
		drained(t, w)
		shutdown(t, w)
	}
	require.Equal(t, []string{"no hash", "no hash", "no hash", "once"}, messages(fake.stored(column.TableAgentLog)))
}
