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

func (r round) print(s settings, n int) {
	fmt.Printf("round %d: TPC-B", n)
	for _, t := range r.tpcb {
		fmt.Printf(" %.0f", t)
	}
	fmt.Print("/s")
	if s.sql {
		fmt.Printf("; in SQL: authorize %.0f/s, cycle %.0f/s, one user: authorize %.0f/s, cycle %.0f/s", r.sqlAuthorize, r.sqlCycle, r.sqlHotAuthorize, r.sqlHotCycle)
	}
	if s.http {
		fmt.Printf("; over HTTP: authorize %s; cycle %s; one user: authorize %s, cycle %s", r.authorize, r.cycle, r.hotAuthorize, r.hotCycle)
	}
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
func report(s settings, all []round) {
	quiet := slices.DeleteFunc(slices.Clone(all), round.noisy)
	fmt.Printf("\n%d of %d rounds count\n", len(quiet), len(all))
	if len(quiet) == 0 {
		fmt.Println("the machine is noisy, pgbench differs by more than a quarter within each round; of all rounds:")
		quiet = all
	}
	for _, line := range []struct {
		shown bool
		what  string
		floor string
		ratio func(r round) float64
	}{
		{s.sql, "authorize in SQL / TPC-B", "0.8", func(r round) float64 { return r.sqlAuthorize / r.base() }},
		{s.sql, "authorize and capture in SQL / TPC-B", "0.25", func(r round) float64 { return r.sqlCycle / r.base() }},
		{s.sql, "authorize in SQL, one user / many users", "0.2", func(r round) float64 { return r.sqlHotAuthorize / r.sqlAuthorize }},
		{s.sql, "authorize and capture in SQL, one user / many", "0.2", func(r round) float64 { return r.sqlHotCycle / r.sqlCycle }},
		{s.http, "authorize over HTTP / TPC-B", "0.25", func(r round) float64 { return r.authorize.rate / r.base() }},
		{s.http, "authorize and capture over HTTP / TPC-B", "0.12", func(r round) float64 { return r.cycle.rate / r.base() }},
		{s.http, "authorize over HTTP, one user / many users", "0.2", func(r round) float64 { return r.hotAuthorize.rate / r.authorize.rate }},
		{s.http, "authorize and capture over HTTP, one user / many", "0.2", func(r round) float64 { return r.hotCycle.rate / r.cycle.rate }},
	} {
		if !line.shown {
			continue
		}
		ratios := make([]float64, 0, len(quiet))
		for _, r := range quiet {
			ratios = append(ratios, line.ratio(r))
		}
		slices.Sort(ratios)
		fmt.Printf("  %-48s median %.2f, %.2f to %.2f (floor %s)\n", line.what, ratios[len(ratios)/2], ratios[0], ratios[len(ratios)-1], line.floor)
	}
}
