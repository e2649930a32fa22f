package mapping

import (
	"encoding/json"
	"strings"

	"github.com/agenttrail/agenttrail/exporter/record"
)

// maxJSONBytes bounds the JSON text in which a member is looked for.
const maxJSONBytes = 1 << 20

// jsonMember returns the raw text of a member of a JSON object, the first of that name. It does not check that the
// text is JSON: on anything else it returns false or some part of the text.
func jsonMember(s, name string) (string, bool) {
	i := skipSpace(s, 0)
	if i >= len(s) || s[i] != '{' {
		return "", false
	}
	for i++; ; {
		i = skipSpace(s, i)
		if i >= len(s) || s[i] != '"' {
			return "", false
		}
		end := skipString(s, i)
		key := s[i:end]
		if i = skipSpace(s, end); i >= len(s) || s[i] != ':' {
			return "", false
		}
		i = skipSpace(s, i+1)
		end = skipValue(s, i)
		if len(key) == len(name)+2 && key[1:len(key)-1] == name {
			return s[i:end], end > i
		}
		if i = skipSpace(s, end); i >= len(s) || s[i] != ',' {
			return "", false
		}
		i++
	}
}

func skipSpace(s string, i int) int {
	for i < len(s) && (s[i] == ' ' || s[i] == '\n' || s[i] == '\r' || s[i] == '\t') {
		i++
	}
	return i
}

// skipString returns the position after the string that starts at i.
func skipString(s string, i int) int {
	for i++; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(s)
}

// skipValue returns the position after the value that starts at i.
func skipValue(s string, i int) int {
	depth := 0
	for i < len(s) {
		switch s[i] {
		case '"':
			if i = skipString(s, i); depth == 0 {
				return i
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',':
			if depth == 0 {
				return i
			}
		}
		i++
	}
	return len(s)
}

// jsonScalar reads a JSON scalar; a number stays the text that it is.
func jsonScalar(raw string) (record.Value, bool) {
	raw = strings.TrimRight(raw, " \t\r\n")
	switch {
	case raw == "" || raw == "null" || raw[0] == '{' || raw[0] == '[':
		return record.Value{}, false
	case raw[0] == '"':
		if len(raw) < 2 || raw[len(raw)-1] != '"' {
			return record.Value{}, false
		}
		return record.String(unquote(raw)), true
	case raw == "true" || raw == "false":
		return record.Bool(raw == "true"), true
	default:
		return record.String(raw), true
	}
}

// unquote returns the text of a JSON string.
func unquote(raw string) string {
	inner := raw[1 : len(raw)-1]
	if strings.IndexByte(inner, '\\') < 0 {
		return inner
	}
	var s string
	if json.Unmarshal([]byte(raw), &s) != nil {
		return inner
	}
	return s
}

// jsonPath follows a path of members into a value that is a JSON object or a string that holds one.
func jsonPath(v record.Value, path []string) (record.Value, bool) {
	if (v.Kind != record.ValueString && v.Kind != record.ValueMap) || len(v.Str) > maxJSONBytes {
		return record.Value{}, false
	}
	raw := v.Str
	for _, name := range path {
		var ok bool
		if raw, ok = jsonMember(raw, name); !ok {
			return record.Value{}, false
		}
	}
	return jsonScalar(raw)
}

// appendJoined appends the elements of a JSON array of scalars, joined by a comma and a space.
func appendJoined(dst []byte, s string) []byte {
	i := skipSpace(s, 0)
	if i >= len(s) || s[i] != '[' {
		return append(dst, s...)
	}
	first := true
	for i++; ; i++ {
		i = skipSpace(s, i)
		end := skipValue(s, i)
		if end <= i {
			return dst
		}
		if !first {
			dst = append(dst, ',', ' ')
		}
		first = false
		if v, ok := jsonScalar(s[i:end]); ok {
			dst = v.AppendText(dst)
		} else {
			dst = append(dst, s[i:end]...)
		}
		if i = skipSpace(s, end); i >= len(s) || s[i] != ',' {
			return dst
		}
	}
}
