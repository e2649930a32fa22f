// Package sizing computes how many machines of which size an installation needs, from how much arrives and how long it is
// kept. Each figure that goes in says where it comes from: a command of this repository that measures it, or a choice.
// docs/scaling.md is written from them.
package sizing
