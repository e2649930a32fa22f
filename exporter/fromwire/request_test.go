package fromwire

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/exporter/record"
)

// TestResourcesAndScopes says how those are found that a record belongs to, for all signals: in what follows a record is
// a span, a log record or a metric without any field.
func TestResourcesAndScopes(t *testing.T) {
	t.Parallel()
	res := func(key string) []byte {
		return msg(1, pair(1, key), num(2, 9), msg(3, str(1, "u"), str(2, "t"), str(3, "i"), str(4, "d")))
	}
	none := record.Value{}
	for name, c := range map[string]struct {
		request   []byte
		resources []record.Resource
		scopes    []record.Scope
		records   [][2]int // resource and scope of each
	}{
		"nothing":     {nil, nil, nil, nil},
		"no resource": {msg(1, msg(2, msg(2))), []record.Resource{{}}, []record.Scope{{}}, [][2]int{{0, 0}}},
		"no record":   {msg(1, res("r")), []record.Resource{{Attrs: attrs("r", none)}}, nil, nil},
		"two of each": {
			join(
				msg(1, res("r"), msg(2, msg(1, str(1, "a"), str(2, "v"), pair(3, "k"), num(4, 1)), msg(2), msg(2), str(3, "not kept")), msg(2, msg(2), msg(1, str(1, "b"))), str(3, "url")),
				msg(1, str(3, "other"), msg(2, msg(2)), res("s")),
			),
			[]record.Resource{{Attrs: attrs("r", none), SchemaURL: "url"}, {Attrs: attrs("s", none), SchemaURL: "other"}},
			[]record.Scope{{Name: "a", Version: "v", Attrs: attrs("k", none)}, {Name: "b"}, {}},
			[][2]int{{0, 0}, {0, 0}, {0, 1}, {1, 2}},
		},
		"a resource in pieces": {
			msg(1, res("r"), msg(2, msg(1, pair(3, "k")), msg(2)), res("s"), msg(1), res("t")),
			[]record.Resource{{Attrs: attrs("r", none, "s", none, "t", none)}},
			[]record.Scope{{Attrs: attrs("k", none)}},
			[][2]int{{0, 0}},
		},
		"a scope in pieces": {
			msg(1, msg(2, msg(1, pair(3, "k"), str(1, "a")), msg(2), msg(1, str(2, "v")), msg(1, pair(3, "l")), msg(2)), res("r")),
			[]record.Resource{{Attrs: attrs("r", none)}},
			[]record.Scope{{Name: "a", Version: "v", Attrs: attrs("k", none, "l", none)}},
			[][2]int{{0, 0}, {0, 0}},
		},
		"scopes of an old sender": {
			msg(1, msg(1000, msg(1, str(1, "a")), msg(2)), res("r"), msg(1000, msg(2), msg(1, str(1, "b")))),
			[]record.Resource{{Attrs: attrs("r", none)}},
			[]record.Scope{{Name: "a"}, {Name: "b"}},
			[][2]int{{0, 0}, {0, 1}},
		},
		"scopes of an old sender beside new ones": {
			join(msg(1, msg(1000, msg(1, str(1, "a")), msg(2)), msg(2), res("r")), msg(1, msg(2, msg(2)))),
			[]record.Resource{{Attrs: attrs("r", none)}, {}},
			[]record.Scope{{}, {}},
			[][2]int{{1, 1}},
		},
		"unknown fields": {
			join(num(2, 1), msg(1, num(20, 1), msg(2, num(20, 1), msg(2, num(20, 1)))), str(30, "x")),
			[]record.Resource{{}},
			[]record.Scope{{}},
			[][2]int{{0, 0}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, s := range signals {
				require.True(t, s.require(newComparer(), t, c.request), s.name)
			}
			var traces record.Traces
			require.NoError(t, Traces(c.request, &traces))
			var spans []record.Span
			for _, r := range c.records {
				spans = append(spans, record.Span{Resource: r[0], Scope: r[1]})
			}
			require.Equal(t, record.Traces{Resources: c.resources, Scopes: c.scopes, Spans: spans},
				record.Traces{Resources: traces.Resources, Scopes: traces.Scopes, Spans: traces.Spans})
			var logs record.Logs
			require.NoError(t, Logs(c.request, &logs))
			require.Len(t, logs.Records, len(c.records))
			require.Equal(t, c.resources, logs.Resources)
			require.Equal(t, c.scopes, logs.Scopes)
			for i, want := range c.records {
				require.Equal(t, want, [2]int{logs.Records[i].Resource, logs.Records[i].Scope})
			}
		})
	}
}
