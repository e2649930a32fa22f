package column

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"

	chproto "github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2/lib/proto"
	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/exporter/record"
	"github.com/agenttrail/agenttrail/exporter/row"
)

// decode reads a block the way ClickHouse's own Go client does, so the expected layout is not ours.
func decode(t *testing.T, native []byte) []map[string]any {
	t.Helper()
	b := proto.NewBlock()
	r := chproto.NewReader(bytes.NewReader(native))
	require.NoError(t, b.Decode(r, 0))
	_, err := r.ReadByte()
	require.Error(t, err, "bytes are left behind the block")
	rows := make([]map[string]any, b.Rows())
	for i := range rows {
		rows[i] = map[string]any{}
		for _, c := range b.Columns {
			rows[i][c.Name()] = c.Row(i, false)
		}
	}
	return rows
}

func attrs(kv ...any) record.Attrs {
	var a record.Attrs
	for i := 0; i < len(kv); i += 2 {
		var v record.Value
		switch x := kv[i+1].(type) {
		case string:
			v = record.Value{Kind: record.ValueString, Str: x}
		case int:
			v = record.Value{Kind: record.ValueInt, Num: uint64(x)}
		case float64:
			v = record.Value{Kind: record.ValueDouble, Num: math.Float64bits(x)}
		case bool:
			v = record.Value{Kind: record.ValueBool}
			if x {
				v.Num = 1
			}
		case []byte:
			v = record.Value{Kind: record.ValueBytes, Str: string(x)}
		case record.Value:
			v = x
		}
		a = append(a, record.Attr{Key: kv[i].(string), Value: v})
	}
	return a
}

func TestAttributeValuesAreStoredAsText(t *testing.T) {
	t.Parallel()
	s := NewSet()
	long := strings.Repeat("x", 300)
	s.Span(&row.Span{Attributes: attrs(
		"string", "ä\x00\xff", "int", -42, "min", math.MinInt64, "double", 0.1, "nan", math.NaN(), "inf", math.Inf(-1),
		"huge", math.MaxFloat64, "true", true, "false", false, "bytes", []byte{0, 1, 2}, "many bytes", []byte(long),
		"empty", record.Value{}, "map", record.Value{Kind: record.ValueMap, Str: `{"a":[1]}`}, "", "no key", "long", long,
	)})
	rows := decode(t, s.AppendNative(nil, TableSpan))
	require.Len(t, rows, 1)
	got := rows[0]["attributes"].(map[string]string)
	require.Equal(t, map[string]string{
		"string": "ä\x00\xff", "int": "-42", "min": "-9223372036854775808", "double": "0.1", "nan": "NaN", "inf": "-Infinity",
		"huge": "1.7976931348623157e+308", "true": "true", "false": "false", "bytes": "AAEC",
		"many bytes": strings.Repeat("eHh4", 100), "empty": "", "map": `{"a":[1]}`, "": "no key", "long": long,
	}, got)
}

func TestDictionariesOfEveryWidth(t *testing.T) {
	t.Parallel()
	for _, distinct := range []int{1, 255, 256, 257, 65535, 65536, 65537} {
		t.Run(fmt.Sprint(distinct), func(t *testing.T) {
			t.Parallel()
			s := NewSet()
			for range 2 {
				for i := range distinct {
					s.Log(&row.Log{AgentID: fmt.Sprint("agent ", i), EventName: fmt.Sprint(i % 3), Metadata: attrs(fmt.Sprint("key", i), i)})
				}
			}
			rows := decode(t, s.AppendNative(nil, TableAgentLog))
			require.Len(t, rows, 2*distinct)
			for i, r := range rows {
				want := i % distinct
				require.Equal(t, fmt.Sprint("agent ", want), r["agentId"])
				require.Equal(t, map[string]string{fmt.Sprint("key", want): fmt.Sprint(want)}, r["metadata"])
			}
		})
	}
}

func TestSharedAttributesAreThoseOfEveryRow(t *testing.T) {
	t.Parallel()
	s := NewSet()
	a, b := attrs("service.name", "a", "n", 1), attrs("service.name", "b")
	scratch := append(record.Attrs(nil), a...)
	for i, r := range []record.Attrs{a, a, scratch, b, b, nil, a} {
		s.Span(&row.Span{Name: fmt.Sprint(i), ResourceAttributes: r})
	}
	// The same slice with other content, as a front end that reuses its memory gives it.
	copy(scratch, b)
	s.Span(&row.Span{ResourceAttributes: scratch[:1]})
	s.EndRequest()
	s.Span(&row.Span{})
	var got []map[string]string
	for _, r := range decode(t, s.AppendNative(nil, TableSpan)) {
		got = append(got, r["resourceAttributes"].(map[string]string))
	}
	wantA, wantB := map[string]string{"service.name": "a", "n": "1"}, map[string]string{"service.name": "b"}
	require.Equal(t, []map[string]string{wantA, wantA, wantA, wantB, wantB, {}, wantA, wantB, {}}, got)
}

func TestRowsOutliveTheMemoryOfTheirRequest(t *testing.T) {
	t.Parallel()
	mem := []byte("agent-1key-1value-1")
	text := func(from, to int) string { return unsafeString(mem[from:to]) }
	s := NewSet()
	add := func() {
		s.Log(&row.Log{AgentID: text(0, 7), Metadata: attrs(text(7, 12), text(12, 19))})
		s.EndRequest()
	}
	add()
	for i := range mem {
		mem[i] = 'z'
	}
	copy(mem, "agent-1key-1value-2")
	add()
	copy(mem, "--------------------")
	rows := decode(t, s.AppendNative(nil, TableAgentLog))
	require.Equal(t, "agent-1", rows[0]["agentId"])
	require.Equal(t, map[string]string{"key-1": "value-1"}, rows[0]["metadata"])
	require.Equal(t, "agent-1", rows[1]["agentId"])
	require.Equal(t, map[string]string{"key-1": "value-2"}, rows[1]["metadata"])
}

func TestNumbersOutsideOfAnEnumAreReplaced(t *testing.T) {
	t.Parallel()
	s := NewSet()
	s.Span(&row.Span{Kind: 200, Status: 200})
	s.Execution(&row.Execution{Status: 0})
	s.Execution(&row.Execution{Status: 5})
	s.Log(&row.Log{Category: -1, Level: 9})
	s.Error(&row.Error{Severity: 0})
	span := decode(t, s.AppendNative(nil, TableSpan))[0]
	require.Equal(t, "unspecified", span["kind"])
	require.Equal(t, "unset", span["status"])
	for _, e := range decode(t, s.AppendNative(nil, TableAgentExecution)) {
		require.Equal(t, "error", e["status"])
	}
	log := decode(t, s.AppendNative(nil, TableAgentLog))[0]
	require.Equal(t, "execution", log["category"])
	require.Equal(t, "info", log["level"])
	require.Equal(t, "error", decode(t, s.AppendNative(nil, TableSystemErrors))[0]["severity"])
}

func TestMergedBlocksEqualOneBlock(t *testing.T) {
	t.Parallel()
	for _, parts := range []int{1, 2, 7, 100} {
		all, merged := NewSet(), NewSet()
		for p := range parts {
			part := NewSet()
			for i := range 13 {
				for _, sink := range []row.Sink{all, part} {
					addSample(sink, p*13+i)
				}
			}
			for table := range TableCount {
				merged.Merge(table, part)
			}
			part.Reset()
			addSample(part, 1) // Overwrites the memory of the part.
		}
		for table := range TableCount {
			require.Equal(t, 13*parts, merged.Rows(table))
			require.Equal(t, decode(t, all.AppendNative(nil, table)), decode(t, merged.AppendNative(nil, table)), table.String())
		}
	}
}

func TestASetIsReusable(t *testing.T) {
	t.Parallel()
	fresh, used := NewSet(), NewSet()
	for i := range 1000 {
		addSample(used, i)
	}
	used.Reset()
	for table := range TableCount {
		require.Zero(t, used.Rows(table))
		require.Empty(t, decode(t, used.AppendNative(nil, table)))
	}
	for i := range 3 {
		addSample(used, i)
		addSample(fresh, i)
	}
	for table := range TableCount {
		require.Equal(t, fresh.AppendNative(nil, table), used.AppendNative(nil, table))
	}
}

func TestSizeIsNeverMuchTooLow(t *testing.T) {
	t.Parallel()
	s := NewSet()
	for i := range 500 {
		addSample(s, i)
	}
	s.Span(&row.Span{Attributes: attrs("big", strings.Repeat("b", 1<<20))})
	for table := range TableCount {
		exact := len(s.AppendNative(nil, table))
		require.GreaterOrEqual(t, s.Size(table), exact*9/10, table.String())
		require.LessOrEqual(t, s.Size(table), exact*2, table.String())
	}
}

func TestAppendingAllocatesNothingPerRow(t *testing.T) {
	s := NewSet()
	sample := newSample(3)
	fill := func() {
		s.Reset()
		for range 1000 {
			sample.add(s)
		}
	}
	fill()
	require.LessOrEqual(t, testing.AllocsPerRun(5, fill), 10.0, "for 7000 rows")
}
