package stripepay

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// redacted stands for what was a secret.
const redacted = "[redacted]"

// secrets are texts that open something: client secrets, also as part of an address, keys of the API and of webhooks.
var secrets = regexp.MustCompile(`[A-Za-z0-9]+_[A-Za-z0-9]+_secret_[A-Za-z0-9]+|client_secret=[^&"\s]+|\b(sk|rk|whsec|ek)_[A-Za-z0-9_*]+`)

// redactText takes secrets out of a text.
func redactText(s string) string { return secrets.ReplaceAllString(s, redacted) }

// redact takes secrets out of a JSON document: members whose name says so, and texts that look like one.
func redact(doc []byte) (json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(doc))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("read document: %w", err)
	}
	out, err := json.Marshal(redactValue(v))
	if err != nil {
		return nil, fmt.Errorf("write document: %w", err)
	}
	return out, nil
}

func redactValue(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, inner := range v {
			if strings.Contains(strings.ToLower(name), "secret") {
				delete(v, name)
				continue
			}
			v[name] = redactValue(inner)
		}
	case []any:
		for i := range v {
			v[i] = redactValue(v[i])
		}
	case string:
		return strings.ReplaceAll(redactText(v), "\x00", "")
	}
	return v
}

// receiptOf is a document of what was read, without secrets.
func receiptOf(members map[string]any) json.RawMessage {
	doc, err := json.Marshal(members)
	if err == nil {
		doc, err = redact(doc)
	}
	if err != nil {
		panic("BUG: write receipt: " + err.Error())
	}
	return doc
}
