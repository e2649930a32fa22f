package mapping

import (
	"strings"

	"github.com/agenttrail/agenttrail/exporter/record"
	"github.com/agenttrail/agenttrail/exporter/row"
)

// The tables of HTTP server spans: the stable names of semconv v1.21 and later, then those before.
var (
	httpMethods = newTable(
		source{key: "http.request.method", from: "semconv v1.21"},
		source{key: "http.method", from: "semconv before v1.21"},
	)
	httpStatuses = newTable(
		source{key: "http.response.status_code", from: "semconv v1.21"},
		source{key: "http.status_code", from: "semconv before v1.21"},
	)
	httpRoutes = newTable(source{key: "http.route", from: "semconv"})
	// The address of the end user; a proxy in front may have put it into client.address.
	clientAddresses = newTable(
		source{key: KeyClientAddress, from: "agenttrail"},
		source{key: "client.address", from: "semconv v1.21"},
		source{key: "http.client_ip", from: "semconv before v1.21"},
		source{key: "network.peer.address", from: "semconv v1.21"},
		source{key: "net.sock.peer.addr", from: "semconv before v1.21"},
		source{key: "net.peer.ip", from: "semconv before v1.13"},
	)
	userAgents = newTable(
		source{key: KeyUserAgent, from: "agenttrail"},
		source{key: "user_agent.original", from: "semconv v1.19"},
		source{key: "http.user_agent", from: "semconv before v1.19"},
	)
	ownAddresses  = newTable(source{key: KeyClientAddress, from: "agenttrail"})
	ownUserAgents = newTable(source{key: KeyUserAgent, from: "agenttrail"})
)

var (
	idMethodOriginal = keys.intern("http.request.method_original")
	idURLFull        = keys.intern("url.full")
	idHTTPURL        = keys.intern("http.url")
	idURLScheme      = keys.intern("url.scheme")
	idHTTPScheme     = keys.intern("http.scheme")
	idURLPath        = keys.intern("url.path")
	idURLQuery       = keys.intern("url.query")
	idHTTPTarget     = keys.intern("http.target")
	idServerAddress  = keys.intern("server.address")
	idServerPort     = keys.intern("server.port")
	idHTTPHost       = keys.intern("http.host")
	idNetHostName    = keys.intern("net.host.name")
	idNetHostPort    = keys.intern("net.host.port")
	idRequestBody    = keys.intern("http.request.body.content")
	idResponseBody   = keys.intern("http.response.body.content")
	idUserAgentHead  = keys.intern("http.request.header.user-agent")
	idUserAgentHead0 = keys.intern("http.request.header.user_agent")
)

const (
	requestHeaderPrefix  = "http.request.header."
	responseHeaderPrefix = "http.response.header."
)

// readRequest reads from a span what the runs in it inherit: client, HTTP status, and when the request was made.
func (m *Mapper) readRequest(s *record.Span, v *view, n *node) {
	if s.Kind == record.KindServer || s.Kind == record.KindConsumer || n.request {
		n.ip, _ = m.text(v, clientAddresses, n.dialect)
		n.agent, _ = m.text(v, userAgents, n.dialect)
		if n.agent == "" {
			n.agent = m.header(v, idUserAgentHead, idUserAgentHead0)
		}
		n.asked, _ = m.moment(v, requestTimes, n.dialect)
	} else {
		n.ip, _ = m.text(v, ownAddresses, n.dialect)
		n.agent, _ = m.text(v, ownUserAgents, n.dialect)
	}
	if n.request || n.class == classAgent || n.class == classWorkflow {
		status, _ := m.count(v, httpStatuses, n.dialect, 999)
		n.httpStatus = uint16(status) //nolint:gosec // In range, see above.
	}
	if n.class == classRequest && n.httpStatus >= 400 && n.httpStatus <= 999 {
		n.failing = n.httpStatus >= 500 // The client's mistake is no failure of the server.
	}
}

// header returns a captured header by the two names that it can have.
func (m *Mapper) header(v *view, ids ...keyID) string {
	for _, id := range ids {
		if x, ok := v.get(id); ok {
			return m.name(m.headerText(x))
		}
	}
	return ""
}

// headerText returns the values of a header, joined.
func (m *Mapper) headerText(v record.Value) string {
	switch v.Kind {
	case record.ValueString:
		return v.Str
	case record.ValueArray:
		return m.arena.TakeText(appendJoined(m.arena.Text(), v.Str))
	default:
		return m.arena.TakeText(v.AppendText(m.arena.Text()))
	}
}

// emitRequest emits the row of an HTTP request.
func (m *Mapper) emitRequest(t *record.Traces, i int, sink row.Sink) {
	s, n, v := &t.Spans[i], &m.nodes[i], &m.v
	res := &m.resources[s.Resource]
	p := n.period
	x := &m.request
	*x = row.Request{
		ID:              m.requestID(s),
		Timestamp:       p.start,
		Method:          m.methodOf(v, n.dialect),
		HTTPStatus:      n.httpStatus,
		Duration:        p.duration,
		RequestHeaders:  m.headers(n.attrs, requestHeaderPrefix),
		RequestBody:     m.body(v, idRequestBody),
		ResponseHeaders: m.headers(n.attrs, responseHeaderPrefix),
		ResponseBody:    m.body(v, idResponseBody),
		UserID:          n.user,
		SessionID:       n.session,
		TraceID:         s.TraceID,
		SpanID:          s.SpanID,
		ServiceName:     res.service,
		Environment:     n.environment,
	}
	x.URL, x.Path = m.address(v)
	x.Route, _ = m.text(v, httpRoutes, n.dialect)
	x.IPAddress, _ = m.text(v, clientAddresses, n.dialect)
	if x.UserAgent, _ = m.text(v, userAgents, n.dialect); x.UserAgent == "" {
		x.UserAgent = m.header(v, idUserAgentHead, idUserAgentHead0)
	}
	m.setFailure(x, s, v, n)
	if n.ownRun {
		x.ExecutionID = n.saidRun
	}
	if n.ownAgent {
		x.AgentID = n.saidAgent
	}
	if at := m.runOfRequest(n); at >= 0 {
		r := &m.runs[at]
		fill(&x.ExecutionID, r.runID)
		fill(&x.AgentID, r.id)
		fill(&x.UserID, m.nodes[r.span].effUser)
		fill(&x.SessionID, m.nodes[r.span].effSession)
	}
	fill(&x.UserID, n.effUser)
	fill(&x.SessionID, n.effSession)
	m.stats.Requests++
	sink.Request(x)
}

// runOfRequest returns the one run that a request started, or -1: the run below it, or the request's span itself.
func (m *Mapper) runOfRequest(n *node) int32 {
	switch {
	case n.head:
		return n.run
	case n.below == 1:
		return n.belowAt
	default:
		return -1
	}
}

func (m *Mapper) setFailure(x *row.Request, s *record.Span, v *view, n *node) {
	exc := m.lastException(n)
	x.ErrorCode, _ = m.text(v, errorTypes, n.dialect)
	if x.ErrorCode == "" && n.httpStatus >= 500 {
		x.ErrorCode = m.uintText(uint64(n.httpStatus))
	}
	if x.ErrorCode == "" && n.failing && exc != nil {
		x.ErrorCode = exc.kind
	}
	if n.failing || x.ErrorCode != "" || s.Status == record.StatusError {
		x.ErrorMessage = m.messageOf(s, v, n.dialect, exc)
	}
}

// requestID is computed from trace and span id; without them, from what the span tells.
func (m *Mapper) requestID(s *record.Span) row.UUID {
	b := appendText(m.idScratch[:0], domainRequest)
	b = append(b, s.TraceID[:]...)
	b = append(b, s.SpanID[:]...)
	if s.TraceID == [16]byte{} || s.SpanID == [8]byte{} {
		b = appendSpan(b, s)
	}
	m.idScratch = b
	return m.distinct(hash128(b))
}

func (m *Mapper) methodOf(v *view, d Dialect) string {
	method, _ := m.text(v, httpMethods, d)
	if method == "_OTHER" {
		if original := v.str(idMethodOriginal); original != "" {
			return m.name(original)
		}
	}
	return method
}

// body returns a captured body.
func (m *Mapper) body(v *view, id keyID) string {
	x, ok := v.get(id)
	if !ok {
		return ""
	}
	return m.bodyText(x)
}

// bodyText returns a value as text of the size of a body.
func (m *Mapper) bodyText(v record.Value) string {
	limit := m.cfg.MaxBodyBytes
	switch v.Kind {
	case record.ValueString, record.ValueArray, record.ValueMap:
		return m.clean(v.Str, limit)
	case record.ValueBytes:
		if base64Len(len(v.Str)) > limit {
			keep := limit / 4 * 3
			m.stats.Adjusted[ReasonTruncated]++
			text := record.Value{Kind: record.ValueBytes, Str: v.Str[:keep]}.AppendText(m.arena.Text())
			return m.arena.TakeText(appendCutMarker(text, len(v.Str)-keep))
		}
	}
	return m.arena.TakeText(v.AppendText(m.arena.Text()))
}

// headers returns the captured headers. Names are in lower case with dashes; before semconv v1.24 attributes had
// underscores instead, and a name in both forms is the new one.
func (m *Mapper) headers(attrs record.Attrs, prefix string) record.Attrs {
	mark := m.arena.AttrMark()
	m.seen.reset(len(attrs))
	m.addHeaders(attrs, prefix, mark, false)
	m.addHeaders(attrs, prefix, mark, true)
	return m.arena.TakeAttrs(mark)
}

// addHeaders adds the headers whose names are in the old form, or those that are not, unless they are there already.
func (m *Mapper) addHeaders(attrs record.Attrs, prefix string, mark int, old bool) {
	for i := range attrs {
		name, ok := strings.CutPrefix(attrs[i].Key, prefix)
		if !ok || name == "" || (strings.IndexByte(name, '_') >= 0) != old {
			continue
		}
		name = m.headerName(name)
		added := m.arena.TakeAttrs(mark)
		if _, dup := m.see(added, keys.hash(name), name, len(added)); dup {
			continue
		}
		v := attrs[i].Value
		if v.Kind != record.ValueString {
			v = record.String(m.headerText(v))
		}
		m.arena.AddAttr(name, v)
	}
}

func headerByte(c byte) byte {
	switch {
	case c == '_':
		return '-'
	case c >= 'A' && c <= 'Z':
		return c + 'a' - 'A'
	default:
		return c
	}
}

func (m *Mapper) headerName(name string) string {
	for i := range len(name) {
		if headerByte(name[i]) != name[i] {
			dst := m.arena.Text()
			for k := range len(name) {
				dst = append(dst, headerByte(name[k]))
			}
			return m.arena.TakeText(dst)
		}
	}
	return name
}

// address returns the whole address of a request, rebuilt where the span has only its parts, and the path.
func (m *Mapper) address(v *view) (whole, path string) {
	limit := m.cfg.MaxAttributeBytes
	path, query := v.str(idURLPath), v.str(idURLQuery)
	if path == "" {
		path, query, _ = strings.Cut(v.str(idHTTPTarget), "?")
	}
	for _, id := range [...]keyID{idURLFull, idHTTPURL} {
		if full := v.str(id); full != "" {
			if path == "" {
				path = pathOf(full)
			}
			return m.clean(full, limit), m.clean(path, limit)
		}
	}
	dst := m.arena.Text()
	start := len(dst)
	if host := first(v.str(idServerAddress), v.str(idHTTPHost), v.str(idNetHostName)); host != "" {
		scheme := first(v.str(idURLScheme), v.str(idHTTPScheme), "http")
		dst = append(dst, scheme...)
		dst = append(dst, "://"...)
		dst = m.appendHost(dst, v, host, scheme)
	}
	if path != "" && path[0] != '/' && path[0] != '*' && len(dst) > start {
		dst = append(dst, '/')
	}
	dst = append(dst, path...)
	if query != "" {
		if query[0] != '?' {
			dst = append(dst, '?')
		}
		dst = append(dst, query...)
	}
	return m.clean(m.arena.TakeText(dst), limit), m.clean(path, limit)
}

// appendHost appends host and port, without the port that the scheme implies.
func (m *Mapper) appendHost(dst []byte, v *view, host, scheme string) []byte {
	colons := strings.Count(host, ":")
	if colons > 1 && host[0] != '[' {
		dst = append(dst, '[')
		dst = append(dst, host...)
		dst = append(dst, ']')
	} else {
		dst = append(dst, host...)
	}
	if colons == 1 || (host[0] == '[' && !strings.HasSuffix(host, "]")) {
		return dst // The host has its port.
	}
	for _, id := range [...]keyID{idServerPort, idNetHostPort} {
		if x, ok := v.get(id); ok {
			if n, got := countOf(x, 65535); got == readOK && n != 0 && (scheme != "http" || n != 80) && (scheme != "https" || n != 443) {
				dst = append(dst, ':')
				dst = x.AppendText(dst)
			}
			return dst
		}
	}
	return dst
}

// pathOf returns the path of an address.
func pathOf(full string) string {
	if _, rest, ok := strings.Cut(full, "://"); ok {
		i := strings.IndexAny(rest, "/?#")
		if i < 0 || rest[i] != '/' {
			return "/"
		}
		full = rest[i:]
	}
	if i := strings.IndexAny(full, "?#"); i >= 0 {
		full = full[:i]
	}
	return full
}

func first(texts ...string) string {
	for _, s := range texts {
		if s != "" {
			return s
		}
	}
	return ""
}
