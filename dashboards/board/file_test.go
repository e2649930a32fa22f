package board_test

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/dashboards/board"
)

//go:generate go test . -run ^TestFiles$ -update

var update = flag.Bool("update", false, "write the dashboards' files anew")

// TestFiles checks that the files are those that are described here, and no others.
func TestFiles(t *testing.T) {
	t.Parallel()
	var names []string
	for _, d := range board.All() {
		name, text, err := d.File()
		require.NoError(t, err)
		names = append(names, name)
		path := filepath.Join("..", name)
		if *update {
			require.NoError(t, os.WriteFile(path, text, 0o644))
		}
		there, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, string(there), string(text), "%s is not what the code describes: run \"make generate\"", path)
	}
	files, err := filepath.Glob("../*.json")
	require.NoError(t, err)
	for i := range files {
		files[i] = filepath.Base(files[i])
	}
	slices.Sort(names)
	require.Equal(t, names, files)
}
