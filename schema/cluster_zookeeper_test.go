//go:build zookeeper

package schema

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/embedded/chdb"
	"github.com/agenttrail/agenttrail/embedded/engine"
	"github.com/agenttrail/agenttrail/internal/port"
)

// envClusterServer says that the process is a server of the cluster.
const envClusterServer = "AGENTTRAIL_CLUSTER_TEST_SERVER"

// ClickHouse's error codes (src/Common/ErrorCodes.cpp).
const (
	codeAllConnectionsFailed = 279
	codeQueryProhibited      = 392
)

// clusterTimeout is how long ZooKeeper may take to start, and then each server to do its work.
const clusterTimeout = 10 * time.Minute

// TestClusterBesideZooKeeper makes every table and view of a cluster on three servers, one after the other: two
// replicas of a shard, and another shard. Each is the embedded engine in a process of its own. The engine has no port
// for other servers, so that replicated tables stay read-only and Distributed ones reach nobody: what is tested is
// that everything can be made, where in ZooKeeper, and by which replicas.
func TestClusterBesideZooKeeper(t *testing.T) {
	t.Parallel()
	if os.Getenv(envClusterServer) != "" {
		serveCluster(t)
		return
	}
	addr := startZooKeeper(t)
	_, number, err := net.SplitHostPort(addr)
	require.NoError(t, err)
	config, err := filepath.Abs("testdata/cluster.xml")
	require.NoError(t, err)
	exe, err := os.Executable()
	require.NoError(t, err)
	for _, s := range []struct{ shard, replica, cluster, ofShard, ofAll string }{
		{"01", "r1", "agents", "r1", "01-r1"},
		{"01", "r2", "agents", "r1,r2", "01-r1,01-r2"},
		{"02", "r1", "{cluster}", "r1", "01-r1,01-r2,02-r1"},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), clusterTimeout)
		cmd := exec.CommandContext(ctx, exe, "-test.run=^"+t.Name()+"$", "-test.v")
		cmd.Env = append(os.Environ(), envClusterServer+"="+config, "ZOOKEEPER_PORT="+number,
			"SHARD="+s.shard, "REPLICA="+s.replica, "CLUSTER="+s.cluster, "OF_SHARD="+s.ofShard, "OF_ALL="+s.ofAll)
		out, err := cmd.CombinedOutput()
		cancel()
		require.NoError(t, err, "shard %s replica %s: %s", s.shard, s.replica, out)
		for line := range strings.Lines(string(out)) {
			if _, made, ok := strings.Cut(line, "made: "); ok {
				t.Logf("shard %s replica %s: %s", s.shard, s.replica, strings.TrimSpace(made))
			}
		}
	}
}

// replicatedTables are the tables of rows and states: replicated within a shard, with a Distributed table each.
var replicatedTables = []string{
	"AgentExecution", "AgentLog", "AgentMetricsDaily", "AgentMetricsHourly", "CoverageScore",
	"Reconciliation", "ReconciliationRun", "RequestLog", "SecurityEvents", "Span", "SystemErrors", "SystemMetrics", "UserAgentUsageDaily",
}

// everywhereTables are whole on every server.
var everywhereTables = []string{"ModelPrice", "SchemaMigration"}

func serveCluster(t *testing.T) {
	t.Helper()
	lib, err := engine.ClickHouse()
	require.NoError(t, err)
	e, err := chdb.Open(chdb.Options{LibraryPath: lib, DataPath: t.TempDir(), ConfigFile: os.Getenv(envClusterServer), Timezone: "UTC"})
	require.NoError(t, err)
	c, err := e.Connect(nil)
	require.NoError(t, err)
	query := func(sql string) string {
		r, err := c.Query(sql, "TSVRaw")
		require.NoError(t, err, sql)
		defer r.Close()
		return string(r.Bytes())
	}

	cfg := ClickHouseConfig{Database: "trail", Cluster: os.Getenv("CLUSTER")}
	clause := " ON CLUSTER '" + cfg.Cluster + "'"
	var refused *chdb.Exception
	require.ErrorAs(t, c.Exec("CREATE DATABASE trail"+clause), &refused)
	require.Equal(t, codeQueryProhibited, refused.Code, "the engine takes ON CLUSTER now: run the statements with it")

	require.NoError(t, c.Exec("CREATE DATABASE trail"))
	made, unreached := 0, 0
	for i, s := range clusterStatements(t, cfg) {
		without := strings.Replace(s, clause, "", 1)
		if isInsert := without == s; isInsert {
			require.Contains(t, s, "\nINSERT INTO trail.UserAgentUsageDaily ", "a statement is not for the whole cluster")
			require.ErrorAs(t, c.Exec(s), &refused, s)
			require.Equal(t, codeAllConnectionsFailed, refused.Code, "it asks the other servers: %s", refused.Text)
			unreached++
			continue
		}
		require.NotContains(t, without, "ON CLUSTER")
		require.NoError(t, c.Exec(without), "statement %d: %s", i+1, without)
		made++
	}
	require.Equal(t, 1, unreached, "the backfill alone reads through a Distributed table")

	shard, replica := os.Getenv("SHARD"), os.Getenv("REPLICA")
	var replicas, distributed strings.Builder
	for _, name := range everywhereTables {
		path := "/clickhouse/tables/trail/" + name
		fmt.Fprintf(&replicas, "%s\t%s\t%s\t%s\t1\n", name, path, shard+"-"+replica, os.Getenv("OF_ALL"))
	}
	for _, name := range replicatedTables {
		path := "/clickhouse/tables/" + shard + "/trail/" + name + "Local"
		fmt.Fprintf(&replicas, "%sLocal\t%s\t%s\t%s\t1\n", name, path, replica, os.Getenv("OF_SHARD"))
		fmt.Fprintln(&distributed, name)
	}
	require.Equal(t, replicas.String(), query(`SELECT table, zookeeper_path, replica_name, arrayStringConcat(arraySort(mapKeys(replica_is_active)), ','), is_readonly
		FROM system.replicas WHERE database = 'trail' ORDER BY endsWith(table, 'Local'), table`))
	require.Equal(t, distributed.String(), query("SELECT name FROM system.tables WHERE database = 'trail' AND engine = 'Distributed' ORDER BY name"))
	require.Equal(t, "agents\t1\t1\nagents\t1\t2\nagents\t2\t1\n", query("SELECT cluster, shard_num, replica_num FROM system.clusters"))

	// One set of files: what one server has, the cluster has under the same name with the same columns.
	require.NoError(t, c.Exec("CREATE DATABASE single"))
	for _, s := range clusterStatements(t, ClickHouseConfig{Database: "single"}) {
		require.NoError(t, c.Exec(s), s)
	}
	shape := func(database, more string) string {
		return query("SELECT t.name, c.position, c.name, c.type, c.default_expression, c.comment FROM system.tables AS t" +
			" LEFT JOIN system.columns AS c ON c.database = t.database AND c.table = t.name" +
			" WHERE t.database = '" + database + "'" + more + " ORDER BY t.name, c.position")
	}
	require.Contains(t, shape("single", ""), "Span\t24\tpriceVersion\t")
	require.Equal(t, shape("single", ""), shape("trail", " AND NOT endsWith(t.name, 'Local')"))

	fmt.Printf("made: %d statements; refused: the backfill's INSERT; read-only replicas: %d\n", made, strings.Count(replicas.String(), "\n")) //nolint:forbidigo // The parent reads it.
	// The engine crashes when it ends with replicated tables open.
	require.NoError(t, c.Exec("DETACH DATABASE trail"))
	c.Close()
	require.NoError(t, e.Close())
}

// clusterStatements is everything that a migration of a new database runs but the CREATE DATABASE.
func clusterStatements(t *testing.T, cfg ClickHouseConfig) []string {
	t.Helper()
	migrations, err := ClickHouseMigrations(cfg)
	require.NoError(t, err)
	statements := []string{versionTable(&cfg)}
	for _, m := range migrations {
		statements = append(statements, m.Statements...)
	}
	return statements
}

// zooKeeperJar is where Debian's package puts it. Its manifest names the jars that it needs.
const zooKeeperJar = "/usr/share/java/zookeeper.jar"

// startZooKeeper starts a server for the test and gives its address.
func startZooKeeper(t *testing.T) (addr string) {
	t.Helper()
	const install = `run "make test-cluster", which installs it as root on Debian, or "apt-get install zookeeper"`
	java, err := exec.LookPath("java")
	require.NoError(t, err, "Java is missing: "+install)
	require.FileExists(t, zooKeeperJar, "Debian's ZooKeeper is missing: "+install)

	addr, free, err := port.Reserve(t.Context(), "127.0.0.1")
	require.NoError(t, err)
	t.Cleanup(free)
	_, number, err := net.SplitHostPort(addr)
	require.NoError(t, err)

	dir := t.TempDir()
	config := filepath.Join(dir, "zoo.cfg")
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil, `tickTime=2000
dataDir=%s
clientPortAddress=127.0.0.1
clientPort=%s
admin.enableServer=false
4lw.commands.whitelist=srvr,conf
`, dir, number), 0o600))
	log, err := os.Create(filepath.Join(dir, "log"))
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), java, "-Xmx256m", "-cp", zooKeeperJar+":/usr/share/java/slf4j-simple.jar",
		"org.apache.zookeeper.server.quorum.QuorumPeerMain", config)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(t, cmd.Start())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // The end of the test kills it.
	}()
	t.Cleanup(func() {
		<-ended
		_ = log.Close()
	})

	deadline := time.After(clusterTimeout)
	conf := ""
	for conf == "" {
		if strings.Contains(askZooKeeper(t, addr, "srvr"), "Mode: standalone") {
			conf = askZooKeeper(t, addr, "conf")
		}
		select {
		case <-ended:
			text, _ := os.ReadFile(log.Name())
			require.FailNow(t, "ZooKeeper ended before it answered", string(text))
		case <-deadline:
			text, _ := os.ReadFile(log.Name())
			require.FailNow(t, "ZooKeeper did not answer in time", string(text))
		case <-time.After(50 * time.Millisecond): // Nothing tells when it begins to listen.
		}
	}
	require.Contains(t, conf, "dataDir="+dir, "another ZooKeeper has the port")
	return addr
}

// askZooKeeper gives the answer to a four-letter word, empty when there is none within a second.
func askZooKeeper(t *testing.T, addr, word string) string {
	t.Helper()
	// From another address than the one it calls: on Linux a call to a free port can else connect to itself.
	dialer := net.Dialer{Timeout: time.Second, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	conn, err := dialer.DialContext(t.Context(), "tcp", addr)
	if err != nil {
		return ""
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return ""
	}
	_, _ = io.WriteString(conn, word)
	answer, err := io.ReadAll(conn)
	if err != nil {
		return "" // Maybe a part.
	}
	return string(answer)
}
