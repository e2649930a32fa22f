package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// turn is what one turn of the ledger has given.
type turn struct {
	rate     float64 // operations per second
	p50, p99 time.Duration
}

// round is one of each, with pgbench before, in between and after.
type round struct {
	tpcb                                     []float64
	authorize, cycle, hotAuthorize, hotCycle turn
	sqlAuthorize, sqlCycle, sqlHotAuthorize  float64
	sqlHotCycle                              float64
}

func measure(ctx context.Context, s settings, c *cluster, sc scripts, l *ledger) (r round, err error) {
	tpcb := func() {
		if err == nil {
			err = c.settle(ctx)
		}
		var rate float64
		if err == nil {
			rate, err = c.tpcb(ctx, s.clients, s.lasts)
		}
		r.tpcb = append(r.tpcb, rate)
	}
	http := func(into *turn, users []payer, operation func(ctx context.Context, p payer) error) {
		if err == nil {
			err = c.settle(ctx)
		}
		if err == nil {
			*into, err = drive(ctx, s, users, operation)
		}
	}
	sql := func(into *float64, file string) {
		if err == nil {
			err = c.settle(ctx)
		}
		if err == nil {
			*into, err = c.script(ctx, s, file)
		}
	}
	tpcb()
	if s.sql {
		sql(&r.sqlAuthorize, sc.authorize)
		sql(&r.sqlCycle, sc.cycle)
		tpcb()
		sql(&r.sqlHotCycle, sc.hotCycle)
		sql(&r.sqlHotAuthorize, sc.hotAuthorize)
		tpcb()
	}
	if s.http {
		http(&r.authorize, l.payers, l.authorize)
		http(&r.cycle, l.payers, l.cycle)
		tpcb()
		http(&r.hotCycle, l.payers[:1], l.cycle)
		http(&r.hotAuthorize, l.payers[:1], l.authorize)
		tpcb()
	}
	return r, err
}

func (l *ledger) authorize(ctx context.Context, p payer) error {
	_, err := l.hold(ctx, p)
	return err
}

func (l *ledger) hold(ctx context.Context, p payer) (created, error) {
	return l.post(ctx, "/v1/authorizations", fmt.Sprintf(`{"userId": %q, "mandateId": %q, "agent": "bench", "amount": "1"}`, p.user, p.mandate))
}

func (l *ledger) cycle(ctx context.Context, p payer) error {
	a, err := l.hold(ctx, p)
	if err != nil {
		return err
	}
	_, err = l.post(ctx, "/v1/holds/"+a.Hold.ID+"/capture", `{"amount": "0.75"}`)
	return err
}

// drive keeps all clients busy for a turn.
func drive(ctx context.Context, s settings, users []payer, operation func(ctx context.Context, p payer) error) (turn, error) {
	var wg sync.WaitGroup
	var stop atomic.Bool
	times := make([][]time.Duration, s.clients)
	errs := make([]error, s.clients)
	began := time.Now()
	timer := time.AfterFunc(s.lasts, func() { stop.Store(true) })
	defer timer.Stop()
	for c := range s.clients {
		wg.Go(func() {
			for !stop.Load() {
				at := time.Now()
				if errs[c] = operation(ctx, users[rand.IntN(len(users))]); errs[c] != nil {
					return
				}
				times[c] = append(times[c], time.Since(at))
			}
		})
	}
	wg.Wait()
	took := time.Since(began)
	all := slices.Concat(times...)
	slices.Sort(all)
	if err := errors.Join(errs...); err != nil || len(all) == 0 {
		return turn{}, err
	}
	return turn{rate: float64(len(all)) / took.Seconds(), p50: all[len(all)/2], p99: all[len(all)*99/100]}, nil
}
