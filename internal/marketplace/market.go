package marketplace

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// market is the live marketplace: an API server, a queue, workers behind it, users in front of it, and those who run it.
type market struct {
	performer
	apiTrail *service
	desk     *desk
	users    []user
	agents   []agent
	byToken  map[string]*user
	ended    func(id string, at time.Time) // Told of each run that has ended.

	url    string
	server *http.Server
	http   *http.Client       // Of users.
	leave  context.CancelFunc // Lets administrators go.
	stop   context.CancelFunc // Interrupts what is under way.
	all    sync.WaitGroup     // Users and those who run it.
	served chan error
	queue  chan job
	shift  sync.WaitGroup // Workers.
	tally  tally

	underWay atomic.Int64

	mu      sync.Mutex
	planned map[string]*run // By the id of the request that asks for it.
	rng     *rand.Rand
}

// apiHost is the name of the API server, as its users know it.
const apiHost = "api.marketplace.example"

// newMarket makes a market that is closed.
func newMarket(api, runtime *service, d *desk, users []user, agents []agent, seed uint64, ended func(string, time.Time)) *market {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 256
	m := &market{
		apiTrail: api, desk: d, users: users, agents: agents, byToken: map[string]*user{}, ended: ended,
		http: &http.Client{Transport: transport}, served: make(chan error, 1), queue: make(chan job),
		planned: map[string]*run{}, rng: rand.New(rand.NewPCG(seed, 2)), //nolint:gosec // A simulation needs repeatable numbers.
	}
	m.performer = performer{runtime: runtime, wait: waitUntil, call: m.paidRun}
	for i := range users {
		m.byToken[users[i].token()] = &users[i]
	}
	return m
}

func waitUntil(ctx context.Context, until time.Time) error {
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// errClosing ends runs that are under way when the demo ends.
var errClosing = &fault{"cancelled", "the marketplace closes"}

// open starts the API server and lets administrators begin. What it starts ends with close, not with ctx.
func (m *market) open(ctx context.Context) error {
	if m.server != nil {
		return nil
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("open the marketplace's API server: %w", err)
	}
	m.url = "http://" + listener.Addr().String()
	base, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	m.stop = func() { cancel(errClosing) }
	m.server = &http.Server{Handler: m.routes(), ReadHeaderTimeout: 10 * time.Second, BaseContext: func(net.Listener) context.Context { return base }}
	go func() { m.served <- m.server.Serve(listener) }()
	for range workers {
		m.shift.Go(func() { m.staff(base) })
	}
	office, leave := context.WithCancel(base)
	m.leave = leave
	m.all.Go(func() { m.administer(office) })
	return nil
}

// arrive lets a user ask for a run.
func (m *market) arrive(ctx context.Context, r *run) {
	m.underWay.Add(1)
	m.all.Go(func() {
		defer m.underWay.Add(-1)
		m.visit(context.WithoutCancel(ctx), r) // What they have asked for is answered, also when the marketplace closes.
	})
}

// close lets runs that are under way end for a while, interrupts the others, and waits for all of it.
func (m *market) close(ctx context.Context, grace time.Duration) error {
	if m.server == nil {
		return nil
	}
	m.leave()
	idle := make(chan struct{})
	go func() { m.all.Wait(); close(idle) }()
	select {
	case <-idle:
	case <-time.After(grace):
	case <-ctx.Done():
	}
	m.stop()
	<-idle
	m.shift.Wait()
	err := m.server.Shutdown(ctx)
	if serveErr := <-m.served; !errors.Is(serveErr, http.ErrServerClosed) {
		err = errors.Join(err, serveErr)
	}
	m.server = nil
	if err != nil {
		return fmt.Errorf("close the marketplace: %w", err)
	}
	return nil
}

// chance draws true with a probability.
func (m *market) chance(p float64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.rng.Float64() < p
}

func (m *market) draw(n int) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.rng.IntN(n)
}

// remember keeps the plan of a run until the request that asks for it has arrived; recall gives it out once.
func (m *market) remember(request string, r *run) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.planned[request] = r
}

func (m *market) recall(request string) *run {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.planned[request]
	delete(m.planned, request)
	return r
}
