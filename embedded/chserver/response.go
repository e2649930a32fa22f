package chserver

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/agenttrail/agenttrail/embedded/chdb"
)

const (
	// holdBack is how much of an answer is held back before its header is sent, so that an error in this part still gets
	// its own status. ClickHouse's buffer (DBMS_DEFAULT_BUFFER_SIZE) has the same size.
	holdBack = 1 << 20
	// spillOver is how much is kept in memory with wait_end_of_query before a temporary file is used.
	spillOver = 16 << 20

	exceptionMarker    = "__exception__"
	exceptionTagLength = 16
	maxExceptionSize   = 16 << 10
)

// errClientGone says that the answer could not be written.
var errClientGone = errors.New("write response: the client has gone away")

// responseOptions say how a result is to be sent.
type responseOptions struct {
	encoding      string // HTTP compression, see chooseEncoding
	encodingLevel int
	frames        bool   // ClickHouse's own compression
	frameMethod   string // network_compression_method
	waitEnd       bool   // hold everything back until the end
	hold          int    // bytes to hold back
	sendProgress  bool
	cors          bool
	exceptionJSON bool // http_write_exception_in_output_format, for formats of one JSON object per line
}

// response sends one answer: result bytes go through the Native transcoder, ClickHouse's compression, HTTP compression and
// the hold-back buffer to the client.
type response struct {
	w       http.ResponseWriter
	head    bool // HEAD: no body
	version string
	opts    responseOptions
	tag     string
	started time.Time
	stats   chdb.Stats

	native *nativeWriter
	frames *frameWriter
	enc    flushWriter
	top    io.Writer // where results enter

	held      []byte
	spill     *os.File
	committed bool
	wrote     bool
}

// newResponse sets the headers every answer has.
func (s *Server) newResponse(w http.ResponseWriter, r *http.Request) *response {
	resp := &response{w: w, head: r.Method == http.MethodHead, version: s.version, tag: randomTag(), started: time.Now()}
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=UTF-8")
	h.Set("Access-Control-Expose-Headers", "X-ClickHouse-Query-Id,X-ClickHouse-Summary,X-ClickHouse-Server-Display-Name,"+
		"X-ClickHouse-Format,X-ClickHouse-Timezone,X-ClickHouse-Exception-Code,X-ClickHouse-Exception-Tag")
	h.Set("X-ClickHouse-Server-Display-Name", s.cfg.DisplayName)
	h.Set("X-ClickHouse-Exception-Tag", resp.tag)
	resp.reset()
	return resp
}

// configure sets how the result is sent. It must come before the first write.
func (r *response) configure(opts responseOptions) {
	r.opts = opts
	if opts.cors {
		r.w.Header().Set("Access-Control-Allow-Origin", "*")
	}
	r.reset()
}

// asNative makes the result one of Native blocks of a protocol revision.
func (r *response) asNative(revision uint64) {
	if revision > 0 {
		r.native = &nativeWriter{w: r.top, revision: revision}
		r.top = r.native
	}
}

// reset builds the chain of writers anew, dropping what was held back.
func (r *response) reset() {
	r.held = r.held[:0]
	r.closeSpill()
	r.native, r.frames, r.enc, r.wrote = nil, nil, nil, false
	r.top = holder{r}
	if r.opts.encoding != "" {
		enc, err := newEncoder(r.opts.encoding, r.opts.encodingLevel, holder{r})
		if err == nil {
			r.enc, r.top = enc, enc
		}
	}
	if r.opts.frames {
		r.frames = newFrameWriter(r.top, r.opts.frameMethod)
		r.top = r.frames
	}
}

// Write takes result bytes.
func (r *response) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	r.wrote = true
	return r.top.Write(p)
}

// finish completes a result. What is held back of it is left to send.
func (r *response) finish() error {
	if r.wrote {
		if r.native != nil {
			if err := r.native.Flush(); err != nil {
				return err
			}
		}
		if r.frames != nil {
			if err := r.frames.Flush(); err != nil {
				return err
			}
		}
		if r.enc != nil {
			if err := r.enc.Close(); err != nil {
				return err
			}
		}
	}
	return nil
}

// send sends the rest of a complete result. A client that has all of an answer may use its session and its query id again,
// so these must be free before.
func (r *response) send() error {
	defer r.closeSpill()
	if r.spill != nil {
		r.commit(http.StatusOK)
		return r.sendSpill()
	}
	if !r.committed {
		r.w.Header().Set("Content-Length", strconv.Itoa(len(r.held)))
		r.commit(http.StatusOK)
	}
	return r.sendHeld()
}

// fail tells the client of an error. Before the header was sent it is an answer of its own; after that, it is appended as
// ClickHouse does (WriteBufferFromHTTP1ServerResponse::cancelWithException) and the connection is broken off.
func (r *response) fail(err error) {
	e := asServerError(err)
	text := exceptionText(e, r.version)
	if !r.committed {
		r.reset()
		h := r.w.Header()
		h.Set("Content-Type", "text/plain; charset=UTF-8")
		h.Set("X-ClickHouse-Exception-Code", strconv.Itoa(e.code))
		status := httpStatus(e.code)
		if status == http.StatusUnauthorized {
			h.Set("WWW-Authenticate", `Basic realm="ClickHouse server HTTP API"`)
		}
		r.opts.waitEnd, r.opts.hold = false, max(r.opts.hold, len(text)+holdBack)
		if _, err := r.Write([]byte(text + "\n")); err != nil {
			return
		}
		r.flushChain()
		if r.enc != nil && r.enc.Close() != nil {
			return
		}
		h.Set("Content-Length", strconv.Itoa(len(r.held)))
		r.commit(status)
		_ = r.sendHeld() // nobody is left to be told
		return
	}
	// What the transcoder holds of an incomplete block is dropped; so the text enters below it.
	r.top = holder{r}
	if r.enc != nil {
		r.top = r.enc
	}
	if r.frames != nil {
		r.top = r.frames
		_ = r.frames.Flush()
	}
	_, _ = r.top.Write(r.exceptionBlock(text))
	r.flushChain()
	_ = r.sendHeld()
	_ = http.NewResponseController(r.w).Flush()
	// The one way of net/http to end an answer so that the client sees it is not complete.
	panic(http.ErrAbortHandler)
}

// exceptionBlock is what ClickHouse appends to a result that fails on the way.
func (r *response) exceptionBlock(text string) []byte {
	if r.opts.exceptionJSON {
		return fmt.Appendf(nil, "{\"exception\": %s}\n", quoteJSON(text))
	}
	room := maxExceptionSize - 2*(len(exceptionMarker)+exceptionTagLength) - 2 - 2 - 2 - 8 - 1 - 2 - 2
	if len(text) > room {
		text = text[:room]
	}
	text += "\n"
	return fmt.Appendf(nil, "\r\n%s\r\n%s\r\n%s%d %s\r\n%s\r\n", exceptionMarker, r.tag, text, len(text), r.tag, exceptionMarker)
}

// flushChain moves what compressors hold towards the client.
func (r *response) flushChain() {
	if r.frames != nil {
		_ = r.frames.Flush()
	}
	if r.enc != nil {
		_ = r.enc.Flush()
	}
}

// commit sends the header.
func (r *response) commit(status int) {
	if r.committed {
		return
	}
	r.committed = true
	h := r.w.Header()
	if r.enc != nil && r.wrote {
		h.Set("Content-Encoding", r.opts.encoding)
	}
	h.Set("X-ClickHouse-Summary", r.summary())
	if r.opts.sendProgress {
		h.Set("X-ClickHouse-Progress", r.summary())
	}
	r.w.WriteHeader(status)
}

// summary counts what the statement has done so far; all values are strings, as in ClickHouse.
func (r *response) summary() string {
	return fmt.Sprintf(`{"read_rows":"%d","read_bytes":"%d","written_rows":"%d","written_bytes":"%d","total_rows_to_read":"%d",`+
		`"result_rows":"%d","result_bytes":"%d","elapsed_ns":"%d","memory_usage":"0"}`,
		r.stats.ReadRows, r.stats.ReadBytes, r.stats.WrittenRows, r.stats.WrittenBytes, r.stats.ReadRows,
		r.stats.ResultRows, r.stats.ResultBytes, time.Since(r.started).Nanoseconds())
}

// holder is the lowest writer of the chain: it holds back, and then passes on.
type holder struct{ r *response }

func (h holder) Write(p []byte) (int, error) {
	r := h.r
	if r.committed {
		if r.head {
			return len(p), nil
		}
		if len(r.held) > 0 {
			if err := r.sendHeld(); err != nil {
				return 0, err
			}
		}
		if _, err := r.w.Write(p); err != nil {
			return 0, errClientGone
		}
		return len(p), nil
	}
	if r.spill != nil {
		return r.spill.Write(p)
	}
	r.held = append(r.held, p...)
	switch {
	case r.opts.waitEnd:
		if len(r.held) > max(spillOver, r.opts.hold) {
			return len(p), r.startSpill()
		}
	case len(r.held) > max(holdBack, r.opts.hold):
		r.commit(http.StatusOK)
		return len(p), r.sendHeld()
	}
	return len(p), nil
}

func (r *response) sendHeld() error {
	if len(r.held) == 0 || r.head {
		return nil
	}
	_, err := r.w.Write(r.held) //nolint:gosec // results of queries, with their own content type
	r.held = nil                // a large result does not need it again
	if err != nil {
		return errClientGone
	}
	return nil
}

func (r *response) startSpill() error {
	f, err := os.CreateTemp("", "agenttrail-clickhouse-*")
	if err != nil {
		return fmt.Errorf("hold back the result: %w", err)
	}
	_ = os.Remove(f.Name()) // goes away with its last handle
	r.spill = f
	if _, err := f.Write(r.held); err != nil {
		return fmt.Errorf("hold back the result: %w", err)
	}
	r.held = nil
	return nil
}

func (r *response) sendSpill() error {
	if r.head {
		return nil
	}
	if _, err := r.spill.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read held back result: %w", err)
	}
	if _, err := io.Copy(r.w, r.spill); err != nil {
		return errClientGone
	}
	return nil
}

func (r *response) closeSpill() {
	if r.spill != nil {
		_ = r.spill.Close()
		r.spill = nil
	}
}

// randomTag marks the exceptions of one answer, so that result data cannot be taken for one.
func randomTag() string {
	var b [exceptionTagLength]byte
	_, _ = rand.Read(b[:]) // never fails
	for i := range b {
		b[i] = 'a' + b[i]%26
	}
	return string(b[:])
}
