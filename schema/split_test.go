package schema

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSplitStatements(t *testing.T) {
	t.Parallel()
	f := func(text string, want ...string) {
		t.Helper()
		require.Equal(t, want, splitStatements(text))
	}
	f("")
	f(" \n-- only a comment; really\n/* and ; another */ ")
	f("SELECT 1", "SELECT 1")
	f("SELECT 1; SELECT 2 ;\n", "SELECT 1", "SELECT 2")
	f("SELECT ';' ; SELECT 2", "SELECT ';'", "SELECT 2")
	f(`SELECT 'it\'s; fine'; SELECT 'it''s; fine'`, `SELECT 'it\'s; fine'`, "SELECT 'it''s; fine'")
	f("SELECT `a;b`, \"c;d\"; SELECT 2", "SELECT `a;b`, \"c;d\"", "SELECT 2")
	f("-- why;\nSELECT 1 -- because;\n;SELECT /* ; */ 2", "-- why;\nSELECT 1 -- because;", "SELECT /* ; */ 2")
	f("SELECT 1 /* never closed ;", "SELECT 1 /* never closed ;")
}
