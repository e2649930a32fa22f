package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	agenttrail "github.com/agenttrail/agenttrail/sdk"
	"github.com/agenttrail/agenttrail/sdk/ledgerclient"
)

// happened is what the marketplace saw, for who compares it with what is stored.
type happened struct {
	Requests, Succeeded, Failed, Refused, Killed, Prices, Limits, TopUps int

	// Interrupted are the runs that killed workers were at.
	Interrupted []string
}

// market is the marketplace: the API server with its queue, the pool of workers, the administrators and the users.
type market struct {
	s       settings
	keyFile string
	trail   *agenttrail.Trail
	client  *ledgerclient.Client
	catalog catalog
	queue   *queue
	server  *http.Server
	url     string
	pool    pool

	mu       sync.Mutex
	happened happened
}

func open(ctx context.Context, s settings, keyFile string) (*market, error) {
	trail, err := start(ctx, s, "marketplace-api")
	if err != nil {
		return nil, err
	}
	m := &market{s: s, keyFile: keyFile, trail: trail, queue: newQueue()}
	if m.client, err = call(s, ""); err != nil { //nolint:contextcheck // It has no outbox.
		return nil, errors.Join(err, trail.Shutdown(ctx))
	}
	if m.catalog, err = furnish(ctx, m.client); err != nil {
		return nil, errors.Join(err, trail.Shutdown(ctx))
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listen: %w", err), trail.Shutdown(ctx))
	}
	m.url = "http://" + listener.Addr().String()
	m.server = &http.Server{Handler: m.routes(), ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = m.server.Serve(listener) }() // Until close.
	return m, nil
}

// run lets users ask until the time is up, and waits until every run is over.
func (m *market) run(ctx context.Context) (happened, error) {
	if err := m.pool.start(m); err != nil {
		return m.happened, err
	}
	asking, cancel := context.WithTimeout(ctx, m.s.For)
	defer cancel()
	var all sync.WaitGroup
	all.Go(func() { m.ask(asking) })
	all.Go(func() { m.administer(asking) })
	all.Go(func() { m.kill(asking) })
	all.Wait()
	err := m.queue.drained(ctx, 2*m.s.Hold+20*time.Second)
	m.pool.stop()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.happened.Succeeded, m.happened.Failed, m.happened.Refused = m.queue.outcomes()
	return m.happened, err
}

func (m *market) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return errors.Join(m.server.Shutdown(ctx), m.client.Close(ctx), m.trail.Shutdown(ctx))
}

func (m *market) note(f func(*happened)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f(&m.happened)
}

// ask sends the requests of users.
func (m *market) ask(ctx context.Context) {
	rng := rand.New(rand.NewPCG(m.s.Seed, 1)) //nolint:gosec // It needs to be repeatable.
	client := &http.Client{Timeout: 10 * time.Second}
	var asking sync.WaitGroup
	defer asking.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Duration(rng.ExpFloat64() / m.s.Rate * float64(time.Second))):
		}
		user, agent := m.catalog.users[rng.IntN(len(m.catalog.users))], m.catalog.agents[rng.IntN(len(m.catalog.agents))]
		stranger := rng.IntN(50) == 0
		m.note(func(h *happened) { h.Requests++ })
		asking.Go(func() {
			req, err := http.NewRequestWithContext(context.WithoutCancel(ctx), http.MethodPost, m.url+"/v1/agents/"+agent.slug+"/runs", http.NoBody)
			if err != nil {
				return
			}
			req.Header.Set("Authorization", "Bearer "+user.token)
			if stranger {
				req.Header.Set("Authorization", "Bearer nobody")
			}
			req.Header.Set("User-Agent", "marketplace-app/3.1")
			if resp, err := client.Do(req); err == nil {
				_ = resp.Body.Close()
			}
		})
	}
}

// kill ends workers in the middle of their runs.
func (m *market) kill(ctx context.Context) {
	rng := rand.New(rand.NewPCG(m.s.Seed, 2)) //nolint:gosec // It needs to be repeatable.
	for range m.s.Kills {
		select {
		case <-ctx.Done():
			return
		case <-time.After(m.s.For / time.Duration(m.s.Kills+2)):
		}
		name := m.pool.kill(rng.IntN(m.s.Workers))
		interrupted := m.queue.deliverAgain(name)
		m.note(func(h *happened) { h.Killed++; h.Interrupted = append(h.Interrupted, interrupted...) })
	}
}

// pool is the worker processes. One that ends is started again until the pool is stopped.
type pool struct {
	mu      sync.Mutex
	workers []*exec.Cmd
	names   []string
	started uint64
	stopped bool
	running sync.WaitGroup
}

func (p *pool) start(m *market) error {
	p.workers, p.names = make([]*exec.Cmd, m.s.Workers), make([]string, m.s.Workers)
	for i := range m.s.Workers {
		if err := p.startOne(m, i); err != nil {
			return err
		}
	}
	return nil
}

// startOne starts the worker of a place in the pool, and another one when it ends.
func (p *pool) startOne(m *market, place int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return nil
	}
	p.started++
	name := "worker-" + strconv.FormatUint(p.started, 10)
	exe, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find program: %w", err)
	}
	cmd := exec.Command(exe, "--worker", "--api", m.url, "--ledger", m.s.Ledger, "--otlp", m.s.OTLP, "--key-file", m.keyFile, //nolint:noctx // Ourselves; ended by stop.
		"--hold", m.s.Hold.String(), "--outbox", filepath.Join(m.s.Outbox, strconv.Itoa(place)), "--seed", strconv.FormatUint(m.s.Seed+p.started, 10))
	cmd.Env = append(os.Environ(), "MARKETPLACE_WORKER="+name)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start worker: %w", err)
	}
	p.workers[place], p.names[place] = cmd, name
	p.running.Go(func() {
		_ = cmd.Wait()
		m.queue.deliverAgain(name) // A worker that ends by itself has nothing left.
		_ = p.startOne(m, place)
	})
	return nil
}

// kill kills a worker at once and returns its name.
func (p *pool) kill(place int) string {
	p.mu.Lock()
	cmd, name := p.workers[place], p.names[place]
	p.mu.Unlock()
	_ = cmd.Process.Kill()
	return name
}

// stop lets all workers end what they are at.
func (p *pool) stop() {
	p.mu.Lock()
	p.stopped = true
	for _, w := range p.workers {
		_ = w.Process.Signal(os.Interrupt)
	}
	p.mu.Unlock()
	p.running.Wait()
}
