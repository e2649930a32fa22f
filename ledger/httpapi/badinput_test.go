package httpapi_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// description is the OpenAPI document as the service serves it.
type description struct {
	Paths map[string]map[string]*described `json:"paths"`
	Comps struct {
		Schemas map[string]map[string]any `json:"schemas"`
	} `json:"components"`
}

// described is one operation.
type described struct {
	ID         string `json:"operationId"`
	Summary    string `json:"summary"`
	Parameters []struct {
		Name     string         `json:"name"`
		In       string         `json:"in"`
		Required bool           `json:"required"`
		Schema   map[string]any `json:"schema"`
	} `json:"parameters"`
	RequestBody *struct {
		Required bool `json:"required"`
		Content  map[string]struct {
			Schema map[string]any `json:"schema"`
		} `json:"content"`
	} `json:"requestBody"`
	Responses map[string]any `json:"responses"`
	Scopes    []string       `json:"x-scopes"`
	Problems  []string       `json:"x-problems"`

	method, path string
}

// operations are those of the description, in order of path and method.
func (d *description) operations() []*described {
	var all []*described
	for _, path := range slices.Sorted(maps.Keys(d.Paths)) {
		for _, method := range slices.Sorted(maps.Keys(d.Paths[path])) {
			op := d.Paths[path][method]
			op.method, op.path = strings.ToUpper(method), path
			all = append(all, op)
		}
	}
	return all
}

func (d *description) resolve(schema map[string]any) map[string]any {
	for schema["$ref"] != nil {
		ref := schema["$ref"].(string)
		schema = d.Comps.Schemas[ref[strings.LastIndex(ref, "/")+1:]]
	}
	return schema
}

// badInput is one way in which a request is wrong.
type badInput struct {
	where, what string
	problem     string
	change      func(c *call)
}

const invalid = "invalid-request"

// badInputs are all that can be derived from the description, for a request that is good.
func (d *description) badInputs(op *described, good call) []badInput {
	var all []badInput
	add := func(where, what, problem string, change func(c *call)) {
		all = append(all, badInput{where, what, problem, change})
	}
	add("query", "an unknown parameter", invalid, func(c *call) { c.path = withQuery(c.path, "surprise", "1") })
	add("query", "no percent-encoding", "malformed-request", func(c *call) { c.path += separator(c.path) + "x=%zz" })
	add("query", "a NUL character", "malformed-request", func(c *call) { c.path += separator(c.path) + "x=%00" })
	add("query", "not UTF-8", "malformed-request", func(c *call) { c.path += separator(c.path) + "x=%ff" })
	for _, p := range op.Parameters {
		where := p.In + "." + p.Name
		switch p.In {
		case "path":
			for _, v := range wrongTexts(p.Schema) {
				add(where, v.what, v.problem, func(c *call) { c.path = withSegment(op.path, c.path, p.Name, v.text) })
			}
			unknown := "no-such-thing"
			if p.Schema["format"] == "uuid" {
				unknown = "019bde24-89a1-7c3e-8f10-0242ac120002"
			}
			if p.Schema["enum"] == nil {
				add(where, "unknown", "not-found", func(c *call) { c.path = withSegment(op.path, c.path, p.Name, unknown) })
			}
		case "query":
			if p.Required {
				add(where, "missing", invalid, func(c *call) { c.path = withQuery(c.path, p.Name, "") })
			}
			if p.Name == "cursor" {
				for _, v := range []string{"x", "AAAA", "eyJ4IjoxfQ", "ä"} {
					add(where, "none that this service gave", invalid, func(c *call) { c.path = withQuery(c.path, "cursor", v) })
				}
			}
			for _, v := range wrongTexts(p.Schema) {
				if v.text != "" {
					add(where, v.what, v.problem, func(c *call) { c.path = withQuery(c.path, p.Name, v.text) })
				}
			}
		}
	}
	if op.method == "POST" {
		header := func(value string) func(c *call) { return func(c *call) { setHeader(c, "Idempotency-Key", value) } }
		add("header.Idempotency-Key", "missing", "idempotency-key-missing", header(""))
		add("header.Idempotency-Key", "too long", invalid, header(strings.Repeat("k", 256)))
		add("header.Idempotency-Key", "not printable", invalid, header("key\xc3\xa4"))
	}
	if slices.Contains(op.Problems, "version-mismatch") {
		header := func(value string) func(c *call) { return func(c *call) { setHeader(c, "If-Match", value) } }
		if slices.Contains(op.Problems, "precondition-required") {
			add("header.If-Match", "missing", "precondition-required", header(""))
		}
		add("header.If-Match", "another version", "version-mismatch", header(`"99999"`))
		if op.ID != "putInteraction" && op.ID != "putGuard" {
			add("header.If-Match", "version 0", "version-mismatch", header(`"0"`))
		}
		for _, v := range []string{"3", `W/"3"`, `"three"`, `"-1"`, `"1", "2"`, `"99999999999"`, `"01"`} {
			add("header.If-Match", "no ETag of this service", invalid, header(v))
		}
		add("header.If-Match", "too long", invalid, header(`"`+strings.Repeat("1", 200)+`"`))
	}
	if op.method != "GET" {
		add("body", "too large", "request-too-large", func(c *call) { c.body = []byte(`{"x":"` + strings.Repeat("x", 300<<10) + `"}`) })
	}
	if op.RequestBody == nil {
		return all
	}
	raw := func(text []byte) func(c *call) { return func(c *call) { c.body = text } }
	good.body = clone(good.body)
	text, err := json.Marshal(good.body)
	if err != nil {
		panic(err)
	}
	if op.RequestBody.Required {
		add("body", "missing", "malformed-request", func(c *call) { c.body = nil })
	}
	add("body", "not JSON", "malformed-request", raw([]byte("credits=5")))
	add("body", "cut short", "malformed-request", raw(text[:len(text)-1]))
	add("body", "something after it", "malformed-request", raw(append(slices.Clone(text), '{')))
	add("body", "not UTF-8", "malformed-request", raw(bytes.Replace(text, []byte(`":`), []byte("\xff\":"), 1)))
	add("body", "a NUL character", "malformed-request", raw([]byte(`{"\u0000":1}`)))
	add("body", "another media type", "unsupported-media-type", func(c *call) { setHeader(c, "Content-Type", "application/xml") })
	for _, v := range []string{`[]`, `"text"`, `7`, `true`} {
		add("body", "wrong type", invalid, raw([]byte(v)))
	}
	schema := op.RequestBody.Content["application/json"].Schema
	d.wrongMembers(schema, "body", nil, good.body, func(where, what, problem string, path []any, value any) {
		add(where, what, problem, func(c *call) {
			c.body = clone(c.body)
			c.body = set(c.body, path, value)
		})
	})
	return all
}

// remove stands for a member that is left out.
type remove struct{}

// wrongMembers finds what can be wrong below one place of the body.
func (d *description) wrongMembers(schema map[string]any, where string, path []any, good any, add func(where, what, problem string, path []any, value any)) {
	schema = d.resolve(schema)
	switch kind(schema) {
	case "object":
		members, _ := good.(map[string]any)
		if schema["additionalProperties"] == true {
			add(where, "too deep", invalid, path, deep(40))
			add(where, "too large", invalid, path, map[string]any{"x": strings.Repeat("x", 70<<10)})
			add(where, "a number that is too long", invalid, path, map[string]any{"x": json.RawMessage("0." + strings.Repeat("1", 100))})
			for _, v := range []any{"text", 7, true, []any{}} {
				add(where, "wrong type", invalid, path, v)
			}
			return
		}
		if len(path) > 0 {
			for _, v := range []any{"text", 7, true, []any{}} {
				add(where, "wrong type", invalid, path, v)
			}
		}
		add(where, "an unknown member", invalid, append(slices.Clone(path), "surprise"), 1)
		required, _ := schema["required"].([]any)
		properties := schema["properties"].(map[string]any)
		dependent := asMap(schema["dependentRequired"])
		for _, name := range slices.Sorted(maps.Keys(dependent)) {
			for _, other := range dependent[name].([]any) {
				if members[name] != nil {
					add(where+"."+other.(string), "missing beside "+name, invalid, append(slices.Clone(path), other), remove{})
				}
			}
		}
		for _, name := range slices.Sorted(maps.Keys(properties)) {
			inner := append(slices.Clone(path), name)
			if slices.Contains(required, any(name)) {
				add(where+"."+name, "missing", invalid, inner, remove{})
				add(where+"."+name, "null", invalid, inner, nil)
			}
			if value, ok := members[name]; ok {
				add(where+"."+name, "in another case", invalid, append(slices.Clone(path), strings.ToUpper(name)), value)
			}
			d.wrongMembers(properties[name].(map[string]any), where+"."+name, inner, members[name], add)
		}
	case "array":
		items := d.resolve(schema["items"].(map[string]any))
		for _, v := range []any{"text", 7, map[string]any{}} {
			add(where, "wrong type", invalid, path, v)
		}
		if n, ok := schema["maxItems"].(float64); ok {
			many := make([]any, int(n)+1)
			for i := range many {
				many[i] = "item-" + strconv.Itoa(i)
			}
			add(where, "too many", invalid, path, many)
		}
		if n, ok := schema["minItems"].(float64); ok && n > 0 {
			add(where, "too few", invalid, path, []any{})
		}
		d.wrongMembers(items, where+"[0]", append(slices.Clone(path), 0), "", add)
	case "string":
		for _, v := range []any{7, true, map[string]any{}, []any{}} {
			add(where, "wrong type", invalid, path, v)
		}
		for _, v := range wrongTexts(schema) {
			add(where, v.what, v.problem, path, v.text)
		}
	case "integer":
		for _, v := range []any{"7", true, 1.5, map[string]any{}} {
			add(where, "wrong type", invalid, path, v)
		}
		for _, v := range []any{json.RawMessage("1e30"), json.RawMessage("9223372036854775808"), json.RawMessage("-9223372036854775809")} {
			add(where, "overflow", invalid, path, v)
		}
		if n, ok := schema["minimum"].(float64); ok {
			add(where, lessThan(n), invalid, path, n-1)
		}
		if n, ok := schema["maximum"].(float64); ok {
			add(where, "too much", invalid, path, n+1)
		}
	case "boolean":
		for _, v := range []any{"yes", 1} {
			add(where, "wrong type", invalid, path, v)
		}
	default:
		panic(fmt.Sprintf("%s has a type that the test does not know: %v", where, schema))
	}
}

func lessThan(n float64) string {
	if n == 0 {
		return "negative"
	}
	return "too little"
}

// kind is the type of a schema, without null.
func kind(schema map[string]any) string {
	switch t := schema["type"].(type) {
	case string:
		return t
	case []any:
		return t[0].(string)
	}
	return ""
}

type wrongText struct{ text, what, problem string }

// wrongTexts are texts that a schema does not permit, for members, paths and queries.
func wrongTexts(schema map[string]any) []wrongText {
	var all []wrongText
	add := func(what, problem string, texts ...string) {
		for _, t := range texts {
			all = append(all, wrongText{t, what, problem})
		}
	}
	switch kind(schema) {
	case "integer":
		add("wrong type", invalid, "x", "1.5")
		add("overflow", invalid, "9223372036854775808", "1e30")
		if n, ok := schema["minimum"].(float64); ok {
			add("too little", invalid, strconv.Itoa(int(n)-1))
			add("negative", invalid, "-5")
		}
		if n, ok := schema["maximum"].(float64); ok {
			add("too much", invalid, strconv.Itoa(int(n)+1))
		}
		return all
	case "boolean":
		add("wrong type", invalid, "maybe")
		return all
	}
	if n, ok := schema["maxLength"].(float64); ok {
		add("too long", invalid, strings.Repeat("1", int(n)+1))
	}
	if n, ok := schema["minLength"].(float64); ok && n > 0 {
		add("too short", invalid, "")
	}
	if schema["enum"] != nil {
		add("an unknown value", invalid, "something-else")
	}
	switch schema["format"] {
	case "uuid":
		add("no UUID", invalid, "019bde24", "019bde24-89a1-7c3e-8f10-0242ac12000g")
		add("the nil UUID", invalid, "00000000-0000-0000-0000-000000000000")
	case "date-time":
		add("no date and time", invalid, "yesterday", "2026-02-30T00:00:00Z", "2026-01-01")
	case "email":
		add("no address", invalid, "nobody", "a@", "A Name <a@example.com>")
	}
	if p, ok := schema["pattern"].(string); ok {
		if strings.HasPrefix(p, "^[0-9]{1,13}") {
			add("negative", invalid, "-1")
			add("no decimal number", invalid, "many", "1e3", " 1", "1,5", "1.", ".5", "0x10", "NaN")
			add("too many decimals", invalid, "1.0000001")
			add("overflow", invalid, "99999999999999")
			add("overflow by a little", "amount-out-of-range", "9223372036854.775808", "9999999999999")
		} else {
			add("another form", invalid, "no such form!")
		}
	}
	return all
}

func asMap(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

func deep(levels int) map[string]any {
	m := map[string]any{}
	for range levels {
		m = map[string]any{"m": m}
	}
	return m
}

// clone copies a body, so that a change of one is none of another.
func clone(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, inner := range v {
			out[k] = clone(inner)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, inner := range v {
			out[i] = clone(inner)
		}
		return out
	case []string:
		out := make([]any, len(v))
		for i, inner := range v {
			out[i] = inner
		}
		return out
	}
	return v
}

// set changes one place of a body. What is missing on the way there is made.
func set(body any, path []any, value any) any {
	if len(path) == 0 {
		return value
	}
	switch step := path[0].(type) {
	case string:
		m, ok := body.(map[string]any)
		if !ok {
			m = map[string]any{}
		}
		if _, gone := value.(remove); gone && len(path) == 1 {
			delete(m, step)
			return m
		}
		m[step] = set(m[step], path[1:], value)
		return m
	case int:
		list, _ := body.([]any)
		if len(list) <= step {
			list = append(list, nil)
		}
		list[step] = set(list[step], path[1:], value)
		return list
	}
	panic("no such step")
}

func setHeader(c *call, name, value string) {
	h := maps.Clone(c.header)
	if h == nil {
		h = map[string]string{}
	}
	h[name] = value
	c.header = h
}

func separator(path string) string {
	if strings.Contains(path, "?") {
		return "&"
	}
	return "?"
}

// withQuery sets one parameter, or removes it when the value is empty.
func withQuery(path, name, value string) string {
	before, query, _ := strings.Cut(path, "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		panic(err)
	}
	values.Set(name, value)
	if value == "" {
		values.Del(name)
	}
	if len(values) == 0 {
		return before
	}
	return before + "?" + values.Encode()
}

// withSegment replaces the segment of a path that stands for a parameter.
func withSegment(template, path, name, value string) string {
	before, query, found := strings.Cut(path, "?")
	names, segments := strings.Split(template, "/"), strings.Split(before, "/")
	for i, n := range names {
		if n == "{"+name+"}" {
			segments[i] = url.PathEscape(value)
		}
	}
	before = strings.Join(segments, "/")
	if found {
		return before + "?" + query
	}
	return before
}
