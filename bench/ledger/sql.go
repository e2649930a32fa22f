package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// sqlDatabase is where the ledger is measured without its service: pgbench calls the functions that the service calls.
const sqlDatabase = "ledger_sql"

// scripts are pgbench's, by what they measure.
type scripts struct{ authorize, cycle, hotAuthorize, hotCycle string }

// prepareSQL makes users with credits and mandates whose ids can be computed, and scripts that spend them.
func prepareSQL(ctx context.Context, s settings, c *cluster, dir string) (scripts, error) {
	var sc scripts
	if err := c.psql(ctx, "postgres", "CREATE DATABASE "+sqlDatabase); err != nil {
		return sc, err
	}
	if out, err := exec.CommandContext(ctx, s.program, "migrate", "postgres", "--url", c.url(sqlDatabase)).CombinedOutput(); err != nil { //nolint:gosec // The program to measure.
		return sc, fmt.Errorf("migrate: %w\n%s", err, out)
	}
	if err := c.psql(ctx, sqlDatabase, strings.NewReplacer("{users}", strconv.Itoa(s.users), "{user}", id(1, "i"), "{agent}", id(2, "i"), "{grant}", id(3, "i"), "{mandate}", id(4, "i"), "{owner}", id(1, "1")).Replace(seed)); err != nil {
		return sc, err
	}
	if err := c.psql(ctx, sqlDatabase, "VACUUM ANALYZE"); err != nil {
		return sc, err
	}
	folder := filepath.Join(dir, "scripts")
	if err := os.Mkdir(folder, 0o755); err != nil { //nolint:gosec // The user postgres reads it.
		return sc, err
	}
	today := time.Now().UTC().Truncate(24 * time.Hour)
	monday := today.AddDate(0, 0, -(int(today.Weekday())+6)%7)
	month := today.AddDate(0, 0, 1-today.Day())
	fill := strings.NewReplacer("{user}", id(1, "(:u)::int"), "{mandate}", id(4, "(:u)::int"), "{agent}", id(2, "(:a)::int"),
		"{today}", today.Format(time.RFC3339), "{tomorrow}", today.AddDate(0, 0, 1).Format(time.RFC3339), "{monday}", monday.Format(time.RFC3339), "{month}", month.Format(time.RFC3339))
	for _, one := range []struct {
		file  *string
		name  string
		users int
		text  string
	}{
		{&sc.authorize, "authorize", s.users, authorizeScript},
		{&sc.cycle, "cycle", s.users, cycleScript},
		{&sc.hotAuthorize, "hot_authorize", 1, authorizeScript},
		{&sc.hotCycle, "hot_cycle", 1, cycleScript},
	} {
		*one.file = filepath.Join(folder, one.name+".sql")
		text := fmt.Sprintf("\\set u random(1, %d)\n\\set a random(1, %d)\n%s", one.users, agents, fill.Replace(one.text))
		if err := os.WriteFile(*one.file, []byte(text), 0o644); err != nil { //nolint:gosec // The user postgres reads it.
			return sc, err
		}
	}
	return sc, nil
}

const agents = 20

// id is an expression for the id of the n-th of a kind.
func id(kind int, n string) string {
	return fmt.Sprintf("('00000000-0000-7000-8%03d-' || lpad(to_hex(%s), 12, '0'))::uuid", kind, n)
}

// Amounts are a thousand million credits, so that no limit is ever reached.
const seed = `SELECT set_config('app.actor', 'system:bench', true);
CREATE SEQUENCE bench_runs;
INSERT INTO ledger.users (id, email) SELECT {user}, 'user-' || i || '@example.com' FROM generate_series(1, {users}) i;
INSERT INTO ledger.agents (id, slug, name, category, owner_user_id) SELECT {agent}, 'agent-' || i, 'Bench', 'bench', {owner} FROM generate_series(1, 20) i;
INSERT INTO ledger.agent_versions (agent_id, version, pricing, created_by) SELECT id, 1, '{"perExecution": "1", "perThousandTokens": "0"}', 'system:bench' FROM ledger.agents;
INSERT INTO ledger.transactions (id, user_id, kind, status, credits, settled) SELECT {grant}, {user}, 'grant', 'succeeded', 1e15, 1e15 FROM generate_series(1, {users}) i;
INSERT INTO ledger.credit_grants (id, user_id, transaction_id, category, amount, remaining) SELECT id, user_id, id, 'paid', credits, credits FROM ledger.transactions;
INSERT INTO ledger.mandates (id, user_id) SELECT {mandate}, {user} FROM generate_series(1, {users}) i;
INSERT INTO ledger.mandate_versions (mandate_id, version, rules, effective_at, created_at, created_by)
SELECT id, 1, '{"maxPerExecution": "10", "maxPerDay": "1000000000", "maxPerMonth": "1000000000"}', now(), now(), 'system:bench' FROM ledger.mandates`

// The division fails the script unless the run was authorized. The rows of mandates and agents are at version 2: made, and
// given their rules or price.
const authorizeCall = `SELECT 1 / (outcome = 'ok')::int FROM ledger.authorize('bench', '', 'bench', gen_random_uuid()::text, '\x00', {run}, {user}, {mandate}, 2, 1, {agent}, 2, 1,
 1000000, {run}::text, 900, NULL, '{today}', '{tomorrow}', '', '{today}', '{monday}', '{month}',
 '{10000000,1000000000000000,NULL,1000000000000000,NULL,NULL,NULL,NULL}', NULL);
`

// Ids follow each other, as those of version 7 do that the service makes; they are also those of executions that have none.
const nextRun = `('0198c0de-0000-7000-8000-' || lpad(to_hex(nextval('bench_runs')), 12, '0'))::uuid`

var (
	authorizeScript = strings.ReplaceAll(authorizeCall, "{run}", nextRun)
	cycleScript     = "SELECT " + nextRun + " AS run \\gset\n" + strings.ReplaceAll(authorizeCall, "{run}", "(:run)::uuid") +
		"SELECT 1 / (outcome = 'ok')::int FROM ledger.settle('bench', '', 'bench', gen_random_uuid()::text, '\\x00', (:run)::uuid, NULL, 'capture', 750000, NULL);\n"
)

// script runs one of the scripts with pgbench and returns its transactions per second.
func (c *cluster) script(ctx context.Context, s settings, file string) (float64, error) {
	out, err := c.tool(ctx, "pgbench", append(c.connection(), "-n", "-M", "prepared", "-c", strconv.Itoa(s.clients), "-j", "2", "-T", strconv.Itoa(int(s.lasts.Seconds())), "-f", file, sqlDatabase)...)
	if err != nil {
		return 0, err
	}
	m := tpsLine.FindStringSubmatch(out)
	if m == nil || strings.Contains(out, "aborted") {
		return 0, errors.New("pgbench did not end well:\n" + out)
	}
	return strconv.ParseFloat(m[1], 64)
}
