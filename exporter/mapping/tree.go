package mapping

import (
	"slices"

	"github.com/agenttrail/agenttrail/exporter/record"
	"github.com/agenttrail/agenttrail/exporter/row"
)

// node is what the mapping knows of one span.
type node struct {
	attrs record.Attrs // as they are stored
	code  string       // of a failure mark

	saidRun, saidAgent string // where the span says that it belongs
	ownRun, ownAgent   bool   // in the project's own words
	environment        string

	first      float64 // to the first output, ms
	firstKnown bool

	user     string // what the span itself says
	session  string
	model    string
	provider string
	tool     string
	use      usage
	period   period
	class    class
	dialect  Dialect

	failing  bool // the span says of itself that it failed
	threw    bool // an emitter's mark says that it threw
	request  bool // an HTTP request that was answered
	isRun    bool // of a run, perhaps of one that was merged into another
	head     bool // a row of AgentExecution is about it
	twin     bool // has the ids of an earlier span of the request
	rooted   bool // the request holds all spans up to the root of the trace
	inAgent  bool // something of an agent encloses it
	chained  bool // its parent failed, and threw, or so did the parent of that
	failedIn bool // a child failed
	failedBy bool // something below failed

	state   uint8 // of the walk that orders the spans
	depth   int32
	parent  int32 // -1: none in the request
	run     int32 // the run to which the span belongs, or that it is; -1: none in the request
	up      int32 // the nearest run above the span; -1: none in the request
	exc     int32 // the first of its exceptions
	excs    int32
	below   int32 // number of outermost runs at or below the span, 2 for more
	belowAt int32 // the run, when there is one

	children  int32
	candidate int32 // what was read of it as a run

	// What reaches a span from the ones above it, itself included.
	effUser    string
	effSession string
	ip, agent  string // of the outermost request
	httpStatus uint16
	asked      uint64 // when the request for what the span does was made, ns since the epoch, 0: unknown

	tokensAbove bool // an inference above it, within the run, tells its tokens
	stepAbove   bool // so does a step
	costAbove   bool // so does anything about its cost

	priceVersion string // of the list of prices that gave the cost
}

// run is one run of an agent.
type run struct {
	span     int32
	into     int32 // the run that it is a part of, itself when it is none
	nested   int32 // runs right below it
	runID    string
	localID  string // an id that no other span has
	rowID    int    // rank of the id in executionIDs
	parentID string
	identity
	outcome
	use          usage
	inferences   usage    // sum over the inferences of the run
	steps        usage    // the same over steps, for emitters whose inferences tell nothing
	otherCost    row.Cost // over everything in the run that tells a cost, or has a price
	unpriced     bool     // a model call in the run has neither
	priceVersion string   // of the list of prices, when it gave a part of otherCost
	calls        int      // inferences
	callOutput   float64  // time from the start of the run to the first output of its inference
	callKnown    bool
	model        string
	provider     string
	childModel   string
	childProv    string
	childStart   uint64
	credits      row.Credits
	first        float64 // to the first output
	firstKnown   bool
	queue        float64
	queueInner   bool
	queueKnown   bool
	response     float64
	respKnown    bool
	processing   float64
	procKnown    bool
}

// readSpans reads what each span says by itself.
func (m *Mapper) readSpans(t *record.Traces) {
	m.excs, m.candidates = m.excs[:0], m.candidates[:0]
	if cap(m.nodes) < len(t.Spans) {
		m.nodes = make([]node, 0, len(t.Spans))
	}
	m.nodes = m.nodes[:len(t.Spans)]
	for i := range t.Spans {
		s, n, v := &t.Spans[i], &m.nodes[i], &m.v
		*n = node{parent: -1, run: -1, up: -1}
		n.attrs = m.scan(v, s.Attrs)
		n.class, n.dialect = m.classify(s, v, m.scopes[s.Scope])
		n.request = n.class == classRequest || isServerRequest(s, v)
		readFailure(s, v, n)
		n.user, _ = m.text(v, userIDs, n.dialect)
		n.session, _ = m.text(v, sessionIDs, n.dialect)
		n.effUser, n.effSession = n.user, n.session
		if n.class != classNone {
			n.model, _ = m.text(v, models, n.dialect)
			if n.model == "" && (n.class == classInference || n.class == classEmbedding) {
				n.model, _ = m.text(v, modelSpans, n.dialect)
			}
			n.provider, _ = m.text(v, providers, n.dialect)
			n.use = m.usageOf(v, n.dialect)
			if n.class == classTool {
				n.tool = m.toolName(s, v, n.dialect)
			}
		}
		n.period = m.periodOf(s)
		m.readBelonging(v, n, &m.resources[s.Resource])
		if n.class == classAgent || n.class == classInference {
			n.first, n.firstKnown = m.firstOutput(s, v, n.dialect)
		}
		m.readRequest(s, v, n)
		m.readExceptions(s, n, i)
		if n.class == classAgent || n.class == classWorkflow || n.class == classChain {
			n.candidate = int32(len(m.candidates)) //nolint:gosec // An index of a request.
			m.candidates = append(m.candidates, m.readRun(t, i))
		}
	}
}

// link finds the parent of each span and orders the spans so that parents come first.
func (m *Mapper) link(t *record.Traces) {
	m.spanIndex.reset(len(t.Spans))
	for i := range t.Spans {
		s := &t.Spans[i]
		if s.SpanID == [8]byte{} || s.TraceID == [16]byte{} {
			continue
		}
		if _, ok := m.findSpan(t, s.TraceID, s.SpanID, i); ok {
			m.nodes[i].twin = true
			m.stats.Adjusted[ReasonDuplicateSpan]++
		}
	}
	for i := range t.Spans {
		s := &t.Spans[i]
		if s.ParentSpanID == [8]byte{} || s.TraceID == [16]byte{} || s.ParentSpanID == s.SpanID {
			continue
		}
		if p, ok := m.findSpan(t, s.TraceID, s.ParentSpanID, -1); ok {
			m.nodes[i].parent = int32(p) //nolint:gosec // An index of a request.
		}
	}
	m.order = m.order[:0]
	for i := range m.nodes {
		m.visit(i)
	}
	for _, i := range m.order {
		n := &m.nodes[i]
		n.rooted = t.Spans[i].ParentSpanID == [8]byte{}
		if n.parent >= 0 {
			p := &m.nodes[n.parent]
			n.depth, n.rooted = p.depth+1, p.rooted
			p.children++
		}
	}
}

// findSpan returns the span with these ids. When there is none, span add (if not -1) is entered as the one.
func (m *Mapper) findSpan(t *record.Traces, trace [16]byte, id [8]byte, add int) (int, bool) {
	sum := hashSpanID(&trace, &id)
	p := m.spanIndex.start(sum)
	for ; m.spanIndex.used(p); p = m.spanIndex.next(p) {
		e := &m.spanIndex.slots[p]
		if s := &t.Spans[e.idx]; e.sum == sum && s.SpanID == id && s.TraceID == trace {
			return int(e.idx), true
		}
	}
	if add >= 0 {
		m.spanIndex.set(p, sum, add)
	}
	return 0, false
}

// States of the walk that orders spans.
const (
	stateNew = iota
	stateOnPath
	stateDone
)

// visit appends a span to the order, after all that enclose it. A cycle is cut where the walk closes it.
func (m *Mapper) visit(i int) {
	m.path = m.path[:0]
	for at := int32(i); at >= 0 && m.nodes[at].state != stateDone; at = m.nodes[at].parent { //nolint:gosec // An index of a request.
		if m.nodes[at].state == stateOnPath {
			m.nodes[m.path[len(m.path)-1]].parent = -1
			m.stats.Adjusted[ReasonParentCycle]++
			break
		}
		m.nodes[at].state = stateOnPath
		m.path = append(m.path, at)
	}
	for _, at := range slices.Backward(m.path) {
		m.nodes[at].state = stateDone
		m.order = append(m.order, at)
	}
}

// findRuns decides which spans are runs, which of them are one, and to which run each span belongs.
func (m *Mapper) findRuns(t *record.Traces) {
	m.runs = m.runs[:0]
	for _, i := range m.order {
		n := &m.nodes[i]
		if n.parent >= 0 {
			p := &m.nodes[n.parent]
			n.up = p.up
			if p.run >= 0 {
				n.up = p.run
			}
			n.inAgent = p.inAgent || (p.class != classNone && p.class != classRequest && p.class != classOther)
		}
		if n.class == classChain {
			n.class = pick(n.rooted && !n.inAgent, classWorkflow, classStep)
		}
		if !n.twin && (n.class == classAgent || (n.class == classWorkflow && n.up < 0)) {
			n.isRun = true
			n.run = int32(len(m.runs)) //nolint:gosec // An index of a request.
			m.runs = append(m.runs, m.candidates[n.candidate])
			if n.up >= 0 {
				m.runs[n.up].nested++
			}
		}
	}
	for r := range m.runs {
		m.merge(t, r)
	}
	for _, i := range m.order {
		n := &m.nodes[i]
		if n.up >= 0 {
			n.up = m.runs[n.up].into
		}
		switch {
		case n.run >= 0:
			n.run = m.runs[n.run].into
			if n.head = m.runs[n.run].span == i; !n.head {
				n.up = m.nodes[m.runs[n.run].span].up
			}
		case n.parent >= 0:
			n.run = m.nodes[n.parent].run
		}
	}
	for r := range m.runs {
		m.nameRun(t, r)
	}
}

// merge joins a run with the one around it when both report the same one; see the package documentation.
func (m *Mapper) merge(t *record.Traces, r int) {
	inner := &m.runs[r]
	inner.into = int32(r) //nolint:gosec // An index of a request.
	n := &m.nodes[inner.span]
	if n.up < 0 {
		return
	}
	outer := &m.runs[n.up]
	o := &m.nodes[outer.span]
	if !m.sameRun(t, inner, outer, n, o) {
		return
	}
	inner.into = outer.into // Outer runs come first and are merged already.
	m.stats.Adjusted[ReasonMergedRun]++
	m.absorb(&m.runs[outer.into], inner)
	m.runs[outer.into].nested += inner.nested - 1
}

func (m *Mapper) sameRun(t *record.Traces, inner, outer *run, n, o *node) bool {
	same := inner.id == outer.id || inner.name == outer.name
	same = same && !inner.weak && !outer.weak
	ownBoth := inner.rowID == rowOwnExecutionID && outer.rowID == rowOwnExecutionID
	if ownBoth {
		return inner.runID == outer.runID && (same || inner.weak || outer.weak)
	}
	if outer.nested != 1 || n.parent != outer.span {
		return false
	}
	otherDialect := n.dialect != o.dialect || t.Spans[inner.span].Scope != t.Spans[outer.span].Scope
	if same {
		return otherDialect || o.children == 1
	}
	return n.dialect != o.dialect && (inner.weak || outer.weak)
}
