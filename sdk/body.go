package agenttrail

import (
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"go.opentelemetry.io/otel/attribute"
)

// capture keeps the beginning of a body.
type capture struct {
	limit    int
	media    string // Media type, in lower case.
	encoding string // Content-Encoding other than identity.
	kept     []byte
	total    int64
}

// captureOf returns what keeps a body with these headers, nil when it is not recorded.
func (c *httpConfig) captureOf(h http.Header) *capture {
	if c.bodyBytes <= 0 {
		return nil
	}
	media, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil || !slices.ContainsFunc(c.bodyTypes, func(t string) bool { return strings.EqualFold(t, media) }) {
		return nil
	}
	encoding := strings.ToLower(strings.TrimSpace(h.Get("Content-Encoding")))
	if encoding == "identity" {
		encoding = ""
	}
	return &capture{limit: c.bodyBytes, media: media, encoding: encoding}
}

func (c *capture) add(p []byte) {
	if c == nil {
		return
	}
	c.total += int64(len(p))
	if room := c.limit - len(c.kept); room > 0 {
		c.kept = append(c.kept, p[:min(room, len(p))]...)
	}
}

// appendBody adds what was kept of a body, without its secrets.
func (c *httpConfig) appendBody(attrs []attribute.KeyValue, key attribute.Key, b *capture) []attribute.KeyValue {
	if b == nil || b.total == 0 {
		return attrs
	}
	return append(attrs, key.String(c.bodyText(b)))
}

func (c *httpConfig) bodyText(b *capture) string {
	if b.encoding != "" {
		return "[not recorded: compressed with " + clip(b.encoding, 32) + "]"
	}
	cut := b.total > int64(len(b.kept))
	text, ok := c.secrets.body(b.media, string(b.kept), cut)
	if !ok {
		return "[not recorded: not " + clip(b.media, 64) + "]"
	}
	if c.redact != nil {
		text = c.redact(text)
	}
	if cut {
		text += "…[" + strconv.FormatInt(b.total, 10) + " bytes]"
	}
	return text
}

// appendHeader adds the values of a header, without its secrets.
func (c *httpConfig) appendHeader(attrs []attribute.KeyValue, prefix string, h header, all http.Header) []attribute.KeyValue {
	values := all[h.name]
	if len(values) == 0 {
		return attrs
	}
	out := make([]string, len(values))
	for i, v := range values {
		if c.secrets.isSecret(h.key) {
			out[i] = redacted
		} else {
			out[i] = scrub(v)
		}
	}
	return append(attrs, attribute.StringSlice(prefix+h.key, out))
}

// bodyReader counts and keeps what is read of a body. The transport of a client may still read while the answer is
// looked at.
type bodyReader struct {
	io.ReadCloser

	mu      sync.Mutex
	capture *capture
	size    int64
}

func (b *bodyReader) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.size += int64(n)
	b.capture.add(p[:n])
	return n, err
}

// append adds size and body of what was read until now.
func (b *bodyReader) append(attrs []attribute.KeyValue, c *httpConfig, size, body attribute.Key) []attribute.KeyValue {
	if b == nil || b.ReadCloser == nil {
		return attrs
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return c.appendBody(append(attrs, size.Int64(b.size)), body, b.capture)
}
