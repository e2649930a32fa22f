package mapping

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files")

// TestGolden maps each testdata/<case>.traces.json, <case>.logs.json and <case>.metrics.json and compares all rows with <case>.rows.json.
// What must be true of the rows is written by hand in TestFacts; the golden files show what else changes.
func TestGolden(t *testing.T) {
	t.Parallel()
	for _, base := range cases(t) {
		t.Run(filepath.Base(base), func(t *testing.T) {
			t.Parallel()
			var got bytes.Buffer
			enc := json.NewEncoder(&got)
			enc.SetEscapeHTML(false)
			enc.SetIndent("", " ")
			require.NoError(t, enc.Encode(mapFile(t, base)))
			golden := base + ".rows.json"
			if *update {
				require.NoError(t, os.WriteFile(golden, got.Bytes(), 0o600))
			}
			want, err := os.ReadFile(golden)
			require.NoError(t, err)
			require.Equal(t, string(want), got.String())
		})
	}
}

func cases(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, kind := range []string{".traces.json", ".logs.json", ".metrics.json"} {
		files, err := filepath.Glob("testdata/*" + kind)
		require.NoError(t, err)
		for _, f := range files {
			out = append(out, strings.TrimSuffix(f, kind))
		}
	}
	require.NotEmpty(t, out)
	return out
}
