package mapping

import (
	"slices"

	"github.com/agenttrail/agenttrail/exporter/record"
	"github.com/agenttrail/agenttrail/exporter/row"
)

// readRun reads what the span of a run says about it.
func (m *Mapper) readRun(t *record.Traces, i int) run {
	s, n, v := &t.Spans[i], &m.nodes[i], &m.v
	r := run{span: int32(i), model: n.model, provider: n.provider, use: n.use} //nolint:gosec // An index of a request.
	r.runID, r.rowID = m.text(v, executionIDs, n.dialect)
	r.localID, _ = m.text(v, runIDs, n.dialect)
	r.parentID, _ = m.text(v, parentIDs, n.dialect)
	r.identity = m.identify(s, v, n.dialect)
	r.outcome = m.outcomeOf(s, v, n, m.lastException(n))
	r.credits = m.creditsOf(v)
	if lifetimeUsage[n.dialect] {
		r.use.tokens, r.use.known = row.Tokens{}, false
	}
	r.first, r.firstKnown = n.first, n.firstKnown
	r.response, r.respKnown = m.millis(v, responseTimes, n.dialect)
	r.processing, r.procKnown = m.millis(v, processingTimes, n.dialect)
	if r.queue, r.queueKnown = m.millis(v, queueTimes, n.dialect); !r.queueKnown {
		r.queue, r.queueInner = m.millis(v, innerQueueTimes, n.dialect)
		r.queueKnown = r.queueInner
	}
	return r
}

// absorb fills up a run from the inner report of the same run.
func (m *Mapper) absorb(r, inner *run) {
	if inner.runID != "" && (r.runID == "" || inner.rowID < r.rowID) {
		r.runID, r.rowID = inner.runID, inner.rowID
	}
	fill(&r.parentID, inner.parentID)
	if r.weak && !inner.weak {
		version := r.version
		r.identity = inner.identity
		fill(&r.version, version)
	}
	fill(&r.version, inner.version)
	if !r.own && (inner.own || (r.status == row.StatusSuccess && inner.status != row.StatusSuccess)) {
		r.outcome = inner.outcome
	}
	fill(&r.code, inner.code)
	fill(&r.message, inner.message)
	if !r.use.known {
		r.use.tokens, r.use.known = inner.use.tokens, inner.use.known
	}
	if !r.use.cost.Known {
		r.use.cost = inner.use.cost
	}
	fill(&r.model, inner.model)
	fill(&r.provider, inner.provider)
	if r.credits == 0 {
		r.credits = inner.credits
	}
	if !r.firstKnown && inner.firstKnown {
		r.first, r.firstKnown = inner.first, true
	}
	if !r.queueKnown {
		r.queue, r.queueInner, r.queueKnown = inner.queue, inner.queueInner, inner.queueKnown
	}
	if !r.respKnown {
		r.response, r.respKnown = inner.response, inner.respKnown
	}
	if !r.procKnown {
		r.processing, r.procKnown = inner.processing, inner.procKnown
	}
}

func fill(s *string, from string) {
	if *s == "" {
		*s = from
	}
}

// maxRunsAbove is how many of the runs around a run are asked for their id; real runs do not nest so deep.
const maxRunsAbove = 64

// nameRun settles the id of a run: unique within the request, the id of its span in hex when nothing names it.
func (m *Mapper) nameRun(t *record.Traces, k int) {
	r := &m.runs[k]
	if int(r.into) != k {
		return
	}
	s, n := &t.Spans[r.span], &m.nodes[r.span]
	if r.runID != "" && r.rowID == rowInvocationID && (n.up >= 0 || !n.rooted) {
		r.runID = ""
	}
	if r.runID == "" {
		r.runID = r.localID
	}
	for up, k := n.up, 0; up >= 0 && r.runID != "" && k < maxRunsAbove; up, k = m.nodes[m.runs[up].span].up, k+1 {
		if m.runs[up].runID == r.runID {
			r.runID = "" // Handed down from the run around it.
		}
	}
	if r.runID == "" {
		r.runID = m.spanText(s)
	}
}

// spanText returns the id of a span in hex; of a span without one a hash of what it tells.
func (m *Mapper) spanText(s *record.Span) string {
	if s.SpanID != [8]byte{} {
		return m.hexText(s.SpanID[:])
	}
	b := appendText(m.idScratch[:0], domainRun)
	b = append(b, s.TraceID[:]...)
	b = appendSpan(b, s)
	m.idScratch = b
	id := m.distinct(hash128(b))
	return m.hexText(id[:])
}

// sumUp carries facts down from the spans above (users, addresses), sums the usage of the runs, and finds the runs
// below each request.
func (m *Mapper) sumUp(t *record.Traces) {
	for _, i := range m.order {
		m.inherit(t, int(i))
		m.priceSpan(t.Spans[i].Start, &m.nodes[i])
		m.addUsage(t, int(i))
	}
	for _, i := range slices.Backward(m.order) {
		n := &m.nodes[i]
		if n.head {
			n.below, n.belowAt = 1, n.run
		}
		if n.parent < 0 {
			continue
		}
		p := &m.nodes[n.parent]
		if n.below > 0 && !p.head {
			p.below = min(2, p.below+n.below)
			p.belowAt = n.belowAt
		}
		p.failedIn = p.failedIn || n.failing
		p.failedBy = p.failedBy || n.failing || n.failedBy
	}
}

// inherit gives a span what the spans above it know.
func (m *Mapper) inherit(t *record.Traces, i int) {
	n := &m.nodes[i]
	if n.parent < 0 {
		return
	}
	p := &m.nodes[n.parent]
	fill(&n.effUser, p.effUser)
	fill(&n.effSession, p.effSession)
	if p.ip != "" {
		n.ip = p.ip
	}
	if p.agent != "" {
		n.agent = p.agent
	}
	if n.httpStatus == 0 {
		n.httpStatus = p.httpStatus
	}
	if n.asked == 0 {
		n.asked = p.asked
	}
	if s := &t.Spans[i]; s.Kind == record.KindConsumer && t.Spans[n.parent].Kind == record.KindProducer {
		n.asked = t.Spans[n.parent].End
	}
	n.chained = p.failing && (p.excs > 0 || p.chained)
	if n.run == p.run {
		n.tokensAbove = p.tokensAbove || (p.class == classInference && p.use.known)
		n.stepAbove = p.stepAbove || (p.class == classStep && p.use.known)
		n.costAbove = p.costAbove || (!p.isRun && p.use.cost.Known)
	}
}

// addUsage adds what a span used to the run that it belongs to. A call that two instrumentations report counts once:
// the outer report, if it tells.
func (m *Mapper) addUsage(t *record.Traces, i int) {
	n := &m.nodes[i]
	if n.run < 0 || n.isRun {
		return
	}
	r, s := &m.runs[n.run], &t.Spans[i]
	if n.use.cost.Known && !n.costAbove {
		addCost(&r.otherCost, n.use.cost)
	}
	switch n.class {
	case classInference:
		if n.use.known && !n.tokensAbove {
			addTokens(&r.inferences.tokens, n.use.tokens)
			r.inferences.known = true
		}
		if (n.model != "" || n.provider != "") && s.Start >= r.childStart {
			r.childStart = s.Start
			if n.model != "" {
				r.childModel = n.model
			}
			if n.provider != "" {
				r.childProv = n.provider
			}
		}
		if r.calls++; r.calls == 1 {
			start := t.Spans[r.span].Start
			if n.firstKnown && s.Start >= start && start != 0 {
				r.callOutput, r.callKnown = n.first+float64(s.Start-start)/1e6, true
			}
		}
	case classStep:
		if n.use.known && !n.stepAbove {
			addTokens(&r.steps.tokens, n.use.tokens)
			r.steps.known = true
		}
	}
}
