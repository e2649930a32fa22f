package fromwire

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/exporter/record"
)

const (
	traceID = "0123456789abcdef"
	spanID  = "01234567"
)

var everySpanField = join(
	str(1, traceID), str(2, spanID), str(3, "state=1"), str(4, "parent12"), str(5, "name"), num(6, 3), fix(7, 1<<63), fix(8, 2),
	pair(9, "a", str(1, "x")), num(10, 7),
	msg(11, fix(1, 5), str(2, "event"), pair(3, "b", str(1, "y")), num(4, 7)), num(12, 7),
	msg(13, str(1, traceID), str(2, spanID), str(3, "state=2"), pair(4, "c", str(1, "z")), num(5, 7), fix32(6)), num(14, 7),
	msg(15, str(2, "oops"), num(3, 2)), fix32(16),
)

func attrs(keysAndValues ...any) record.Attrs {
	var a record.Attrs
	for i := 0; i < len(keysAndValues); i += 2 {
		v, isValue := keysAndValues[i+1].(record.Value)
		if !isValue {
			v = record.String(keysAndValues[i+1].(string))
		}
		a = append(a, record.Attr{Key: keysAndValues[i].(string), Value: v})
	}
	return a
}

// TestSpans says what a span is made of, by what its fields are in the protocol. That pdata says the same is required, too.
func TestSpans(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fields []byte
		want   record.Span
	}{
		"nothing": {nil, record.Span{}},
		"every field": {
			everySpanField,
			record.Span{
				TraceID: [16]byte([]byte(traceID)), SpanID: [8]byte([]byte(spanID)), ParentSpanID: [8]byte([]byte("parent12")),
				Name: "name", Kind: record.KindClient, Start: 1 << 63, End: 2, Status: record.StatusError, StatusMessage: "oops",
				Attrs:  attrs("a", "x"),
				Events: []record.Event{{Time: 5, Name: "event", Attrs: attrs("b", "y")}},
				Links:  []record.Link{{TraceID: [16]byte([]byte(traceID)), SpanID: [8]byte([]byte(spanID)), Attrs: attrs("c", "z")}},
			},
		},
		"of scalars the last one counts": {
			join(str(5, "first"), fix(7, 1), num(6, 1), str(2, "--------"), fix(7, 2), str(5, "last"), num(6, 2), str(2, spanID)),
			record.Span{Name: "last", Start: 2, Kind: record.KindServer, SpanID: [8]byte([]byte(spanID))},
		},
		"an empty id takes back the one before": {join(str(1, traceID), str(1, ""), str(2, spanID), str(2, "")), record.Span{}},
		"a status in pieces is one":             {join(msg(15, num(3, 2)), msg(15, str(2, "m")), msg(15)), record.Span{Status: record.StatusError, StatusMessage: "m"}},
		"enums that nobody knows":               {join(num(6, 6), msg(15, num(3, 3))), record.Span{}},
		"negative enums":                        {join(num(6, math.MaxUint64), msg(15, num(3, math.MaxUint64))), record.Span{}},
		"enums count modulo 2^32":               {join(num(6, 7<<32|2), msg(15, num(3, 1<<63|1))), record.Span{Kind: record.KindServer, Status: record.StatusOK}},
		"text need not be UTF-8":                {join(str(5, "\xff"), pair(9, "\xfe", str(1, "\xfd"))), record.Span{Name: "\xff", Attrs: attrs("\xfe", "\xfd")}},
		"attributes before events":              {join(pair(9, "a"), pair(9, "b"), msg(11, pair(3, "e"))), record.Span{Attrs: attrs("a", record.Value{}, "b", record.Value{}), Events: []record.Event{{Attrs: attrs("e", record.Value{})}}}},
		"attributes after links":                {join(msg(13, pair(4, "l")), pair(9, "a"), pair(9, "b")), record.Span{Attrs: attrs("a", record.Value{}, "b", record.Value{}), Links: []record.Link{{Attrs: attrs("l", record.Value{})}}}},
		"attributes around events and links": {
			join(pair(9, "a"), msg(11, pair(3, "e")), pair(9, "b"), msg(13, pair(4, "l")), msg(11, pair(3, "f")), pair(9, "c"), str(5, "n"), pair(9, "a")),
			record.Span{
				Name: "n", Attrs: attrs("a", record.Value{}, "b", record.Value{}, "c", record.Value{}, "a", record.Value{}),
				Events: []record.Event{{Attrs: attrs("e", record.Value{})}, {Attrs: attrs("f", record.Value{})}},
				Links:  []record.Link{{Attrs: attrs("l", record.Value{})}},
			},
		},
		"unknown fields": {
			join(num(17, 1), fix(18, 2), str(19, "x"), fix32(20), begin(21), end(21), str(5, "n"), begin(22), begin(23), end(1), end(1), num(1<<29-1, 3)),
			record.Span{Name: "n"},
		},
		"numbers that are longer than need be": {
			[]byte("\x30\x82\x80\x80\x00\x2a\x81\x80\x00n\xaa\x80\x80\x00\x00"),
			record.Span{Kind: record.KindServer, Name: ""},
		},

		// What follows is odd, but is what pdata does.
		"bits beyond the 64th are lost":         {[]byte("\x30\x82\x80\x80\x80\x80\x80\x80\x80\x80\x7e"), record.Span{Kind: record.KindServer}},
		"field numbers count modulo 2^32":       {[]byte("\xaa\x80\x80\x80\x80\x01\x01n"), record.Span{Name: "n"}},
		"field numbers beyond 2^29 are unknown": {[]byte("\xaa\x80\x80\x80\x10\x01n"), record.Span{}},
		"a group without end ends in a field":   {join(begin(21), str(5, "in the group"), str(5, "after")), record.Span{Name: "after"}},
		"what is in a group may not be in it":   {join(begin(21), num(1, 1), str(5, "second field of the group")), record.Span{Name: "second field of the group"}},
		"a group may end with another's number": {join(begin(21), end(22), str(5, "n")), record.Span{Name: "n"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := record1(c.fields)
			require.True(t, newComparer().requireTraces(t, b))
			var got record.Traces
			require.NoError(t, Traces(b, &got))
			require.Equal(t, []record.Span{c.want}, got.Spans)
		})
	}
}

func TestValues(t *testing.T) {
	t.Parallel()
	array := func(json string) record.Value { return record.Value{Kind: record.ValueArray, Str: json} }
	mapped := func(json string) record.Value { return record.Value{Kind: record.ValueMap, Str: json} }
	for name, c := range map[string]struct {
		fields []byte // of the KeyValue
		key    string
		want   record.Value
	}{
		"nothing":                              {nil, "", record.Value{}},
		"no value":                             {str(1, "k"), "k", record.Value{}},
		"an empty value":                       {join(str(1, "k"), msg(2)), "k", record.Value{}},
		"a string":                             {join(str(1, "k"), msg(2, str(1, "v"))), "k", record.String("v")},
		"value before key":                     {join(msg(2, str(1, "v")), str(1, "k")), "k", record.String("v")},
		"an empty string":                      {msg(2, str(1, "")), "", record.String("")},
		"a string of 124 bytes":                {join(str(1, ""), msg(2, str(1, strings.Repeat("s", 121)))), "", record.String(strings.Repeat("s", 121))},
		"a string of 128 bytes":                {join(str(1, "k"), msg(2, str(1, strings.Repeat("s", 128)))), "k", record.String(strings.Repeat("s", 128))},
		"a string of 20,000 bytes":             {join(str(1, "k"), msg(2, str(1, strings.Repeat("s", 20_000)))), "k", record.String(strings.Repeat("s", 20_000))},
		"a key that looks like a value, first": {join(str(1, "\x0a\x01x"), msg(2, str(1, "v"))), "\x0a\x01x", record.String("v")},
		"a key that looks like a value, last":  {join(msg(2, str(1, "v")), str(1, "\x0a\x01x")), "\x0a\x01x", record.String("v")},
		// The second byte of its length and what follows look like an attribute of 128 bytes.
		"a key of 1277 bytes":              {str(1, looksPlain), looksPlain, record.Value{}},
		"true":                             {join(str(1, "k"), msg(2, num(2, 1))), "k", record.Bool(true)},
		"true, as another number":          {join(str(1, "k"), msg(2, num(2, 64))), "k", record.Bool(true)},
		"true, as a large number":          {join(str(1, "k"), msg(2, num(2, 1<<63))), "k", record.Bool(true)},
		"false":                            {join(str(1, "k"), msg(2, num(2, 0))), "k", record.Bool(false)},
		"127":                              {join(str(1, "k"), msg(2, num(3, 127))), "k", record.Int(127)},
		"128":                              {join(str(1, "k"), msg(2, num(3, 128))), "k", record.Int(128)},
		"16383":                            {join(str(1, "k"), msg(2, num(3, 16383))), "k", record.Int(16383)},
		"16384":                            {join(str(1, "k"), msg(2, num(3, 16384))), "k", record.Int(16384)},
		"-1":                               {join(str(1, "k"), msg(2, num(3, math.MaxUint64))), "k", record.Int(-1)},
		"a double":                         {join(str(1, "k"), msg(2, dbl(4, -0.5))), "k", record.Double(-0.5)},
		"bytes":                            {join(str(1, "k"), msg(2, str(7, "\x00\xff"))), "k", record.Value{Kind: record.ValueBytes, Str: "\x00\xff"}},
		"no bytes":                         {join(str(1, "k"), msg(2, str(7, ""))), "k", record.Value{Kind: record.ValueBytes}},
		"an index into a table":            {join(num(3, 5), msg(2, num(8, 7))), "", record.Value{}},
		"an index takes back what was":     {msg(2, str(1, "v"), num(8, 7)), "", record.Value{}},
		"the last key counts":              {join(str(1, "a"), msg(2, str(1, "v")), str(1, "b")), "b", record.String("v")},
		"the last value counts":            {msg(2, str(1, "v"), dbl(4, 1), num(3, 5)), "", record.Int(5)},
		"the last value counts, in pieces": {join(msg(2, num(3, 5)), msg(2, str(1, "v"))), "", record.String("v")},
		"an empty piece changes nothing":   {join(msg(2, num(3, 5)), msg(2)), "", record.Int(5)},
		"an array takes back a string":     {msg(2, str(1, "v"), msg(5)), "", array("[]")},
		"a string takes back an array":     {msg(2, msg(5, msg(1)), str(1, "v")), "", record.String("v")},
		"arrays are not joined":            {msg(2, msg(5, msg(1, num(3, 1))), msg(5, msg(1, num(3, 2)))), "", array("[2]")},
		"every value in an array": {
			msg(2, msg(5, msg(1), msg(1, str(1, "a\"\n\xff")), msg(1, num(2, 1)), msg(1, num(3, math.MaxUint64)), msg(1, dbl(4, math.NaN())), msg(1, msg(5)), msg(1, msg(6)), msg(1, str(7, "hi")), msg(1, num(8, 1)))),
			"", array("[null,\"a\\\"\\n\xff\",true,-1,\"NaN\",[],{},\"aGk=\",null]"),
		},
		"the last value counts, in an array": {msg(2, msg(5, msg(1, str(1, "v"), num(3, 5), num(9, 1)))), "", array("[5]")},
		"an index takes back, in an array":   {msg(2, msg(5, msg(1, str(1, "v"), num(8, 5)))), "", array("[null]")},
		"a map": {
			msg(2, msg(6, pair(1, "z", num(3, 1)), msg(1, msg(2, str(1, "value first")), str(1, "a")), msg(1), pair(1, "z", msg(6, pair(1, "in", msg(5, msg(1))))))),
			"", mapped(`{"z":1,"a":"value first","":null,"z":{"in":[null]}}`),
		},
		"a value in pieces, in a map": {msg(2, msg(6, msg(1, msg(2, msg(5)), str(1, "a"), msg(2, num(3, 1)), str(1, "b"), msg(2), num(3, 9)))), "", mapped(`{"b":1}`)},
		"unknown fields, wherever":    {join(num(20, 1), msg(2, num(20, 1), msg(6, num(20, 1), msg(1, num(20, 1), msg(2, num(20, 1), msg(5, num(20, 1))), num(20, 1))))), "", mapped(`{"":[]}`)},
		"maps as deep as they may be": {
			msg(2, nestedMaps(record.MaxDepth)), "",
			mapped(strings.Repeat(`{"":`, record.MaxDepth-1) + "{}" + strings.Repeat("}", record.MaxDepth-1)),
		},
		"maps that are too deep": {
			msg(2, nestedMaps(record.MaxDepth+1)), "",
			mapped(strings.Repeat(`{"":`, record.MaxDepth) + record.TooDeep + strings.Repeat("}", record.MaxDepth)),
		},
		"arrays as deep as they may be":      {msg(2, nested(record.MaxDepth)), "", array(strings.Repeat("[", record.MaxDepth) + strings.Repeat("]", record.MaxDepth))},
		"arrays that are too deep":           {msg(2, nested(record.MaxDepth+1)), "", array(strings.Repeat("[", record.MaxDepth) + record.TooDeep + strings.Repeat("]", record.MaxDepth))},
		"arrays that are very much too deep": {msg(2, nested(1000)), "", array(strings.Repeat("[", record.MaxDepth) + record.TooDeep + strings.Repeat("]", record.MaxDepth))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := record1(msg(9, c.fields))
			require.True(t, newComparer().requireTraces(t, b))
			var got record.Traces
			require.NoError(t, Traces(b, &got))
			require.Equal(t, attrs(c.key, c.want), got.Spans[0].Attrs)
		})
	}
}

var looksPlain = "12345678\x12\x72\x0a\x70" + strings.Repeat("k", 1277-12)

// nested is an array in an array and so on, as the field of an AnyValue.
func nested(depth int) []byte {
	b := msg(5)
	for range depth - 1 {
		b = msg(5, msg(1, b))
	}
	return b
}

// nestedMaps is a map in a map and so on, as the field of an AnyValue.
func nestedMaps(depth int) []byte {
	b := msg(6)
	for range depth - 1 {
		b = msg(6, msg(1, msg(2, b)))
	}
	return b
}
