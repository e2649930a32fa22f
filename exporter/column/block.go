package column

import "encoding/binary"

// The ClickHouse types of the columns, as schema/clickhouse declares them and system.columns reports them.
const (
	typeString         = "String"
	typeLowCardinality = "LowCardinality(String)"
	typeMap            = "Map(LowCardinality(String), String)"
	typeTime           = "DateTime64(9, 'UTC')"
	typeFloat64        = "Float64"
	typeUint8          = "UInt8"
	typeUint16         = "UInt16"
	typeUint64         = "UInt64"
	typeUUID           = "UUID"
	typeBool           = "Bool"
	typeCredits        = "Decimal(18, 6)" //nolint:gosec // Not that kind of credits.
	typeCost           = "Nullable(Decimal(18, 9))"

	typeNullableFloat64 = "Nullable(Float64)"
)

// Column names a column of a table and its ClickHouse type.
type Column struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// field is a column with its name.
type field struct {
	Column
	col column
}

func col(name, typ string, c column) field { return field{Column{name, typ}, c} }

// block is what the blocks of all tables have in common.
type block struct {
	rows   int
	fields []field
	// The columns whose values differ in length, and the bytes per row of all others.
	varying []column
	width   int
	texts   []*text // Those within other columns, too.
}

// measure prepares size and records; it is called once, when all fields are there.
func (b *block) measure() {
	for _, f := range b.fields {
		b.texts = textsOf(b.texts, f.col)
		switch f.col.(type) {
		case *fixed:
			b.width += 8
		case *nullable:
			b.width += 9
		default:
			b.varying = append(b.varying, f.col)
		}
	}
}

// textsOf appends what c has of columns of strings to dst, in order.
func textsOf(dst []*text, c column) []*text {
	switch c := c.(type) {
	case *text:
		return append(dst, c)
	case *attrMap:
		return append(dst, &c.vals)
	case *array:
		return textsOf(dst, c.elem)
	default:
		return dst
	}
}

func (b *block) reset() {
	b.rows = 0
	for _, f := range b.fields {
		f.col.reset()
	}
}

// size is called after every row, so it leaves out what it can.
func (b *block) size() int {
	n := b.width * b.rows
	for _, c := range b.varying {
		n += c.size()
	}
	return n
}

func (b *block) merge(src *block) {
	b.rows += src.rows
	for i, f := range b.fields {
		f.col.merge(src.fields[i].col)
	}
}

// appendNative appends the block in Native format.
func (b *block) appendNative(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(b.fields)))
	dst = binary.AppendUvarint(dst, uint64(b.rows)) //nolint:gosec // Never negative.
	for _, f := range b.fields {
		dst = appendString(dst, f.Name)
		dst = appendString(dst, f.Type)
		if b.rows == 0 {
			continue
		}
		dst = f.col.appendPrefix(dst)
		dst = f.col.appendData(dst)
	}
	return dst
}

// appendData appends the values of all columns as they stand in a Native block, without the names.
func (b *block) appendData(dst []byte) []byte {
	for _, f := range b.fields {
		dst = f.col.appendData(f.col.appendPrefix(dst))
	}
	return dst
}

func appendString(dst []byte, s string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}
