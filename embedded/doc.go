// Package embedded runs ClickHouse and Postgres on one machine, as child processes of the program that embeds it.
//
// [Server] owns a data folder:
//
//	agenttrail.json     marks the folder and names its format
//	lock                held for as long as the server runs; holds the process id of the holder
//	clickhouse/         data of ClickHouse
//	postgres/           data of Postgres
//	postgres.password   password of the Postgres superuser
//	logs/               what the children write, kept over a few starts
//	run/                sockets and files that only matter while the server runs
//
// # Life of the children
//
// A child that ends by itself is started again, a few times. A child never outlives its parent: on Linux the kernel
// signals it when the parent dies in whatever way, and ClickHouse also watches a pipe that the parent holds. Whatever
// is still left of an earlier server when the next one takes the lock is stopped first, so two processes never work
// on one data folder.
//
// The parent binds the address of ClickHouse and the child inherits it. So nothing else can answer there, and while a
// crashed child is replaced connections wait instead of being refused. Postgres binds its own address; the server
// believes it is ready only when the process that it started says so in the data folder and answers with the
// password of that folder.
package embedded
