package fromwire

import (
	"math"
	"math/rand/v2"

	logspb "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	metricspb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	tracespb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// generator writes random requests that OTLP's own descriptors allow, in all the ways that protobuf allows and
// encoders do not use: fields in any order and repeated, messages in pieces, packed and unpacked numbers, numbers longer than they
// need be, unknown fields. The request may also be spoilt.
type generator struct {
	*rand.Rand
	depth  int // how many messages are open
	deepen int // up to which depth values nest for certain
	left   int // how many more fields there may be
	calm   int // one field in so many is odd
}

// request returns the descriptor of a signal's request.
func (s signal) request() protoreflect.MessageDescriptor {
	switch s.name {
	case "traces":
		return (*tracespb.ExportTraceServiceRequest)(nil).ProtoReflect().Descriptor()
	case "logs":
		return (*logspb.ExportLogsServiceRequest)(nil).ProtoReflect().Descriptor()
	default:
		return (*metricspb.ExportMetricsServiceRequest)(nil).ProtoReflect().Descriptor()
	}
}

// generate writes the request that follows from the seeds.
func generate(s signal, seed1, seed2 uint64) []byte {
	g := &generator{Rand: rand.New(rand.NewPCG(seed1, seed2)), calm: 1 << 30}
	g.left = []int{20, 200, 1000}[g.IntN(3)]
	if g.IntN(2) == 0 {
		g.calm = 10 << g.IntN(6)
	}
	if g.IntN(8) == 0 {
		g.deepen = g.IntN(300)
	}
	b := g.message(s.request())
	if g.IntN(4) == 0 {
		b = g.spoil(b)
	}
	return b
}

// spoil changes, cuts out or repeats some bytes.
func (g *generator) spoil(b []byte) []byte {
	for range 1 + g.IntN(3) {
		if len(b) == 0 {
			return b
		}
		i := g.IntN(len(b))
		j := min(len(b), i+1+g.IntN(8))
		switch g.IntN(5) {
		case 0:
			b[i] ^= 1 << g.IntN(8)
		case 1:
			b[i] = byte(g.IntN(256))
		case 2:
			b = b[:i]
		case 3:
			b = append(b[:i], b[j:]...)
		default:
			b = append(b[:j:j], b[i:]...)
		}
	}
	return b
}

func (g *generator) odd() bool { return g.IntN(g.calm) == 0 }

// message writes the fields of one message, some not at all and some more than once.
func (g *generator) message(m protoreflect.MessageDescriptor) []byte {
	g.depth++
	defer func() { g.depth-- }()
	var fields [][]byte
	for i := range m.Fields().Len() {
		f := m.Fields().Get(i)
		for range g.times(f) {
			if g.left--; g.left >= 0 {
				fields = append(fields, g.field(f))
			}
		}
	}
	if g.depth == 2 && g.calm < 1<<20 && g.IntN(4) == 0 { // A scope as in OTLP before 0.16.
		scope := m.Fields().ByNumber(2).Message()
		fields = append(fields, tagged(1000, protowire.BytesType, g.sized(g.message(scope))))
	}
	if g.odd() {
		fields = append(fields, g.unknown())
	}
	switch g.IntN(3) {
	case 0: // Ascending, as in the order of the descriptor.
	case 1:
		for i, j := 0, len(fields)-1; i < j; i, j = i+1, j-1 {
			fields[i], fields[j] = fields[j], fields[i]
		}
	default:
		g.Shuffle(len(fields), func(i, j int) { fields[i], fields[j] = fields[j], fields[i] })
	}
	var b []byte
	for _, f := range fields {
		b = append(b, f...)
	}
	return b
}

// times says how often a field comes.
func (g *generator) times(f protoreflect.FieldDescriptor) int {
	switch {
	case f.IsList() && f.Message() != nil && g.depth <= 3: // Resources, scopes and records.
		return 1 + g.IntN(3)
	case f.IsList() && g.depth > 4 && g.depth < g.deepen:
		return 1
	case f.IsList():
		return g.IntN(4)
	case f.ContainingOneof() != nil && !f.HasOptionalKeyword():
		if g.depth > 4 && g.depth < g.deepen && f.Message() != nil {
			return (g.depth/3 + int(f.Number())) % 2 // One of array and map, which have the numbers 5 and 6.
		}
		return max(0, 1-g.IntN(f.ContainingOneof().Fields().Len()))
	case f.Message() != nil && g.calm < 1<<20:
		return min(2, g.IntN(5)) // In pieces.
	default:
		if g.odd() {
			return 2 + g.IntN(2)
		}
		return min(1, g.IntN(4))
	}
}

func (g *generator) field(f protoreflect.FieldDescriptor) []byte {
	n := f.Number()
	if g.odd() {
		switch g.IntN(3) {
		case 0:
			return g.unknown()
		case 1:
			n = protowire.Number(1 + g.IntN(17))
		}
	}
	if f.IsList() && f.IsPacked() && g.IntN(4) > 0 {
		var packed []byte
		for range g.IntN(6) {
			_, v := g.scalar(f)
			packed = append(packed, v...)
		}
		return tagged(n, protowire.BytesType, g.sized(packed))
	}
	if f.Message() != nil {
		return tagged(n, protowire.BytesType, g.sized(g.message(f.Message())))
	}
	wire, v := g.scalar(f)
	return tagged(n, wire, v)
}

// scalar returns a value that is no message.
func (g *generator) scalar(f protoreflect.FieldDescriptor) (protowire.Type, []byte) {
	switch f.Kind() {
	case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind:
		return protowire.Fixed64Type, protowire.AppendFixed64(nil, g.integer())
	case protoreflect.DoubleKind:
		return protowire.Fixed64Type, protowire.AppendFixed64(nil, math.Float64bits(g.double()))
	case protoreflect.Fixed32Kind:
		return protowire.Fixed32Type, protowire.AppendFixed32(nil, uint32(g.integer()))
	case protoreflect.StringKind:
		return protowire.BytesType, g.sized([]byte(g.text()))
	case protoreflect.BytesKind:
		return protowire.BytesType, g.sized(g.bytes(f))
	default:
		return protowire.VarintType, g.varint(g.integer())
	}
}

func (g *generator) bytes(f protoreflect.FieldDescriptor) []byte {
	length := g.IntN(20)
	if !g.odd() {
		switch f.Name() {
		case "trace_id":
			length = 16 * min(1, g.IntN(5))
		case "span_id", "parent_span_id":
			length = 8 * min(1, g.IntN(5))
		}
	}
	b := make([]byte, length)
	for i := range b {
		b[i] = byte(g.IntN(4)) // Ids that meet.
	}
	return b
}

func (g *generator) integer() uint64 {
	switch g.IntN(6) {
	case 0:
		return g.Uint64()
	case 1:
		return g.Uint64N(1 << 40)
	case 2: // Times that are believed.
		return uint64(receivedAt.UnixNano()) - g.Uint64N(1e12)
	case 3:
		return -g.Uint64N(10)
	default:
		return g.Uint64N(30)
	}
}

func (g *generator) double() float64 {
	special := []float64{0, math.Copysign(0, -1), 1, -1.5, math.Inf(1), math.Inf(-1), math.NaN(), math.MaxFloat64, 5e-324, 1e21}
	if g.IntN(2) == 0 {
		return special[g.IntN(len(special))]
	}
	return g.NormFloat64() * 100
}

func (g *generator) text() string {
	words := []string{
		"", "a", "service.name", "agent-1", "gen_ai.operation.name", "invoke_agent", "gen_ai.agent.name", "user.id", "error",
		"exception", "exception.type", "exception.message", "http.request.method", "GET", "url.path", "agenttrail.execution.id",
		"ä€😀", "\xff\xc3", "\"quoted\" \\ \n\x00\x1f", "{\"json\":[1]}", "0123456789abcdef", "1e300", "true",
	}
	s := words[g.IntN(len(words))]
	for range g.IntN(40) {
		if g.IntN(30) > 0 {
			break
		}
		s += s + "long "
	}
	if g.IntN(20) == 0 {
		s = string(make([]byte, 120+g.IntN(20)))
	}
	return s
}

// varint writes a number, now and then in more bytes than it needs.
func (g *generator) varint(v uint64) []byte {
	b := protowire.AppendVarint(nil, v)
	if !g.odd() {
		return b
	}
	for to := len(b) + g.IntN(12-len(b)); len(b) < to; {
		b[len(b)-1] |= 0x80
		b = append(b, byte(g.IntN(2))*0x7f)
		if len(b) < 10 {
			b[len(b)-1] = 0
		}
	}
	return b
}

func (g *generator) sized(b []byte) []byte { return append(g.varint(uint64(len(b))), b...) }

// unknown is a field that OTLP does not have, or one that is malformed.
func (g *generator) unknown() []byte {
	n := protowire.Number(20 + g.IntN(1500))
	if g.IntN(8) == 0 {
		n = protowire.Number(1 + g.IntN(20)) // It may be one that OTLP has, with another wire type.
	}
	switch g.IntN(7) {
	case 0:
		return tagged(n, protowire.VarintType, g.varint(g.Uint64()))
	case 1:
		return tagged(n, protowire.Fixed64Type, protowire.AppendFixed64(nil, g.Uint64()))
	case 2:
		return tagged(n, protowire.Fixed32Type, protowire.AppendFixed32(nil, g.Uint32()))
	case 3:
		return tagged(n, protowire.BytesType, g.sized(make([]byte, g.IntN(200))))
	case 4:
		group := tagged(n, protowire.StartGroupType, nil)
		for range g.IntN(2) {
			group = append(group, g.unknown()...)
		}
		return append(group, tagged(n, protowire.EndGroupType, nil)...)
	case 5: // A field number that is the remainder of another.
		return append(g.varint(uint64(g.IntN(16))<<3|1<<(35+g.IntN(28))), 0)
	default:
		return tagged(n, protowire.Type(g.IntN(8)), g.varint(g.Uint64N(5)))
	}
}
