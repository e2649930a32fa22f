package faults

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Run plays the rounds and prints what they came to. The error says that rows were lost or doubled, or what else must
// not be; what was on the disks is then kept in the folder kept of Settings.Dir.
func Run(ctx context.Context, set Settings) error {
	began := time.Now()
	r, err := NewRunner(ctx, set)
	if err != nil {
		return err
	}
	var results []*result
	var failed []string
	for seed := set.FirstSeed; seed < set.FirstSeed+uint64(set.Rounds); seed++ { //nolint:gosec // Positive.
		if set.Lasts > 0 && time.Since(began) > set.Lasts {
			break
		}
		res, err := r.play(ctx, seed)
		if err != nil {
			return errors.Join(fmt.Errorf("round of seed %d: %w", seed, err), r.keep(), r.Close(ctx))
		}
		results = append(results, res)
		fmt.Fprintln(set.Out, res)
		if len(res.problems) > 0 {
			if len(failed) == 0 {
				if err := r.keep(); err != nil {
					return errors.Join(err, r.Close(ctx))
				}
			}
			if failed = append(failed, strconv.FormatUint(seed, 10)); len(failed) == cmp.Or(set.Failures, 3) {
				break
			}
		}
	}
	wrong, err := r.checkAll(ctx, results)
	if err == nil {
		fmt.Fprint(set.Out, summary(r, results, time.Since(began)))
	}
	err = errors.Join(err, r.Close(ctx))
	if err == nil && len(failed) == 0 {
		// A collector that ends in order leaves no segment, not even an empty one.
		var left []string
		if left, err = journalLeft(r.journalDir, -1); len(left) > 0 {
			err = fmt.Errorf("the journal is not empty after the end: %v", left)
		}
	}
	if len(failed) > 0 {
		err = errors.Join(err, fmt.Errorf("failing seeds: %s; replay one with make faults SEED=%s; disks and logs are kept in %s", strings.Join(failed, ", "), failed[0], set.Dir))
	}
	if wrong != "" {
		err = errors.Join(err, errors.New(wrong))
	}
	return err
}

// checkAll counts the rows of all rounds once more: what a later round did to an earlier one's rows shows here.
func (r *Runner) checkAll(ctx context.Context, results []*result) (string, error) {
	var wrong []string
	for t, def := range tables {
		// A request that its sender gave up may be stored after its round, so there may be more, but no doubles.
		rows, err := r.ch.query(ctx, fmt.Sprintf("SELECT %s AS round, uniqExact(%s), count() FROM %s GROUP BY round", def.round, def.key, def.name))
		if err != nil {
			return "", err
		}
		stored := map[string]int{}
		for _, row := range rows {
			distinct, err := strconv.Atoi(row[1])
			if err != nil {
				return "", fmt.Errorf("read count: %w", err)
			}
			stored[row[0]] = distinct
			if row[1] != row[2] && !def.replaces {
				wrong = append(wrong, fmt.Sprintf("%s of %s has %s rows in the end, %s of them distinct", def.name, row[0], row[2], row[1]))
			}
		}
		for _, res := range results {
			if left, got := res.tallies[t].stored, stored[service(res.seed)]; got < left {
				wrong = append(wrong, fmt.Sprintf("%s of %s has %d distinct rows in the end, the round left %d", def.name, service(res.seed), got, left))
			}
		}
	}
	different, err := compareMetrics(ctx, r.ch, "")
	if err != nil {
		return "", err
	}
	if len(different) > 0 {
		wrong = append(wrong, fmt.Sprintf("AgentMetrics differs from AgentExecution in the end in %d lines, such as %s", len(different), different[0]))
	}
	return strings.Join(wrong, "; "), nil
}

// keep copies the disks, which vanish with the runner, while the processes that write to them hold still.
func (r *Runner) keep() error {
	for _, p := range []*process{r.collector, r.engine} {
		p.signal(syscall.SIGSTOP)
		defer p.signal(syscall.SIGCONT)
	}
	for _, dir := range []string{"collector", "engine"} {
		from := filepath.Join(r.set.Dir, dir)
		if out, err := exec.Command("cp", "-aT", from, from+"-kept").CombinedOutput(); err != nil { //nolint:noctx // Soon done.
			return fmt.Errorf("keep disks: %w: %s", err, out)
		}
	}
	return nil
}

// String is the line of a round.
func (res *result) String() string {
	var acknowledged, lost, doubled, repeats int
	for _, n := range res.repeats {
		repeats += n
	}
	for _, y := range res.tallies {
		acknowledged += y.acknowledged
		lost += len(y.lost)
		doubled += len(y.doubled)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: %.1f s, %d requests, %d repeats, %d rows acknowledged, %d lost, %d doubled; %s",
		res.seed, res.took.Seconds(), res.requests, repeats, acknowledged, lost, doubled, strings.Join(res.faults, " "))
	for _, p := range res.problems {
		b.WriteString("\n  " + p)
	}
	return b.String()
}

// summary tells what all rounds came to.
func summary(r *Runner, results []*result, took time.Duration) string {
	var b strings.Builder
	faults, repeats := map[string]int{}, map[string]int{}
	var total, requests int
	var acknowledged, stored, lost, doubled [tableCount]int
	for _, res := range results {
		requests += res.requests
		for code, n := range res.repeats {
			repeats[code] += n
		}
		for _, f := range res.faults {
			faults[f]++
			total++
		}
		for t, y := range res.tallies {
			acknowledged[t] += y.acknowledged
			stored[t] += y.stored
			lost[t] += len(y.lost)
			doubled[t] += len(y.doubled)
		}
	}
	fmt.Fprintf(&b, "%d rounds in %.0f s, %d requests, %d faults\n", len(results), took.Seconds(), requests, total)
	fmt.Fprintf(&b, "  %d starts of the collector, %d of the engine; %d flushes to disk and %d looks at the clock were interfered with\n",
		r.collector.starts, r.engine.starts, r.launchers.flushes.count(), r.launchers.clock.count())
	b.WriteString("  requests sent again after")
	for _, code := range slices.Sorted(maps.Keys(repeats)) {
		fmt.Fprintf(&b, " %s: %d;", code, repeats[code])
	}
	b.WriteString("\n")
	for _, name := range slices.Sorted(maps.Keys(faults)) {
		fmt.Fprintf(&b, "  %-20s %d\n", name, faults[name])
	}
	for _, k := range kinds {
		if k.able != nil && k.able(r) != nil {
			fmt.Fprintf(&b, "  %-20s left out: %v\n", k.name, k.able(r))
		}
	}
	fmt.Fprintf(&b, "  %-20s %12s %12s %6s %8s\n", "rows", "acknowledged", "stored", "lost", "doubled")
	for t := range tableCount {
		fmt.Fprintf(&b, "  %-20s %12d %12d %6d %8d\n", t, acknowledged[t], stored[t], lost[t], doubled[t])
	}
	return b.String()
}
