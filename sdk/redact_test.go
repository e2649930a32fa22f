package agenttrail

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRedactJSON(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`{"user":"ada","password":"x"}`:                         `{"user":"ada","password":"[redacted]"}`,
		`{"API-Key":"x","n":1}`:                                 `{"API-Key":"[redacted]","n":1}`,
		`{"credentials":{"a":[1,"}"],"b":"\""},"n":2}`:          `{"credentials":"[redacted]","n":2}`,
		`{"access_token":["a","b"],"usage":{"input_tokens":5}}`: `{"access_token":"[redacted]","usage":{"input_tokens":5}}`,
		"{\"pass\\u0077ord\" : \"x\" , \"n\":3}":                "{\"pass\\u0077ord\" : \"[redacted]\" , \"n\":3}",
		`{"pin":1234}`:                                          `{"pin":"[redacted]"}`,
		`{"secret":null,"x":true}`:                              `{"secret":"[redacted]","x":true}`,
		`[{"token":"a"},{"token":"b"}]`:                         `[{"token":"[redacted]"},{"token":"[redacted]"}]`,
		`{"note":"use Bearer abc.def","ok":1}`:                  `{"note":"use [redacted]","ok":1}`,
		`{"note":"card 4111 1111 1111 1111 please"}`:            `{"note":"card [redacted] please"}`,
		`{"card":4111111111111111}`:                             `{"card":"[redacted]"}`,
		`{"order":1234567890123456}`:                            `{"order":1234567890123456}`,
		`{"key":"sk-ant-REDACTED"}`:                             `{"key":"[redacted]"}`,
		`{"line":"-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----\n."}`: `{"line":"[redacted]\n."}`,
		"{\"a\":1}\n{\"secret\":2}": "{\"a\":1}\n{\"secret\":\"[redacted]\"}",
		`"just text"`:               `"just text"`,
		`{}`:                        `{}`,
	} {
		got, ok := secretNames(nil).body("application/json", in, false)
		require.True(t, ok, in)
		require.Equal(t, want, got)
	}
	for _, in := range []string{`{"a":`, `{"password":"x"`, `hello`, `{"a" "b"}`, `{password:"x"}`, `{"a":1}}`, `[1,2`, `{"a":'x'}`, `{"a":"x" "password":"y"}`} {
		_, ok := secretNames(nil).body("application/json", in, false)
		require.False(t, ok, in)
	}
}

// TestRedactCutJSON cuts a body at every place: nothing of its secrets may be left, whatever is missing.
func TestRedactCutJSON(t *testing.T) {
	t.Parallel()
	const body = `{"user":"ada","password":"hunter2hunter2","nested":{"api_key":["zzztop",{"k":"zzztip"}],"n":[1,2]},"note":"Authorization: Bearer qqqqwwww and more","t":"eyJhbGciOi.eyJzdWIi.c2ln","card":4111111111111111,"escaped":"\"zz\""}`
	secrets := []string{"hunter2", "zzzt", "qqqq", "eyJh", "4111"}
	for n := range len(body) {
		got, ok := secretNames(nil).body("application/json", body[:n], true)
		require.True(t, ok, body[:n])
		for _, s := range secrets {
			require.NotContains(t, got, s, body[:n])
		}
	}
	got, ok := secretNames(nil).body("application/json", body, false)
	require.True(t, ok)
	require.True(t, json.Valid([]byte(got)), got)
}

func TestRedactOther(t *testing.T) {
	t.Parallel()
	s := secretNames{"Loyalty-Number"}
	for _, c := range []struct{ media, in, want string }{
		{"application/x-www-form-urlencoded", "user=ada&password=x%20y&n=1", "user=ada&password=[redacted]&n=1"},
		{"application/x-www-form-urlencoded", "pass%77ord=x&loyalty_number=7", "pass%77ord=[redacted]&loyalty_number=[redacted]"},
		{"text/plain", "password: hunter2, ok", "password: [redacted], ok"},
		{"text/plain", "Authorization: Bearer abc def", "Authorization: [redacted] def"},
		{"text/plain", `token="a b c" rest`, `token=[redacted] rest`},
		{"text/plain", "get https://ada:pw@example.com/x", "get https://[redacted]@example.com/x"},
		{"text/plain", "nothing here", "nothing here"},
	} {
		got, ok := s.body(c.media, c.in, false)
		require.True(t, ok)
		require.Equal(t, c.want, got)
	}
	got, _ := s.body("text/plain", "hello sk-abcd", true)
	require.Equal(t, "hello ", got, "a part of a secret does not have its shape")
	got, _ = s.body("application/x-www-form-urlencoded", "a=1&passwo", true)
	require.Equal(t, "a=1", got)
	require.Equal(t, "limit=5&x", s.query("limit=5&x"))
	require.Equal(t, "a=%5Bredacted%5D", s.query("a=Bearer+abcdef"))
	require.Equal(t, "%zz=[redacted]", s.query("%zz=1"))
}

func TestSecretNames(t *testing.T) {
	t.Parallel()
	var s secretNames
	for _, name := range []string{"password", "userPassword", "X-API-Key", "access_token", "idToken", "Authorization", "Set-Cookie", "client.secret", "PIN", "cvv"} {
		require.True(t, s.isSecret(name), name)
	}
	for _, name := range []string{"input_tokens", "max_tokens", "tokens", "author", "spin", "name", "content-type", "keyboard"} {
		require.False(t, s.isSecret(name), name)
	}
}

func TestBodies(t *testing.T) {
	t.Parallel()
	c := newHTTPConfig([]HTTPOption{WithBodies(10), WithRedaction(strings.ToUpper)})
	head := func(kv ...string) http.Header {
		h := http.Header{}
		for i := 0; i < len(kv); i += 2 {
			h.Set(kv[i], kv[i+1])
		}
		return h
	}
	body := func(h http.Header, text string) string {
		k := c.captureOf(h)
		require.NotNil(t, k)
		for _, r := range text {
			k.add([]byte(string(r)))
		}
		return c.bodyText(k)
	}
	require.Equal(t, "AB CD", body(head("Content-Type", "text/plain; charset=utf-8"), "ab cd"))
	require.Equal(t, "AB …[12 bytes]", body(head("Content-Type", "text/plain"), "ab cdefghijk"))
	require.Equal(t, `{"A":1}`, body(head("Content-Type", "application/json"), `{"a":1}`))
	require.Equal(t, "[not recorded: compressed with gzip]", body(head("Content-Type", "text/plain", "Content-Encoding", "gzip"), "xx"))
	require.Equal(t, "[not recorded: not application/json]", body(head("Content-Type", "application/json"), "<xml>"))
	require.Nil(t, c.captureOf(head("Content-Type", "image/png")))
	require.Nil(t, c.captureOf(head()))
	require.Nil(t, newHTTPConfig(nil).captureOf(head("Content-Type", "text/plain")), "opt-in")
}

func FuzzRedactJSON(f *testing.F) {
	f.Add(`{"password":"x","a":[1,{"b":null}]}`, true)
	f.Add(`{"a":"\u0041\\","token":{"x":[]}} []`, false)
	f.Fuzz(func(t *testing.T, text string, cut bool) {
		got, ok := secretNames(nil).body("application/json", text, cut)
		if json.Valid([]byte(text)) {
			require.True(t, ok)
			if !cut {
				require.True(t, json.Valid([]byte(got)), got)
			}
		}
	})
}
