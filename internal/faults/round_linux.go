package faults

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Limits of a round. They are generous: the machine may be busy with other tests.
const (
	senders       = 8
	lingering     = 2500 * time.Millisecond
	settleTimeout = 90 * time.Second // For senders to get their acknowledgements when all is well again.
)

// result is what a round came to.
type result struct {
	seed     uint64
	took     time.Duration
	faults   []string
	requests int
	repeats  map[string]int // By what the answer was.
	tallies  [tableCount]tally
	problems []string
}

// play plays the round of a seed.
func (r *Runner) play(ctx context.Context, seed uint64) (*result, error) {
	began := time.Now()
	p := newPlan(seed, r.kinds)
	res := &result{seed: seed, repeats: map[string]int{}}

	settled, cancel := context.WithTimeout(ctx, p.traffic+settleTimeout)
	defer cancel()
	traffic := make(chan struct{})
	over := time.AfterFunc(p.traffic, func() { close(traffic) })
	defer over.Stop()

	list, err := r.newSenders(seed)
	if err != nil {
		return nil, err
	}
	var wg sync.WaitGroup
	errs := make([]error, len(list)+1)
	for i, s := range list {
		wg.Go(func() {
			errs[i] = s.run(settled, traffic)
			s.client.close()
		})
	}
	wg.Go(func() { res.faults, errs[len(list)] = r.breakThings(settled, p, traffic) })
	wg.Wait()

	var sent []*request
	for i, s := range list {
		sent = append(sent, s.sent...)
		for code, n := range s.repeats {
			res.repeats[code] += n
		}
		for _, text := range s.refused {
			res.problems = append(res.problems, "a good request was refused for good: "+text)
		}
		if errs[i] != nil {
			res.problems = append(res.problems, errs[i].Error())
		}
	}
	res.requests = len(sent)
	if err := errs[len(list)]; err != nil {
		return nil, err
	}
	if err := r.drain(ctx); err != nil {
		res.problems = append(res.problems, err.Error())
	}
	if err := r.check(ctx, res, sent); err != nil {
		return nil, err
	}
	res.problems = append(res.problems, r.collector.complaints()...)
	res.problems = append(res.problems, r.engine.complaints()...)
	res.took = time.Since(began)
	return res, nil
}

// newSenders makes the senders of a round, half of each transport.
func (r *Runner) newSenders(seed uint64) ([]*sender, error) {
	var list []*sender
	for i := range uint64(senders) {
		var c client = newHTTPClient(r.net.httpProxy)
		if i%2 == 0 {
			var err error
			if c, err = newGRPCClient(r.net.grpcProxy); err != nil {
				return nil, err
			}
		}
		list = append(list, newSender(seed, i, c))
	}
	return list, nil
}

// breakThings begins and ends the faults of a plan, at the latest when the traffic is over or a little later, and returns
// the kinds that it began.
func (r *Runner) breakThings(ctx context.Context, p plan, traffic <-chan struct{}) ([]string, error) {
	began := time.Now()
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		names []string
		errs  []error
	)
	for _, f := range p.faults {
		k := kinds[f.kind]
		if k.able != nil && k.able(r) != nil {
			continue
		}
		names = append(names, k.name)
		wg.Go(func() {
			note := func(err error) {
				if err != nil {
					mu.Lock()
					defer mu.Unlock()
					errs = append(errs, fmt.Errorf("%s: %w", k.name, err))
				}
			}
			if !pause(ctx, f.at-time.Since(began)) {
				return
			}
			end, err := k.begin(r, f.rng)
			note(err)
			if end == nil {
				return
			}
			until, lasts := traffic, f.lasts
			if k.lingers {
				until, lasts = nil, lasts+lingering
			}
			select {
			case <-until:
			case <-ctx.Done():
			case <-time.After(lasts):
			}
			note(end())
		})
	}
	wg.Wait()
	return names, errors.Join(errs...)
}

// check counts the rows of a round.
func (r *Runner) check(ctx context.Context, res *result, sent []*request) error {
	if err := r.ch.wait(ctx, func() error { return nil }); err != nil {
		return err
	}
	var err error
	if res.tallies, err = count(ctx, r.ch, res.seed, sent); err != nil {
		return err
	}
	for t, y := range res.tallies {
		for _, wrong := range []struct {
			what string
			ids  []string
		}{{"lost", y.lost}, {"doubled", y.doubled}, {"never sent", y.strange}} {
			if n := len(wrong.ids); n > 0 {
				res.problems = append(res.problems, fmt.Sprintf("%s: %d rows %s: %v", table(t), n, wrong.what, wrong.ids[:min(n, 10)]))
			}
		}
	}
	different, err := compareMetrics(ctx, r.ch, agentPrefix(res.seed))
	if err != nil {
		return err
	}
	if n := len(different); n > 0 {
		res.problems = append(res.problems, fmt.Sprintf("AgentMetrics differs from AgentExecution in %d lines, such as\n    %s", n, different[0]))
	}
	aside, err := journalAside(r.journalDir)
	if len(aside) > 0 {
		res.problems = append(res.problems, fmt.Sprintf("good rows were put aside: %v", aside))
	}
	return err
}
