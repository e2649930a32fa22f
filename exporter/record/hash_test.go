package record_test

import (
	"encoding/hex"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/zeebo/xxh3"

	"github.com/agenttrail/agenttrail/exporter/record"
)

func pairs(kv ...string) record.Attrs {
	var a record.Attrs
	for i := 0; i < len(kv); i += 2 {
		a = append(a, record.Attr{Key: kv[i], Value: record.String(kv[i+1])})
	}
	return a
}

func resources() []record.Resource {
	return []record.Resource{
		{Attrs: append(pairs("service.name", "shop"), record.Attr{Key: "pid", Value: record.Int(-7)}), SchemaURL: "https://one"},
		{Attrs: pairs("service.name", "bank")},
	}
}

func scopes() []record.Scope {
	return []record.Scope{{Name: "http", Version: "1.2", Attrs: pairs("a", "b", "c", "d")}, {Name: "db"}}
}

// traces returns a request with every field set.
func traces() *record.Traces {
	return &record.Traces{
		Resources: resources(), Scopes: scopes(),
		Spans: []record.Span{
			{
				TraceID: [16]byte{1, 2, 15: 3}, SpanID: [8]byte{4, 7: 5}, ParentSpanID: [8]byte{6, 7: 7}, Name: "run", Kind: record.KindServer,
				Start: 1_790_000_000_123_456_789, End: 1_790_000_001_000_000_000, Status: record.StatusError, StatusMessage: "no",
				Attrs: append(
					pairs("first", "one", "second", "two"),
					record.Attr{Key: "double", Value: record.Double(0.5)},
					record.Attr{Key: "bytes", Value: record.Value{Kind: record.ValueBytes, Str: "\x00\xff"}},
				),
				Events: []record.Event{{Time: 8, Name: "e1", Attrs: pairs("x", "y", "z", "")}, {Time: 9, Name: "e2"}},
				Links:  []record.Link{{TraceID: [16]byte{10}, SpanID: [8]byte{11}, Attrs: pairs("l", "m")}, {SpanID: [8]byte{12}}},
			},
			{Name: "step", Resource: 1, Scope: 1},
		},
	}
}

// logs returns a request with every field set.
func logs() *record.Logs {
	return &record.Logs{
		Resources: resources(), Scopes: scopes(),
		Records: []record.Log{
			{
				Time: 1, Observed: 2, Severity: 9, SeverityText: "INFO", EventName: "event", Body: record.Value{Kind: record.ValueMap, Num: 1, Str: `{"a":1}`},
				TraceID: [16]byte{1, 15: 2}, SpanID: [8]byte{3, 7: 4}, Attrs: pairs("first", "one", "second", "two"),
			},
			{Body: record.Bool(true), Resource: 1, Scope: 1},
		},
	}
}

// metrics returns a request with every field set.
func metrics() *record.Metrics {
	return &record.Metrics{
		Resources: resources(), Scopes: scopes(),
		Metrics: []record.Metric{
			{Name: "latency", Unit: "ms", Kind: record.MetricHistogram, Temporality: record.TemporalityDelta, Monotonic: true},
			{Name: "size", Unit: "By", Kind: record.MetricGauge, Resource: 1, Scope: 1},
		},
		Points: []record.Point{
			{
				Start: 1, Time: 2, NoValue: true, Attrs: pairs("first", "one", "second", "two"),
				Num: record.Number{Kind: record.NumberInt, Int: -3, Double: 0.25}, Count: 4,
				Sum: record.OptionalDouble{Value: 5.5}, Min: record.OptionalDouble{Value: -6, Known: true}, Max: record.OptionalDouble{Value: 7, Known: true},
				Bounds: []float64{1, 2}, Counts: []uint64{3, 4, 5}, Values: []float64{6, 7}, Scale: -2, ZeroCount: 8, ZeroThreshold: 0.125,
				Positive: record.Buckets{Offset: -1, Counts: []uint64{9, 10}}, Negative: record.Buckets{Offset: 2, Counts: []uint64{11, 12}},
			},
			{Metric: 1, Num: record.Number{Kind: record.NumberDouble, Double: math.NaN()}},
		},
	}
}

type request interface{ Hash() [16]byte }

func TestEverythingMattersToTheHash(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]request{"traces": traces(), "logs": logs(), "metrics": metrics()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seen := map[[16]byte]string{r.Hash(): "the request itself"}
			changes := 0
			check := func(change string) {
				changes++
				h := r.Hash()
				require.Empty(t, seen[h], "%s has the hash of another request", change)
				seen[h] = change
			}
			change(reflect.ValueOf(r).Elem(), name, check)
			require.Greater(t, changes, 150)
			require.Equal(t, "the request itself", seen[r.Hash()])
		})
	}
}

// change makes every change to v that it can think of, one at a time, and calls check after each. Fields that are
// added to the records later are among them.
func change(v reflect.Value, path string, check func(change string)) {
	old := reflect.New(v.Type()).Elem()
	old.Set(v)
	try := func(what string, to any) {
		v.Set(reflect.ValueOf(to).Convert(v.Type()))
		check(path + " " + what)
		v.Set(old)
	}
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[record.Arena]() {
			return // Nothing of it is seen except through the records.
		}
		for i := range v.NumField() {
			change(v.Field(i), path+"."+v.Type().Field(i).Name, check)
		}
	case reflect.Slice:
		list(v, path, check)
	case reflect.Array:
		for i := range v.Len() {
			change(v.Index(i), fmt.Sprint(path, "[", i, "]"), check)
		}
	case reflect.String:
		try("longer", v.String()+"~")
		try("ends in zero", v.String()+"\x00")
		if v.Len() > 0 {
			try("shorter", v.String()[1:])
			try("other", strings.Repeat("~", v.Len()))
		}
	case reflect.Bool:
		try("other", !v.Bool())
	case reflect.Float64:
		for bit := range 64 {
			try(fmt.Sprint("bit ", bit), math.Float64frombits(math.Float64bits(v.Float())^1<<bit))
		}
	default: // Whole numbers.
		for bit := range v.Type().Bits() {
			flipped := reflect.New(v.Type()).Elem()
			if v.CanInt() {
				flipped.SetInt(v.Int() ^ 1<<bit)
			} else {
				flipped.SetUint(v.Uint() ^ 1<<bit)
			}
			try(fmt.Sprint("bit ", bit), flipped.Interface())
		}
	}
}

func list(v reflect.Value, path string, check func(change string)) {
	n := v.Len()
	for i := range n {
		change(v.Index(i), fmt.Sprint(path, "[", i, "]"), check)
	}
	old := reflect.New(v.Type()).Elem()
	old.Set(v)
	v.Set(reflect.AppendSlice(reflect.MakeSlice(v.Type(), 0, n+1), old))
	v.Set(reflect.Append(v, reflect.Zero(v.Type().Elem())))
	check(path + " with an empty one")
	v.Set(old)
	if n > 0 {
		v.Set(old.Slice(0, n-1))
		check(path + " without the last")
		v.Set(old)
	}
	if n > 1 && !reflect.DeepEqual(v.Index(0).Interface(), v.Index(1).Interface()) {
		swap := reflect.Swapper(v.Interface())
		swap(0, 1)
		check(path + " in another order")
		swap(0, 1)
	}
}

// TestWhereThingsEndMattersToTheHash moves what one element of a list has to the next element. All of it is zero, so if a
// length were not hashed, nothing would tell the two apart.
func TestWhereThingsEndMattersToTheHash(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]request{"traces": &record.Traces{}, "logs": &record.Logs{}, "metrics": &record.Metrics{}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lists := 0
			everyList(reflect.ValueOf(r).Elem(), name, func(list reflect.Value, path string) {
				lists++
				seen := map[[16]byte]string{}
				fillings := everyFilling(list.Type().Elem(), "")
				for _, first := range fillings {
					for _, second := range fillings {
						list.Set(reflect.Append(reflect.Zero(list.Type()), first.value, second.value))
						h, what := r.Hash(), fmt.Sprintf("first %s, second %s", first.what, second.what)
						require.Empty(t, seen[h], "%s: %s has the hash of another request", path, what)
						seen[h] = what
					}
				}
				require.Greater(t, len(seen), 8, path)
			})
			require.GreaterOrEqual(t, lists, 5)
		})
	}
}

// everyList calls check for every list of structs in v, in turn. The lists around it have one element, which is zero
// otherwise.
func everyList(v reflect.Value, path string, check func(list reflect.Value, path string)) {
	switch {
	case v.Type() == reflect.TypeFor[record.Arena]():
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			everyList(v.Field(i), path+"."+v.Type().Field(i).Name, check)
		}
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct:
		check(v, path)
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		everyList(v.Index(0), path+"[]", check)
		v.SetZero()
	}
}

// TestHowMuchThereIsMattersToTheHash has nothing but zero resources, scopes and records.
func TestHowMuchThereIsMattersToTheHash(t *testing.T) {
	t.Parallel()
	for _, r := range []request{&record.Traces{}, &record.Logs{}, &record.Metrics{}} {
		v, seen := reflect.ValueOf(r).Elem(), map[[16]byte]bool{}
		var fill func(field int)
		fill = func(field int) {
			if field == v.NumField() {
				require.False(t, seen[r.Hash()], "%+v has the hash of another request", r)
				seen[r.Hash()] = true
				return
			}
			f := v.Field(field)
			if f.Kind() != reflect.Slice {
				fill(field + 1)
				return
			}
			for n := range 9 {
				f.Set(reflect.MakeSlice(f.Type(), n, n))
				fill(field + 1)
			}
		}
		fill(0)
		require.GreaterOrEqual(t, len(seen), 9*9*9)
	}
}

type filling struct {
	what  string
	value reflect.Value
}

// everyFilling returns a zero t, and some in which one string or list has 1, 2 or 3 zeros.
func everyFilling(t reflect.Type, what string) []filling {
	all := []filling{{"empty", reflect.Zero(t)}}
	switch t.Kind() {
	case reflect.Struct:
		for i := range t.NumField() {
			for _, f := range everyFilling(t.Field(i).Type, what+"."+t.Field(i).Name)[1:] {
				v := reflect.New(t).Elem()
				v.Field(i).Set(f.value)
				all = append(all, filling{f.what, v})
			}
		}
	case reflect.String:
		for n := 1; n <= 3; n++ {
			all = append(all, filling{fmt.Sprint(what, " of ", n), reflect.ValueOf(strings.Repeat("\x00", n)).Convert(t)})
		}
	case reflect.Slice:
		for n := 1; n <= 3; n++ {
			all = append(all, filling{fmt.Sprint(what, " of ", n), reflect.MakeSlice(t, n, n)})
		}
	}
	return all
}

func TestRequestsOfDifferentSignalsHaveDifferentHashes(t *testing.T) {
	t.Parallel()
	var a record.Traces
	var b record.Logs
	var c record.Metrics
	require.NotEqual(t, a.Hash(), b.Hash())
	require.NotEqual(t, b.Hash(), c.Hash())
	require.NotEqual(t, a.Hash(), c.Hash())
	require.NotZero(t, a.Hash(), "an empty request has a hash as well")
}

// TestHashesAreTheSameInEveryVersion fails when a change would make a journal forget what it has taken.
func TestHashesAreTheSameInEveryVersion(t *testing.T) {
	t.Parallel()
	for want, r := range map[string]request{
		"54fb103b8a5c95000b29ade335d57c5e": traces(),
		"8bc4d118101ae7159d6bb07e8f08569b": logs(),
		"21aa2dfff5b2b155354fc80a00d40fbd": metrics(),
	} {
		h := r.Hash()
		require.Equal(t, want, hex.EncodeToString(h[:]), "%T", r)
	}
}

// TestLongStringsAreHashedWhole compares with a hash that is taken over everything at once.
func TestLongStringsAreHashedWhole(t *testing.T) {
	t.Parallel()
	word := func(vs ...uint64) string {
		var b []byte
		for _, v := range vs {
			for i := range 8 {
				b = append(b, byte(v>>(8*i)))
			}
		}
		return string(b)
	}
	const head = 8 * 4
	for _, n := range []int{0, 1, 2000, 4095 - head, 4096 - head, 4097 - head, 4096, 8192, 8193, 100_000} {
		text := strings.Repeat("0123456789", n/10+1)[:n]
		r := record.Traces{Resources: []record.Resource{{SchemaURL: text, Attrs: pairs(text, text)}}}
		want := xxh3.HashString128(word(1<<8|'T', 1, 0, 0) + word(uint64(n), 1) + text +
			word(uint64(n)|uint64(record.ValueString)<<56, 0, uint64(n)) + text + text).Bytes()
		require.Equal(t, want, r.Hash(), n)
	}
}

func TestHashingAllocatesNothing(t *testing.T) {
	for _, r := range []request{traces(), logs(), metrics()} {
		require.Zero(t, testing.AllocsPerRun(100, func() { _ = r.Hash() }), "%T", r)
	}
}
