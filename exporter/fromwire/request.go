package fromwire

import "github.com/agenttrail/agenttrail/exporter/record"

// records is what differs between the signals: what the scopes of a request hold.
type records interface {
	// add decodes one record. resource and scope are the indexes of what it belongs to.
	add(r reader, resource, scope int) *Error
	// size says how much was added, for drop.
	size() size
	// drop takes back what was added since.
	drop(size)
	// names returns what OTLP calls the messages around the records: the request, those of a resource and those of a scope.
	names() (request, resource, scope string)
}

// size is a state of [records].
type size struct{ records, points int }

// request decodes what the requests of all signals have in common. Their messages are numbered alike:
//
//	request:  1 per resource
//	resource: 1 resource, 2 per scope, 3 schema URL, 1000 per scope in OTLP before 0.16
//	scope:    1 scope, 2 record, 3 schema URL
type request struct {
	arena     *record.Arena
	resources *[]record.Resource
	scopes    *[]record.Scope
	records   records
}

func (q *request) decode(b []byte) error {
	name, _, _ := q.records.names()
	r := reader{buf: b}
	for r.next() {
		switch r.num {
		case 1:
			r.within(q.perResource(r.message()))
		default:
			r.skip()
		}
	}
	if err := r.end(name); err != nil {
		return err
	}
	return nil
}

// perResource decodes a resource with its scopes. The resource may come after its records, as with pdata, which writes
// fields in descending order; so they point to an entry that is filled in when it comes.
func (q *request) perResource(r reader) *Error {
	_, name, _ := q.records.names()
	whole := r
	index := len(*q.resources)
	*q.resources = append(*q.resources, record.Resource{})
	resource := &(*q.resources)[index]
	resources, scopes, deprecated := 0, 0, 0
	for r.next() {
		switch r.num {
		case 1:
			resources++
			r.within(decodeResource(q.arena, r.message(), resource))
		case 2:
			scopes++
			r.within(q.perScope(r.message(), index))
		case 3:
			resource.SchemaURL = text(r.bytes())
		case 1000:
			deprecated++
			r.bytes()
		default:
			r.skip()
		}
	}
	if r.err == nil && resources > 1 {
		resource.Attrs = gatherWithin(q.arena, whole, 1, 1)
	}
	if r.err == nil && deprecated > 0 {
		r.within(q.deprecated(whole, index, scopes == 0))
	}
	return r.end(name)
}

// deprecated decodes the scopes that senders of OTLP before 0.16 sent in field 1000. They count only when there are no others, but
// are never allowed to be malformed.
func (q *request) deprecated(r reader, resource int, count bool) *Error {
	_, name, _ := q.records.names()
	scopes, before := len(*q.scopes), q.records.size()
	for r.next() {
		if r.num == 1000 {
			r.within(q.perScope(r.message(), resource))
		} else {
			r.skip()
		}
	}
	if !count {
		*q.scopes = cut(*q.scopes, scopes)
		q.records.drop(before)
	}
	return r.end(name)
}

func (q *request) perScope(r reader, resource int) *Error {
	_, _, name := q.records.names()
	whole := r
	index := len(*q.scopes)
	*q.scopes = append(*q.scopes, record.Scope{})
	scope := &(*q.scopes)[index]
	scopes := 0
	for r.next() {
		switch r.num {
		case 1:
			scopes++
			r.within(decodeScope(q.arena, r.message(), scope))
		case 2:
			r.within(q.records.add(r.message(), resource, index))
		case 3:
			r.bytes()
		default:
			r.skip()
		}
	}
	if r.err == nil && scopes > 1 {
		scope.Attrs = gatherWithin(q.arena, whole, 1, 3)
	}
	return r.end(name)
}

// decodeResource decodes a resource, or a further piece of one, whose attributes the caller then gathers.
func decodeResource(a *record.Arena, r reader, resource *record.Resource) *Error {
	mark := a.AttrMark()
	for r.next() {
		switch r.num {
		case 1:
			r.within(attr(a, r.message()))
		case 2: // How many attributes were dropped.
			r.varint()
		case 3:
			r.within(checkEntityRef(r.message()))
		default:
			r.skip()
		}
	}
	resource.Attrs = a.TakeAttrs(mark)
	return r.end("Resource")
}

// decodeScope decodes a scope, or a further piece of one, whose attributes the caller then gathers.
func decodeScope(a *record.Arena, r reader, scope *record.Scope) *Error {
	mark := a.AttrMark()
	for r.next() {
		switch r.num {
		case 1:
			scope.Name = text(r.bytes())
		case 2:
			scope.Version = text(r.bytes())
		case 3:
			r.within(attr(a, r.message()))
		case 4: // How many attributes were dropped.
			r.varint()
		default:
			r.skip()
		}
	}
	scope.Attrs = a.TakeAttrs(mark)
	return r.end("InstrumentationScope")
}

// gather decodes the attributes in the fields num of a message that was decoded without error, when they could not be
// taken together at once.
func gather(a *record.Arena, r reader, num int32) record.Attrs {
	mark := a.AttrMark()
	gatherInto(a, r, num)
	return a.TakeAttrs(mark)
}

// gatherWithin is [gather] for attributes in the messages in the fields outer: protobuf joins the pieces of a message that
// appears more than once.
func gatherWithin(a *record.Arena, r reader, outer, num int32) record.Attrs {
	mark := a.AttrMark()
	for r.next() {
		if r.num == outer {
			gatherInto(a, r.message(), num)
		} else {
			r.skip()
		}
	}
	return a.TakeAttrs(mark)
}

func gatherInto(a *record.Arena, r reader, num int32) {
	for r.next() {
		if r.num == num {
			r.within(attr(a, r.message()))
		} else {
			r.skip()
		}
	}
}
