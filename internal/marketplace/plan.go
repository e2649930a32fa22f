package marketplace

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/google/uuid"

	agenttrail "github.com/agenttrail/agenttrail/sdk"
)

// fault is an error as an instrumented program would report it.
type fault struct {
	kind    string // error.type and exception.type.
	message string
}

func (f *fault) Error() string     { return f.message }
func (f *fault) ErrorCode() string { return f.kind }
func (f *fault) ErrorType() string { return f.kind }

// runError is the fault that ended a run, with how it ended it.
type runError struct {
	*fault
	outcome string
}

func (e runError) ExecutionStatus() agenttrail.Status { return agenttrail.Status(e.outcome) }

// outcome of a planned run, in the words of AgentExecution.status.
const (
	outcomeSuccess = "success"
	outcomeFailed  = "failed"
	outcomeTimeout = "timeout"
	outcomeError   = "error"
)

type stepKind int

const (
	stepChat stepKind = iota
	stepTool
	stepAgent
)

// step is something that a run does, one after the other.
type step struct {
	kind     stepKind
	tool     string
	offset   time.Duration // From the start of the run.
	duration time.Duration
	first    time.Duration // Time to the first chunk of a model's answer.
	input    int64
	output   int64
	cached   int64
	fault    *fault
	child    *run // With stepAgent.
}

// run is one planned run of an agent.
type run struct {
	id         string
	agent      *agent
	user       *user
	session    string
	requested  time.Time     // When the HTTP request arrived; zero for a run inside a run.
	queue      time.Duration // From the request to the start.
	start      time.Time
	duration   time.Duration
	steps      []step
	outcome    string
	fault      *fault
	httpStatus int
	price      int64 // Micro-credits for each thousand tokens.
}

// err is what ended the run, nil for success.
func (r *run) err() error {
	if r.fault == nil {
		return nil
	}
	return runError{r.fault, r.outcome}
}

// err is what ended the step, nil for success.
func (s *step) err() error {
	if s.fault == nil {
		return nil
	}
	return s.fault
}

func (r *run) end() time.Time { return r.start.Add(r.duration) }

// cost is what a call of a model cost.
func (s *step) cost(m model) agenttrail.USD {
	return agenttrail.USD((s.input-s.cached)*m.inputNano + s.cached*m.inputNano*m.cacheReadPercentage/100 + s.output*m.outNano)
}

// planner draws runs from one seeded source. Not safe for concurrent use.
type planner struct {
	rng     *rand.Rand
	agents  []agent
	users   []user
	byAgent []float64 // Cumulative popularity.
	byUser  []float64 // Cumulative activity.
}

func newPlanner(seed uint64, agents []agent, users []user) *planner {
	p := &planner{rng: rand.New(rand.NewPCG(seed, 1)), agents: agents, users: users} //nolint:gosec // A simulation needs repeatable numbers.
	sum := 0.0
	for _, a := range agents {
		sum += a.popularity
		p.byAgent = append(p.byAgent, sum)
	}
	sum = 0
	for _, u := range users {
		sum += u.activity
		p.byUser = append(p.byUser, sum)
	}
	return p
}

// arrival draws a moment in [from, to) that follows the rhythm of a day: quiet at night, peaks before noon and in the
// afternoon, UTC.
func (p *planner) arrival(from, to time.Time) time.Time {
	for {
		t := from.Add(time.Duration(p.rng.Int64N(int64(to.Sub(from)))))
		hour := float64(t.Hour()) + float64(t.Minute())/60
		bell := func(at, width float64) float64 { return math.Exp(-(hour - at) * (hour - at) / (2 * width * width)) }
		if p.rng.Float64() < 0.12+0.8*bell(10.5, 2.2)+0.7*bell(15.5, 2.5) {
			return t
		}
	}
}

// plan draws a run that is requested at the given moment.
func (p *planner) plan(requested time.Time) *run {
	a := &p.agents[pick(p.rng, p.byAgent)]
	u := &p.users[pick(p.rng, p.byUser)]
	r := p.planAgent(a, u, requested.Add(p.logNormal(25*time.Millisecond, 0.9)), 0)
	r.requested = requested
	r.queue = r.start.Sub(requested)
	r.session = fmt.Sprintf("s-%s-%d", u.id.String()[:8], requested.Unix()/1800)
	r.shareSession()
	r.httpStatus = httpStatusOf(r.outcome)
	return r
}

// httpStatusOf is what the API answers to who asked for a run.
func httpStatusOf(outcome string) int {
	switch outcome {
	case outcomeSuccess:
		return http.StatusOK
	case outcomeTimeout:
		return http.StatusGatewayTimeout
	case outcomeFailed:
		return http.StatusUnprocessableEntity
	default:
		return http.StatusInternalServerError
	}
}

func (r *run) shareSession() {
	for i := range r.steps {
		if c := r.steps[i].child; c != nil {
			c.session = r.session
			c.shareSession()
		}
	}
}

func (p *planner) planAgent(a *agent, u *user, start time.Time, depth int) *run {
	var id uuid.UUID
	for i := 0; i < len(id); i += 8 {
		for j, bits := 0, p.rng.Uint64(); j < 8; j, bits = j+1, bits>>8 {
			id[i+j] = byte(bits)
		}
	}
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	r := &run{id: id.String(), agent: a, user: u, start: start, outcome: outcomeSuccess, price: a.price}

	var at time.Duration
	add := func(s step) { s.offset = at; at += s.duration; r.steps = append(r.steps, s) }
	chat := func(f *fault) {
		d := p.logNormal(a.median, a.spread)
		s := step{kind: stepChat, duration: d, first: d / 3, fault: f}
		if f == nil {
			s.input = int64(float64(a.inputTokens) * (0.6 + 0.9*p.rng.Float64()))
			s.output = int64(float64(a.outputTokens) * (0.4 + 1.3*p.rng.Float64()))
			s.cached = s.input * int64(p.rng.IntN(60)) / 100
		}
		add(s)
	}
	turns := 1 + p.rng.IntN(a.turns)
	for turn := range turns {
		if p.rng.Float64() < 0.03 { // The provider is busy; the runtime tries again.
			add(step{kind: stepChat, duration: p.logNormal(90*time.Millisecond, 0.3), fault: &fault{"RateLimitError", "429 Too Many Requests: retry after 1s"}})
			at += p.logNormal(400*time.Millisecond, 0.2)
		}
		chat(nil)
		if turn == turns-1 {
			break
		}
		if a.calls != "" && depth == 0 && p.rng.Float64() < 0.3 {
			child := p.planAgent(p.agentBySlug(a.calls), u, start.Add(at), depth+1)
			add(step{kind: stepAgent, duration: child.duration, child: child})
		} else if len(a.tools) > 0 {
			s := step{kind: stepTool, tool: a.tools[p.rng.IntN(len(a.tools))], duration: p.logNormal(140*time.Millisecond, 0.7)}
			if p.rng.Float64() < 0.02 { // The model reads the error and goes on.
				s.fault = &fault{"ToolError", s.tool + " returned no result"}
			}
			add(s)
		}
	}
	if p.rng.Float64() < a.failureRate {
		p.fail(r, a, &at)
	}
	if at > a.deadline {
		r.cutAt(a.deadline)
		at = a.deadline
		r.outcome, r.fault = outcomeTimeout, &fault{"context.deadlineExceededError", "context deadline exceeded"}
	}
	r.duration = at + p.logNormal(4*time.Millisecond, 0.4)
	return r
}

// fail makes a run end in one of the ways in which runs end badly.
func (p *planner) fail(r *run, a *agent, at *time.Duration) {
	last := &r.steps[len(r.steps)-1]
	id := p.rng.IntN(100000)
	switch draw := p.rng.Float64(); {
	case draw < 0.28:
		wait := p.logNormal(5*time.Second, 0.3)
		*at += wait
		last.duration += wait
		r.outcome, r.fault = outcomeTimeout, &fault{"TimeoutError", fmt.Sprintf("model %s gave no answer within %d ms", a.model.name, last.duration.Milliseconds())}
	case draw < 0.50:
		r.outcome, r.fault = outcomeError, &fault{"RateLimitError", "429 Too Many Requests: retries exhausted"}
	case draw < 0.64:
		r.outcome, r.fault = outcomeError, &fault{"ConnectionError", fmt.Sprintf("read tcp 10.0.3.%d:443: connection reset by peer", 1+id%250)}
	case draw < 0.78:
		r.outcome, r.fault = outcomeError, &fault{"ToolExecutionError", fmt.Sprintf("tool call %d: upstream answered 503", id)}
	case draw < 0.90:
		r.outcome, r.fault = outcomeFailed, &fault{"invalid_output", fmt.Sprintf("answer does not match the output schema: field %d is missing", id%12)}
	default:
		r.outcome, r.fault = outcomeFailed, &fault{"cancelled", "the user cancelled the run"}
	}
	if last.kind == stepChat && (r.outcome == outcomeError || r.outcome == outcomeTimeout) {
		last.fault, last.output = r.fault, 0
	}
}

// cutAt ends the run at the given offset: later steps never began, the running one was interrupted.
func (r *run) cutAt(limit time.Duration) {
	for i := range r.steps {
		s := &r.steps[i]
		if s.offset >= limit {
			r.steps = r.steps[:i]
			return
		}
		if s.offset+s.duration > limit && s.kind != stepAgent {
			s.duration = limit - s.offset
			s.first = min(s.first, s.duration)
			s.fault = &fault{"context.deadlineExceededError", "context deadline exceeded"}
		}
	}
}

func (p *planner) agentBySlug(slug string) *agent {
	for i := range p.agents {
		if p.agents[i].slug == slug {
			return &p.agents[i]
		}
	}
	panic("BUG: no agent " + slug)
}

func (p *planner) logNormal(median time.Duration, sigma float64) time.Duration {
	return time.Duration(float64(median) * math.Exp(sigma*p.rng.NormFloat64()))
}

// pick draws an index with a probability in proportion to its share of the cumulative weights.
func pick(rng *rand.Rand, cumulative []float64) int {
	x := rng.Float64() * cumulative[len(cumulative)-1]
	for i, c := range cumulative {
		if x < c {
			return i
		}
	}
	return len(cumulative) - 1
}
