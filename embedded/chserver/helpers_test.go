package chserver_test

import (
	"bytes"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/internal/enginetest"
)

func newOf(t reflect.Type) any { return reflect.New(t).Interface() }

// newLike gives a pointer to scan a value into: of want's type, or in's when want is nil.
func newLike(in, want any) any {
	if want != nil {
		return reflect.New(reflect.TypeOf(want)).Interface()
	}
	return reflect.New(reflect.TypeOf(in)).Interface()
}

func requireValue(t *testing.T, in, want, got any) {
	t.Helper()
	if want == nil {
		want = in
	}
	value := reflect.ValueOf(got).Elem().Interface()
	switch w := want.(type) {
	case decimal.Decimal:
		require.True(t, w.Equal(value.(decimal.Decimal)), "%s != %s", w, value)
	case big.Int:
		v := value.(big.Int)
		require.Zero(t, w.Cmp(&v))
	default:
		require.EqualValues(t, want, value)
	}
}

// answer is an HTTP answer with its whole body.
type answer struct {
	status int
	header http.Header
	body   string
	err    error // of reading the body
}

// send makes one request. headers are pairs.
func send(t *testing.T, method, url string, body io.Reader, headers ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, body)
	require.NoError(t, err)
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(data), err}
}

// post sends a statement in the body; params are pairs for the URL.
func post(t *testing.T, ch *enginetest.CH, sql string, params ...string) answer {
	t.Helper()
	return send(t, http.MethodPost, address(ch, params...), strings.NewReader(sql))
}

// insert sends a statement in the URL and data in the body.
func insert(t *testing.T, ch *enginetest.CH, sql string, data []byte, params ...string) answer {
	t.Helper()
	return send(t, http.MethodPost, address(ch, append(params, "query", sql)...), bytes.NewReader(data))
}

func address(ch *enginetest.CH, params ...string) string {
	values := url.Values{}
	for i := 0; i+1 < len(params); i += 2 {
		values.Set(params[i], params[i+1])
	}
	return ch.URL + "/?" + values.Encode()
}

// requireException checks an error answer: status, code header and text.
func requireException(t *testing.T, a answer, status, code int, name string) {
	t.Helper()
	require.NoError(t, a.err)
	require.Equal(t, status, a.status, a.body)
	require.Equal(t, strconv.Itoa(code), a.header.Get("X-ClickHouse-Exception-Code"))
	require.True(t, strings.HasPrefix(a.body, "Code: "+strconv.Itoa(code)+". DB::Exception: "), a.body)
	require.Contains(t, a.body, "("+name+") (version 26.")
	require.True(t, strings.HasSuffix(a.body, ")\n"), a.body)
}
