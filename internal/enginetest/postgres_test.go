package enginetest

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

func TestPostgresDatabases(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"first", "second"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := pgx.Connect(t.Context(), Postgres(t).Database(t))
			require.NoError(t, err)
			defer conn.Close(context.Background())
			_, err = conn.Exec(t.Context(), "CREATE TABLE only_mine (n int)")
			require.NoError(t, err)
		})
	}
}

func TestPostgresKill(t *testing.T) {
	t.Parallel()
	pg := StartPostgres(t)
	url := pg.Database(t)
	run := func(sql string) {
		conn, err := pgx.Connect(t.Context(), url)
		require.NoError(t, err)
		defer conn.Close(context.Background())
		_, err = conn.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	run("CREATE TABLE kept (n int)")
	pg.Kill(t)
	run("INSERT INTO kept VALUES (1)")
}
