package faults

import (
	"math/rand/v2"
	"time"
)

// plan is what happens in a round. It follows from the seed.
type plan struct {
	seed    uint64
	traffic time.Duration // How long new requests are made.
	faults  []planned
}

// planned is one fault of a round.
type planned struct {
	kind  int // Place in kinds.
	at    time.Duration
	lasts time.Duration
	rng   *rand.Rand
}

// newPlan makes the plan of a seed from the kinds at the places given.
func newPlan(seed uint64, places []int) plan {
	rng := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // To be repeatable.
	p := plan{seed: seed, traffic: time.Duration(1200+rng.IntN(1000)) * time.Millisecond}
	// Two kinds go by turns, so that seeds in a row have them all; the rest falls as it may.
	n := uint64(len(places))
	wanted := []int{places[2*seed%n], places[(2*seed+1)%n]}
	for range rng.IntN(4) {
		wanted = append(wanted, places[rng.IntN(len(places))])
	}
	seen := map[int]bool{}
	for i, k := range wanted {
		at := time.Duration(rng.Int64N(int64(p.traffic * 3 / 4)))
		lasts := time.Duration(50+rng.IntN(1150)) * time.Millisecond
		if !seen[k] {
			seen[k] = true
			p.faults = append(p.faults, planned{kind: k, at: at, lasts: lasts, rng: rand.New(rand.NewPCG(seed, uint64(2000+i)))}) //nolint:gosec // As above.
		}
	}
	return p
}
