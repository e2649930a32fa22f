package mapping

import (
	"github.com/agenttrail/agenttrail/exporter/record"
	"github.com/agenttrail/agenttrail/exporter/row"
)

// emitExecution emits the row of the run of a span.
func (m *Mapper) emitExecution(t *record.Traces, i int, sink row.Sink) {
	s, n := &t.Spans[i], &m.nodes[i]
	r, res := &m.runs[n.run], &m.resources[s.Resource]
	p := n.period
	e := &m.exec
	*e = row.Execution{
		ID:                r.runID,
		TraceID:           s.TraceID,
		SpanID:            s.SpanID,
		ParentSpanID:      s.ParentSpanID,
		ParentExecutionID: r.parentID,
		AgentID:           r.id,
		AgentName:         r.name,
		AgentVersion:      r.version,
		UserID:            n.effUser,
		SessionID:         n.effSession,
		Status:            r.status,
		StartedAt:         p.start,
		Duration:          p.duration,
		ErrorCode:         r.code,
		ErrorMessage:      r.message,
		HTTPStatus:        n.httpStatus,
		CreditsConsumed:   r.credits,
		Model:             r.model,
		Provider:          r.provider,
		Tokens:            r.use.tokens,
		Cost:              r.use.cost,
		UserAgent:         n.agent,
		IPAddress:         n.ip,
		ServiceName:       res.service,
		Environment:       n.environment,
		Dialect:           n.dialect.String(),
		Attributes:        m.withOriginal(n.attrs, p.original),
	}
	if e.ParentExecutionID == "" && n.up >= 0 {
		e.ParentExecutionID = m.runs[n.up].runID
	}
	switch {
	case r.use.known:
	case r.inferences.known:
		e.Tokens = r.inferences.tokens
	default:
		e.Tokens = r.steps.tokens
	}
	fill(&e.Model, r.childModel)
	fill(&e.Provider, r.childProv)
	m.priceRun(r, e)
	m.setTimes(e, s, n, r)
	m.stats.Executions++
	sink.Execution(e)
}

// setTimes sets the three times of a run that are not its duration.
func (m *Mapper) setTimes(e *row.Execution, s *record.Span, n *node, r *run) {
	queue := r.queue
	if !r.queueKnown && n.asked != 0 && s.Start != 0 {
		if s.Start >= n.asked && s.Start-n.asked <= uint64(maxQueue) {
			queue = float64(s.Start-n.asked) / 1e6
		} else {
			m.stats.Adjusted[ReasonOutOfRange]++
		}
	}
	e.QueueTime = queue
	first, known := r.first, r.firstKnown
	if !known && r.calls == 1 && r.callKnown {
		first, known = r.callOutput, true
	}
	if !known {
		first = e.Duration
	}
	e.ProcessingTime = e.Duration
	e.ResponseTime = queue + first
	if r.queueInner { // The span contains the queue.
		e.ProcessingTime = max(0, e.Duration-queue)
		e.ResponseTime = first
	}
	if r.respKnown {
		e.ResponseTime = r.response
	}
	if r.procKnown {
		e.ProcessingTime = r.processing
	}
}

// environmentOf returns the environment of the resource, else the one that the record in the view names.
func (m *Mapper) environmentOf(res *resourceFacts, d Dialect) string {
	if res.environment != "" {
		return res.environment
	}
	name, _ := m.text(&m.v, environments, d)
	return name
}

// withOriginal adds the time that the emitter gave to the attributes of a row that has another one.
func (m *Mapper) withOriginal(attrs record.Attrs, original uint64) record.Attrs {
	if original == 0 {
		return attrs
	}
	mark := m.arena.AttrMark()
	for i := range attrs {
		m.arena.AddAttr(attrs[i].Key, attrs[i].Value)
	}
	m.arena.AddAttr(KeyOriginalTime, record.String(m.uintText(original)))
	return m.arena.TakeAttrs(mark)
}

// emitSpan emits the row of a span.
func (m *Mapper) emitSpan(t *record.Traces, i int, sink row.Sink) {
	s, n := &t.Spans[i], &m.nodes[i]
	res, scope := &m.resources[s.Resource], &t.Scopes[s.Scope]
	p := n.period
	x := &m.span
	*x = row.Span{
		TraceID:            s.TraceID,
		SpanID:             s.SpanID,
		ParentSpanID:       s.ParentSpanID,
		Name:               m.name(s.Name),
		Kind:               s.Kind,
		StartedAt:          p.start,
		Duration:           p.duration,
		Status:             s.Status,
		StatusMessage:      m.clean(s.StatusMessage, m.cfg.MaxAttributeBytes),
		UserID:             n.user,
		SessionID:          n.session,
		Operation:          operations[n.class],
		Model:              n.model,
		Provider:           n.provider,
		Tool:               n.tool,
		Tokens:             n.use.tokens,
		Cost:               n.use.cost,
		PriceVersion:       n.priceVersion,
		ServiceName:        res.service,
		Environment:        n.environment,
		ScopeName:          m.name(scope.Name),
		ScopeVersion:       m.name(scope.Version),
		ResourceAttributes: res.attrs,
		Attributes:         m.withOriginal(n.attrs, p.original),
		Events:             m.cleanEvents(s.Events, p.start),
		Links:              m.cleanLinks(s.Links),
	}
	x.ExecutionID, x.AgentID = m.belonging(n)
	if n.request && n.run < 0 && n.below == 1 {
		r := &m.runs[n.belowAt]
		fill(&x.UserID, m.nodes[r.span].effUser)
		fill(&x.SessionID, m.nodes[r.span].effSession)
	}
	m.stats.Spans++
	sink.Span(x)
}

// belonging says to which run and agent a span belongs: what it says itself in the project's own words, else the run
// around it, else, for a request, the one run below it, else what other conventions say on spans below a run.
func (m *Mapper) belonging(n *node) (executionID, agentID string) {
	at := n.run
	if at < 0 && n.request && n.below == 1 {
		at = n.belowAt
	}
	if at < 0 {
		return n.saidRun, n.saidAgent
	}
	r := &m.runs[at]
	if n.head { // Settled with its row.
		return r.runID, r.id
	}
	executionID, agentID = r.runID, r.id
	if n.ownRun {
		executionID = n.saidRun
	}
	if n.ownAgent {
		agentID = n.saidAgent
	}
	return executionID, agentID
}

// readBelonging reads what a span says about where it belongs.
func (m *Mapper) readBelonging(v *view, n *node, res *resourceFacts) {
	var at int
	n.saidRun, at = m.text(v, executionIDs, n.dialect)
	n.ownRun = at == rowOwnExecutionID
	if n.saidAgent, _ = m.text(v, ownAgents, n.dialect); n.saidAgent != "" {
		n.ownAgent = true
	} else {
		n.saidAgent, _ = m.text(v, namedAgents, n.dialect)
	}
	n.environment = m.environmentOf(res, n.dialect)
}

// cleanEvents returns the events as they are stored; an event without a time has that of its span.
func (m *Mapper) cleanEvents(events []record.Event, start int64) []record.Event {
	before := m.stats
	for i := range events {
		e := &events[i]
		attrs := m.scan(&m.ev, e.Attrs)
		if sameAttrs(attrs, e.Attrs) && e.Time != 0 && e.Time <= m.latest && m.isName(e.Name) {
			continue
		}
		m.stats = before // The repair counts.
		return m.repairEvents(events, start)
	}
	return events
}

func (m *Mapper) repairEvents(events []record.Event, start int64) []record.Event {
	mark := m.arena.EventMark()
	for i := range events {
		e := events[i]
		attrs := m.scan(&m.ev, e.Attrs)
		at := start
		if e.Time != 0 {
			var original uint64
			at, original = m.instant(e.Time)
			attrs = m.withOriginal(attrs, original)
		}
		m.arena.AddEvent(record.Event{Time: uint64(max(0, at)), Name: m.name(e.Name), Attrs: attrs})
	}
	return m.arena.TakeEvents(mark)
}

func (m *Mapper) cleanLinks(links []record.Link) []record.Link {
	before, clean := m.stats, true
	for i := range links {
		clean = clean && sameAttrs(m.scan(&m.ev, links[i].Attrs), links[i].Attrs)
	}
	if clean {
		return links
	}
	m.stats = before // The repair counts.
	mark := m.arena.LinkMark()
	for _, l := range links {
		l.Attrs = m.scan(&m.ev, l.Attrs)
		m.arena.AddLink(l)
	}
	return m.arena.TakeLinks(mark)
}

// sameAttrs reports whether two lists are the same memory.
func sameAttrs(a, b record.Attrs) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}
