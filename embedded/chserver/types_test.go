package chserver_test

import (
	"math"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/uuid"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/internal/enginetest"
)

// columnCases are values as Go clients hand them over, and what they must get back. want nil means the value itself.
func columnCases() []struct {
	typ  string
	in   any
	want any
} {
	id := uuid.MustParse("019a0b1c-2d3e-7f40-8a5b-6c7d8e9f0a1b")
	big128, _ := new(big.Int).SetString("-170141183460469231731687303715884105728", 10)
	big256, _ := new(big.Int).SetString("115792089237316195423570985008687907853269984665640564039457584007913129639935", 10)
	at := time.Date(2026, 11, 23, 18, 47, 28, 123456789, time.UTC)
	str := "näme 'quoted' \\ \x00 \t"
	return []struct {
		typ  string
		in   any
		want any
	}{
		{"String", str, nil},
		{"String", "", nil},
		{"FixedString(8)", "12345678", nil},
		{"LowCardinality(String)", "low", nil},
		{"LowCardinality(Nullable(String))", &str, str},
		{"LowCardinality(FixedString(3))", "abc", nil},
		{"Enum8('success' = 1, 'failed' = 2, 'with, comma' = -3)", "with, comma", nil},
		{"Enum16('a' = 1000, 'b' = -2)", "a", nil},
		{"UUID", id, nil},
		{"Bool", true, nil},
		{"UInt8", uint8(math.MaxUint8), nil},
		{"UInt16", uint16(math.MaxUint16), nil},
		{"UInt32", uint32(math.MaxUint32), nil},
		{"UInt64", uint64(math.MaxUint64), nil},
		{"Int8", int8(math.MinInt8), nil},
		{"Int16", int16(math.MinInt16), nil},
		{"Int32", int32(math.MinInt32), nil},
		{"Int64", int64(math.MinInt64), nil},
		{"Int128", big128, *big128},
		{"UInt256", big256, *big256},
		{"Float32", float32(1.5), nil},
		{"Float64", math.SmallestNonzeroFloat64, nil},
		{"Decimal(9, 2)", decimal.RequireFromString("1234567.89"), nil},
		{"Decimal(18, 6)", decimal.RequireFromString("-123456789012.345678"), nil},
		{"Decimal(18, 9)", decimal.RequireFromString("0.000000001"), nil},
		{"Decimal(38, 9)", decimal.RequireFromString("12345678901234567890123456789.123456789"), nil},
		{"Decimal(76, 20)", decimal.RequireFromString("-1.00000000000000000001"), nil},
		{"Date", at.Truncate(24 * time.Hour), nil},
		{"Date32", time.Date(1920, 1, 2, 0, 0, 0, 0, time.UTC), nil},
		{"DateTime", at.Truncate(time.Second), nil},
		{"DateTime('UTC')", at.Truncate(time.Second), nil},
		{"DateTime64(3)", at.Truncate(time.Millisecond), nil},
		{"DateTime64(3, 'UTC')", at.Truncate(time.Millisecond), nil},
		{"DateTime64(6, 'UTC')", at.Truncate(time.Microsecond), nil},
		{"DateTime64(9, 'UTC')", at, nil},
		{"IPv4", net.ParseIP("192.0.2.1").To4(), nil},
		{"IPv6", net.ParseIP("2001:db8::1"), nil},
		{"Array(String)", []string{"a", "", "b"}, nil},
		{"Array(String)", []string{}, nil},
		{"Array(Array(Nullable(Int32)))", [][]*int32{{new(int32(1)), nil}, {}}, nil},
		{"Array(LowCardinality(String))", []string{"a", "b", "a"}, nil},
		{"Map(String, String)", map[string]string{"k": "v", "": "empty"}, nil},
		{"Map(LowCardinality(String), String)", map[string]string{"gen_ai.system": "x"}, nil},
		{"Map(LowCardinality(String), Array(UInt8))", map[string][]uint8{"a": {1, 2}, "b": {}}, nil},
		{"Map(String, UInt64)", map[string]uint64{}, nil},
		{"Tuple(Int32, String)", []any{int32(1), "x"}, nil},
		{"Tuple(a Int32, b Array(Tuple(c String, d Nullable(Float64))))", map[string]any{"a": int32(1), "b": []map[string]any{{"c": "x", "d": new(1.5)}}}, nil},
		{"Nullable(String)", (*string)(nil), nil},
		{"Nullable(String)", new("x"), "x"},
		{"Nullable(DateTime64(9, 'UTC'))", new(at), at},
		{"Nullable(Decimal(18, 9))", new(decimal.RequireFromString("1.5")), decimal.RequireFromString("1.5")},
		{"Nullable(Enum8('a' = 1))", new("a"), "a"},
		{"Nullable(UUID)", (*uuid.UUID)(nil), nil},
		{"SimpleAggregateFunction(sum, UInt64)", uint64(7), nil},
		{"SimpleAggregateFunction(max, DateTime64(3, 'UTC'))", at.Truncate(time.Millisecond), nil},
		{"SimpleAggregateFunction(groupUniqArrayArray, Array(String))", []string{"x"}, nil},
	}
}

//go:fix inline

// TestColumnTypesRoundTrip writes every column type with a Native batch, and reads it with each compression, in a table with
// enough rows for several blocks.
func TestColumnTypesRoundTrip(t *testing.T) {
	t.Parallel()
	ch := enginetest.ClickHouse(t)
	for _, c := range columnCases() {
		t.Run(c.typ, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			conn := ch.Conn(t, ch.Database(t))
			// Other columns around it: a wrong length would be seen in them.
			require.NoError(t, conn.Exec(ctx, "CREATE TABLE t (before UInt32, c "+c.typ+", after String) ENGINE = MergeTree ORDER BY before"))
			const rows = 3
			batch, err := conn.PrepareBatch(ctx, "INSERT INTO t")
			require.NoError(t, err)
			for i := range rows {
				require.NoError(t, batch.Append(uint32(i), c.in, "after"))
			}
			require.NoError(t, batch.Send())

			result, err := conn.Query(ctx, "SELECT * FROM t ORDER BY before")
			require.NoError(t, err)
			defer func() { require.NoError(t, result.Close()) }()
			require.Equal(t, []string{"before", "c", "after"}, result.Columns())
			n := 0
			for ; result.Next(); n++ {
				var before uint32
				var after string
				got := newLike(c.in, c.want)
				require.NoError(t, result.Scan(&before, got, &after))
				require.EqualValues(t, n, before)
				require.Equal(t, "after", after)
				requireValue(t, c.in, c.want, got)
			}
			require.NoError(t, result.Err())
			require.Equal(t, rows, n)
		})
	}
}

// TestDynamicTypes covers the types whose layout differs from block to block. Written as text, so that the value that is
// read is checked against what the engine itself prints.
func TestDynamicTypes(t *testing.T) {
	t.Parallel()
	ch := enginetest.ClickHouse(t)
	conn := ch.Conn(t, ch.Database(t))
	for name, sql := range map[string]string{
		"variant":          "SELECT number, if(number % 2 = 0, CAST(toInt64(number), 'Variant(Int64, String)'), CAST('s', 'Variant(Int64, String)')) AS v, 'end' FROM numbers(70000)",
		"dynamic":          "SELECT number, multiIf(number % 3 = 0, CAST(toInt64(number), 'Dynamic'), number % 3 = 1, CAST('s', 'Dynamic'), CAST(NULL, 'Dynamic')) AS v, 'end' FROM numbers(70000)",
		"json":             `SELECT number, CAST(concat('{"a":', toString(number), ',"b":{"c":["x","y"]},"d":null}'), 'JSON') AS v, 'end' FROM numbers(70000)`,
		"json typed":       `SELECT number, CAST(concat('{"z":"t","a":', toString(number), ',"b":{"c":"x"}}'), 'JSON(z String, b.c LowCardinality(String), max_dynamic_paths=8, SKIP q)') AS v, 'end' FROM numbers(10)`,
		"array of variant": "SELECT number, [CAST(toInt64(1), 'Variant(Int64, Array(String))'), CAST(['x'], 'Variant(Int64, Array(String))')] AS v, 'end' FROM numbers(3)",
		"array of json":    `SELECT number, [CAST('{"a":1}', 'JSON'), CAST('{"b":"x"}', 'JSON')] AS v, 'end' FROM numbers(3)`,
		"interval":         "SELECT number, INTERVAL 3 DAY AS v, 'end' FROM numbers(3)",
		"nothing":          "SELECT number, NULL AS v, 'end' FROM numbers(3)",
		"empty array":      "SELECT number, [] AS v, 'end' FROM numbers(3)",
		"nested":           "SELECT number, CAST([(1, 'x')], 'Nested(a UInt8, b String)') AS v, 'end' FROM numbers(3)",
		"geo":              "SELECT number, CAST([[(0, 0), (1, 1)]], 'Polygon') AS v, 'end' FROM numbers(3)",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := clickhouse.Context(t.Context(), clickhouse.WithSettings(clickhouse.Settings{"allow_suspicious_low_cardinality_types": 1}))
			result, err := conn.Query(ctx, sql)
			require.NoError(t, err)
			defer func() { require.NoError(t, result.Close()) }()
			n := 0
			for ; result.Next(); n++ {
				values := make([]any, 0, 3)
				for _, ct := range result.ColumnTypes() {
					values = append(values, newOf(ct.ScanType()))
				}
				require.NoError(t, result.Scan(values...))
				require.EqualValues(t, n, *values[0].(*uint64))
				require.Equal(t, "end", *values[2].(*string))
			}
			require.NoError(t, result.Err())
			require.NotZero(t, n)
		})
	}
}
