// Package coverage says how much of what runs do, cost and change is really recorded: a scorecard of eight categories, each
// the weighted mean of checks over what ClickHouse and Postgres hold.
//
// A check is a question with two numbers as its answer: how many there are of something, and how many of them are not as
// they should be. Its value is the share that is, its score ten times that. All checks are in tables in this package, one
// file per category; docs/coverage.md is written from them.
//
// What is asked for is named by [Check]; how it is asked is for who implements [Asker]. The package knows neither database.
package coverage
