package chserver

import "strings"

// tokenKind tells tokens apart as far as the server needs it.
type tokenKind int

const (
	tokenWord        tokenKind = iota // bare word: keyword, identifier or number
	tokenQuotedName                   // `name` or "name"
	tokenString                       // 'text' or heredoc
	tokenPunctuation                  // one byte of anything else
	tokenEnd                          // end of input
)

// token is a piece of SQL text: sql[start:end].
type token struct {
	kind       tokenKind
	start, end int
	closed     bool // false when a quote or comment runs past the end of the text
}

// lexer splits ClickHouse SQL into tokens, skipping white space and comments. It follows src/Parsers/Lexer.cpp: nested
// block comments, "--", "#!" and "# " line comments, backslash and doubled quotes, heredocs. It never fails: what it does
// not know is punctuation, and an open quote runs to the end.
type lexer struct {
	sql string
	pos int
}

// next gives the next token.
func (l *lexer) next() token {
	closed := l.skipSpace()
	start := l.pos
	if start >= len(l.sql) {
		return token{kind: tokenEnd, start: start, end: start, closed: closed}
	}
	switch c := l.sql[start]; {
	case c == '\'':
		closed = l.skipQuoted(c)
		return token{kind: tokenString, start: start, end: l.pos, closed: closed}
	case c == '`' || c == '"':
		closed = l.skipQuoted(c)
		return token{kind: tokenQuotedName, start: start, end: l.pos, closed: closed}
	case c == '$' && l.skipHeredoc():
		return token{kind: tokenString, start: start, end: l.pos, closed: true}
	case isWordByte(c):
		for l.pos < len(l.sql) && isWordByte(l.sql[l.pos]) {
			l.pos++
		}
		return token{kind: tokenWord, start: start, end: l.pos, closed: true}
	}
	// Quotes that word processors make are quotes to ClickHouse too.
	for _, q := range []struct {
		open, close string
		kind        tokenKind
	}{{"\u2018", "\u2019", tokenString}, {"\u201c", "\u201d", tokenQuotedName}} {
		if strings.HasPrefix(l.sql[start:], q.open) {
			i := strings.Index(l.sql[start:], q.close)
			if i < 0 {
				l.pos = len(l.sql)
				return token{kind: q.kind, start: start, end: l.pos}
			}
			l.pos = start + i + len(q.close)
			return token{kind: q.kind, start: start, end: l.pos, closed: true}
		}
	}
	l.pos++
	return token{kind: tokenPunctuation, start: start, end: l.pos, closed: true}
}

// skipSpace skips white space and comments. It gives false when a comment was not closed.
func (l *lexer) skipSpace() bool {
	for l.pos < len(l.sql) {
		rest := l.sql[l.pos:]
		switch c := rest[0]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v':
			l.pos++
		case strings.HasPrefix(rest, "\u00a0"):
			l.pos += 2
		case strings.HasPrefix(rest, "\ufeff"), strings.HasPrefix(rest, "\u3000"):
			l.pos += 3
		case strings.HasPrefix(rest, "--"), strings.HasPrefix(rest, "#!"), strings.HasPrefix(rest, "# "):
			if i := strings.IndexByte(rest, '\n'); i >= 0 {
				l.pos += i + 1
			} else {
				l.pos = len(l.sql)
			}
		case strings.HasPrefix(rest, "/*"):
			if !l.skipBlockComment() {
				return false
			}
		default:
			return true
		}
	}
	return true
}

func (l *lexer) skipBlockComment() bool {
	depth := 0
	for l.pos+1 < len(l.sql) {
		switch l.sql[l.pos : l.pos+2] {
		case "/*":
			depth++
			l.pos += 2
		case "*/":
			depth--
			l.pos += 2
			if depth == 0 {
				return true
			}
		default:
			l.pos++
		}
	}
	l.pos = len(l.sql)
	return false
}

// skipQuoted skips a text in quotes q, in which \x and a doubled quote stand for themselves.
func (l *lexer) skipQuoted(q byte) bool {
	l.pos++
	for l.pos < len(l.sql) {
		switch l.sql[l.pos] {
		case '\\':
			l.pos += 2
		case q:
			l.pos++
			if l.pos >= len(l.sql) || l.sql[l.pos] != q {
				return true
			}
			l.pos++
		default:
			l.pos++
		}
	}
	l.pos = len(l.sql)
	return false
}

// skipHeredoc skips $tag$ text $tag$, and gives false when there is none here.
func (l *lexer) skipHeredoc() bool {
	rest := l.sql[l.pos:]
	i := 1
	for i < len(rest) && rest[i] != '$' && isWordByte(rest[i]) {
		i++
	}
	if i >= len(rest) || rest[i] != '$' {
		return false
	}
	tag := rest[:i+1]
	n := strings.Index(rest[i+1:], tag)
	if n < 0 {
		return false
	}
	l.pos += len(tag) + n + len(tag)
	return true
}

func isWordByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
