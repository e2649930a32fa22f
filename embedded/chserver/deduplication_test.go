package chserver_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/embedded/chserver"
	"github.com/agenttrail/agenttrail/internal/enginetest"
)

// TestKilledBetweenLogAndPart leaves the data as an engine does that is killed after it noted a block as stored and
// before it gave the block's part its name. The retry must be stored, and all other retries still be known.
func TestKilledBetweenLogAndPart(t *testing.T) {
	t.Parallel()
	takeName := func(table string) error {
		return os.Rename(filepath.Join(table, "1_2_2_0"), filepath.Join(table, "tmp_insert_1_2_2_0"))
	}
	for name, c := range map[string]struct {
		damage func(table, log string) error
		merge  bool
	}{
		"part missing": {damage: func(table, _ string) error { return takeName(table) }},
		"line cut off": {damage: func(_, log string) error {
			f, err := os.OpenFile(log, os.O_WRONLY|os.O_APPEND, 0)
			if err != nil {
				return err
			}
			_, err = f.WriteString("1\t1_3_3")
			return errors.Join(err, f.Close())
		}},
		"new log empty": {damage: func(table, log string) error {
			return errors.Join(takeName(table), os.WriteFile(filepath.Join(filepath.Dir(log), "deduplication_log_2.txt"), nil, 0o600))
		}},
		"part merged": {damage: func(table, _ string) error { return os.RemoveAll(filepath.Join(table, "1_2_2_0")) }, merge: true},
		"nothing":     {damage: func(string, string) error { return nil }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ch := enginetest.StartClickHouse(t, chserver.Config{})
			ch.Exec(t, "CREATE DATABASE d")
			ch.Exec(t, "CREATE TABLE d.t (id UInt64, p UInt8) ENGINE = MergeTree ORDER BY id PARTITION BY p SETTINGS non_replicated_deduplication_window = 100")
			insert := func(tokens ...string) {
				for _, token := range tokens {
					ch.Exec(t, "INSERT INTO d.t SELECT cityHash64({token:String}) + number, 1 FROM numbers(10)", "param_token", token, "insert_deduplication_token", token)
				}
			}
			insert("first", "last")
			if c.merge {
				ch.Exec(t, "OPTIMIZE TABLE d.t FINAL")
			}
			ch.Kill()
			logs, err := filepath.Glob(filepath.Join(ch.Dir, "store", "*", "*", "deduplication_logs", "deduplication_log_1.txt"))
			require.NoError(t, err)
			require.Len(t, logs, 1)
			text, err := os.ReadFile(logs[0])
			require.NoError(t, err)
			require.Regexp(t, `^1\t1_1_1_0\t\S+\n1\t1_2_2_0\t\S+\n$`, string(text), "the engine still keeps its log like this")
			require.NoError(t, c.damage(filepath.Dir(filepath.Dir(logs[0])), logs[0]))

			ch.Restart(t)
			insert("first", "last")
			require.Equal(t, "20\t20\n", ch.Exec(t, "SELECT count(), uniqExact(id) FROM d.t"), "every block is stored once")
			insert("new")
			ch.Kill()
			ch.Restart(t)
			insert("first", "last", "new")
			require.Equal(t, "30\t30\n", ch.Exec(t, "SELECT count(), uniqExact(id) FROM d.t"), "what was stored after the repair is known as well")
		})
	}
}
