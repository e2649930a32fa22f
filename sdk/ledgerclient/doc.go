// Package ledgerclient calls AgentTrail's ledger, and runs agents that cost credits.
//
//	client, err := ledgerclient.New(ledgerclient.Config{URL: "http://ledger:8080", Key: secret, OutboxDir: "/var/lib/worker/outbox"})
//	err = client.PaidRun(ctx, trail, ledgerclient.PaidRun{Run: agenttrail.Run{…}, MandateID: mandate},
//		func(ctx context.Context, run *agenttrail.Execution) error { … })
//
// # Calls
//
// Every call is sent again with the same idempotency key until it is answered or the time is up, so that it has one effect
// whichever answers are lost. What the ledger refuses is a [*Problem], whose code says why.
//
// # A paid run
//
// [Client.PaidRun] holds credits, runs, and captures what the run used, or releases the hold. Telemetry has the ids of the
// ledger and the credits that it took. What can go wrong between, and what comes of it:
//
//   - The answer to the authorization is lost: the same request is sent again. Its idempotency key is made of the id of the
//     run, so that a job that is delivered again finds the same hold, also in another process.
//   - The hold was settled before, by a worker that did not live to say so: [*SettledError], and nothing runs twice.
//   - The run panics, is canceled or runs out of time: the hold is settled by the [Policy], then the panic goes on. A
//     run cannot outlive its hold: its context ends before.
//   - The process dies before the run has ended: nobody settles, the ledger lets the hold expire, and the user pays nothing.
//     There is no row of AgentExecution, because the run never ended; reconciliation has nothing to compare but an expired hold.
//   - The process dies, or the ledger is away, after the run has ended: what is to be settled was written to the outbox before
//     it was asked for, and is asked for again, by the next process on the same folder too, until the ledger has answered.
//   - The disk with the outbox is lost, or there is none: the hold expires. Telemetry says what the run used and the ledger
//     took nothing, which reconciliation lists as drift. It moves no money by itself.
//
// The outbox is a folder and not a queue elsewhere because it must work exactly when the network does not, and reconciliation is
// what remains because a disk can be lost as well.
package ledgerclient
