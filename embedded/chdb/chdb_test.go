package chdb_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/embedded/chdb"
)

func text(t *testing.T, c *chdb.Conn, sql string, params ...chdb.Param) string {
	t.Helper()
	r, err := c.Query(sql, "TSV", params...)
	require.NoError(t, err)
	defer r.Close()
	return string(r.Bytes())
}

func TestStatements(t *testing.T) {
	inChild(t, func(t *testing.T, e *chdb.Engine) { //nolint:thelper // the test itself
		require.True(t, strings.HasPrefix(e.Version(), "26."))
		c, err := e.Connect(map[string]string{"max_threads": "3"})
		require.NoError(t, err)
		defer c.Close()
		require.Equal(t, "3\tUTC\n", text(t, c, "SELECT getSetting('max_threads'), timezone()"))
		require.Equal(t, "5\ta\\0b\n", text(t, c, "SELECT {n:UInt8}, {s:String}", chdb.Param{Name: "n", Value: "5"}, chdb.Param{Name: "s", Value: `a\0b`}))
		require.Equal(t, "\n", text(t, c, "SELECT {s:String}", chdb.Param{Name: "s"}))

		var exception *chdb.Exception
		require.ErrorAs(t, c.Exec("SELECT * FROM nope"), &exception)
		require.Equal(t, 60, exception.Code)
		require.True(t, strings.HasPrefix(exception.Text, "Code: 60. DB::Exception: "), exception.Text)
		require.Error(t, e.Close(), "a connection is open")
		_, err = e.Connect(map[string]string{"max_threads": "no number"})
		require.Error(t, err)

		require.NoError(t, c.Exec("CREATE DATABASE d"))
		require.NoError(t, c.Exec("CREATE TABLE d.t (a Int64) ENGINE = MergeTree ORDER BY a"))
		insert, err := c.Insert("INSERT INTO d.t", "CSV")
		require.NoError(t, err)
		for i := range 1000 {
			_, err := fmt.Fprintf(insert, "%d\n", i)
			require.NoError(t, err)
		}
		stats, err := insert.Done()
		require.NoError(t, err)
		require.EqualValues(t, 1000, stats.WrittenRows)
		insert.Close()
		insert.Close()

		insert, err = c.Insert("INSERT INTO d.t", "CSV") // left without Done: nothing of it stays
		require.NoError(t, err)
		_, err = insert.Write([]byte("1\n2\n"))
		require.NoError(t, err)
		insert.Close()
		_, err = c.Insert("INSERT INTO d.nope", "CSV")
		require.ErrorAs(t, err, &exception)
		require.Equal(t, 60, exception.Code)
		insert, err = c.Insert("INSERT INTO d.t", "CSV")
		require.NoError(t, err)
		_, _ = insert.Write([]byte("x\n"))
		_, err = insert.Done()
		require.ErrorAs(t, err, &exception)
		insert.Close()
		require.Equal(t, "1000\t499500\n", text(t, c, "SELECT count(), sum(a) FROM d.t"))
	})
}

func TestStreams(t *testing.T) {
	inChild(t, func(t *testing.T, e *chdb.Engine) { //nolint:thelper // the test itself
		c, err := e.Connect(nil)
		require.NoError(t, err)
		defer c.Close()
		s, err := c.Stream("SELECT number FROM numbers(1000000)", "RowBinary")
		require.NoError(t, err)
		var n int
		var stats chdb.Stats
		for {
			r, err := s.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err)
			n += len(r.Bytes())
			stats.Add(r.Stats())
			r.Close()
			r.Close()
		}
		s.Close()
		require.Equal(t, 8000000, n)
		require.EqualValues(t, 1000000, stats.ResultRows)

		s, err = c.Stream("SELECT number FROM system.numbers", "RowBinary") // left in the middle
		require.NoError(t, err)
		r, err := s.Next()
		require.NoError(t, err)
		r.Close()
		s.Close()
		require.Equal(t, "1\n", text(t, c, "SELECT 1"))

		s, err = c.Stream("SELECT throwIf(number = 500000) FROM numbers(1000000)", "RowBinary")
		require.NoError(t, err)
		for err == nil {
			var r *chdb.Result
			if r, err = s.Next(); err == nil {
				r.Close()
			}
		}
		var exception *chdb.Exception
		require.ErrorAs(t, err, &exception)
		require.Equal(t, 395, exception.Code)
		s.Close()
		require.Equal(t, "1\n", text(t, c, "SELECT 1"))
	})
}

// TestSignals checks that the Go runtime keeps its signals while the engine works: preemption (SIGURG), profiles (SIGPROF), the
// process's own handlers, nil dereferences that become panics, and broken pipes.
func TestSignals(t *testing.T) {
	inChild(t, func(t *testing.T, e *chdb.Engine) { //nolint:thelper // the test itself
		var profile bytes.Buffer
		require.NoError(t, pprof.StartCPUProfile(&profile))
		terminated := make(chan os.Signal, 1)
		signal.Notify(terminated, syscall.SIGTERM)
		stop := make(chan struct{})
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				c, err := e.Connect(map[string]string{"max_threads": "4"})
				if err != nil {
					return
				}
				defer c.Close()
				for {
					select {
					case <-stop:
						return
					default:
						_ = c.Exec("SELECT sum(sipHash64(number)) FROM numbers_mt(3000000)")
					}
				}
			})
		}
		recovered := 0
		for end := time.Now().Add(3 * time.Second); time.Now().Before(end); {
			func() {
				defer func() {
					if recover() != nil {
						recovered++
					}
				}()
				var p *int
				*p = 1 //nolint:govet // SIGSEGV in Go code, on purpose
			}()
			runtime.GC() // stops all goroutines with SIGURG
			busy := 0
			for i := range 1000000 {
				busy += i
			}
			runtime.KeepAlive(busy)
		}
		require.Positive(t, recovered)
		r, w, err := os.Pipe()
		require.NoError(t, err)
		require.NoError(t, r.Close())
		_, err = w.Write([]byte("x"))
		require.ErrorIs(t, err, syscall.EPIPE)
		require.NoError(t, syscall.Kill(os.Getpid(), syscall.SIGTERM))
		require.Equal(t, syscall.SIGTERM, <-terminated)
		close(stop)
		wg.Wait()
		pprof.StopCPUProfile()
		require.Greater(t, profile.Len(), 100)
		t.Log("panics recovered:", recovered, "profile bytes:", profile.Len())
	})
}

// TestOpenErrors says what to do.
func TestOpenErrors(t *testing.T) {
	_, err := chdb.Open(chdb.Options{LibraryPath: "/no/such/libchdb.so", DataPath: t.TempDir()})
	require.ErrorContains(t, err, "agenttrail engines")
	_, err = chdb.Open(chdb.Options{})
	require.Error(t, err)
}
