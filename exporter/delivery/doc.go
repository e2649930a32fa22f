// Package delivery stores rows in ClickHouse and says when they are safe.
//
// A request begins a [Batch], fills it with its rows and commits it; Commit returns when the rows are stored. Requests
// that come together are stored together: while one group of them is on its way, the next one fills, so groups grow
// with the load and a lone request waits for nobody.
//
// A group becomes one Native block per table and one INSERT per block, with a deduplication token that never changes.
// What can be retried is retried with the same bytes and the same token, so an INSERT whose answer was lost is stored
// once. A block that ClickHouse rejects for its content is split between its requests until only the guilty one is
// left; see [Classify] for what counts as which.
//
// Memory is bounded: beyond [Settings.MaxQueueBytes] new requests wait, and are told to come back when they waited
// for too long.
package delivery
