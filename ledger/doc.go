// Package ledger is the domain of money and permission: users, the agents they run, the credits they hold, the mandates
// that bound what may be spent, and the history of all of it.
//
// A run is authorized before it starts and settled after it ends. [Service.Authorize] judges the user's credits and the
// mandate together and puts the credits on hold; [Service.Capture] takes what the run cost, in full or in part, and
// [Service.Release] gives all of it back. A hold that is settled by nobody expires.
//
// What is pure lives here: amounts, windows of time in time zones, and the judgment of a mandate ([Evaluate]). What is
// stored lives in package pgstore, which implements [Service] on Postgres.
package ledger
