package schema

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// DefaultDatabase is the ClickHouse database of a ClickHouseConfig that names none.
const DefaultDatabase = "agenttrail"

// Migration is one numbered step of a schema.
type Migration struct {
	Version    uint32
	Name       string   // File name.
	Checksum   string   // SHA-256 of the file in hex, empty for Postgres.
	Statements []string // Ready to run.
}

// ClickHouseConfig says how the ClickHouse schema is laid out.
type ClickHouseConfig struct {
	Database  string    // Default [DefaultDatabase].
	Retention Retention // Days by table; those that it leaves out stay as they are.

	// Cluster is the name of the cluster on which the tables are made, as in system.clusters, or a macro such as
	// {cluster}. Empty means one server. The servers need Keeper and the macros {shard} and {replica}. On a cluster the
	// tables that hold rows have the suffix Local, and those to read and write are Distributed.
	Cluster string

	viewsSince int64 // From which time of storing, in ms since the epoch, new materialized views count rows.
}

func (cfg *ClickHouseConfig) database() string { return cmp.Or(cfg.Database, DefaultDatabase) }

func (cfg *ClickHouseConfig) onCluster() string {
	if cfg.Cluster == "" {
		return ""
	}
	return "ON CLUSTER '" + cfg.Cluster + "'"
}

func (cfg *ClickHouseConfig) local() string {
	if cfg.Cluster == "" {
		return ""
	}
	return "Local"
}

var (
	placeholder    = regexp.MustCompile(`\$\{[A-Z_]+\}`)
	identifierRule = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`)
	clusterRule    = regexp.MustCompile(`^(\{[A-Za-z0-9_]+\}|[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})$`)
	createLocal    = regexp.MustCompile(`CREATE TABLE IF NOT EXISTS \$\{DATABASE\}\.(\w+)\$\{LOCAL\}`)
	createTable    = regexp.MustCompile(`CREATE TABLE IF NOT EXISTS \$\{DATABASE\}\.(\w+)(\$\{LOCAL\})?`)
	alterLocal     = regexp.MustCompile(`ALTER TABLE \$\{DATABASE\}\.\w+\$\{LOCAL\}[^;]*\bADD COLUMN\b`)
)

// shardingKeys put the rows of one trace on one shard, so that joins by trace stay there, and a row that is sent again
// on the shard where it was. A row without a trace goes by its own id.
var shardingKeys = map[string]string{
	"AgentExecution":      "cityHash64(if(traceId = '', id, traceId))",
	"Span":                "cityHash64(traceId)",
	"AgentLog":            "cityHash64(if(traceId = '', toString(id), traceId))",
	"RequestLog":          "cityHash64(if(traceId = '', toString(id), traceId))",
	"SystemErrors":        "cityHash64(if(traceId = '', toString(id), traceId))",
	"SystemMetrics":       "cityHash64(component, metric)",
	"SecurityEvents":      "cityHash64(if(traceId = '', toString(id), traceId))",
	"AgentMetricsHourly":  "cityHash64(agentId)",
	"AgentMetricsDaily":   "cityHash64(agentId)",
	"UserAgentUsageDaily": "cityHash64(agentId)",
	"Reconciliation":      "cityHash64(executionId)",
	"ReconciliationRun":   "cityHash64(finishedAt)",
	"CoverageScore":       "cityHash64(computedAt)",
}

// ClickHouseMigrations returns every migration of the ClickHouse schema, oldest first, with its placeholders filled in.
func ClickHouseMigrations(cfg ClickHouseConfig) ([]Migration, error) {
	if !identifierRule.MatchString(cfg.database()) {
		return nil, fmt.Errorf("database name %q is not a plain identifier: use letters, digits and underscores", cfg.database())
	}
	if cfg.Cluster != "" && !clusterRule.MatchString(cfg.Cluster) {
		return nil, fmt.Errorf("cluster name %q: use letters, digits, underscores, dots and dashes, or a macro such as {cluster}", cfg.Cluster)
	}
	if err := cfg.Retention.validate(); err != nil {
		return nil, err
	}
	names, err := fs.Glob(clickHouseFiles, "clickhouse/*.sql")
	if err != nil {
		return nil, fmt.Errorf("list migrations: %w", err)
	}
	slices.Sort(names)
	migrations := make([]Migration, 0, len(names))
	for _, name := range names {
		text, err := clickHouseFiles.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read migration: %w", err)
		}
		base := strings.TrimPrefix(name, "clickhouse/")
		number, _, _ := strings.Cut(base, "_")
		version, err := strconv.ParseUint(number, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("read number of migration %s: %w", base, err)
		}
		sum := sha256.Sum256(text)
		m := Migration{Version: uint32(version), Name: base, Checksum: hex.EncodeToString(sum[:])}
		for _, s := range splitStatements(string(text)) {
			filled, err := fillStatement(&cfg, s)
			if err != nil {
				return nil, fmt.Errorf("migration %s: %w", base, err)
			}
			m.Statements = append(m.Statements, filled...)
		}
		migrations = append(migrations, m)
	}
	return migrations, nil
}

// fillStatement makes a statement of a migration ready to run. On a cluster it becomes two where a Distributed table
// belongs to the table that it makes or changes.
func fillStatement(cfg *ClickHouseConfig, s string) ([]string, error) {
	values := map[string]string{
		"${DATABASE}":                      cfg.database(),
		"${ON_CLUSTER}":                    cfg.onCluster(),
		"${LOCAL}":                         cfg.local(),
		"${GLOBAL}":                        "",
		"${MERGETREE}":                     "MergeTree",
		"${AGGREGATINGMERGETREE}":          "AggregatingMergeTree",
		"${REPLACINGMERGETREE}":            "ReplacingMergeTree",
		"${REPLACINGMERGETREE_VERSION}":    "ReplacingMergeTree(version)",
		"${EVERYWHERE_REPLACINGMERGETREE}": "ReplacingMergeTree",
		"${DEDUP_SETTINGS}":                ", non_replicated_deduplication_window = 10000",
		"${VIEWS_SINCE_MS}":                strconv.FormatInt(cfg.viewsSince, 10),
	}
	cfg.Retention.placeholders(values)
	var more []string
	if cfg.Cluster != "" {
		var err error
		if more, err = fillCluster(cfg, s, values); err != nil {
			return nil, err
		}
		// The third migration was released without a placeholder here.
		s = strings.ReplaceAll(s, " traceId IN (SELECT", " traceId GLOBAL IN (SELECT")
	}
	var filled []string
	for _, text := range append([]string{s}, more...) {
		var err error
		text = placeholder.ReplaceAllStringFunc(text, func(p string) string {
			v, ok := values[p]
			if !ok {
				err = errors.Join(err, fmt.Errorf("unknown placeholder %s", p))
			}
			return v
		})
		if err != nil {
			return nil, err
		}
		filled = append(filled, text)
	}
	return filled, nil
}

// fillCluster sets the values that differ on a cluster and returns the statement for the Distributed table, if there is
// one.
func fillCluster(cfg *ClickHouseConfig, s string, values map[string]string) ([]string, error) {
	values["${GLOBAL}"] = "GLOBAL "
	values["${DEDUP_SETTINGS}"] = ", replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 604800"
	if t := createTable.FindStringSubmatch(s); t != nil {
		table := t[1]
		if t[2] != "" {
			table += cfg.local()
		}
		args := fmt.Sprintf("('/clickhouse/tables/{shard}/%s/%s', '{replica}')", cfg.database(), table)
		values["${MERGETREE}"] = "ReplicatedMergeTree" + args
		values["${AGGREGATINGMERGETREE}"] = "ReplicatedAggregatingMergeTree" + args
		values["${REPLACINGMERGETREE}"] = "ReplicatedReplacingMergeTree" + args
		values["${REPLACINGMERGETREE_VERSION}"] = "ReplicatedReplacingMergeTree" + strings.TrimSuffix(args, ")") + ", version)"
		values["${EVERYWHERE_REPLACINGMERGETREE}"] = "ReplicatedReplacingMergeTree" + everywhere(cfg, table)
	}
	if t := createLocal.FindStringSubmatch(s); t != nil {
		key, ok := shardingKeys[t[1]]
		if !ok {
			return nil, fmt.Errorf("BUG: table %s has no sharding key", t[1])
		}
		return []string{fmt.Sprintf("CREATE TABLE IF NOT EXISTS ${DATABASE}.%s ${ON_CLUSTER} AS ${DATABASE}.%[1]s${LOCAL}\nENGINE = Distributed('%s', '${DATABASE}', '%[1]s${LOCAL}', %[3]s)", t[1], cfg.Cluster, key)}, nil
	}
	if alterLocal.MatchString(s) {
		return []string{strings.ReplaceAll(s, "${LOCAL}", "")}, nil
	}
	return nil, nil
}

// everywhere are the arguments of a replicated table whose rows all servers have, whatever their shard.
func everywhere(cfg *ClickHouseConfig, table string) string {
	return fmt.Sprintf("('/clickhouse/tables/%s/%s', '{shard}-{replica}')", cfg.database(), table)
}
