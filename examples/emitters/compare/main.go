// Command compare says whether emitters still send what was recorded of them.
//
//	compare <folder of the recordings> <folder of new recordings>
//
// It compares what the new folder has, scenario by scenario and signal by signal, and prints "same" or what differs.
// What differs from run to run is left out: ids are named by where they belong, times and durations are dropped, stack
// traces are cut, and spans, records and requests that may come in any order are sorted. Recordings of an emitter, or of
// a version of one, that the new folder does not have at all are left alone. It ends with status 1 when something
// differs.
package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const expectSuffix = ".expect.json"

var errDifferent = errors.New("emitters send something else than what is recorded; when that is right, run make emitters-record and look at what the mapping makes of it")

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: compare <folder of the recordings> <folder of new recordings>")
		os.Exit(2)
	}
	if err := compare(os.Stdout, os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

// compare prints what became of each recording and returns errDifferent when not all are the same.
func compare(w io.Writer, wantDir, gotDir string) error {
	recordings, err := list(gotDir)
	if err != nil {
		return err
	}
	if len(recordings) == 0 {
		return fmt.Errorf("no recordings in %s: run record.sh with OUT set to it", gotDir)
	}
	known, err := list(wantDir)
	if err != nil {
		return err
	}
	same, different := 0, 0
	versions := map[string]bool{} // of the emitters that were run
	for _, name := range slices.Sorted(maps.Keys(recordings)) {
		versions[recordings[name]] = true
		if _, ok := known[name]; !ok {
			fmt.Fprintf(w, "new        %s\n", name)
			different++
			continue
		}
		for _, signal := range []string{"expect", "traces", "logs", "metrics"} {
			diff, found, err := compareSignal(wantDir, gotDir, name, signal)
			switch {
			case err != nil:
				return err
			case !found:
			case len(diff) == 0:
				fmt.Fprintf(w, "same       %s.%s\n", name, signal)
				same++
			default:
				fmt.Fprintf(w, "different  %s.%s (- recorded, + now)\n%s\n", name, signal, strings.Join(diff, "\n"))
				different++
			}
		}
	}
	others := 0
	for _, name := range slices.Sorted(maps.Keys(known)) {
		_, again := recordings[name]
		switch {
		case again:
		case versions[known[name]]:
			fmt.Fprintf(w, "gone       %s\n", name)
			different++
		default:
			others++
		}
	}
	fmt.Fprintf(w, "%d same, %d different; %d recordings of other emitters or versions left alone\n", same, different, others)
	if different > 0 {
		return errDifferent
	}
	return nil
}

// list returns the recordings of a folder by name, with the emitter and version that each is of.
func list(dir string) (map[string]string, error) {
	if _, err := os.Stat(dir); err != nil { //nolint:gosec // The folder that the caller names.
		return nil, fmt.Errorf("open recordings: %w", err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"+expectSuffix))
	if err != nil {
		return nil, fmt.Errorf("list recordings: %w", err)
	}
	out := map[string]string{}
	for _, f := range files {
		name := strings.TrimSuffix(filepath.Base(f), expectSuffix)
		facts, err := read(dir, name, "expect")
		if err != nil {
			return nil, err
		}
		for _, o := range facts {
			out[name] = fmt.Sprint(o["emitter"], " ", o["version"])
		}
	}
	return out, nil
}

// compareSignal compares one signal of a recording; found is false when neither folder has it.
func compareSignal(wantDir, gotDir, name, signal string) (diff []string, found bool, err error) {
	want, inWant, err := render(wantDir, name, signal)
	if err != nil {
		return nil, false, err
	}
	got, inGot, err := render(gotDir, name, signal)
	if err != nil {
		return nil, false, err
	}
	return diffLines(want, got), inWant || inGot, nil
}
