//go:build zookeeper

package schema_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/embedded/chdb"
	"github.com/agenttrail/agenttrail/embedded/engine"
	"github.com/agenttrail/agenttrail/schema"
)

const envCluster = "AGENTTRAIL_CLUSTER_TEST"

const clusterConfig = `<clickhouse>
  <zookeeper><node><host>127.0.0.1</host><port>%s</port></node></zookeeper>
  <macros><shard>01</shard><replica>r1</replica><cluster>trail_cluster</cluster></macros>
  <remote_servers><trail_cluster><shard><internal_replication>true</internal_replication><replica><host>127.0.0.1</host><port>9000</port></replica></shard></trail_cluster></remote_servers>
  <distributed_ddl><path>/clickhouse/task_queue/ddl</path></distributed_ddl>
</clickhouse>
`

func TestClusterWithZooKeeper(t *testing.T) {
	if dir := os.Getenv(envCluster); dir != "" {
		explore(t, dir)
		return
	}
	dir := t.TempDir()
	port := startZooKeeper(t)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config.xml"), fmt.Appendf(nil, clusterConfig, port), 0o600))
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), exe, "-test.run=^TestClusterWithZooKeeper$", "-test.v")
	cmd.Env = append(os.Environ(), envCluster+"="+dir)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	t.Log(string(out))
}

func startZooKeeper(t *testing.T) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	ln.Close()
	dir := t.TempDir()
	cfg := filepath.Join(dir, "zoo.cfg")
	require.NoError(t, os.WriteFile(cfg, []byte("tickTime=2000\ndataDir="+dir+"\nclientPortAddress=127.0.0.1\nclientPort="+port+"\nadmin.enableServer=false\n"), 0o600))
	cmd := exec.CommandContext(t.Context(), "java", "-cp", "/usr/share/java/zookeeper.jar", "org.apache.zookeeper.server.ZooKeeperServerMain", cfg)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	require.Eventually(t, func() bool {
		c, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err != nil {
			return false
		}
		c.Close()
		return true
	}, 30*time.Second, 50*time.Millisecond)
	return port
}

func explore(t *testing.T, dir string) {
	lib, err := engine.ClickHouse()
	require.NoError(t, err)
	e, err := chdb.Open(chdb.Options{LibraryPath: lib, DataPath: filepath.Join(dir, "data"), ConfigFile: filepath.Join(dir, "config.xml"), Timezone: "UTC"})
	require.NoError(t, err)
	c, err := e.Connect(map[string]string{"distributed_ddl_task_timeout": "5"})
	require.NoError(t, err)
	q := func(sql string) {
		start := time.Now()
		r, err := c.Query(sql, "TSV")
		if err != nil {
			t.Logf("%s\n  ERR %v (%s)", sql, err, time.Since(start))
			return
		}
		t.Logf("%s\n%s(%s)", sql, r.Bytes(), time.Since(start))
		r.Close()
	}
	q("SELECT * FROM system.macros")
	q("SELECT name FROM system.zookeeper WHERE path = '/'")
	q("SELECT * FROM system.clusters")
	q("CREATE DATABASE trail ON CLUSTER 'trail_cluster'")
	q("CREATE DATABASE IF NOT EXISTS trail")
	ms, err := schema.ClickHouseMigrations(schema.ClickHouseConfig{Database: "trail", Cluster: "trail_cluster"})
	require.NoError(t, err)
	args := regexp.MustCompile(`XX`)
	_ = args
	for _, m := range ms {
		for _, s := range m.Statements {
			s = strings.ReplaceAll(s, "ON CLUSTER 'trail_cluster'", "")
			if err := c.Exec(s); err != nil {
				t.Logf("ERR %.100s: %v", s, err)
			}
		}
	}
	q("SELECT name, engine FROM system.tables WHERE database = 'trail' ORDER BY name")
	q("SELECT table, is_readonly, readonly_start_time, is_session_expired, zookeeper_path, replica_name, zookeeper_exception FROM system.replicas")
	q("SELECT path, name FROM system.zookeeper WHERE path = '/clickhouse/tables/01/trail'")
	q("SELECT path, name FROM system.zookeeper WHERE path = '/clickhouse/tables/01/trail/SpanLocal/replicas'")
	q("SELECT path, name FROM system.zookeeper WHERE path = '/clickhouse/tables/trail/ModelPrice/replicas'")
	q("INSERT INTO trail.SpanLocal (traceId) VALUES ('x')")
	q("INSERT INTO trail.Span (traceId) VALUES ('x')")
	for _, v := range []string{"Span", "AgentExecution", "AgentMetrics", "UserAgentUsage", "ExecutionDetail", "SystemErrorGroups", "ExecutionTrail(id = 'r')"} {
		q("SELECT count() FROM trail." + v)
	}
	q("SELECT is_local FROM system.clusters")
	c.Close()
	e.Close()
}
