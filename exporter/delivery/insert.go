package delivery

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/agenttrail/agenttrail/exporter/column"
)

// inserter sends bodies to ClickHouse.
type inserter struct {
	client   *http.Client
	base     url.URL
	query    url.Values // What all INSERTs have in common.
	inserts  [column.TableCount]string
	username string
	password string
	timeout  time.Duration

	compression Compression // Of bodies; never auto.
}

func newInserter(s *Settings) (*inserter, error) {
	base, err := url.Parse(s.Endpoint)
	if err != nil {
		return nil, fmt.Errorf("read endpoint: %w", err)
	}
	if base.Scheme != "http" && base.Scheme != "https" || base.Host == "" {
		return nil, fmt.Errorf("read endpoint %q: it must start with http:// or https://, such as http://127.0.0.1:8123", base.Redacted())
	}
	in := &inserter{client: s.Client, base: *base, username: s.Username, password: s.Password, timeout: s.RequestTimeout}
	if base.User != nil {
		in.username = base.User.Username()
		in.password, _ = base.User.Password()
		in.base.User = nil
	}
	in.query = base.Query() // An operator may add settings of ClickHouse to the endpoint.
	in.query.Set("database", s.Database)
	for k, v := range map[string]string{
		"async_insert":       "0",
		"deduplicate_insert": "enable",
		"insert_deduplicate": "1",
		"deduplicate_blocks_in_dependent_materialized_views": "1",
		// On a cluster tables are Distributed: an answer must mean that shards hold the rows, not that a queue does.
		"distributed_foreground_insert": "1",
		// Late data of many days is one block with many partitions, which is no mistake here.
		"max_partitions_per_insert_block": "0",
	} {
		in.query.Set(k, v)
	}
	in.compression = s.Compression.of(base)
	if in.compression != CompressionNone {
		in.query.Set("decompress", "1")
	}
	for t := range column.TableCount {
		in.inserts[t] = insertStatement(s.Database, t.String(), t.Columns())
	}
	return in, nil
}

func insertStatement(database, table string, columns []column.Column) string {
	var b strings.Builder
	b.WriteString("INSERT INTO " + quote(database) + "." + quote(table) + " (")
	for i, c := range columns {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(quote(c.Name))
	}
	b.WriteString(") FORMAT Native")
	return b.String()
}

// quote quotes an identifier of ClickHouse.
func quote(s string) string {
	return "`" + strings.NewReplacer(`\`, `\\`, "`", "\\`").Replace(s) + "`"
}

// insert sends one block once: the bytes that open reads, of which there are size. A failure that says something about
// the block is a *Failure.
func (in *inserter) insert(ctx context.Context, statement, token string, size int64, open func() io.ReadCloser) error {
	ctx, cancel := context.WithTimeoutCause(ctx, in.timeout, fmt.Errorf("no answer within %s", in.timeout))
	defer cancel()
	q := maps.Clone(in.query)
	q.Set("query", statement)
	q.Set("insert_deduplication_token", token)
	address := in.base
	address.RawQuery = q.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address.String(), http.NoBody)
	if err != nil {
		return fmt.Errorf("make insert: %w", err)
	}
	req.ContentLength, req.Body = size, open()
	req.GetBody = func() (io.ReadCloser, error) { return open(), nil }
	req.Header.Set("Content-Type", "application/octet-stream")
	in.authorize(req)
	resp, err := in.client.Do(req)
	if err != nil {
		return &Failure{Message: connectionError(ctx, err)}
	}
	defer func() { _ = resp.Body.Close() }()
	// What is left of the answer is read, so that the connection can be used again.
	text, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return &Failure{Message: connectionError(ctx, err)}
	}
	return check(resp, string(text))
}

func (in *inserter) authorize(req *http.Request) {
	req.Header.Set("X-ClickHouse-User", in.username)
	if in.password != "" {
		req.Header.Set("X-ClickHouse-Key", in.password)
	}
}

// connectionError says why there is no answer, without the address, whose query is long.
func connectionError(ctx context.Context, err error) string {
	if cause := context.Cause(ctx); cause != nil && ctx.Err() != nil {
		return cause.Error()
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err.Error()
	}
	return err.Error()
}

// check returns nil if ClickHouse says that it stored the block, else a *Failure.
func check(resp *http.Response, text string) error {
	code, _ := strconv.Atoi(resp.Header.Get("X-ClickHouse-Exception-Code"))
	if code == 0 {
		code = codeInText(text)
	}
	if resp.StatusCode == http.StatusOK && code == 0 {
		for name := range resp.Header {
			if strings.HasPrefix(name, "X-Clickhouse-") {
				return nil
			}
		}
		// Something else answers at this address. It stored nothing, whatever it says.
		return &Failure{Status: resp.StatusCode, Message: "the answer is not from ClickHouse"}
	}
	return &Failure{Status: resp.StatusCode, Code: code, Message: shorten(text)}
}

// codeInText finds the code of an exception that arrived without its header: "Code: 60. DB::Exception: …".
func codeInText(text string) int {
	_, rest, ok := strings.Cut(text, "Code: ")
	if !ok {
		return 0
	}
	digits, _, ok := strings.Cut(rest, ".")
	if !ok {
		return 0
	}
	code, _ := strconv.Atoi(digits)
	return code
}

// shorten cuts the text of an exception to what fits a log line; stack traces follow the first line.
func shorten(text string) string {
	text, _, _ = strings.Cut(strings.TrimSpace(text), "\n")
	text = strings.ToValidUTF8(text, "?")
	if len(text) > 500 {
		text = strings.ToValidUTF8(text[:500], "") + "…"
	}
	return text
}

// ask sends a query and returns its answer, which must be short. It is for start-up checks.
func (in *inserter) ask(ctx context.Context, query string) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, in.timeout, fmt.Errorf("no answer within %s", in.timeout))
	defer cancel()
	address := in.base
	address.RawQuery = url.Values{"query": {query}}.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), http.NoBody)
	if err != nil {
		return "", fmt.Errorf("make query: %w", err)
	}
	in.authorize(req)
	resp, err := in.client.Do(req)
	if err != nil {
		return "", &Failure{Message: connectionError(ctx, err)}
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return "", &Failure{Message: connectionError(ctx, err)}
	}
	if err := check(resp, string(text)); err != nil {
		return "", err
	}
	return strings.TrimSpace(string(text)), nil
}
