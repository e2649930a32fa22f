package mapping

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// summary is what became of the scenarios of one emitter.
type summary struct {
	scenarios, runs       int
	status                map[string]int
	untold, lost          int // runs whose outcome the emitter does not send, and runs of which it sends nothing
	spans, requests, errs int
	logs                  int
}

func (s *summary) add(got *rows) {
	s.scenarios++
	s.runs += len(got.Executions)
	for _, e := range got.Executions {
		status, _ := e["status"].(string)
		s.status[status]++
	}
	s.spans += len(got.Spans)
	s.requests += len(got.Requests)
	s.errs += len(got.Errors)
	s.logs += len(got.Logs)
}

// counts are the cells of a summary, in the order of summaryColumns.
func (s *summary) counts() []int {
	st := s.status
	return []int{
		s.scenarios, s.runs, st["success"], st["failed"], st["timeout"], st["error"], s.untold, s.lost,
		s.spans, s.requests, s.errs, s.logs,
	}
}

var summaryColumns = []string{
	"scenarios", "runs", "success", "failed", "timeout", "error", "not told", "lost", "spans", "requests", "errors", "logs",
}

// TestEmitterSummary maps all recordings and prints what became of each emitter's scenarios. make test shows it.
// It is not parallel, so that its tables stay in one piece.
func TestEmitterSummary(t *testing.T) {
	recorded, handmade := map[string]*summary{}, map[string]*summary{}
	files, err := filepath.Glob("testdata/recorded/*.expect.json")
	require.NoError(t, err)
	for _, f := range files {
		raw, err := os.ReadFile(f)
		require.NoError(t, err)
		var want struct {
			Emitter, Version string
			Ambiguous        string
			Runs             []truthRun
			LostRuns         []json.RawMessage
		}
		require.NoError(t, json.Unmarshal(raw, &want))
		require.NotEmpty(t, want.Emitter, f)
		s := entry(recorded, want.Emitter+" "+want.Version)
		got := mapFile(t, strings.TrimSuffix(f, ".expect.json"))
		s.add(got)
		s.lost += len(want.LostRuns)
		for _, r := range want.Runs {
			if slices.Contains(r.Unsaid, "outcome") {
				s.untold++
			}
		}
		if want.Ambiguous == "" {
			require.Len(t, got.Executions, len(want.Runs), "runs of %s", f)
		}
	}
	for _, name := range programs(t) {
		require.Contains(t, recorded, name, "no recordings of an emitter; run make emitters-record")
	}
	for _, base := range cases(t) {
		got := mapFile(t, base)
		dialect := "no run"
		if len(got.Executions) > 0 {
			dialect, _ = got.Executions[0]["dialect"].(string)
		}
		entry(handmade, dialect).add(got)
	}
	printSummary("recorded emitter", recorded)
	printSummary("handmade, by dialect", handmade)
}

var emitterName = regexp.MustCompile(`main\(\{[^}]*emitter: '([^']+)'`)

// programs returns emitter and version of the programs that recordings are made with.
func programs(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../../examples/emitters/*/main.mjs")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	var out []string
	for _, f := range files {
		raw, err := os.ReadFile(f)
		require.NoError(t, err)
		name := emitterName.FindSubmatch(raw)
		require.NotNil(t, name, "%s does not name its emitter", f)
		raw, err = os.ReadFile(filepath.Join(filepath.Dir(f), "package.json"))
		require.NoError(t, err)
		var manifest struct{ Dependencies map[string]string }
		require.NoError(t, json.Unmarshal(raw, &manifest))
		out = append(out, string(name[1])+" "+manifest.Dependencies[string(name[1])])
	}
	return out
}

func entry(all map[string]*summary, name string) *summary {
	if all[name] == nil {
		all[name] = &summary{status: map[string]int{}}
	}
	return all[name]
}

// printSummary prints a Markdown table.
func printSummary(title string, all map[string]*summary) {
	names := slices.Sorted(maps.Keys(all))
	width := len(title)
	sums := make([]int, len(summaryColumns))
	for _, name := range names {
		width = max(width, len(name))
		for i, n := range all[name].counts() {
			sums[i] += n
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n| %-*s |", width, title)
	rule := "\n|" + strings.Repeat("-", width+2) + "|"
	for _, c := range summaryColumns {
		b.WriteString(" " + c + " |")
		rule += strings.Repeat("-", len(c)+1) + ":|"
	}
	b.WriteString(rule + "\n")
	line := func(name string, counts []int) {
		fmt.Fprintf(&b, "| %-*s |", width, name)
		for i, n := range counts {
			fmt.Fprintf(&b, " %*d |", len(summaryColumns[i]), n)
		}
		b.WriteByte('\n')
	}
	for _, name := range names {
		line(name, all[name].counts())
	}
	line("all", sums)
	_, _ = os.Stdout.WriteString(b.String())
}
