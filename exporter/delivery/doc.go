// Package delivery stores rows in ClickHouse: nothing acknowledged is lost, and nothing is stored twice.
//
// A request begins a [Batch], fills it with its rows and commits it. Commit returns when the rows are durable in the
// journal (package journal); a request that is there already is acknowledged again and not written again.
//
// The journal's open segment is closed every now and then. A closed segment never changes, so it is a block: one
// Native block per table and one INSERT per block, with a deduplication token that says which segment and table it is.
// What failed is repeated for ever, with the same bytes and the same token, also by the next run of the program, so an
// INSERT whose answer was lost is stored once. A segment is removed when all its tables are stored. Blocks are made
// from the rows in memory; when more wait than memory may hold, they are read back from the segment, which gives the
// same bytes.
//
// Tables are independent: what one of them does not take holds up only itself. A block that ClickHouse rejects for its
// content is split between its requests until only the guilty one is left, which becomes a dead letter; see [Classify]
// for what counts as which.
//
// Memory is bounded: beyond [Settings.MaxQueueBytes] new requests wait, and are told to come back when they waited
// for too long.
package delivery
