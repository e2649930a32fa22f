package agenttrail

import (
	"bufio"
	"io"
	"net"
	"net/http"
)

// recorder notes status, size and, where that is asked for, the body of a response. What wrap returns can do what the
// writer below can do, as far as handlers ask for it by type assertion; [http.ResponseController] finds the rest by Unwrap.
type recorder struct {
	http.ResponseWriter
	c       *httpConfig
	status  int // 0 until the answer begins.
	size    int64
	capture *capture
}

func (w *recorder) wrap(below http.ResponseWriter, c *httpConfig) http.ResponseWriter {
	w.ResponseWriter, w.c = below, c
	_, flushes := below.(http.Flusher)
	_, hijacks := below.(http.Hijacker)
	_, reads := below.(io.ReaderFrom)
	_, pushes := below.(http.Pusher)
	switch {
	case flushes && hijacks && reads:
		return http1Writer{w}
	case flushes && pushes:
		return http2Writer{w}
	case flushes:
		return flushWriter{w}
	default:
		return w
	}
}

func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *recorder) WriteHeader(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols {
		w.begin(status)
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *recorder) Write(p []byte) (int, error) {
	w.begin(http.StatusOK)
	n, err := w.ResponseWriter.Write(p)
	w.size += int64(n)
	w.capture.add(p[:n])
	return n, err
}

// begin notes the first status.
func (w *recorder) begin(status int) {
	if w.status != 0 {
		return
	}
	w.status = status
	w.capture = w.c.captureOf(w.Header())
}

func (w *recorder) flush() {
	w.begin(http.StatusOK)
	w.ResponseWriter.(http.Flusher).Flush()
}

type flushWriter struct{ *recorder }

func (w flushWriter) Flush() { w.flush() }

type http2Writer struct{ *recorder }

func (w http2Writer) Flush() { w.flush() }

func (w http2Writer) Push(target string, opts *http.PushOptions) error {
	return w.ResponseWriter.(http.Pusher).Push(target, opts)
}

type http1Writer struct{ *recorder }

func (w http1Writer) Flush() { w.flush() }

func (w http1Writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.begin(http.StatusSwitchingProtocols)
	return w.ResponseWriter.(http.Hijacker).Hijack()
}

// ReadFrom keeps the way by which the kernel copies files to sockets.
func (w http1Writer) ReadFrom(r io.Reader) (int64, error) {
	w.begin(http.StatusOK)
	if w.capture != nil {
		return io.Copy(writerOnly{w.recorder}, r)
	}
	n, err := w.ResponseWriter.(io.ReaderFrom).ReadFrom(r)
	w.size += n
	return n, err
}

// writerOnly hides ReadFrom from io.Copy.
type writerOnly struct{ io.Writer }
