package chserver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/agenttrail/agenttrail/embedded/chdb"
)

// defaultMaxQuerySize is ClickHouse's max_query_size: the part of a request in which a statement must end.
const defaultMaxQuerySize = 256 << 10

// request is one statement with everything that came with it.
type request struct {
	user     User
	params   urlParams
	settings map[string]string // of the URL; all known to the engine
	values   []chdb.Param
	id       string
	database string
	format   string             // default format
	revision uint64             // client_protocol_version
	get      bool               // a method that may only read
	cancel   context.CancelFunc // ends the request's statement

	st       statement
	head     []byte    // the bytes read so far, statement first
	rest     io.Reader // what follows them
	external []externalTable
}

// query runs the statement of a request.
func (s *Server) query(w http.ResponseWriter, r *http.Request) {
	resp := s.newResponse(w, r)
	err := s.serveQuery(resp, r)
	if err == nil {
		err = resp.send()
	}
	if err != nil {
		if r.Context().Err() == nil {
			drain(w, r)
		}
		if errors.Is(err, errClientGone) {
			panic(http.ErrAbortHandler) // nobody reads on; see response.fail
		}
		resp.fail(err)
	}
}

func (s *Server) serveQuery(resp *response, r *http.Request) error {
	params := parseParams(r.URL.RawQuery)
	user, err := s.authenticate(r, params)
	if err != nil {
		return err
	}
	q := &request{
		user: user, params: params, settings: map[string]string{},
		get: r.Method == http.MethodGet || r.Method == http.MethodHead,
	}
	if err := s.readParams(q, r, resp); err != nil {
		return err
	}
	body, closeBody, err := s.requestBody(q, r)
	if err != nil {
		return err
	}
	defer closeBody()
	if strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/form-data") {
		if err := q.readMultipart(r, body); err != nil {
			return err
		}
	} else if err := q.readText(q.params.get("query"), body); err != nil {
		return err
	}
	return s.runRequest(resp, r, q)
}

// readParams reads settings, parameters and options of the answer.
func (s *Server) readParams(q *request, r *http.Request, resp *response) error {
	p := q.params
	if _, ok := p.lookup("role"); ok {
		return newError(codeUnknownRole, "There is no role `%s` in user directories: the embedded server has no roles", p.get("role"))
	}
	q.id = p.get("query_id")
	if q.id == "" {
		q.id = r.Header.Get("X-ClickHouse-Query-Id")
	}
	if q.id == "" {
		q.id = uuid.NewString()
	}
	resp.w.Header().Set("X-ClickHouse-Query-Id", headerValue(q.id))
	q.database = first(r.Header.Get("X-ClickHouse-Database"), p.get("database"))
	q.format = first(r.Header.Get("X-ClickHouse-Format"), p.get("default_format"), "TabSeparated")
	if v, ok := p.lookup("client_protocol_version"); ok {
		revision, err := strconv.ParseUint(v, 10, 64)
		if err != nil {
			return newError(codeCannotParseText, "Cannot parse client_protocol_version: '%s'", v)
		}
		q.revision = revision
	}
	multipart := strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/form-data")
	seen := map[string]bool{}
	for _, param := range p {
		name := param.name
		switch {
		case name == "" || reservedParams[name]:
			continue
		case strings.HasPrefix(name, "param_"):
			if name = strings.TrimPrefix(name, "param_"); !seen[name] { // the first one counts
				seen[name] = true
				q.values = append(q.values, chdb.Param{Name: name, Value: param.value})
			}
			continue
		case multipart && (strings.HasSuffix(name, "_format") || strings.HasSuffix(name, "_types") || strings.HasSuffix(name, "_structure")):
			continue
		case !s.settings[name]:
			return newError(codeUnknownSetting, "Unknown setting '%s'", name)
		}
		q.settings[name] = param.value
	}
	resp.configure(q.responseOptions(r))
	return nil
}

func (q *request) responseOptions(r *http.Request) responseOptions {
	p := q.params
	opts := responseOptions{
		frames:       parseBool(p.last("compress")),
		frameMethod:  p.last("network_compression_method"),
		waitEnd:      parseBool(first(p.last("http_wait_end_of_query"), p.last("wait_end_of_query"))),
		sendProgress: parseBool(p.last("send_progress_in_http_headers")),
		cors:         parseBool(p.last("add_http_cors_header")) && r.Header.Get("Origin") != "",
	}
	if enable, ok := p.lookup("enable_http_compression"); !ok || parseBool(enable) {
		opts.encoding = chooseEncoding(r.Header.Get("Accept-Encoding"))
	}
	opts.encodingLevel = 3 // http_zlib_compression_level
	if level, err := strconv.Atoi(p.last("http_zlib_compression_level")); err == nil {
		opts.encodingLevel = level
	}
	if hold, err := strconv.Atoi(first(p.last("http_response_buffer_size"), p.last("buffer_size"))); err == nil {
		opts.hold = min(max(hold, 0), 1<<30)
	}
	return opts
}

// requestBody undoes the compression of the body.
func (s *Server) requestBody(q *request, r *http.Request) (io.Reader, func(), error) {
	body, closeBody, err := decodeBody(r.Header.Get("Content-Encoding"), r.Body)
	if err != nil {
		return nil, nil, err
	}
	if parseBool(q.params.last("decompress")) {
		f := &frameReader{r: body, skipChecksums: parseBool(q.params.last("http_native_compression_disable_checksumming_on_decompress"))}
		return f, func() { f.Close(); closeBody() }, nil
	}
	return body, closeBody, nil
}

// readText reads the statement, which is that of the URL, a line break and the body, as far as it goes; the data of an
// INSERT is left to be streamed.
func (q *request) readText(query string, body io.Reader) error {
	limit := defaultMaxQuerySize
	if v, err := strconv.Atoi(q.params.last("max_query_size")); err == nil {
		if limit = v; limit == 0 { // no limit
			limit = 1 << 30
		}
	}
	var buf bytes.Buffer
	if query != "" {
		buf.WriteString(query)
		buf.WriteByte('\n')
	}
	n, err := io.CopyN(&buf, body, int64(limit)+1)
	if err != nil && !errors.Is(err, io.EOF) {
		return bodyError(err)
	}
	atEnd := errors.Is(err, io.EOF)
	q.head, q.rest = buf.Bytes(), body
	if q.st, err = parseStatement(string(q.head), atEnd); err != nil {
		return err
	}
	if !q.st.complete || (q.st.kind != kindInsertData && q.st.kind != kindInput && int(n) > limit) {
		return newError(codeSyntaxError, "Max query size exceeded (can be increased with the `max_query_size` setting): %d bytes", limit)
	}
	if q.st.kind == kindEmpty {
		return newError(codeSyntaxError, "Syntax error: failed at position 1 (end of query): . Empty query")
	}
	return nil
}

// bodyError gives an error of reading the body the form of an exception.
func bodyError(err error) error {
	if own, ok := errors.AsType[*serverError](err); ok {
		return own
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return newError(codeCannotReadAllData, "Cannot read all data: the request body ended early")
	}
	return newError(codeNetworkError, "Cannot read the request body: %s", err)
}

// runRequest waits for a turn, opens the connection and runs the statement.
func (s *Server) runRequest(resp *response, r *http.Request, q *request) error {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	q.cancel = cancel
	unhook := context.AfterFunc(s.stopped, cancel) //nolint:contextcheck // the server's own end
	defer unhook()

	// A session is taken before the wait for a turn: that it is in use must be known at once.
	var conn *chdb.Conn
	if _, named := q.params.lookup("session_id"); named {
		session, release, err := s.sessionConnection(q)
		if err != nil {
			return err
		}
		defer release()
		conn = session
	}
	proc, err := s.running.start(ctx, q.id, parseBool(q.params.last("replace_running_query")), cancel)
	if err != nil {
		return err
	}
	defer s.running.end(proc)
	if err := s.limiter.acquire(ctx); err != nil {
		return err
	}
	defer s.limiter.release()

	if conn == nil {
		if conn, err = s.requestConnection(q); err != nil {
			return err
		}
		defer conn.Close()
	}
	for _, table := range q.external {
		if err := table.create(conn); err != nil {
			return err
		}
	}
	stop := s.killOnCancel(ctx, q.id)
	defer stop()
	if err := s.run(ctx, resp, conn, q); err != nil {
		var e *chdb.Exception
		if ctx.Err() != nil && !errors.As(err, &e) {
			return newError(codeQueryWasCancelled, "Query was cancelled")
		}
		return err
	}
	stop()
	return nil
}

// run runs the statement on its connection and sends its result.
func (s *Server) run(ctx context.Context, resp *response, conn *chdb.Conn, q *request) error {
	h := resp.w.Header()
	h.Set("X-ClickHouse-Timezone", headerValue(first(q.settings["session_timezone"], s.timezone)))
	text := q.st.text
	switch q.st.kind {
	case kindInsertData:
		return s.runInsert(ctx, resp, conn, q)
	case kindInput:
		// The embedded engine waits forever for the data of input(): give it a temporary table instead.
		if err := loadInput(ctx, conn, q); err != nil {
			return err
		}
		text = text[:q.st.inputStart] + inputTable + text[q.st.inputEnd:]
	case kindKill:
		text = rewriteKill(text)
	}
	format := first(q.st.format, q.format)
	if q.st.kind == kindSelect || outputKeywords[q.st.first] {
		h.Set("Content-Type", contentType(format))
		h.Set("X-ClickHouse-Format", headerValue(format))
		if strings.EqualFold(format, "Native") {
			resp.asNative(q.revision)
		}
		resp.opts.exceptionJSON = parseBool(q.params.last("http_write_exception_in_output_format")) && strings.Contains(contentType(format), "ndjson")
	}
	if q.st.kind == kindSelect {
		return s.runSelect(ctx, resp, conn, q, format)
	}
	return runWhole(resp, conn, q, text)
}

// inputTable takes the place of input() in a statement.
const inputTable = "`_agenttrail_input`"

// loadInput puts the data of a request into a temporary table.
func loadInput(ctx context.Context, conn *chdb.Conn, q *request) error {
	if err := conn.Exec("CREATE TEMPORARY TABLE " + inputTable + " (" + q.st.structure + ") ENGINE = Memory"); err != nil {
		return err
	}
	insert, err := conn.Insert("INSERT INTO "+inputTable, q.st.format)
	if err != nil {
		return err
	}
	defer insert.Close()
	if err := feedInsert(ctx, insert, q); err != nil {
		return err
	}
	_, err = insert.Done()
	return err
}

// insertChunk is how much of a body is handed to the engine at a time.
const insertChunk = 1 << 20

// runInsert streams the data of an INSERT to the engine. Whatever goes wrong before the end cancels it.
func (s *Server) runInsert(ctx context.Context, resp *response, conn *chdb.Conn, q *request) error {
	insert, err := conn.Insert(q.st.text, q.st.format, q.values...)
	if err != nil {
		return err
	}
	defer insert.Close()
	if err := feedInsert(ctx, insert, q); err != nil {
		return err
	}
	stats, err := insert.Done()
	if err != nil {
		return err
	}
	// What an INSERT writes it has read, as far as the summary goes.
	resp.stats = stats
	resp.stats.ReadRows, resp.stats.ReadBytes = stats.WrittenRows, stats.WrittenBytes
	return resp.finish()
}

// feedInsert passes the data on. It gives nil when the engine refused it: the reason is then the result of Done.
func feedInsert(ctx context.Context, insert *chdb.Insert, q *request) error {
	if _, err := insert.Write(q.head[q.st.dataStart:]); err != nil {
		return nil //nolint:nilerr // Done tells the reason
	}
	buf := make([]byte, insertChunk)
	for {
		n, readErr := fill(q.rest, buf)
		if ctx.Err() != nil {
			return newError(codeQueryWasCancelled, "Query was cancelled")
		}
		if readErr != nil && !errors.Is(readErr, io.EOF) {
			return bodyError(readErr) // what was read is not the whole body: nothing of it may count as inserted
		}
		if _, err := insert.Write(buf[:n]); err != nil {
			return nil //nolint:nilerr // Done tells the reason
		}
		if readErr != nil {
			return nil //nolint:nilerr // the body has ended
		}
	}
}

// fill reads until buf is full. Other than [io.ReadFull] it leaves the reader's error as it is, so that the end of the body
// and a body that broke off can be told apart.
func fill(r io.Reader, buf []byte) (n int, err error) {
	for n < len(buf) && err == nil {
		var m int
		m, err = r.Read(buf[n:])
		n += m
	}
	return n, err
}

// first gives the first value that is not empty.
func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// headerValue keeps a value from breaking the header.
func headerValue(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '_'
		}
		return r
	}, s)
}

func quoteJSON(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return `""`
	}
	return string(b)
}
