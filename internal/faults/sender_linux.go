package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// What a sender does, as OTLP SDKs do it, only faster.
const (
	attemptTimeout = 1500 * time.Millisecond
	retryInitial   = 100 * time.Millisecond
	retryMax       = time.Second
	thinkTime      = 40 * time.Millisecond // At most, between two requests.
)

// sender sends one request after the other and again until it is acknowledged.
type sender struct {
	client  client
	gen     *generator
	rng     *rand.Rand
	sent    []*request
	refused []string       // Answers after which a good request must not be sent again.
	repeats map[string]int // Attempts that were repeated, by code.
}

func newSender(seed, number uint64, c client) *sender {
	return &sender{client: c, repeats: map[string]int{}, gen: newGenerator(seed, number), rng: rand.New(rand.NewPCG(seed, 1000+number))} //nolint:gosec // To be repeatable.
}

// run sends until the round's traffic ends, and goes on with what is not acknowledged until ctx is done.
func (s *sender) run(ctx context.Context, traffic <-chan struct{}) error {
	for {
		select {
		case <-traffic:
			return nil
		case <-ctx.Done():
			return nil
		default:
		}
		req, err := s.gen.next()
		if err != nil {
			return fmt.Errorf("make request: %w", err)
		}
		s.sent = append(s.sent, req)
		if err := s.deliver(ctx, req); err != nil {
			return err
		}
		if !pause(ctx, time.Duration(s.rng.Int64N(int64(thinkTime)))) {
			return nil
		}
	}
}

// deliver sends a request until it is acknowledged, refused or given up.
func (s *sender) deliver(ctx context.Context, req *request) error {
	backoff := retryInitial
	for {
		a := s.attempt(ctx, req)
		switch {
		case a.acknowledged:
			req.done = true
			return nil
		case a.final:
			s.refused = append(s.refused, a.text)
			return nil
		case s.rng.IntN(30) == 0:
			return nil // A client that ends, or whose memory is full, gives up what it has.
		}
		s.repeats[a.code]++
		wait := a.wait
		if wait == 0 {
			wait = backoff/2 + time.Duration(s.rng.Int64N(int64(backoff)))
			backoff = min(backoff*3/2, retryMax)
		}
		if !pause(ctx, wait) {
			return fmt.Errorf("a request is not acknowledged in time; the last answer was: %s", a.text)
		}
	}
}

// attempt sends a request, now and then twice at once, as a client does whose patience ended before the answer came.
func (s *sender) attempt(ctx context.Context, req *request) answer {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	if s.rng.IntN(25) > 0 {
		return s.client.send(ctx, req.signal, req.body)
	}
	second := make(chan answer, 1)
	go func() { second <- s.client.send(ctx, req.signal, req.body) }()
	first := s.client.send(ctx, req.signal, req.body)
	if again := <-second; again.acknowledged {
		return again
	}
	return first
}

// pause waits and reports whether ctx let it.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
