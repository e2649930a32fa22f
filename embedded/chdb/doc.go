// Package chdb runs the ClickHouse engine inside the process, through libchdb.
//
// libchdb is the whole engine as one shared library; it is loaded at run time with purego, so the binary needs no C
// compiler and builds with CGO_ENABLED=0. The C interface is the one of programs/local/chdb.h, version 26.7.
//
// # Rules of the engine that shape this package
//
//   - One engine, and so one storage path, per process. [Open] may succeed once; after [Engine.Close] the library
//     refuses to start again for the rest of the process.
//   - Many connections may be open on the path. A connection runs one statement at a time and is not safe for concurrent
//     use. It carries settings, the current database and temporary tables, like a ClickHouse session.
//   - Closing the last connection stops the engine. Engine keeps one connection of its own for its whole life.
//   - A call into the engine blocks an operating-system thread until it returns. Callers must bound how many they make
//     at a time.
//   - A running call can only be interrupted from another connection, with KILL QUERY.
//
// # Memory
//
// Go memory is only lent to the engine for the time of one call: it copies statements, parameters and insert chunks.
// Results live in memory of the engine until their Close; the slices handed out by this package point there and must
// not be used after it.
//
// # Signals
//
// The engine's own signal handlers are switched off before the first connection, so that all signals stay with the Go
// runtime.
package chdb
