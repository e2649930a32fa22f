package column

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write testdata/layout.json anew")

// TestLayoutIsKnown fails when the layout changes. That is allowed: records of an older layout are still read, and a
// new column is given a default by ClickHouse. It must not happen unnoticed.
func TestLayoutIsKnown(t *testing.T) {
	t.Parallel()
	const golden = "testdata/layout.json"
	if *update {
		var text bytes.Buffer
		require.NoError(t, json.Indent(&text, Layout(), "", " "))
		text.WriteByte('\n')
		require.NoError(t, os.WriteFile(golden, text.Bytes(), 0o600))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.JSONEq(t, string(want), string(Layout()))
	var compact bytes.Buffer
	require.NoError(t, json.Compact(&compact, want))
	require.Equal(t, compact.String(), string(Layout()), "the same in another form")
}

func TestTheLayoutHasTheColumnsOfAllTables(t *testing.T) {
	t.Parallel()
	var tables []struct {
		Table   string
		Columns []struct{ Name, Type string }
	}
	require.NoError(t, json.Unmarshal(Layout(), &tables))
	require.Len(t, tables, int(TableCount))
	for table := range TableCount {
		require.Equal(t, table.String(), tables[table].Table)
		columns := table.Columns()
		require.Len(t, tables[table].Columns, len(columns))
		for i, c := range columns {
			require.Equal(t, c, Column(tables[table].Columns[i]))
		}
	}
}

// TestRecordsOfEveryVersionAreRead reads a record that each version wrote, with the layout that it had. The files are
// never written again.
func TestRecordsOfEveryVersionAreRead(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"v1", "v2"} {
		requireReadable(t, "testdata/"+version)
	}
}

func requireReadable(t *testing.T, name string) {
	t.Helper()
	layout, err := os.ReadFile(name + ".layout.json")
	require.NoError(t, err)
	data, err := os.ReadFile(name + ".record")
	require.NoError(t, err)
	blocks, err := NewBlocks(layout)
	require.NoError(t, err)
	require.NoError(t, blocks.Append(data))
	set := NewSet()
	for i := range 4 {
		addSample(set, i)
	}
	require.Len(t, blocks.Tables(), 7)
	for table := range TableCount {
		got, want := decode(t, blocks.AppendNative(nil, table.String())), decode(t, set.AppendNative(nil, table))
		require.Len(t, got, 4)
		for i := range got {
			require.Greater(t, len(got[i]), 10)
			for name, value := range got[i] {
				require.Equal(t, want[i][name], value, "%s of %s", name, table)
			}
		}
	}
}
