// Package jobs runs what the ledger does by itself: at intervals, such as expiring holds and sealing audit trails, and
// once for something that happened, such as an event of a payment.
//
// Jobs are rows of a queue in Postgres (River), in a schema of its own, which "agenttrail migrate postgres" makes. Any
// number of instances share the queue; one of them, elected, puts in what is due at intervals. A job of an interval is
// put in once in each interval, however many instances there are, and a lock lets one at a time run it. Both are there
// to save work, not to be correct: an instance can be killed or lose its connection in the middle, and what it did is
// then done again. So whatever a job does must be harmless twice, and at the same time on two instances.
package jobs
