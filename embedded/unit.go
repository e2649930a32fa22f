package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// restartPolicy says how often an engine that ends by itself is started again.
type restartPolicy struct {
	limit   int           // crashes within window that end the attempts
	window  time.Duration // a crash longer ago is forgiven
	backoff time.Duration // before the second attempt in a row; doubles up to maxWait
	maxWait time.Duration
}

var defaultRestart = restartPolicy{limit: 6, window: 2 * time.Minute, backoff: 100 * time.Millisecond, maxWait: 5 * time.Second}

// unit keeps one engine running.
type unit struct {
	name    string
	logger  *slog.Logger
	policy  restartPolicy
	timeout time.Duration
	launch  func(context.Context) (*process, error) // starts a child and waits until it answers
	stop    func(context.Context, *process) error
	gaveUp  func()
	failed  chan<- error

	cancel context.CancelFunc // ends watch
	final  chan *process      // what watch leaves running, nil if nothing

	mu      sync.Mutex
	current *process
}

func newUnit(name string, s *Server, launch func(context.Context) (*process, error), stop func(context.Context, *process) error, gaveUp func()) *unit {
	return &unit{
		name: name, logger: s.Logger.With("engine", name), policy: s.restart, timeout: s.StartTimeout,
		launch: launch, stop: stop, gaveUp: gaveUp, failed: s.errs(),
	}
}

// start launches the engine and then watches it until shutdown. ctx bounds the launch only.
func (u *unit) start(ctx context.Context) error {
	begin := time.Now()
	p, err := u.launchOnce(ctx)
	if err != nil {
		return err
	}
	u.logger.InfoContext(ctx, "engine started", "pid", p.pid(), "duration", time.Since(begin).Round(time.Millisecond))
	u.set(p)
	watchCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	u.cancel, u.final = cancel, make(chan *process, 1)
	go func() { u.final <- u.watch(watchCtx, p) }()
	return nil
}

func (u *unit) launchOnce(ctx context.Context) (*process, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, u.timeout, fmt.Errorf("no answer within %s", u.timeout))
	defer cancel()
	return u.launch(ctx)
}

// shutdown stops watching and then the engine.
func (u *unit) shutdown(ctx context.Context) error {
	if u.cancel == nil {
		return nil // never started
	}
	u.cancel()
	p := <-u.final
	u.cancel = nil
	u.set(nil)
	if p == nil {
		return nil
	}
	begin := time.Now()
	err := u.stop(ctx, p)
	u.logger.InfoContext(ctx, "engine stopped", "duration", time.Since(begin).Round(time.Millisecond))
	return err
}

// shutdownWithin is shutdown, but leaves a quarter of the time to each of the others that are still to stop.
func (u *unit) shutdownWithin(ctx context.Context, others int) error {
	if deadline, ok := ctx.Deadline(); ok && others > 0 {
		left := time.Until(deadline)
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, left-left*time.Duration(others)/4)
		defer cancel()
	}
	return u.shutdown(ctx)
}

// watch restarts the engine whenever it ends, until ctx does, and returns the child that runs then.
func (u *unit) watch(ctx context.Context, p *process) *process {
	var crashes []time.Time
	for {
		select {
		case <-ctx.Done():
			return p
		case <-p.done:
		}
		err := p.ended()
		for p = nil; p == nil; {
			u.set(nil)
			now := time.Now()
			crashes = append(recent(crashes, now.Add(-u.policy.window)), now)
			if len(crashes) >= u.policy.limit {
				u.gaveUp()
				u.failed <- fmt.Errorf("%s crashed %d times within %s and is not started again: %w", u.name, len(crashes), u.policy.window, err)
				return nil
			}
			wait := u.backoff(len(crashes))
			u.logger.ErrorContext(ctx, "engine crashed, starting it again", "error", err, "wait", wait)
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(wait):
			}
			if p, err = u.launchOnce(ctx); err != nil && ctx.Err() != nil {
				return nil
			}
		}
		u.set(p)
		u.logger.InfoContext(ctx, "engine started again", "pid", p.pid())
	}
}

// backoff returns the pause before the next attempt; the first one after a long time of peace comes at once.
func (u *unit) backoff(crashes int) time.Duration {
	if crashes <= 1 {
		return 0
	}
	return min(u.policy.backoff<<(crashes-2), u.policy.maxWait)
}

func recent(times []time.Time, since time.Time) []time.Time {
	for len(times) > 0 && times[0].Before(since) {
		times = times[1:]
	}
	return times
}

func (u *unit) set(p *process) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.current = p
}

func (u *unit) pid() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.current == nil {
		return 0
	}
	return u.current.pid()
}

// abandon ends a child that did not become ready and returns the reason with what came of the end.
func abandon(p *process, err error) error {
	p.kill()
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("start %s: %w", p.name, context.Canceled)
	}
	return err
}
