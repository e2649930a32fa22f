package column

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/agenttrail/agenttrail/exporter/record"
	"github.com/agenttrail/agenttrail/exporter/row"
)

func newBlocks(tb testing.TB) *Blocks {
	tb.Helper()
	b, err := NewBlocks(Layout())
	require.NoError(tb, err)
	return b
}

// randomRow fills a row of any table with whatever its types allow.
func randomRow(r *rand.Rand, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for _, f := range v.Fields() {
			randomRow(r, f)
		}
	case reflect.Array:
		if r.IntN(4) > 0 { // Else it is absent.
			for i := range v.Len() {
				randomRow(r, v.Index(i))
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), r.IntN(4), 4))
		for i := range v.Len() {
			randomRow(r, v.Index(i))
		}
	case reflect.String:
		v.SetString(randomText(r))
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case reflect.Float64:
		v.SetFloat(math.Float64frombits(r.Uint64()))
	default:
		if v.CanInt() {
			v.SetInt(int64(r.Uint64() >> r.IntN(64)))
		} else if v.Type() == reflect.TypeFor[record.ValueKind]() {
			v.SetUint(r.Uint64N(uint64(record.ValueMap) + 1))
		} else {
			v.SetUint(r.Uint64() >> r.IntN(64))
		}
	}
}

func randomText(r *rand.Rand) string {
	switch r.IntN(20) {
	case 0:
		return strings.Repeat("long ", r.IntN(200))
	case 1: // Many different ones, so that keys of dictionaries take more than a byte.
		b := make([]byte, 3)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return string(b)
	case 2, 3, 4, 5, 6, 7:
		return ""
	default:
		return string(rune('a' + r.IntN(5)))
	}
}

func addRandom(r *rand.Rand, sink row.Sink, table Table) {
	switch table {
	case TableSpan:
		var x row.Span
		randomRow(r, reflect.ValueOf(&x).Elem())
		sink.Span(&x)
	case TableAgentExecution:
		var x row.Execution
		randomRow(r, reflect.ValueOf(&x).Elem())
		sink.Execution(&x)
	case TableAgentLog:
		var x row.Log
		randomRow(r, reflect.ValueOf(&x).Elem())
		sink.Log(&x)
	case TableRequestLog:
		var x row.Request
		randomRow(r, reflect.ValueOf(&x).Elem())
		sink.Request(&x)
	case TableSystemErrors:
		var x row.Error
		randomRow(r, reflect.ValueOf(&x).Elem())
		sink.Error(&x)
	case TableSystemMetrics:
		var x row.Metric
		randomRow(r, reflect.ValueOf(&x).Elem())
		sink.Metric(&x)
	case TableSecurityEvents:
		var x row.SecurityEvent
		randomRow(r, reflect.ValueOf(&x).Elem())
		sink.SecurityEvent(&x)
	default:
		panic("BUG: unknown table")
	}
}

func TestRecordsGiveTheBlocksOfTheirSets(t *testing.T) {
	t.Parallel()
	layout := Layout()
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		merged := NewSet()
		blocks, err := NewBlocks(layout)
		require.NoError(t, err)
		for range rapid.IntRange(1, 2).Draw(t, "blocks") { // The second one into used memory.
			var records [][]byte
			for range rapid.IntRange(1, 5).Draw(t, "requests") {
				set := NewSet()
				for table := range TableCount {
					for range rapid.SampledFrom([]int{0, 0, 0, 1, 2, 5, 70}).Draw(t, table.String()) {
						addRandom(r, set, table)
					}
				}
				set.EndRequest()
				data := set.AppendRecord(nil)
				tables, err := RecordRows(nil, data)
				require.NoError(t, err)
				rows := map[string]int{}
				for _, table := range tables {
					rows[blocks.Tables()[table.Index]] = table.Rows
				}
				for table := range TableCount {
					require.Equal(t, set.Rows(table), rows[table.String()])
					merged.Merge(table, set)
				}
				require.NoError(t, blocks.Append(data))
				records = append(records, data)
			}
			for table := range TableCount {
				name := table.String()
				require.Equal(t, merged.Rows(table), blocks.Rows(name))
				require.Equal(t, table.Columns(), blocks.Columns(name))
				want, got := merged.AppendNative(nil, table), blocks.AppendNative(nil, name)
				require.True(t, string(want) == string(got), "%s: the blocks differ", name) //nolint:testifylint // Too long to be printed.
				if merged.Rows(table) > 50 {
					require.GreaterOrEqual(t, blocks.Size(name), len(want)*9/10, name)
					require.LessOrEqual(t, blocks.Size(name), len(want)*2, name)
				}
			}
			merged.Reset()
			blocks.Reset()
			for _, data := range records { // Nothing may refer to them.
				for i := range data {
					data[i] = '#'
				}
			}
		}
	})
}

func TestDictionariesOfEveryWidthInRecords(t *testing.T) {
	t.Parallel()
	for _, distinct := range []int{1, 255, 256, 257, 65535, 65536, 65537} {
		merged, blocks := NewSet(), newBlocks(t)
		for part := range 2 {
			set := NewSet()
			for i := range distinct {
				set.Log(&row.Log{AgentID: strconv.Itoa(i + 7*part), Metadata: attrs(strconv.Itoa(i), i)})
			}
			merged.Merge(TableAgentLog, set)
			require.NoError(t, blocks.Append(set.AppendRecord(nil)))
		}
		require.Equal(t, merged.AppendNative(nil, TableAgentLog), blocks.AppendNative(nil, "AgentLog"), distinct)
	}
}

func TestOneTableOfARecord(t *testing.T) {
	t.Parallel()
	set, blocks := NewSet(), newBlocks(t)
	for i := range 20 {
		addSample(set, i)
	}
	data := set.AppendRecord(nil)
	for range 2 {
		require.NoError(t, blocks.AppendTable(data, "AgentLog"))
	}
	for table := range TableCount {
		if table == TableAgentLog {
			require.Equal(t, 40, blocks.Rows(table.String()))
			continue
		}
		require.Zero(t, blocks.Rows(table.String()))
		require.Empty(t, decode(t, blocks.AppendNative(nil, table.String())))
	}
	want := NewSet()
	want.Merge(TableAgentLog, set)
	want.Merge(TableAgentLog, set)
	require.Equal(t, want.AppendNative(nil, TableAgentLog), blocks.AppendNative(nil, "AgentLog"))
	require.ErrorContains(t, blocks.AppendTable(data, "Nothing"), `no table "Nothing"`)
	require.Zero(t, blocks.Rows("Nothing"))
	require.Zero(t, blocks.Size("Nothing"))
	require.Nil(t, blocks.Columns("Nothing"))
}

func TestOwnRecordsGiveTheSameBlocks(t *testing.T) {
	t.Parallel()
	checked, own := newBlocks(t), newBlocks(t)
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 4))
		for table := range TableCount {
			for range 3 {
				set := NewSet()
				for range 1 + r.IntN(30) {
					addRandom(r, set, Table(r.IntN(int(TableCount))))
					addRandom(r, set, table)
				}
				data := set.AppendRecord(nil)
				require.NoError(t, checked.AppendTable(data, table.String()))
				require.NoError(t, own.AppendOwnTable(data, table.String()))
			}
			require.Equal(t, checked.AppendNative(nil, table.String()), own.AppendNative(nil, table.String()))
		}
		checked.Reset()
		own.Reset()
	}
}

func TestStringsOfAnotherLengthAreRefused(t *testing.T) {
	t.Parallel()
	blocks, err := NewBlocks([]byte(`[{"table":"T","columns":[{"name":"a","type":"String"},{"name":"b","type":"String"}]}]`))
	require.NoError(t, err)
	record := func(data ...byte) []byte {
		return append(binary.LittleEndian.AppendUint64([]byte{recordVersion, 1, 0, 1}, uint64(len(data))), data...)
	}
	require.NoError(t, blocks.Append(record(2, 1, 1, 'x', 0)))
	for _, data := range [][]byte{record(1, 2, 1, 'x', 0), record(3, 1, 1, 'x', 0), record(200, 1, 1, 'x', 0), record(2), record(2, 1, 1)} {
		require.ErrorIs(t, blocks.Append(data), ErrRecord)
		require.Equal(t, 1, blocks.Rows("T"))
	}
}

func TestPiecesOfABlockAreTheBlock(t *testing.T) {
	t.Parallel()
	b := newBlocks(t)
	for seed := range uint64(8) {
		r := rand.New(rand.NewPCG(seed, 3))
		var records [][]byte
		for range 5 {
			set := NewSet()
			for range 400 {
				addRandom(r, set, TableSpan)
			}
			records = append(records, set.AppendRecord(nil))
			require.NoError(t, b.Append(records[len(records)-1]))
		}
		var got []byte
		inRecords := 0
		require.NoError(t, b.EmitPieces("Span", make([]byte, 0, minFrame), func(p []byte) ([]byte, error) {
			got = append(got, p...)
			return make([]byte, 0, minFrame+r.IntN(10*minFrame)), nil
		}, func(p []byte) {
			got = append(got, p...)
			inRecords += len(p)
		}))
		require.Equal(t, b.AppendNative(nil, "Span"), got)
		require.Greater(t, inRecords, len(got)/2)
		b.Reset()
	}
}

func TestAnEmptySetIsAnEmptyRecord(t *testing.T) {
	t.Parallel()
	blocks := newBlocks(t)
	data := NewSet().AppendRecord(nil)
	require.NoError(t, blocks.Append(data))
	tables, err := RecordRows(nil, data)
	require.NoError(t, err)
	require.Empty(t, tables)
	for _, table := range blocks.Tables() {
		require.Zero(t, blocks.Rows(table))
	}
}

func TestLayoutsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	text := func(typ string) string {
		column, err := json.Marshal(typ)
		require.NoError(t, err)
		return `[{"table":"T","columns":[{"name":"c","type":` + string(column) + `}]}]`
	}
	for layout, problem := range map[string]string{
		"":                   "unexpected end",
		"[]":                 "no tables",
		`[{"table":"T"}]`:    "no columns",
		text("String") + "x": "invalid character",
		`[{"table":"","columns":[{"name":"c","type":"UUID"}]}]`:                                                       "has no name",
		`[{"table":"T","columns":[{"name":"","type":"UUID"}]}]`:                                                       "has no name",
		`[{"table":"T","columns":[{"name":"c","type":"UUID"}]},{"table":"T","columns":[{"name":"c","type":"UUID"}]}]`: "is there twice",
		`[{"table":"T","columns":[{"name":"c","type":"UUID"},{"name":"c","type":"Bool"}]}]`:                           "is there twice",
		text(""):                       "does not know type",
		text("JSON"):                   "does not know type JSON: use the version that wrote it",
		text("Array(Array(String))"):   "does not know type",
		text("Array(String"):           "does not know type",
		text("Nullable(String)"):       "does not know type",
		text("Decimal(39, 6)"):         "does not know type",
		text("Decimal(, 6)"):           "does not know type",
		text("Enum8('a' = 300)"):       "does not know type",
		text("Enum8('a\\'' = 1)"):      "does not know type",
		text("Enum8(a = 1)"):           "does not know type",
		text("LowCardinality(UInt64)"): "does not know type",
	} {
		_, err := NewBlocks([]byte(layout))
		require.ErrorContains(t, err, problem, layout)
	}
}

func TestAppendingRecordsAllocatesNothing(t *testing.T) {
	set, blocks := NewSet(), newBlocks(t)
	for i := range 500 {
		addSample(set, i)
	}
	data := set.AppendRecord(nil)
	buf := make([]byte, 0, 2*len(data))
	require.Zero(t, testing.AllocsPerRun(5, func() { buf = set.AppendRecord(buf[:0]) }))
	fill := func() {
		blocks.Reset()
		for range 10 {
			require.NoError(t, blocks.Append(data))
		}
	}
	fill()
	// The maps of dictionaries may grow again.
	require.LessOrEqual(t, testing.AllocsPerRun(5, fill), 10.0, "for 35000 rows")
}

// TestTypesThatThisLayoutDoesNotHave reads a value of each as ClickHouse's own client would have sent it.
func TestTypesThatThisLayoutDoesNotHave(t *testing.T) {
	t.Parallel()
	for typ, c := range map[string]struct {
		bytes string
		value string
	}{
		"UInt8":                {"\xff", "255"},
		"UInt16":               {"\x01\x02", "513"},
		"UInt32":               {"\x01\x00\x00\x80", "2147483649"},
		"UInt64":               {"\x01\x00\x00\x00\x00\x00\x00\x80", "9223372036854775809"},
		"Int8":                 {"\xff", "-1"},
		"Int16":                {"\xfe\xff", "-2"},
		"Int32":                {"\xfd\xff\xff\xff", "-3"},
		"Int64":                {"\xfc\xff\xff\xff\xff\xff\xff\xff", "-4"},
		"Float32":              {"\x00\x00\xc0\x3f", "1.5"},
		"IPv4":                 {"\x01\x00\x00\x7f", "127.0.0.1"},
		"IPv6":                 {strings.Repeat("\x00", 15) + "\x01", "::1"},
		"DateTime":             {"\x00\x00\x00\x00", "1970-01-01 00:00:00 +0000 UTC"},
		"DateTime64(3)":        {"\x00\x00\x00\x00\x00\x00\x00\x00", "1970-01-01 00:00:00 +0000 UTC"},
		"Decimal(9, 2)":        {"\xd2\x04\x00\x00", "12.34"},
		"Decimal(10, 2)":       {"\xd2\x04\x00\x00\x00\x00\x00\x00", "12.34"},
		"Decimal(19, 2)":       {"\xd2\x04" + strings.Repeat("\x00", 14), "12.34"},
		"Array(Float32)":       {"\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\xc0\x3f", "[1.5]"},
		"Enum8('\u00e4' = -2)": {"\xfe", "\u00e4"},
	} {
		layout, err := json.Marshal([]TableLayout{{Table: "T", Columns: []Column{{Name: "c", Type: typ}}}})
		require.NoError(t, err)
		blocks, err := NewBlocks(layout)
		require.NoError(t, err)
		data := append(binary.LittleEndian.AppendUint64([]byte{recordWithoutLengths, 1, 0, 1}, uint64(len(c.bytes))), c.bytes...)
		require.NoError(t, blocks.Append(data), typ)
		rows := decode(t, blocks.AppendNative(nil, "T"))
		require.Len(t, rows, 1)
		if at, ok := rows[0]["c"].(time.Time); ok {
			rows[0]["c"] = at.UTC()
		}
		require.Equal(t, c.value, fmt.Sprint(rows[0]["c"]), typ)
	}
}
