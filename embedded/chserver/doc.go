// Package chserver serves the ClickHouse HTTP interface on top of the engine in this process (package chdb), so that
// clickhouse-go, Grafana, curl and other clients use it like any ClickHouse server.
//
// # What is spoken
//
// The rules are those of ClickHouse 26 (src/Server/HTTPHandler.cpp, HTTPHandlerFactory.cpp, exceptionCodeToHTTPStatus.cpp and
// docs/interfaces/http): statements in the URL, in the body or split over both; every input and output format; parameters,
// settings, users, sessions, external tables; ClickHouse frames (compress, decompress) and HTTP compression; exceptions with
// ClickHouse's codes and statuses, also in the middle of a result.
//
// # How a statement runs
//
// A statement gets a connection of its own, opened with the settings of the request and closed at its end: settings, the
// current database and temporary tables cannot leak into another request. Opening costs about a quarter of a millisecond.
// A named session (session_id) keeps its connection.
//
// Every running statement blocks a thread, so their number is bounded (Config.MaxConnections); more wait in a queue that
// is bounded too.
//
// SELECT results are fetched block by block and passed on, so memory does not grow with the result. As in ClickHouse, the
// first megabyte is held back, so that an early error still gets its proper status. INSERT data is passed to the engine as it
// arrives.
//
// A client that goes away has its statement cancelled, with KILL QUERY from another connection.
//
// # Differences from a ClickHouse server
//
//   - Asynchronous inserts are carried out at once: an acknowledged insert is always in its table.
//   - enable_join_runtime_filters_index_analysis is on unless a client turns it off.
//   - An INSERT is refused when the disk has less than 64 MiB left, and the process ends when a write to it fails all the same.
//   - Users are those of Config, not SQL users: GRANT and CREATE USER change nothing. Roles are not supported.
//   - There is no query log, no replication and no TCP interface. Statements other than SELECT (SHOW, EXPLAIN and so on), and
//     results in Parquet, ORC and Arrow format, have their whole output in memory before it is sent; so has the data of the
//     table function input().
//   - AggregateFunction columns cannot be read in Native format by clients that set client_protocol_version; finish the
//     aggregation with -Merge.
package chserver
