// Package pgstore keeps the ledger in Postgres.
//
// # Transactions
//
// Each operation is one transaction at READ COMMITTED. Whatever changes credits, mandates or usage of a user locks the
// user's wallet row first, so operations of one user come one after the other, those of different users do not meet, and
// none can deadlock. An operation that the database asks to repeat, or whose connection is lost, is repeated as a whole;
// the idempotency key makes sure that it has one effect, also when the connection is lost at the commit.
//
// What must be true whoever writes is seen to by triggers, see schema/postgres. Their errors, and those of constraints,
// are told apart in one place, by SQLSTATE and name (errors.go).
//
// # Authorizing
//
// A mandate is judged in Go ([ledger.Evaluate]). To lock the wallet for one statement only, most of it is judged before:
// everything that does not depend on what was spent, from copies of the mandate and the agent that are kept in memory. The
// statement then compares the limits with what was spent under the lock, and refuses to go on if the copies are old: each
// row counts its changes. A copy also says until when its judgment holds, for windows and versions begin and end.
package pgstore
