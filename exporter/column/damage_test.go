package column

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// damage is a record to be damaged, and blocks that hold the rows of another one.
type damage struct {
	blocks *Blocks
	before map[string]string // Their blocks.
	rows   map[string]int
}

func newDamage(tb testing.TB) *damage {
	tb.Helper()
	d := &damage{blocks: newBlocks(tb), before: map[string]string{}, rows: map[string]int{}}
	d.restore(tb)
	for _, table := range d.blocks.Tables() {
		d.before[table] = string(d.blocks.AppendNative(nil, table))
		d.rows[table] = d.blocks.Rows(table)
	}
	return d
}

func (d *damage) restore(tb testing.TB) {
	tb.Helper()
	set := NewSet()
	for i := range 2 {
		addSample(set, i)
	}
	d.blocks.Reset()
	require.NoError(tb, d.blocks.Append(set.AppendRecord(nil)))
}

// check appends data, which may be anything: it is refused and leaves no trace, or gives blocks that ClickHouse's own
// client can read.
func (d *damage) check(t *testing.T, data []byte) (refused bool) {
	t.Helper()
	tables, headErr := RecordRows(nil, data)
	err := d.blocks.Append(data)
	if err != nil {
		require.ErrorIs(t, err, ErrRecord)
		for table, before := range d.before {
			require.Equal(t, d.rows[table], d.blocks.Rows(table))
			require.True(t, before == string(d.blocks.AppendNative(nil, table)), "%s is not as it was", table) //nolint:testifylint // Too long to be printed.
		}
		return true
	}
	require.NoError(t, headErr)
	for _, table := range tables {
		name := d.blocks.Tables()[table.Index]
		require.Equal(t, d.rows[name]+table.Rows, d.blocks.Rows(name))
		require.Len(t, decode(t, d.blocks.AppendNative(nil, name)), d.rows[name]+table.Rows, name)
	}
	if len(tables) > 0 {
		d.restore(t)
	}
	return false
}

func sampleRecord(from, to int) []byte {
	set := NewSet()
	for i := from; i < to; i++ {
		addSample(set, i)
	}
	return set.AppendRecord(nil)
}

func TestTruncatedRecordsAreRefused(t *testing.T) {
	t.Parallel()
	d, data := newDamage(t), sampleRecord(6, 7)
	for n := range data {
		require.True(t, d.check(t, data[:n:n]), "%d of %d bytes", n, len(data))
	}
	require.True(t, d.check(t, append(slices.Clip(data), 0)), "a byte too many")
	require.False(t, d.check(t, data))
}

func TestDamagedRecordsAreRefusedOrValid(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	d, data := newDamage(t), sampleRecord(7, 8)
	refused, tried := 0, 0
	for i := 0; i < len(data); i += 1 + r.IntN(5) {
		damaged := append([]byte(nil), data...)
		damaged[i] ^= 1 << r.IntN(8)
		if d.check(t, damaged) {
			refused++
		}
		tried++
	}
	require.Greater(t, refused, tried/4)
	for range 100 { // A piece is missing, or is there twice.
		from, to := r.IntN(len(data)), r.IntN(len(data))
		d.check(t, append(append([]byte(nil), data[:from]...), data[to:]...))
	}
}

// TestWhatIsRefused damages one thing of a record of a small layout.
func TestWhatIsRefused(t *testing.T) {
	t.Parallel()
	const layout = `[{"table":"A","columns":[{"name":"c","type":"String"}]},{"table":"B","columns":[{"name":"c","type":"String"}]},
		{"table":"Enum","columns":[{"name":"c","type":"Enum8('low' = -1, 'high' = 2)"}]},
		{"table":"Bool","columns":[{"name":"c","type":"Bool"}]},
		{"table":"Null","columns":[{"name":"c","type":"Nullable(UInt16)"}]},
		{"table":"Word","columns":[{"name":"c","type":"LowCardinality(String)"}]},
		{"table":"Nest","columns":[{"name":"n.a","type":"Array(UInt8)"},{"name":"x","type":"Array(UInt8)"},{"name":"n.b","type":"Array(UInt8)"}]}]`
	one := func(index, rows byte, data ...byte) []byte {
		head := []byte{recordWithoutLengths, 1, index, rows}
		return append(binary.LittleEndian.AppendUint64(head, uint64(len(data))), data...)
	}
	u64 := func(vs ...uint64) (b []byte) {
		for _, v := range vs {
			b = binary.LittleEndian.AppendUint64(b, v)
		}
		return b
	}
	word := func(parts ...[]byte) []byte {
		var all []byte
		for _, p := range parts {
			all = append(all, p...)
		}
		return one(5, 2, all...)
	}
	good := map[string][]byte{
		"strings":   one(0, 2, 1, 'a', 0),
		"enum":      one(2, 2, 255, 2),
		"bool":      one(3, 2, 0, 1),
		"null":      one(4, 2, 1, 0, 0, 0, 5, 0),
		"words":     word(u64(1, 0x600, 2), []byte{1, 'a', 1, 'b'}, u64(2), []byte{1, 0}),
		"wide keys": word(u64(1, 0x602, 1), []byte{1, 'a'}, u64(2), []byte{0, 0, 0, 0, 0, 0, 0, 0}),
		"nested":    one(6, 2, append(append(append(u64(1, 1), 7), append(u64(0, 1), 8)...), append(u64(1, 1), 9)...)...),
	}
	bad := map[string]struct {
		data    []byte
		problem string
	}{
		"nothing":                   {nil, "1 bytes are missing"},
		"version":                   {[]byte{3, 0}, "it has version 3, and this program reads versions 1 and 2"},
		"table":                     {one(7, 1, 0), "no table 7"},
		"no rows":                   {one(0, 0, 0), "table 0 cannot have 0 rows in 1 bytes"},
		"rows":                      {one(0, 2, 0), "table 0 cannot have 2 rows in 1 bytes"},
		"bytes left":                {one(0, 1, 0, 0), "1 bytes are left"},
		"bytes behind":              {append(one(0, 1, 0), 0), "its tables have 1 bytes, and it has 2"},
		"same table twice":          {append([]byte{recordWithoutLengths, 2, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0}, 0, 0), "table 0 cannot have"},
		"tables out of order":       {append([]byte{recordWithoutLengths, 2, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0}, 0, 0), "table 0 cannot have"},
		"lengths that wrap around":  {slices.Concat([]byte{recordWithoutLengths, 2, 0, 1}, u64(math.MaxUint64-1), []byte{1, 1}, u64(4), []byte{0, 0}), "table 0 cannot have 1 rows in 18446744073709551614 bytes"},
		"string":                    {one(0, 2, 0, 2, 'a'), "column c: record is damaged: 1 bytes are missing"},
		"length in too many bytes":  {one(0, 1, 0x80, 0), "a length cannot be read"},
		"enum":                      {one(2, 2, 255, 0), "its type has no value 0"},
		"bool":                      {one(3, 1, 2), "its type has no value 2"},
		"null":                      {one(4, 1, 2, 0, 0), "its type has no value 2"},
		"version of words":          {word(u64(2, 0x600, 1), []byte{1, 'a'}, u64(2), []byte{0, 0}), "its dictionary has version 2"},
		"flags of words":            {word(u64(1, 0x200, 1), []byte{1, 'a'}, u64(2), []byte{0, 0}), "its dictionary has flags 0x200"},
		"width of words":            {word(u64(1, 0x603, 1), []byte{1, 'a'}, u64(2, 0, 0)), "its dictionary has flags 0x603"},
		"many words":                {word(u64(1, 0x600, 1<<60), []byte{1, 'a'}, u64(2), []byte{0, 0}), "strings for 2 values"},
		"a word too many":           {word(u64(1, 0x600, 3), []byte{1, 'a', 1, 'b', 1, 'c'}, u64(2), []byte{0, 1}), "its dictionary has 3 strings for 2 values"},
		"number of keys":            {word(u64(1, 0x600, 1), []byte{1, 'a'}, u64(1), []byte{0, 0}), "it has 1 keys for 2 values"},
		"key":                       {word(u64(1, 0x600, 1), []byte{1, 'a'}, u64(2), []byte{0, 1}), "key 1 is not among the 1"},
		"huge key":                  {word(u64(1, 0x602, 1), []byte{1, 'a'}, u64(2), []byte{0, 0, 0, 0, 255, 255, 255, 255}), "key 4294967295 is not among the 1"},
		"list that ends before":     {one(6, 2, append(u64(2, 1), 7, 7)...), "a list ends at 1, the one before it at 2"},
		"list that is too long":     {one(6, 2, append(u64(1, 1<<63), 7)...), "a list ends at 9223372036854775808"},
		"lists of different length": {one(6, 2, append(append(append(u64(1, 1), 7), append(u64(0, 1), 8)...), append(u64(0, 1), 9)...)...), "column n.b: record is damaged: a list ends at 0, that of another column at 1"},
	}
	blocks, err := NewBlocks([]byte(layout))
	require.NoError(t, err)
	for name, data := range good {
		blocks.Reset()
		require.NoError(t, blocks.Append(data), name)
		for _, c := range bad {
			before := map[string]string{}
			for _, table := range blocks.Tables() {
				before[table] = string(blocks.AppendNative(nil, table))
			}
			err := blocks.Append(c.data)
			require.ErrorIs(t, err, ErrRecord)
			require.ErrorContains(t, err, c.problem)
			for _, table := range blocks.Tables() {
				require.Equal(t, before[table], string(blocks.AppendNative(nil, table)), "%s after %s", table, c.problem)
			}
		}
		require.NoError(t, blocks.Append(data), name)
	}
}

func FuzzBlocksAppend(f *testing.F) {
	f.Add(sampleRecord(0, 1))
	f.Add(sampleRecord(3, 12))
	f.Add(NewSet().AppendRecord(nil))
	d := newDamage(f)
	f.Fuzz(func(t *testing.T, data []byte) { d.check(t, data) })
}

// FuzzBlocksAppendTable has a head that fits, so that the fuzzer gets to the columns.
func FuzzBlocksAppendTable(f *testing.F) {
	for table := range TableCount {
		set := NewSet()
		addSample(set, 3)
		f.Add(uint8(table), uint16(1), set.AppendRecord(nil)[1+1+1+1+8:])
	}
	d := newDamage(f)
	f.Fuzz(func(t *testing.T, table uint8, rows uint16, columns []byte) {
		data := binary.AppendUvarint([]byte{recordVersion, 1, table % uint8(TableCount)}, uint64(rows))
		data = append(binary.LittleEndian.AppendUint64(data, uint64(len(columns))), columns...)
		d.check(t, data)
	})
}

// FuzzOwnRecords trusts what it must not: the blocks may be wrong then, but those of other tables are not.
func FuzzOwnRecords(f *testing.F) {
	f.Add(sampleRecord(0, 1))
	f.Add(sampleRecord(3, 12))
	d := newDamage(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := d.blocks.AppendOwnTable(data, "Span"); err != nil {
			require.ErrorIs(t, err, ErrRecord)
			require.Equal(t, d.before["Span"], string(d.blocks.AppendNative(nil, "Span")))
		}
		_ = d.blocks.AppendNative(nil, "Span")
		require.Equal(t, d.before["AgentLog"], string(d.blocks.AppendNative(nil, "AgentLog")))
		d.restore(t)
	})
}

func FuzzNewBlocks(f *testing.F) {
	f.Add(Layout(), sampleRecord(0, 3))
	f.Add([]byte(`[{"table":"T","columns":[{"name":"c","type":"Array(Nullable(Decimal(9, 2)))"}]}]`), []byte{1, 0})
	f.Fuzz(func(t *testing.T, layout, data []byte) {
		blocks, err := NewBlocks(layout)
		if err != nil {
			return
		}
		if err := blocks.Append(data); err != nil {
			require.ErrorIs(t, err, ErrRecord)
		}
		for _, table := range blocks.Tables() {
			_ = blocks.AppendNative(nil, table)
		}
	})
}
