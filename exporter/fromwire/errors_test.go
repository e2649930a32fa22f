package fromwire

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/agenttrail/agenttrail/exporter/record"
)

// TestMalformedSpans says what is wrong with a span, and where: the offsets count from the beginning of the request, and
// the span's first field is at byte 6.
func TestMalformedSpans(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fields string // of the span
		want   Error
	}{
		"a tag ends":                     {"\xaa", Error{"Span", 0, 0, 6, reasonEnds}},
		"a tag is too long":              {strings.Repeat("\xaa", 10) + "\x01", Error{"Span", 0, 0, 6, reasonLong}},
		"field 0":                        {"\x02\x01x", Error{"Span", 0, 0, 6, reasonNumber}},
		"a field of which pdata makes 0": {"\x82\x80\x80\x80\x80\x01\x01x", Error{"Span", 0, 0, 6, reasonNumber}},
		"a negative field":               {"\x8a\x80\x80\x80\x70\x01x", Error{"Span", 0, 0, 6, reasonNumber}},
		"no value":                       {"\x08", Error{"Span", 1, 0, 6, reasonWire}},
		"no length":                      {"\x2a", Error{"Span", 5, 2, 6, reasonEnds}},
		"a text ends":                    {"\x2a\x00\x2a\x03ab", Error{"Span", 5, 2, 8, reasonEnds}},
		"a length of 2^64-1":             {"\x2a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01ab", Error{"Span", 5, 2, 6, reasonEnds}},
		"a length of 2^63":               {"\x2a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01ab", Error{"Span", 5, 2, 6, reasonEnds}},
		"a number ends":                  {"\x30\x80", Error{"Span", 6, 0, 6, reasonEnds}},
		"a number of 11 bytes":           {"\x30" + strings.Repeat("\x80", 10) + "\x00", Error{"Span", 6, 0, 6, reasonLong}},
		"a time ends":                    {"\x391234567", Error{"Span", 7, 1, 6, reasonEnds}},
		"flags end":                      {"\x85\x01123", Error{"Span", 16, 5, 6, reasonEnds}},
		"a time that is text":            {"\x3a\x0812345678", Error{"Span", 7, 2, 6, reasonWire}},
		"text that is a number":          {"\x28\x00", Error{"Span", 5, 0, 6, reasonWire}},
		"a trace id of 8 bytes":          {"\x0a\x0812345678", Error{"Span", 1, 2, 6, reasonTraceID}},
		"a span id of 16 bytes":          {"\x12\x101234567812345678", Error{"Span", 2, 2, 6, reasonSpanID}},
		"an attribute that is a number":  {"\x48\x00", Error{"Span", 9, 0, 6, reasonWire}},
		"an attribute that is a group":   {"\x4b\x09\x0a\x01k\x12\x04\x0a\x02vv", Error{"Span", 9, 3, 6, reasonWire}},
		"an attribute ends":              {"\x4a\x05\x0a\x01k", Error{"Span", 9, 2, 6, reasonEnds}},
		"a key ends":                     {"\x4a\x03\x0a\x02k", Error{"KeyValue", 1, 2, 8, reasonEnds}},
		"a value ends":                   {"\x4a\x05\x0a\x01k\x12\x01", Error{"KeyValue", 2, 2, 11, reasonEnds}},
		"a string value ends":            {"\x4a\x07\x0a\x01k\x12\x02\x0a\x01", Error{"AnyValue", 1, 2, 13, reasonEnds}},
		"a truth that is a double":       {"\x4a\x0b\x12\x09\x1112345678", Error{"AnyValue", 2, 1, 10, reasonWire}},
		"an int value ends":              {"\x4a\x07\x0a\x01k\x12\x02\x18\x80", Error{"AnyValue", 3, 0, 13, reasonEnds}},
		"a longer int value ends":        {"\x4a\x08\x0a\x01k\x12\x03\x18\x80\x80", Error{"AnyValue", 3, 0, 13, reasonEnds}},
		"a truth ends":                   {"\x4a\x07\x0a\x01k\x12\x02\x10\x80", Error{"AnyValue", 2, 0, 13, reasonEnds}},
		"a double ends":                  {"\x4a\x0d\x0a\x01k\x12\x08\x211234567", Error{"AnyValue", 4, 1, 13, reasonEnds}},
		"after a string value":           {"\x4a\x0a\x0a\x01k\x12\x05\x0a\x02vv\x08", Error{"AnyValue", 1, 0, 17, reasonWire}},
		"after an int value":             {"\x4a\x08\x0a\x01k\x12\x03\x18\x05\x10", Error{"AnyValue", 2, 0, 15, reasonEnds}},
		"after a truth":                  {"\x4a\x08\x0a\x01k\x12\x03\x10\x01\x10", Error{"AnyValue", 2, 0, 15, reasonEnds}},
		"after a double":                 {"\x4a\x0f\x0a\x01k\x12\x0a\x2112345678\x10", Error{"AnyValue", 2, 0, 22, reasonEnds}},
		"after a value":                  {"\x4a\x08\x0a\x01k\x12\x02\x10\x01\x10", Error{"KeyValue", 2, 0, 15, reasonWire}},
		"a value of one byte":            {"\x4a\x06\x0a\x01k\x12\x01\x0a", Error{"AnyValue", 1, 2, 13, reasonEnds}},
		"in an empty value":              {"\x4a\x06\x0a\x01k\x12\x01\x10", Error{"AnyValue", 2, 0, 13, reasonEnds}},
		"a status ends":                  {"\x7a\x02\x12\x01", Error{"Status", 2, 2, 8, reasonEnds}},
		"in an event":                    {"\x5a\x02\x09\x01", Error{"Span.Event", 1, 1, 8, reasonEnds}},
		"in a link":                      {"\x6a\x03\x0a\x01x", Error{"Span.Link", 1, 2, 8, reasonTraceID}},
		"no wire type 6":                 {"\xae\x01\x00", Error{"Span", 21, 6, 6, reasonNoWire}},
		"no wire type 7":                 {"\xaf\x01\x00", Error{"Span", 21, 7, 6, reasonNoWire}},
		"a group has not begun":          {"\xac\x01\x2a\x00", Error{"Span", 21, 4, 6, reasonEndGroup}},
		"an unknown field ends":          {"\xaa\x01\x01", Error{"Span", 21, 2, 6, reasonEnds}},
		"in an array":                    {"\x4a\x08\x12\x06\x2a\x04\x0a\x02\x0a\x01", Error{"AnyValue", 1, 2, 14, reasonEnds}},
		"in a map":                       {"\x4a\x08\x12\x06\x32\x04\x0a\x02\x0a\x01", Error{"KeyValue", 1, 2, 14, reasonEnds}},

		// What follows is odd, but is what pdata does: protobuf would skip these groups.
		"a group with a field":      {"\xab\x01\x2a\x00\xac\x01\x2a\x00", Error{"Span", 21, 4, 10, reasonEndGroup}},
		"an empty group at the end": {"\xab\x01\xac\x01", Error{"Span", 21, 4, 8, reasonEnds}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := record1([]byte(c.fields))
			require.False(t, newComparer().requireTraces(t, b))
			got := record.Traces{Spans: make([]record.Span, 3)}
			err := Traces(b, &got)
			var e *Error
			require.ErrorAs(t, err, &e)
			if c.want.Field == 0 {
				e.Wire = 0 // Of no meaning.
			}
			require.Equal(t, c.want, *e)
			require.Contains(t, err.Error(), "decode traces: malformed "+c.want.Message)
			require.Empty(t, got.Spans)
		})
	}
}

// TestMessagesEndWhereTheySay has a span that ends within an attribute; the next span's bytes would complete it.
func TestMessagesEndWhereTheySay(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ first, second string }{
		"an attribute":        {"\x4a\x0a\x0a\x01k", "\x12\x05\x0a\x03abc"},
		"a value":             {"\x4a\x05\x0a\x01k\x12\x09", "\x12\x07\x0a\x05abcde"},
		"a text":              {"\x2a\x04", "\x12\x02\x08\x00"},
		"an attribute's name": {"\x4a\x08\x0a\x06", "\x12\x04\x12\x02\x10\x01"},
	} {
		require.False(t, newComparer().requireTraces(t, msg(1, msg(2, str(2, c.first), []byte(c.second)))), name)
	}
}

// TestEveryFieldHasItsWireType breaks each field of OTLP in turn, wherever it is. pdata says whether that matters.
func TestEveryFieldHasItsWireType(t *testing.T) {
	t.Parallel()
	value := msg(2, str(1, ""), num(2, 0), num(3, 0), fix(4, 0), msg(5), msg(6), str(7, ""), num(8, 0))
	paths := map[string][]func(field []byte) []byte{"traces": nil, "logs": nil, "metrics": nil}
	add := func(signal string, path ...protowire.Number) {
		paths[signal] = append(paths[signal], func(field []byte) []byte {
			for _, n := range slices.Backward(path) {
				field = msg(n, field)
			}
			return field
		})
	}
	for s := range paths {
		for _, path := range [][]protowire.Number{{}, {1}, {1, 1}, {1, 1, 1}, {1, 1, 3}, {1, 2}, {1, 2, 1}, {1, 1000}, {1, 1000, 1}, {1, 2, 2}} {
			add(s, path...)
		}
	}
	for _, path := range [][]protowire.Number{{9}, {9, 2}, {9, 2, 5}, {9, 2, 6}, {9, 2, 6, 1}, {11}, {13}, {15}} {
		add("traces", append([]protowire.Number{1, 2, 2}, path...)...)
	}
	for _, kind := range []protowire.Number{5, 7, 9, 10, 11} {
		add("metrics", 1, 2, 2, kind)
		for _, in := range [][]protowire.Number{{}, {5}, {6}, {8}, {9}, {11}} { // Exemplars, quantiles, buckets.
			add("metrics", append([]protowire.Number{1, 2, 2, kind, 1}, in...)...)
		}
	}
	for _, path := range [][]protowire.Number{{}, {2}, {2, 5}, {2, 6}, {2, 6, 1}} { // Values that are not kept.
		add("metrics", append([]protowire.Number{1, 2, 2, 12}, path...)...)
	}
	contents := []struct {
		wire    protowire.Type
		content string
	}{
		{protowire.VarintType, "\x01"},
		{protowire.VarintType, "\x80\x80\x80\x00"},
		{protowire.Fixed64Type, "\x00\x00\x00\x00\x00\x00\x00\x00"},
		{protowire.BytesType, "\x00"},
		{protowire.BytesType, "\x03abc"},
		{protowire.BytesType, "\x07\x08\x00\x08\x00\x08\x01\x00"},
		{protowire.BytesType, "\x04\x08\x00\x08\x00"},
		{protowire.BytesType, "\x0c\x08\x00\x08\x00\x08\x00\x08\x00\x08\x00\x08\x00"},
		{protowire.Fixed32Type, "\x00\x00\x00\x00"},
		{protowire.StartGroupType, ""},
		{protowire.EndGroupType, ""},
		{6, "\x00"},
		{7, "\x00"},
	}
	for _, s := range signals {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			c := newComparer()
			accepted := 0
			for _, path := range paths[s.name] {
				for n := protowire.Number(1); n <= 20; n++ {
					for _, v := range contents {
						field := tagged(n, v.wire, []byte(v.content))
						if s.require(c, t, path(field)) {
							accepted++
						}
						s.require(c, t, path(join(field, value, field)))
					}
				}
			}
			require.Greater(t, accepted, 20*len(paths[s.name]))
		})
	}
}

// TestTruncatedRequests cuts requests at every byte.
func TestTruncatedRequests(t *testing.T) {
	t.Parallel()
	for _, s := range signals {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			c := newComparer()
			for name, b := range recorded(t, s.name) {
				if !strings.HasPrefix(name, "handmade-") || len(b) > 3000 {
					continue
				}
				for n := range b {
					s.require(c, t, b[:n])
				}
			}
			b := generate(s, 9, 9)
			require.NotEmpty(t, b)
			for n := range b {
				s.require(c, t, b[:n])
			}
		})
	}
}
