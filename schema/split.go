package schema

import "strings"

// splitStatements cuts SQL text at the semicolons that end statements: those outside quotes and comments. Text
// without a statement, such as a comment at the end, is left out.
func splitStatements(text string) []string {
	var statements []string
	start, empty := 0, true
	flush := func(end int) {
		if !empty {
			statements = append(statements, strings.TrimSpace(text[start:end]))
		}
		start, empty = end+1, true
	}
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\'' || c == '"' || c == '`':
			empty = false
			for i++; i < len(text) && text[i] != c; i++ {
				if text[i] == '\\' {
					i++
				}
			}
		case strings.HasPrefix(text[i:], "--"):
			for i++; i < len(text) && text[i] != '\n'; i++ {
			}
		case strings.HasPrefix(text[i:], "/*"):
			if end := strings.Index(text[i+2:], "*/"); end >= 0 {
				i += end + 3
			} else {
				i = len(text)
			}
		case c == ';':
			flush(i)
		case c != ' ' && c != '\t' && c != '\n' && c != '\r':
			empty = false
		}
	}
	flush(len(text))
	return statements
}
