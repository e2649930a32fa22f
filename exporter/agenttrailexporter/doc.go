// Package agenttrailexporter stores what AI agents do in ClickHouse: runs, spans, logs, requests and errors, as typed
// rows in the tables of schema/clickhouse.
//
// It acknowledges a request when its rows are durable in its journal, and sends them from there until they are stored.
package agenttrailexporter

//go:generate go tool -modfile=../../internal/tools/go.mod mdatagen metadata.yaml
