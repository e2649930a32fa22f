package engine

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// fakeNPM returns a folder with an npm that runs the script, and a Finder on an empty folder that uses it. What the
// real npm does with the pinned files is not tried here: that needs the network.
func fakeNPM(t *testing.T, script string) Finder {
	t.Helper()
	bin := t.TempDir()
	writeProgram(t, "echo run >> '"+bin+"/runs'\n"+script, bin, "npm")
	return Finder{Dir: filepath.Join(t.TempDir(), "engines"), Path: bin, SystemPostgres: []string{}}
}

// writeProgram writes a script. No child may begin meanwhile: it would have the file open for writing until it runs its own
// program, and such a file cannot be run.
func writeProgram(t *testing.T, script string, path ...string) {
	t.Helper()
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	writeFile(t, 0o755, "#!/bin/sh\n"+script, path...)
}

// copyEngines is what an npm that works does, without its install scripts: there are no links.
func copyEngines(t *testing.T) string {
	t.Helper()
	pinned, _ := installed(t)
	return fmt.Sprintf("cp -al '%[1]s/node_modules' . 2>/dev/null || { rm -rf node_modules; cp -a '%[1]s/node_modules' .; }\n"+
		"find node_modules -type l -exec rm {} +\n", pinned.Dir)
}

func runs(t *testing.T, f Finder) int {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(f.Path, "runs"))
	require.NoError(t, err)
	return strings.Count(string(raw), "run\n")
}

func requireNothingLeft(t *testing.T, f Finder) {
	t.Helper()
	entries, err := os.ReadDir(f.Dir)
	require.NoError(t, err)
	for _, e := range entries {
		require.Equal(t, ".install.lock", e.Name())
	}
}

func TestInstall(t *testing.T) {
	t.Parallel()
	f := fakeNPM(t, copyEngines(t)+`test "$1" = ci && grep -q integrity package-lock.json && grep -q omit-lockfile .npmrc`)
	var progress bytes.Buffer
	in, err := f.Install(t.Context(), &progress)
	require.NoError(t, err)
	require.FileExists(t, in.ClickHouse)
	require.FileExists(t, filepath.Join(in.Postgres, "..", "lib", "libpq.so.5"), "links are made without install scripts")
	require.Contains(t, progress.String(), "Installing ClickHouse")
	require.Contains(t, progress.String(), "Installed")

	_, err = f.Install(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, 1, runs(t, f), "what is there is not fetched again")

	// A broken file is replaced, and only then.
	require.NoError(t, os.Remove(in.ClickHouse))
	writeFile(t, 0o644, "broken", in.ClickHouse)
	in, err = f.Install(t.Context(), nil)
	require.NoError(t, err)
	require.FileExists(t, in.ClickHouse)
	require.Equal(t, 2, runs(t, f))
	stages, err := filepath.Glob(filepath.Join(f.Dir, stagePrefix+"*"))
	require.NoError(t, err)
	require.Empty(t, stages)
}

func TestInstallTwiceAtOnce(t *testing.T) {
	t.Parallel()
	begin := filepath.Join(t.TempDir(), "begin")
	f := fakeNPM(t, "until [ -e '"+begin+"' ]; do sleep 0.02; done\n"+copyEngines(t))
	var wg sync.WaitGroup
	waiting, errs := make(chan struct{}, 3), make([]error, 3)
	for i := range errs {
		wg.Go(func() {
			_, errs[i] = f.Install(t.Context(), progressFunc(func(line string) {
				if strings.Contains(line, "waiting for it") {
					waiting <- struct{}{}
				}
			}))
		})
	}
	for range 2 {
		select {
		case <-waiting:
		case <-time.After(time.Minute):
			t.Error("they do not wait for each other") // The first one is left to end.
		}
	}
	writeFile(t, 0o600, "", begin)
	wg.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	require.Empty(t, waiting, "the first one has nobody to wait for")
	require.Equal(t, 1, runs(t, f))
}

// progressFunc is called with each line of progress.
type progressFunc func(line string)

// Write implements [io.Writer].
func (f progressFunc) Write(b []byte) (int, error) {
	f(string(b))
	return len(b), nil
}

func TestInstallWithoutNPM(t *testing.T) {
	t.Parallel()
	f := Finder{Dir: t.TempDir(), Path: nowhere(t), SystemPostgres: []string{}}
	_, err := f.Install(t.Context(), nil)
	require.ErrorContains(t, err, "npm is not on PATH; install Node.js")
	requireNothingLeft(t, f)
}

func TestInstallFails(t *testing.T) {
	t.Parallel()
	f := fakeNPM(t, "mkdir node_modules; echo 'npm error network request to the registry failed' >&2; exit 1\n")
	_, err := f.Install(t.Context(), nil)
	require.ErrorContains(t, err, "npm error network request to the registry failed")
	require.ErrorContains(t, err, "registry or proxy")
	require.Equal(t, 1, runs(t, f))
	requireNothingLeft(t, f)
}

func TestInstallBreaksOff(t *testing.T) {
	t.Parallel()
	f := fakeNPM(t, `if [ $(wc -l < "${0%/*}/runs") -lt 3 ]; then mkdir -p node_modules/half; echo 'npm error code ECONNRESET' >&2; exit 1; fi; rm -rf node_modules`+"\n"+copyEngines(t))
	_, err := f.Install(t.Context(), nil)
	require.NoError(t, err)
	require.Equal(t, 3, runs(t, f))

	f = fakeNPM(t, "echo 'npm error code ECONNRESET' >&2; exit 1\n")
	_, err = f.Install(t.Context(), nil)
	require.ErrorContains(t, err, "npm error code ECONNRESET")
	require.Equal(t, npmTries, runs(t, f))
	requireNothingLeft(t, f)
}

// An npm that says it worked but brought something else must not be believed.
func TestInstallBringsTheWrongThing(t *testing.T) {
	t.Parallel()
	f := fakeNPM(t, copyEngines(t)+"lib=$(ls node_modules/@chdb/*/libchdb.*); rm $lib; echo text > $lib\n")
	_, err := f.Install(t.Context(), nil)
	require.ErrorContains(t, err, "check downloaded engines")
	requireNothingLeft(t, f)
}

func TestInstallInterrupted(t *testing.T) {
	t.Parallel()
	f := fakeNPM(t, "mkdir node_modules; touch started; exec sleep 1200\n")
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for {
			if m, _ := filepath.Glob(filepath.Join(f.Dir, stagePrefix+"*", "started")); len(m) > 0 || t.Context().Err() != nil {
				cancel()
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	begin := time.Now()
	_, err := f.Install(ctx, nil)
	require.ErrorIs(t, err, context.Canceled)
	require.Less(t, time.Since(begin), 10*time.Minute, "npm was ended")
	requireNothingLeft(t, f)

	// What a killed installer leaves is removed by the next one.
	writeFile(t, 0o600, "x", f.Dir, stagePrefix+"old", "node_modules", "x")
	writeProgram(t, copyEngines(t), f.Path, "npm")
	_, err = f.Install(t.Context(), nil)
	require.NoError(t, err)
	require.NoDirExists(t, filepath.Join(f.Dir, stagePrefix+"old"))
}

func TestInstallIntoFolderOfSomebodyElse(t *testing.T) {
	t.Parallel()
	f := fakeNPM(t, "exit 1")
	f.Dir = filepath.Join(writeFile(t, 0o600, "", t.TempDir(), "file"), "below")
	_, err := f.Install(t.Context(), nil)
	require.ErrorContains(t, err, "set AGENTTRAIL_ENGINES to a folder you can write to")
}
