package agenttrail

import (
	"net/url"
	"regexp"
	"strings"
)

// redacted stands where a secret was.
const redacted = "[redacted]"

// secretNames are names beside those of secretParts whose values are secret.
type secretNames []string

// secretParts are parts of names whose values are secret; names are folded before, see foldName.
var secretParts = []string{
	"password", "passwd", "passphrase", "passcode", "secret", "apikey", "accesskey", "privatekey", "authorization",
	"credential", "cookie", "cardnumber", "securitycode", "sessionkey", "signingkey", "encryptionkey", "socialsecurity",
}

// secretWhole are whole names of the same kind.
var secretWhole = map[string]bool{
	"auth": true, "pwd": true, "pass": true, "pin": true, "otp": true, "cvv": true, "cvc": true, "cvv2": true, "ssn": true,
	"iban": true, "jwt": true, "bearer": true, "sig": true, "signature": true, "xsignature": true,
}

// foldName appends a name in lower case and without separators.
func foldName(dst []byte, name string) []byte {
	for i := range len(name) {
		switch c := name[i]; {
		case c == '_' || c == '-' || c == '.' || c == ' ':
		case c >= 'A' && c <= 'Z':
			dst = append(dst, c+'a'-'A')
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// isSecret reports whether a name says that its value is secret. Counts of tokens are none.
func (s secretNames) isSecret(name string) bool {
	var buf [64]byte
	folded := string(foldName(buf[:0], name))
	if secretWhole[folded] || strings.HasSuffix(folded, "token") || strings.HasSuffix(folded, "accesstokens") || strings.HasSuffix(folded, "refreshtokens") {
		return true
	}
	for _, part := range secretParts {
		if strings.Contains(folded, part) {
			return true
		}
	}
	for _, own := range s {
		if folded == string(foldName(nil, own)) {
			return true
		}
	}
	return false
}

// body replaces the secrets of a body. cut says that its end is missing. It returns false for what is not of its media
// type, so that nobody can say where its secrets are.
func (s secretNames) body(media, text string, cut bool) (string, bool) {
	switch {
	case media == "application/json" || strings.HasSuffix(media, "+json") || media == "application/x-ndjson":
		return s.json(text, cut)
	case media == "application/x-www-form-urlencoded":
		if cut {
			text = text[:max(0, strings.LastIndexByte(text, '&'))]
		}
		return s.query(text), true
	}
	if cut {
		text = dropLastWord(text)
	}
	return s.assignments(text), true
}

// query replaces the secrets of parameters, and leaves the rest as it was written.
func (s secretNames) query(raw string) string {
	if raw == "" {
		return ""
	}
	pairs := strings.Split(raw, "&")
	for i, pair := range pairs {
		name, value, ok := strings.Cut(pair, "=")
		if !ok {
			continue
		}
		plain, err := url.QueryUnescape(name)
		if err != nil || s.isSecret(plain) {
			pairs[i] = name + "=" + redacted
			continue
		}
		if text, err := url.QueryUnescape(value); err != nil {
			pairs[i] = name + "=" + redacted
		} else if clean := scrub(text); clean != text {
			pairs[i] = name + "=" + url.QueryEscape(clean)
		}
	}
	return strings.Join(pairs, "&")
}

// assignment is a name with its value in text that has no other structure.
var assignment = regexp.MustCompile(`([A-Za-z][A-Za-z0-9_.\-]{1,63})(\s*[=:]\s*)("[^"\n]*"?|'[^'\n]*'?|[^\s,;&]+)`)

// assignments replaces the secrets of text.
func (s secretNames) assignments(text string) string {
	return assignment.ReplaceAllStringFunc(scrub(text), func(match string) string {
		m := assignment.FindStringSubmatch(match)
		if s.isSecret(m[1]) {
			return m[1] + m[2] + redacted
		}
		return match
	})
}

// Shapes of secrets that need no name.
var (
	secretShapes = regexp.MustCompile(
		`(?i:\b(?:bearer|basic)\s+)[A-Za-z0-9._~+/=\-]+` + // Authorization.
			`|\beyJ[A-Za-z0-9_\-]{4,}\.[A-Za-z0-9_\-]*(?:\.[A-Za-z0-9_\-]*)?` + // JSON web token.
			`|\b(?:sk|pk|rk|whsec|ghp|gho|ghs|github_pat|glpat|xox[abpors])[-_][A-Za-z0-9_\-]{6,}` + // Keys of APIs.
			`|\b(?:AKIA|ASIA)[A-Z0-9]{12,}` +
			`|\bAIza[A-Za-z0-9_\-]{20,}` +
			`|-----BEGIN [A-Z ]*PRIVATE KEY-----(?s:.*?)(?:-----END [A-Z ]*PRIVATE KEY-----|\z)`)
	userInfo   = regexp.MustCompile(`://[^/\s:@]+:[^/\s@]+@`)
	cardShapes = regexp.MustCompile(`\b\d(?:[ \-]?\d){12,18}\b`)
)

// scrub replaces what has the shape of a secret, wherever it is.
func scrub(text string) string {
	if len(text) < 8 {
		return text
	}
	text = secretShapes.ReplaceAllString(text, redacted)
	if strings.Contains(text, "://") {
		text = userInfo.ReplaceAllString(text, "://"+redacted+"@")
	}
	return cardShapes.ReplaceAllStringFunc(text, func(digits string) string {
		if isCard(digits) {
			return redacted
		}
		return digits
	})
}

// isCard checks the last digit of a card number, by Luhn.
func isCard(text string) bool {
	sum, double := 0, false
	for i := len(text) - 1; i >= 0; i-- {
		d := int(text[i]) - '0'
		if d < 0 || d > 9 {
			continue
		}
		if double {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum, double = sum+d, !double
	}
	return sum%10 == 0
}

// dropLastWord drops the word at the end of a text that was cut: a part of a secret does not have its shape.
func dropLastWord(text string) string {
	return text[:strings.LastIndexAny(text, " \t\r\n")+1]
}
