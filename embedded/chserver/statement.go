package chserver

import "strings"

// statementKind says how a statement is run.
type statementKind int

const (
	kindEmpty      statementKind = iota // nothing but comments
	kindSelect                          // SELECT, WITH … SELECT: output is streamed
	kindOther                           // everything else that carries no data
	kindInsertData                      // INSERT whose rows follow the statement, in Format
	kindInput                           // INSERT … SELECT … FROM input('structure') FORMAT x, whose rows follow the statement
	kindKill                            // KILL QUERY
)

// statement is what the server must know of a statement to run it.
type statement struct {
	kind statementKind
	// text is the statement; where data follows, it is without the FORMAT clause and the data.
	text string
	// format is the format named in the statement: of the data for kindInsertData, of the output otherwise. Empty when
	// none is named.
	format string
	// inputStart and inputEnd are where input(…) stands in text, and structure is its argument, for kindInput.
	inputStart, inputEnd int
	structure            string
	// dataStart is where the rows begin in the parsed text, for kindInsertData and kindInput.
	dataStart int
	// complete is false when the end of the text was met before it was clear where the statement ends.
	complete bool
	// bare is the statement without FORMAT clause and final semicolon, for kindSelect.
	bare string
	// first is the first keyword, in upper case.
	first string
}

// errMultiStatement is ClickHouse's answer to more than one statement in a request.
func errMultiStatement(pos int) *serverError {
	return newError(codeSyntaxError, "Syntax error (Multi-statements are not allowed): failed at position %d (end of query)", pos+1)
}

// parser looks at tokens one by one.
type parser struct {
	lexer
	tok   token
	depth int // of round, square and curly brackets, before tok
}

func (p *parser) advance() {
	if p.tok.kind == tokenPunctuation && p.tok.end > p.tok.start {
		switch p.sql[p.tok.start] {
		case '(', '[', '{':
			p.depth++
		case ')', ']', '}':
			p.depth--
		}
	}
	p.tok = p.next()
}

// is says if the token is the keyword, in any case.
func (p *parser) is(keyword string) bool {
	return p.tok.kind == tokenWord && strings.EqualFold(p.sql[p.tok.start:p.tok.end], keyword)
}

func (p *parser) punct(c byte) bool {
	return p.tok.kind == tokenPunctuation && p.sql[p.tok.start] == c
}

// word is the token's text as an identifier.
func (p *parser) word() string {
	s := p.sql[p.tok.start:p.tok.end]
	if p.tok.kind == tokenQuotedName && len(s) >= 2 {
		return s[1 : len(s)-1]
	}
	return s
}

// parseStatement finds out what to do with a statement and where its data begins. atEnd says that sql is the whole text of
// the request and not only its beginning.
func parseStatement(sql string, atEnd bool) (statement, error) {
	p := &parser{lexer: lexer{sql: sql}}
	p.advance()
	for p.punct(';') { // ClickHouse ignores them before a statement
		p.advance()
	}
	st := statement{kind: kindOther, text: sql, complete: atEnd}
	if p.tok.kind == tokenEnd {
		st.kind = kindEmpty
		return st, nil
	}
	for p.punct('(') {
		p.advance()
	}
	if p.tok.kind == tokenWord {
		st.first = strings.ToUpper(p.word())
	}
	switch st.first {
	case "INSERT":
		p.depth = 0
		return parseInsert(p, st)
	case "SELECT", "FROM":
		st.kind = kindSelect
	case "WITH":
		st.kind = kindSelect
		if insert := findWithInsert(p); insert {
			st.kind = kindOther
		}
	case "KILL":
		st.kind = kindKill
	}
	*p = parser{lexer: lexer{sql: sql}}
	p.advance()
	return st, scanTail(p, &st)
}

// findWithInsert says if WITH … leads to an INSERT.
func findWithInsert(p *parser) bool {
	base := p.depth
	for ; p.tok.kind != tokenEnd; p.advance() {
		if p.depth != base {
			continue
		}
		if p.is("SELECT") {
			return false
		}
		if p.is("INSERT") {
			p.advance()
			if p.is("INTO") {
				return true
			}
		}
	}
	return false
}

// scanTail looks for the FORMAT clause at the statement's end, and for statements after it.
func scanTail(p *parser, st *statement) error {
	for p.punct(';') {
		p.advance()
	}
	begin, end := p.tok.start, len(p.sql)
	formatStart, formatEnd := end, end
	defer func() {
		formatStart, formatEnd = min(formatStart, end), min(formatEnd, end)
		st.bare = p.sql[begin:formatStart] + " " + p.sql[formatEnd:end]
	}()
	for ; p.tok.kind != tokenEnd; p.advance() {
		if p.depth != 0 {
			continue
		}
		switch {
		case p.punct(';'):
			end = p.tok.start
			for p.punct(';') {
				p.advance()
			}
			if p.tok.kind != tokenEnd {
				return errMultiStatement(end)
			}
			return nil
		case p.is("FORMAT"):
			save := *p
			p.advance()
			if p.tok.kind == tokenWord || p.tok.kind == tokenQuotedName {
				name, nameEnd := p.word(), p.tok.end
				p.advance()
				if p.tok.kind == tokenEnd || p.punct(';') || p.is("SETTINGS") {
					st.format, formatStart, formatEnd = name, save.tok.start, nameEnd
				}
			}
			*p = save
		case p.is("INTO"):
			save := *p
			p.advance()
			if p.is("OUTFILE") {
				return newError(codeIntoOutfileNotAllowed, "INTO OUTFILE is not allowed")
			}
			*p = save
		}
	}
	return nil
}

// parseInsert finds where the rows of an INSERT begin (src/Parsers/ParserInsertQuery.cpp). The current token is INSERT.
func parseInsert(p *parser, st statement) (statement, error) {
	p.advance()
	if p.is("INTO") {
		p.advance()
	}
	if p.is("TABLE") {
		save := *p
		p.advance()
		if p.tok.kind != tokenWord && p.tok.kind != tokenQuotedName && !p.punct('{') { // a table named "table"
			*p = save
		}
	}
	if p.is("FUNCTION") {
		p.advance()
	}
	// The name: a.b, each part a word, a quoted name or {parameter:Identifier}.
	for {
		if p.punct('{') {
			base := p.depth
			p.advance()
			for p.tok.kind != tokenEnd && p.depth > base {
				p.advance()
			}
		} else {
			p.advance()
		}
		if !p.punct('.') {
			break
		}
		p.advance()
	}
	selects := false
	for ; p.tok.kind != tokenEnd; p.advance() {
		if p.punct('(') && p.depth == 0 && !selects { // a list of columns, arguments, or a SELECT in brackets
			save := *p
			p.advance()
			selects = p.is("SELECT") || p.is("WITH")
			*p = save
		}
		if p.depth != 0 {
			continue
		}
		switch {
		case p.is("SELECT"), p.is("WITH"):
			selects = true
		case p.is("INFILE") && !selects:
			return st, newError(codeUnknownTypeOfQuery, "Query has infile and was send directly to server")
		case p.is("VALUES") && !selects:
			st.kind, st.format, st.complete = kindInsertData, "Values", true
			st.text, st.dataStart = p.sql[:p.tok.start], p.tok.end
			return st, nil
		case p.is("FORMAT"):
			if done, err := insertFormat(p, &st, selects); done || err != nil {
				return st, err
			}
		case p.punct(';'):
			end := p.tok.start
			for p.punct(';') {
				p.advance()
			}
			if p.tok.kind != tokenEnd {
				return st, errMultiStatement(end)
			}
			return st, nil
		}
	}
	return st, nil
}

// insertFormat takes FORMAT name and finds the first byte of the data. done is false when this FORMAT is no such clause.
func insertFormat(p *parser, st *statement, selects bool) (done bool, err error) {
	start := p.tok.start
	save := *p
	p.advance()
	if p.tok.kind != tokenWord && p.tok.kind != tokenQuotedName {
		*p = save
		return false, nil
	}
	if p.tok.end == len(p.sql) && !st.complete { // the name may go on
		return true, nil
	}
	name, data := p.word(), p.tok.end
	if strings.EqualFold(name, "SETTINGS") || (selects && (strings.EqualFold(name, "FROM") || strings.EqualFold(name, "AS"))) {
		*p = save
		return false, nil
	}
	// As ClickHouse: blanks, then one line break; or all white space where there is no line break.
	for data < len(p.sql) && (p.sql[data] == ' ' || p.sql[data] == '\t' || p.sql[data] == '\f') {
		data++
	}
	if data < len(p.sql) && p.sql[data] == ';' {
		data++
		rest := lexer{sql: p.sql, pos: data}
		if tok := rest.next(); tok.kind != tokenEnd {
			return true, newError(codeSyntaxError, "You have excessive ';' symbol before data for INSERT.\n"+
				"Here are two examples:\n\nINSERT INTO t VALUES 1, 2, 3\n\nINSERT INTO t FORMAT CSV 1, 2, 3")
		}
		data = len(p.sql)
	}
	if data < len(p.sql) && p.sql[data] == '\r' {
		data++
	}
	if data < len(p.sql) && p.sql[data] == '\n' {
		data++
	}
	st.format, st.dataStart, st.complete = name, data, true
	st.text = p.sql[:start]
	if !selects {
		st.kind = kindInsertData
		return true, nil
	}
	st.kind = kindInput
	if !findInput(st) {
		return true, newError(codeSyntaxError, "FORMAT of an INSERT SELECT needs the table function input('structure') in the SELECT")
	}
	return true, nil
}

// findInput looks for input('structure') in the statement's text.
func findInput(st *statement) bool {
	p := &parser{lexer: lexer{sql: st.text}}
	for p.advance(); p.tok.kind != tokenEnd; p.advance() {
		if !p.is("input") {
			continue
		}
		start := p.tok.start
		p.advance()
		if !p.punct('(') {
			continue
		}
		p.advance()
		if p.tok.kind != tokenString {
			continue
		}
		structure := unquoteString(p.sql[p.tok.start:p.tok.end])
		p.advance()
		if p.punct(')') {
			st.inputStart, st.inputEnd, st.structure = start, p.tok.end, structure
			return true
		}
	}
	return false
}

// unquoteString gives the text of a simple string literal.
func unquoteString(s string) string {
	if len(s) >= 2 {
		s = s[1 : len(s)-1]
	}
	return strings.NewReplacer(`\\`, `\`, `\'`, `'`, `''`, `'`).Replace(s)
}
