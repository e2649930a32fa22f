package agenttrail

import (
	"encoding/json"
	"strings"
)

// json replaces the secrets of JSON, which may be several values, and leaves the rest as it was written.
func (s secretNames) json(text string, cut bool) (string, bool) {
	w := jsonWalker{secrets: s, in: text, cut: cut}
	if !w.walk() {
		return "", false
	}
	return w.out.String(), true
}

// jsonWalker copies JSON and replaces values on the way. It holds no more than the structure that it needs to tell names
// from values, so that it also works on text whose end is missing.
type jsonWalker struct {
	secrets secretNames
	in      string
	cut     bool
	at      int
	out     strings.Builder
	inside  []byte // Open objects and arrays: '{' and '['.
}

// walk returns false for what is not JSON.
func (w *jsonWalker) walk() bool {
	name := false // A string is a name.
	for w.at < len(w.in) {
		c := w.in[w.at]
		switch c {
		case ' ', '\t', '\r', '\n':
			w.copy(1)
		case '{', '[':
			w.inside = append(w.inside, c)
			name = c == '{'
			w.copy(1)
		case '}', ']':
			if len(w.inside) == 0 || w.inside[len(w.inside)-1] != c-2 { // The opening one is two before in ASCII.
				return false
			}
			w.inside = w.inside[:len(w.inside)-1]
			w.copy(1)
		case ',':
			if len(w.inside) == 0 {
				return false
			}
			name = w.inside[len(w.inside)-1] == '{'
			w.copy(1)
		case '"':
			if (name && !w.member()) || (!name && !w.text()) {
				return false
			}
			name = false
		default:
			if name || !w.scalar() {
				return false
			}
		}
	}
	return w.cut || len(w.inside) == 0
}

func (w *jsonWalker) copy(n int) {
	w.out.WriteString(w.in[w.at : w.at+n])
	w.at += n
}

// member copies a name and its colon, and replaces the value if the name says so.
func (w *jsonWalker) member() bool {
	end, whole := stringEnd(w.in, w.at)
	raw := w.in[w.at:end]
	if !whole {
		w.at = len(w.in) // A part of a name tells nothing.
		return w.cut
	}
	var name string
	if json.Unmarshal([]byte(raw), &name) != nil {
		return false
	}
	w.copy(len(raw))
	w.spaces()
	if w.at == len(w.in) {
		return w.cut
	}
	if w.in[w.at] != ':' {
		return false
	}
	w.copy(1)
	w.spaces()
	if !w.secrets.isSecret(name) {
		return true
	}
	w.out.WriteString(`"` + redacted + `"`)
	return w.skip()
}

func (w *jsonWalker) spaces() {
	for w.at < len(w.in) && strings.IndexByte(" \t\r\n", w.in[w.at]) >= 0 {
		w.copy(1)
	}
}

// skip leaves out a value.
func (w *jsonWalker) skip() bool {
	depth := 0
	for w.at < len(w.in) {
		switch c := w.in[w.at]; c {
		case '"':
			w.at, _ = stringEnd(w.in, w.at)
			if depth == 0 {
				return true
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return true // A scalar ended before.
			}
			if depth--; depth == 0 {
				w.at++
				return true
			}
		case ',':
			if depth == 0 {
				return true
			}
		}
		w.at++
	}
	return w.cut
}

// text copies a string that is a value, without what has the shape of a secret.
func (w *jsonWalker) text() bool {
	end, whole := stringEnd(w.in, w.at)
	raw := w.in[w.at:end]
	w.at = end
	if !whole {
		if !w.cut {
			return false
		}
		w.out.WriteString(scrubJSON(dropLastWord(raw)))
		return true
	}
	w.out.WriteString(scrubJSON(raw))
	return true
}

// scrubJSON is scrub for a string with its quotes. Where it has escapes, a secret may be behind them: then it is
// written anew.
func scrubJSON(raw string) string {
	if !strings.Contains(raw, `\`) {
		return scrub(raw)
	}
	var plain string
	if json.Unmarshal([]byte(raw), &plain) != nil {
		return scrub(raw)
	}
	clean := scrub(plain)
	if clean == plain {
		return raw
	}
	written, err := json.Marshal(clean)
	if err != nil {
		return `"` + redacted + `"`
	}
	return string(written)
}

// scalar copies a number, true, false or null. A number may be that of a card.
func (w *jsonWalker) scalar() bool {
	end := w.at
	for end < len(w.in) && strings.IndexByte(" \t\r\n,]}:\"[{", w.in[end]) < 0 {
		end++
	}
	raw := w.in[w.at:end]
	w.at = end
	if end == len(w.in) && w.cut {
		return true // A part of a number tells nothing.
	}
	switch raw {
	case "true", "false", "null":
		w.out.WriteString(raw)
		return true
	}
	if !json.Valid([]byte(raw)) {
		return false
	}
	if clean := scrub(raw); clean != raw {
		w.out.WriteString(`"` + redacted + `"`)
		return true
	}
	w.out.WriteString(raw)
	return true
}

// stringEnd returns where a string ends that begins at i, behind its closing quote; whole is false when there is none.
func stringEnd(s string, i int) (end int, whole bool) {
	for k := i + 1; k < len(s); k++ {
		switch s[k] {
		case '\\':
			k++
		case '"':
			return k + 1, true
		}
	}
	return len(s), false
}
