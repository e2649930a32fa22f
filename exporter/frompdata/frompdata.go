// Package frompdata fills the neutral records of package record from the collector's pdata.
//
// It is one of the front ends of the exporter: whatever receiver and processors stand before it, the same request
// gives the same records as the front end that decodes the wire itself. What records leave to the front end (the
// JSON text of nested values, unknown enum numbers) is therefore decided in package record, not here.
package frompdata

import (
	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/agenttrail/agenttrail/exporter/record"
)

// resource converts the resource of one entry of a request.
func resource(a *record.Arena, r pcommon.Resource, schemaURL string) record.Resource {
	return record.Resource{Attrs: attrs(a, r.Attributes()), SchemaURL: schemaURL}
}

func scope(a *record.Arena, s pcommon.InstrumentationScope) record.Scope {
	return record.Scope{Name: s.Name(), Version: s.Version(), Attrs: attrs(a, s.Attributes())}
}

func attrs(a *record.Arena, m pcommon.Map) record.Attrs {
	mark := a.AttrMark()
	for k, v := range m.All() {
		a.AddAttr(k, value(a, v))
	}
	return a.TakeAttrs(mark)
}

func value(a *record.Arena, v pcommon.Value) record.Value {
	switch v.Type() {
	case pcommon.ValueTypeStr:
		return record.String(v.Str())
	case pcommon.ValueTypeInt:
		return record.Int(v.Int())
	case pcommon.ValueTypeDouble:
		return record.Double(v.Double())
	case pcommon.ValueTypeBool:
		return record.Bool(v.Bool())
	case pcommon.ValueTypeBytes:
		return record.Value{Kind: record.ValueBytes, Str: a.TakeText(appendBytes(a.Text(), v.Bytes()))}
	case pcommon.ValueTypeSlice:
		return record.Value{Kind: record.ValueArray, Str: a.TakeText(appendJSON(a.Text(), v, 0))}
	case pcommon.ValueTypeMap:
		return record.Value{Kind: record.ValueMap, Str: a.TakeText(appendJSON(a.Text(), v, 0))}
	default:
		return record.Value{}
	}
}

func appendBytes(dst []byte, b pcommon.ByteSlice) []byte {
	for i := range b.Len() {
		dst = append(dst, b.At(i))
	}
	return dst
}

// appendJSON appends a value as JSON, members in the order in which they arrived.
func appendJSON(dst []byte, v pcommon.Value, depth int) []byte {
	switch v.Type() {
	case pcommon.ValueTypeSlice:
		if depth >= record.MaxDepth {
			return append(dst, record.TooDeep...)
		}
		dst = append(dst, '[')
		s := v.Slice()
		for i := range s.Len() {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendJSON(dst, s.At(i), depth+1)
		}
		return append(dst, ']')
	case pcommon.ValueTypeMap:
		if depth >= record.MaxDepth {
			return append(dst, record.TooDeep...)
		}
		dst = append(dst, '{')
		first := true
		for k, e := range v.Map().All() {
			if !first {
				dst = append(dst, ',')
			}
			first = false
			dst = record.AppendJSONString(dst, k)
			dst = append(dst, ':')
			dst = appendJSON(dst, e, depth+1)
		}
		return append(dst, '}')
	case pcommon.ValueTypeBytes:
		return record.Value{Kind: record.ValueBytes, Str: string(v.Bytes().AsRaw())}.AppendJSON(dst)
	default:
		return scalar(v).AppendJSON(dst)
	}
}

func scalar(v pcommon.Value) record.Value {
	switch v.Type() {
	case pcommon.ValueTypeStr:
		return record.String(v.Str())
	case pcommon.ValueTypeInt:
		return record.Int(v.Int())
	case pcommon.ValueTypeDouble:
		return record.Double(v.Double())
	case pcommon.ValueTypeBool:
		return record.Bool(v.Bool())
	default:
		return record.Value{}
	}
}
