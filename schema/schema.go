// Package schema holds the migrations of both databases and runs them.
//
// Migrations are numbered SQL files, forward only, embedded into the binary. ClickHouse's are templates, so that one
// set serves a single node and a cluster; Postgres' are run by goose under a lock, so that two instances may start at
// once.
package schema

import "embed"

//go:embed clickhouse/*.sql
var clickHouseFiles embed.FS

//go:embed postgres/*.sql
var postgresFiles embed.FS
