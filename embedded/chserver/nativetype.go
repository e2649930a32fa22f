package chserver

import (
	"encoding/binary"
	"errors"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// To find where a column ends in a Native block, its type must be followed: nothing in the format says how long it is.
// The layout of each type is that of src/DataTypes/Serializations for revision 0, checked against the engine's output.

// errShortBlock says that a block goes on after the bytes at hand.
var errShortBlock = errors.New("native block is not complete")

type columnShape int

const (
	shapeFixed columnShape = iota // size bytes a row
	shapeString
	shapeArray
	shapeNullable
	shapeTuple
	shapeLowCardinality
	shapeVariant
	shapeDynamic
	shapeJSON
	shapeUnknown // cannot be followed
)

// columnType is a type as far as its layout goes. A value serves one block: dynamic types keep what the block's prefix
// says in it.
type columnType struct {
	shape columnShape
	name  string
	size  int
	elems []*columnType // element types; typed paths for JSON
	dyn   *columnType   // Dynamic: the variant that holds the values
	paths []*columnType // JSON: the dynamic paths
}

var fixedSizes = map[string]int{
	"UInt8": 1, "UInt16": 2, "UInt32": 4, "UInt64": 8, "UInt128": 16, "UInt256": 32,
	"Int8": 1, "Int16": 2, "Int32": 4, "Int64": 8, "Int128": 16, "Int256": 32,
	"Float32": 4, "Float64": 8, "BFloat16": 2, "Bool": 1, "UUID": 16, "IPv4": 4, "IPv6": 16,
	"Date": 2, "Date32": 4, "DateTime": 4, "DateTime64": 8, "Time": 4, "Time64": 8,
	"Enum8": 1, "Enum16": 2, "Nothing": 1,
	"Decimal32": 4, "Decimal64": 8, "Decimal128": 16, "Decimal256": 32,
}

// aliasTypes are types that the engine names by a word of their own.
var aliasTypes = map[string]string{
	"Point": "Tuple(Float64, Float64)", "Ring": "Array(Point)", "LineString": "Array(Point)",
	"MultiLineString": "Array(LineString)", "Polygon": "Array(Ring)", "MultiPolygon": "Array(Polygon)",
	"Geometry": "Variant(LineString, MultiLineString, MultiPolygon, Point, Polygon, Ring)",
}

// parseColumnType reads a type name.
func parseColumnType(name string) *columnType {
	name = strings.TrimSpace(name)
	base, rest, _ := strings.Cut(name, "(")
	args := splitTypeArgs(strings.TrimSuffix(rest, ")"))
	t := &columnType{name: name, shape: shapeUnknown}
	if size, ok := fixedSizes[base]; ok {
		t.shape, t.size = shapeFixed, size
		return t
	}
	if alias, ok := aliasTypes[base]; ok {
		return parseColumnType(alias)
	}
	elems := func(args []string) {
		for _, a := range args {
			t.elems = append(t.elems, parseColumnType(a))
		}
	}
	switch {
	case base == "String":
		t.shape = shapeString
	case strings.HasPrefix(base, "Interval"):
		t.shape, t.size = shapeFixed, 8
	case base == "FixedString" && len(args) == 1:
		if n, err := strconv.Atoi(args[0]); err == nil {
			t.shape, t.size = shapeFixed, n
		}
	case base == "Decimal" && len(args) > 0:
		if p, err := strconv.Atoi(args[0]); err == nil {
			t.shape, t.size = shapeFixed, decimalSize(p)
		}
	case base == "Array" && len(args) == 1:
		t.shape = shapeArray
		elems(args)
	case base == "Nullable" && len(args) == 1:
		t.shape = shapeNullable
		elems(args)
	case base == "Map" && len(args) == 2:
		t.shape = shapeArray
		pair := &columnType{shape: shapeTuple, elems: []*columnType{parseColumnType(args[0]), parseColumnType(args[1])}}
		t.elems = []*columnType{pair}
	case base == "Tuple":
		t.shape = shapeTuple
		elems(dropElementNames(args))
	case base == "Nested":
		t.shape = shapeArray
		tuple := &columnType{shape: shapeTuple}
		for _, a := range dropElementNames(args) {
			tuple.elems = append(tuple.elems, parseColumnType(a))
		}
		t.elems = []*columnType{tuple}
	case base == "LowCardinality" && len(args) == 1:
		t.shape = shapeLowCardinality
		// The dictionary holds no NULLs: key 0 stands for them.
		elems([]string{unwrapNullable(args[0])})
	case base == "SimpleAggregateFunction" && len(args) >= 2:
		return parseColumnType(args[1])
	case base == "Variant":
		t.shape = shapeVariant
		elems(args)
	case base == "Dynamic":
		t.shape = shapeDynamic
	case base == "JSON":
		t.shape = shapeJSON
		elems(jsonTypedPaths(args))
	case base == "QBit" && len(args) == 2:
		parseQBit(t, args)
	}
	return t
}

// parseQBit lays out a bit-sliced vector: one FixedString for each bit of the element type.
func parseQBit(t *columnType, args []string) {
	bits := fixedSizes[args[0]] * 8
	n, err := strconv.Atoi(args[1])
	if err != nil || bits == 0 {
		return
	}
	t.shape = shapeTuple
	for range bits {
		t.elems = append(t.elems, &columnType{shape: shapeFixed, size: (n + 7) / 8})
	}
}

func decimalSize(precision int) int {
	switch {
	case precision <= 9:
		return 4
	case precision <= 18:
		return 8
	case precision <= 38:
		return 16
	}
	return 32
}

func unwrapNullable(name string) string {
	if inner, ok := strings.CutPrefix(strings.TrimSpace(name), "Nullable("); ok {
		return strings.TrimSuffix(inner, ")")
	}
	return name
}

// splitTypeArgs splits at commas outside of brackets and quotes.
func splitTypeArgs(s string) []string {
	var args []string
	depth, start := 0, 0
	l := lexer{sql: s}
	for tok := l.next(); tok.kind != tokenEnd; tok = l.next() {
		if tok.kind != tokenPunctuation {
			continue
		}
		switch s[tok.start] {
		case '(':
			depth++
		case ')':
			depth--
		case ',':
			if depth == 0 {
				args = append(args, strings.TrimSpace(s[start:tok.start]))
				start = tok.end
			}
		}
	}
	if last := strings.TrimSpace(s[start:]); last != "" {
		args = append(args, last)
	}
	return args
}

// dropElementNames turns "name Type" into "Type".
func dropElementNames(args []string) []string {
	out := make([]string, len(args))
	for i, a := range args {
		l := lexer{sql: a}
		first := l.next()
		second := l.next()
		if second.kind == tokenWord && first.kind != tokenPunctuation {
			out[i] = a[second.start:]
		} else {
			out[i] = a
		}
	}
	return out
}

// jsonTypedPaths gives the types of a JSON type's typed paths, in the order of their paths, which is that of the data.
func jsonTypedPaths(args []string) []string {
	type typed struct{ path, typ string }
	var paths []typed
	for _, a := range args {
		if strings.HasPrefix(a, "max_dynamic_") || strings.HasPrefix(a, "SKIP ") {
			continue
		}
		depthEnd := pathEnd(a)
		if depthEnd < 0 {
			continue
		}
		paths = append(paths, typed{strings.ReplaceAll(a[:depthEnd], "`", ""), a[depthEnd:]})
	}
	sort.Slice(paths, func(i, j int) bool { return paths[i].path < paths[j].path })
	out := make([]string, len(paths))
	for i, p := range paths {
		out[i] = p.typ
	}
	return out
}

// pathEnd finds the end of a path such as a.`b c`.d in "path Type".
func pathEnd(s string) int {
	l := lexer{sql: s}
	prev := l.next()
	for tok := l.next(); tok.kind != tokenEnd; tok = l.next() {
		if tok.start > prev.end { // white space ends the path
			return prev.end
		}
		prev = tok
	}
	return -1
}

// blockReader walks over the bytes of a block.
type blockReader struct {
	buf []byte
	pos int
}

func (r *blockReader) skip(n int) error {
	if n < 0 || n > len(r.buf)-r.pos {
		return errShortBlock
	}
	r.pos += n
	return nil
}

func (r *blockReader) uvarint() (int, error) {
	v, n := binary.Uvarint(r.buf[r.pos:])
	if n <= 0 || v > 1<<40 {
		return 0, errShortBlock
	}
	r.pos += n
	return int(v), nil
}

func (r *blockReader) uint64() (uint64, error) {
	if len(r.buf)-r.pos < 8 {
		return 0, errShortBlock
	}
	v := binary.LittleEndian.Uint64(r.buf[r.pos:])
	r.pos += 8
	return v, nil
}

func (r *blockReader) str() (string, error) {
	n, err := r.uvarint()
	if err != nil {
		return "", err
	}
	start := r.pos
	if err := r.skip(n); err != nil {
		return "", err
	}
	return string(r.buf[start : start+n]), nil
}

// prefix reads the state that some types have before the data of a column.
func (t *columnType) prefix(r *blockReader) error {
	switch t.shape {
	case shapeFixed, shapeString:
		return nil
	case shapeUnknown:
		return newError(codeNotImplemented, "Column type %s cannot be sent in Native format to a client with client_protocol_version; "+
			"finalize it in the query, for example with finalizeAggregation", t.name)
	case shapeLowCardinality:
		if err := t.elems[0].prefix(r); err != nil {
			return err
		}
		return r.skip(8)
	case shapeDynamic:
		return t.dynamicPrefix(r)
	case shapeJSON:
		return t.jsonPrefix(r)
	case shapeVariant:
		mode, err := r.uint64()
		if err != nil {
			return err
		}
		if mode != 0 {
			return newError(codeNotImplemented, "Compact serialization of %s cannot be sent over HTTP; set use_compact_variant_discriminators_serialization to 0", t.name)
		}
	}
	for _, e := range t.elems {
		if err := e.prefix(r); err != nil {
			return err
		}
	}
	return nil
}

func (t *columnType) dynamicPrefix(r *blockReader) error {
	version, err := r.uint64()
	if err != nil {
		return err
	}
	if version != 1 && version != 2 {
		return newError(codeNotImplemented, "Serialization %d of a Dynamic column cannot be sent over HTTP; unset output_format_native_use_flattened_dynamic_and_json_serialization", version)
	}
	if version == 1 { // the limit of types
		if _, err := r.uvarint(); err != nil {
			return err
		}
	}
	n, err := r.uvarint()
	if err != nil {
		return err
	}
	names := []string{"SharedVariant"}
	for range n {
		name, err := r.str()
		if err != nil {
			return err
		}
		names = append(names, name)
	}
	slices.Sort(names)
	t.dyn = &columnType{shape: shapeVariant, name: t.name}
	for _, name := range names {
		if name == "SharedVariant" { // values of types beyond the limit, as binary strings
			name = "String"
		}
		t.dyn.elems = append(t.dyn.elems, parseColumnType(name))
	}
	return t.dyn.prefix(r)
}

func (t *columnType) jsonPrefix(r *blockReader) error {
	version, err := r.uint64()
	if err != nil {
		return err
	}
	t.paths = nil
	switch version {
	case 1: // output_format_native_write_json_as_string
		t.dyn = &columnType{shape: shapeString}
		return nil
	case 0, 2:
	default:
		return newError(codeNotImplemented, "Serialization %d of a JSON column cannot be sent over HTTP; unset output_format_native_use_flattened_dynamic_and_json_serialization", version)
	}
	if version == 0 { // the limit of paths
		if _, err := r.uvarint(); err != nil {
			return err
		}
	}
	n, err := r.uvarint()
	if err != nil {
		return err
	}
	for range n {
		if _, err := r.str(); err != nil {
			return err
		}
		t.paths = append(t.paths, &columnType{shape: shapeDynamic, name: "Dynamic"})
	}
	for _, e := range t.elems {
		if err := e.prefix(r); err != nil {
			return err
		}
	}
	for _, e := range t.paths {
		if err := e.prefix(r); err != nil {
			return err
		}
	}
	return nil
}

// data skips the data of n rows.
func (t *columnType) data(r *blockReader, n int) error {
	switch t.shape {
	case shapeFixed:
		return r.skip(n * t.size)
	case shapeString:
		for range n {
			size, err := r.uvarint()
			if err != nil {
				return err
			}
			if err := r.skip(size); err != nil {
				return err
			}
		}
		return nil
	case shapeNullable:
		if err := r.skip(n); err != nil {
			return err
		}
		return t.elems[0].data(r, n)
	case shapeArray:
		if n == 0 {
			return t.elems[0].data(r, 0)
		}
		if err := r.skip(8 * (n - 1)); err != nil {
			return err
		}
		total, err := r.uint64()
		if err != nil {
			return err
		}
		return t.elems[0].data(r, int(total)) //nolint:gosec // bounded by the block
	case shapeTuple:
		if len(t.elems) == 0 {
			return r.skip(n)
		}
		for _, e := range t.elems {
			if err := e.data(r, n); err != nil {
				return err
			}
		}
		return nil
	case shapeLowCardinality:
		return t.lowCardinalityData(r, n)
	case shapeVariant:
		return t.variantData(r, n)
	case shapeDynamic:
		return t.dyn.data(r, n)
	case shapeJSON:
		return t.jsonData(r, n)
	}
	return newError(codeNotImplemented, "Column type %s cannot be sent over HTTP in Native format", t.name)
}

func (t *columnType) lowCardinalityData(r *blockReader, n int) error {
	const (
		needGlobalDictionary = 1 << 8
		hasAdditionalKeys    = 1 << 9
	)
	for done := 0; done < n; {
		flags, err := r.uint64()
		if err != nil {
			return err
		}
		for _, bit := range []uint64{needGlobalDictionary, hasAdditionalKeys} {
			if flags&bit == 0 {
				continue
			}
			keys, err := r.uint64()
			if err != nil {
				return err
			}
			if err := t.elems[0].data(r, int(keys)); err != nil { //nolint:gosec // bounded by the block
				return err
			}
		}
		rows, err := r.uint64()
		if err != nil {
			return err
		}
		if rows == 0 || rows > uint64(n-done) || flags&0xff > 3 { //nolint:gosec // n-done is positive
			return newError(codeNotImplemented, "Column type %s has a dictionary of an unknown form", t.name)
		}
		if err := r.skip(int(rows) << (flags & 0xff)); err != nil { //nolint:gosec // rows is at most n
			return err
		}
		done += int(rows) //nolint:gosec // rows is at most n
	}
	return nil
}

func (t *columnType) variantData(r *blockReader, n int) error {
	start := r.pos
	if err := r.skip(n); err != nil {
		return err
	}
	var counts [256]int
	for _, d := range r.buf[start : start+n] {
		counts[d]++
	}
	for i, e := range t.elems {
		if err := e.data(r, counts[i]); err != nil {
			return err
		}
	}
	return nil
}

func (t *columnType) jsonData(r *blockReader, n int) error {
	if t.dyn != nil {
		return t.dyn.data(r, n)
	}
	for _, e := range slices.Concat(t.elems, t.paths) {
		if err := e.data(r, n); err != nil {
			return err
		}
	}
	return sharedPaths.data(r, n)
}

// sharedPaths holds the paths of JSON values beyond the limit.
var sharedPaths = parseColumnType("Array(Tuple(String, String))")
