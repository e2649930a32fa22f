package main

import (
	"fmt"
	"slices"
)

// noisy is how far the figures of pgbench may lie apart in a round before its ratios say nothing.
const noisy = 1.25

// base is what the ledger is compared with, the mean of pgbench's turns.
func (r round) base() float64 {
	var sum float64
	for _, t := range r.tpcb {
		sum += t
	}
	return sum / float64(len(r.tpcb))
}

func (r round) noisy() bool { return slices.Max(r.tpcb) > noisy*slices.Min(r.tpcb) }

func (r round) print(n int) {
	fmt.Printf("round %d: TPC-B", n)
	for _, t := range r.tpcb {
		fmt.Printf(" %.0f", t)
	}
	fmt.Printf("/s; authorize %s; cycle %s; one user: authorize %s, cycle %s", r.authorize, r.cycle, r.hotAuthorize, r.hotCycle)
	if r.noisy() {
		fmt.Print(" (left out: TPC-B differs by more than a quarter)")
	}
	fmt.Println()
}

// String is the rate with the times that operations took.
func (t turn) String() string {
	return fmt.Sprintf("%.0f/s (p50 %.1f ms, p99 %.1f ms)", t.rate, float64(t.p50.Microseconds())/1000, float64(t.p99.Microseconds())/1000)
}

// report prints medians of the ratios of the quiet rounds.
func report(all []round) {
	quiet := slices.DeleteFunc(slices.Clone(all), round.noisy)
	fmt.Printf("\n%d of %d rounds count\n", len(quiet), len(all))
	if len(quiet) == 0 {
		fmt.Println("the machine is noisy, pgbench differs by more than a quarter within each round; of all rounds:")
		quiet = all
	}
	for _, line := range []struct {
		what  string
		floor string
		ratio func(r round) float64
	}{
		{"authorize over HTTP / TPC-B", "0.25", func(r round) float64 { return r.authorize.rate / r.base() }},
		{"authorize and capture over HTTP / TPC-B", "0.12", func(r round) float64 { return r.cycle.rate / r.base() }},
		{"authorize, one user / many users", "0.2", func(r round) float64 { return r.hotAuthorize.rate / r.authorize.rate }},
		{"authorize and capture, one user / many users", "0.2", func(r round) float64 { return r.hotCycle.rate / r.cycle.rate }},
	} {
		ratios := make([]float64, 0, len(quiet))
		for _, r := range quiet {
			ratios = append(ratios, line.ratio(r))
		}
		slices.Sort(ratios)
		fmt.Printf("  %-46s median %.2f, %.2f to %.2f (floor %s)\n", line.what, ratios[len(ratios)/2], ratios[0], ratios[len(ratios)-1], line.floor)
	}
}
