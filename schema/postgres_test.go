package schema_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/internal/enginetest"
	"github.com/agenttrail/agenttrail/schema"
)

func TestMigratePostgres(t *testing.T) {
	t.Parallel()
	url := enginetest.Postgres(t).Database(t)
	pending, err := schema.PendingPostgres(t.Context(), url)
	require.NoError(t, err)
	require.NotEmpty(t, pending)
	applied, err := schema.MigratePostgres(t.Context(), url)
	require.NoError(t, err)
	require.Len(t, applied, len(pending))
	again, err := schema.MigratePostgres(t.Context(), url)
	require.NoError(t, err)
	require.Empty(t, again, "a second run has nothing to do")
}

func TestMigratePostgresTogether(t *testing.T) {
	t.Parallel()
	url := enginetest.Postgres(t).Database(t)
	all, err := schema.PendingPostgres(t.Context(), url)
	require.NoError(t, err)
	const instances = 4
	applied, errs := make([][]string, instances), make([]error, instances)
	var wg sync.WaitGroup
	for i := range instances {
		wg.Go(func() { applied[i], errs[i] = schema.MigratePostgres(t.Context(), url) })
	}
	wg.Wait()
	total := 0
	for i := range instances {
		require.NoError(t, errs[i])
		total += len(applied[i])
	}
	pending, err := schema.PendingPostgres(t.Context(), url)
	require.NoError(t, err)
	require.Empty(t, pending)
	require.Equal(t, len(all), total, "each migration is applied by one instance")
}
