// Package faults breaks AgentTrail on purpose and counts what became of the rows.
//
// A [Runner] starts the real collector and the real ClickHouse engine as processes, puts a proxy between them and
// another one in front of the collector, and then plays rounds. A round is made of its seed alone: senders over gRPC
// and HTTP that behave as OTLP SDKs do, and faults at moments that the seed chose. When the round's faults are over,
// everything is given time to settle, and then every row that was acknowledged must be stored exactly once, every
// other row at most once, AgentMetrics must say what AgentExecution says, and the journal must be empty.
//
// How faults are made:
//   - Processes are killed (SIGKILL), asked to end (SIGTERM) or frozen (SIGSTOP), and come back on the same data.
//   - Connections are cut, reset, delayed, slowed down and silenced by toxiproxy.
//   - Disks are small file systems in memory, which are made as small as what is on them. That needs a mount
//     namespace, which root has and which an ordinary user gets within a user namespace; see [Isolate].
//   - A data folder becomes read-only by its mode; the collector runs without the right to overrule modes.
//   - Flushes to disk are delayed or made to fail in the kernel's filter of system calls (seccomp), which asks the
//     runner about each. It asks about reads of the wall clock too, which lets the clock jump for the collector alone.
//
// A fault kind that this machine cannot make is left out, and the summary says so. The package works on Linux only.
package faults
