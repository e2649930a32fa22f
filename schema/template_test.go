package schema

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestNewColumn is a migration of a later release that adds a column: on a cluster, to the table that holds the rows
// and then to the one that is read and written.
func TestNewColumn(t *testing.T) {
	t.Parallel()
	const statement = "ALTER TABLE ${DATABASE}.Span${LOCAL} ${ON_CLUSTER} ADD COLUMN IF NOT EXISTS note String"
	one, err := fillStatement(&ClickHouseConfig{Database: "trail"}, statement)
	require.NoError(t, err)
	require.Equal(t, []string{"ALTER TABLE trail.Span  ADD COLUMN IF NOT EXISTS note String"}, one)
	cluster, err := fillStatement(&ClickHouseConfig{Database: "trail", Cluster: "c"}, statement)
	require.NoError(t, err)
	require.Equal(t, []string{
		"ALTER TABLE trail.SpanLocal ON CLUSTER 'c' ADD COLUMN IF NOT EXISTS note String",
		"ALTER TABLE trail.Span ON CLUSTER 'c' ADD COLUMN IF NOT EXISTS note String",
	}, cluster)
}
