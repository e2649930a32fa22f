package fromwire

import "github.com/agenttrail/agenttrail/exporter/record"

// request decodes what the requests of all signals have in common. Their messages are numbered alike:
//
//	request:  1 per resource
//	resource: 1 resource, 2 per scope, 3 schema URL, 1000 per scope in old versions of OTLP
//	scope:    1 scope, 2 record, 3 schema URL
type request struct {
	arena     *record.Arena
	resources *[]record.Resource
	scopes    *[]record.Scope

	// One of these is where the records go. An interface would do, but would cost an allocation per request.
	traces  *record.Traces
	logs    *record.Logs
	metrics *record.Metrics

	names names
}

// names are what OTLP calls the messages around the records.
type names struct{ request, resource, scope string }

// add decodes the record in the field at hand. resource and scope are the indexes of what it belongs to.
func (q *request) add(r *reader, resource, scope int) {
	switch {
	case q.traces != nil:
		addSpan(q.traces, r, resource, scope)
	case q.logs != nil:
		addLog(q.logs, r, resource, scope)
	default:
		addMetric(q.metrics, r, resource, scope)
	}
}

// size says how many scopes, records (for metrics: metrics) and points were added.
type size struct{ scopes, records, points int }

func (q *request) size() size {
	switch {
	case q.traces != nil:
		return size{len(*q.scopes), len(q.traces.Spans), 0}
	case q.logs != nil:
		return size{len(*q.scopes), len(q.logs.Records), 0}
	default:
		return size{len(*q.scopes), len(q.metrics.Metrics), len(q.metrics.Points)}
	}
}

// drop takes back what was added since.
func (q *request) drop(since size) {
	*q.scopes = cut(*q.scopes, since.scopes)
	switch {
	case q.traces != nil:
		q.traces.Spans = cut(q.traces.Spans, since.records)
	case q.logs != nil:
		q.logs.Records = cut(q.logs.Records, since.records)
	default:
		q.metrics.Metrics = cut(q.metrics.Metrics, since.records)
		q.metrics.Points = cut(q.metrics.Points, since.points)
	}
}

func (q *request) decode(b []byte) error {
	r := reader{buf: b}
	for r.next() {
		switch r.num {
		case 1:
			q.perResource(&r)
		default:
			r.skip()
		}
	}
	r.close(len(b), q.names.request)
	if r.err != nil {
		return r.err
	}
	return nil
}

// perResource decodes a resource with its scopes. The resource may come after its records, as with pdata, which writes
// fields in descending order; so these point to an entry that is filled in when it comes.
func (q *request) perResource(r *reader) {
	end := r.open()
	start := r.pos
	index := len(*q.resources)
	*q.resources = append(*q.resources, record.Resource{})
	resource := &(*q.resources)[index]
	resources, scopes, deprecated := 0, 0, 0
	for r.next() {
		switch r.num {
		case 1:
			resources++
			decodeResource(q.arena, r, resource)
		case 2:
			scopes++
			q.perScope(r, index)
		case 3:
			resource.SchemaURL = r.text()
		case 1000:
			deprecated++
			r.bytes()
		default:
			r.skip()
		}
	}
	if resources > 1 {
		r.rewind(start)
		resource.Attrs = gatherWithin(q.arena, r, 1, 1)
	}
	if deprecated > 0 {
		r.rewind(start)
		q.deprecated(r, index, scopes == 0)
	}
	r.close(end, q.names.resource)
}

// deprecated decodes the scopes that senders of OTLP before 0.16 put into field 1000. They count only when there are no
// others, but even then they must not be malformed.
func (q *request) deprecated(r *reader, resource int, count bool) {
	before := q.size()
	for r.next() {
		if r.num == 1000 {
			q.perScope(r, resource)
		} else {
			r.skip()
		}
	}
	if !count {
		q.drop(before)
	}
}

func (q *request) perScope(r *reader, resource int) {
	end := r.open()
	start := r.pos
	index := len(*q.scopes)
	*q.scopes = append(*q.scopes, record.Scope{})
	scope := &(*q.scopes)[index]
	scopes := 0
	for r.next() {
		switch r.num {
		case 1:
			scopes++
			decodeScope(q.arena, r, scope)
		case 2:
			q.add(r, resource, index)
		case 3: // Schema URL, which no row has.
			r.bytes()
		default:
			r.skip()
		}
	}
	if scopes > 1 {
		r.rewind(start)
		scope.Attrs = gatherWithin(q.arena, r, 1, 3)
	}
	r.close(end, q.names.scope)
}

// decodeResource decodes a resource, or a further piece of one, whose attributes the caller then gathers.
func decodeResource(a *record.Arena, r *reader, resource *record.Resource) {
	end := r.open()
	mark := a.AttrMark()
	for r.next() {
		switch r.num {
		case 1:
			attr(a, r)
		case 2: // How many attributes were dropped.
			r.varint()
		case 3:
			checkEntityRef(r)
		default:
			r.skip()
		}
	}
	resource.Attrs = a.TakeAttrs(mark)
	r.close(end, "Resource")
}

// decodeScope decodes a scope, or a further piece of one, whose attributes the caller then gathers.
func decodeScope(a *record.Arena, r *reader, scope *record.Scope) {
	end := r.open()
	mark := a.AttrMark()
	for r.next() {
		switch r.num {
		case 1:
			scope.Name = r.text()
		case 2:
			scope.Version = r.text()
		case 3:
			attr(a, r)
		case 4: // How many attributes were dropped.
			r.varint()
		default:
			r.skip()
		}
	}
	scope.Attrs = a.TakeAttrs(mark)
	r.close(end, "InstrumentationScope")
}

// gather decodes once more the attributes in the fields num of the message at hand, from where r is to the end, when they could
// not be taken together at once.
func gather(a *record.Arena, r *reader, num int32) record.Attrs {
	mark := a.AttrMark()
	addAttrs(a, r, num)
	return a.TakeAttrs(mark)
}

// gatherWithin is [gather] for attributes in the messages in the fields outer: protobuf joins the pieces of a message
// that appears more than once.
func gatherWithin(a *record.Arena, r *reader, outer, num int32) record.Attrs {
	mark := a.AttrMark()
	for r.next() {
		if r.num != outer {
			r.skip()
			continue
		}
		end := r.open()
		addAttrs(a, r, num)
		r.close(end, "")
	}
	return a.TakeAttrs(mark)
}

func addAttrs(a *record.Arena, r *reader, num int32) {
	for r.next() {
		if r.num == num {
			attr(a, r)
		} else {
			r.skip()
		}
	}
}
