package agenttrail_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// ask returns the rows of a question, with numbers as the engine writes them.
func (b backend) ask(t *testing.T, query string) []map[string]any {
	t.Helper()
	text := b.engine.Exec(t, query+" FORMAT JSONEachRow", "database", b.database, "output_format_json_quote_decimals", "1", "output_format_json_quote_64bit_integers", "0")
	var rows []map[string]any
	for line := range strings.Lines(text) {
		var row map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &row), line)
		rows = append(rows, row)
	}
	return rows
}

// requireRow checks columns of a row against values given by hand.
func requireRow(t *testing.T, row, want map[string]any) {
	t.Helper()
	for column, value := range want {
		require.EqualValues(t, value, row[column], "%s of %v", column, row)
	}
}

// requireFilled checks that none of the columns is empty or zero.
func requireFilled(t *testing.T, row map[string]any, columns ...string) {
	t.Helper()
	for _, c := range columns {
		require.Contains(t, row, c)
		require.NotEmpty(t, row[c], "%s of %v", c, row)
	}
}
