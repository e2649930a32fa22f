package otlp

import (
	"bytes"
	"fmt"
	"mime"
	"net/http"
	"sync"

	"go.opentelemetry.io/collector/receiver/otlpreceiver"
)

const (
	contentProtobuf = "application/x-protobuf"
	contentJSON     = "application/json"
)

const (
	// keepBody is how large a buffer may be to be kept for reuse.
	keepBody = 8 << 20
	// believeLength is how much memory a request gets because it says that it is so long.
	believeLength = 1 << 20
)

// bodies are buffers for requests.
var bodies = sync.Pool{New: func() any { return new(bytes.Buffer) }}

func (r *otlpReceiver) handler(cfg *otlpreceiver.HTTPConfig) http.Handler {
	mux := http.NewServeMux()
	for _, p := range []struct {
		path otlpreceiver.SanitizedURLPath
		s    signal
	}{{cfg.TracesURLPath, r.traces}, {cfg.LogsURLPath, r.logs}, {cfg.MetricsURLPath, r.metrics}} {
		if p.s != nil {
			mux.HandleFunc(string(p.path), func(w http.ResponseWriter, req *http.Request) { r.serveHTTP(w, req, p.s) })
		}
	}
	return mux
}

func (r *otlpReceiver) serveHTTP(w http.ResponseWriter, req *http.Request, s signal) {
	if req.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, fmt.Sprintf("%s is not allowed here: OTLP is sent with POST", req.Method), http.StatusMethodNotAllowed)
		return
	}
	content := contentType(req)
	if content != contentProtobuf && content != contentJSON {
		http.Error(w, fmt.Sprintf("the content type %q is not supported: send %s or %s", content, contentProtobuf, contentJSON), http.StatusUnsupportedMediaType)
		return
	}
	body := bodies.Get().(*bytes.Buffer)
	stillRead := false
	defer func() {
		if body.Cap() <= keepBody && !stillRead {
			body.Reset()
			bodies.Put(body)
		}
	}()
	if n := req.ContentLength; n > 0 { // Of what is compressed it is not known.
		body.Grow(int(min(n, believeLength)) + bytes.MinRead)
	}
	_, err := body.ReadFrom(req.Body)
	switch {
	case err != nil:
		err = malformed(err)
	case content == contentProtobuf:
		stillRead, err = r.export(req.Context(), s, r.overHTTP, body.Bytes())
	default:
		err = r.exportJSON(req.Context(), s, r.overHTTP, body.Bytes())
	}
	if err != nil {
		answerStatus(w, content, statusOf(err))
		return
	}
	w.Header().Set("Content-Type", content)
	if content == contentJSON {
		_, _ = w.Write([]byte("{}"))
	}
}

// contentType is that of the request without parameters, empty if it has none or a malformed one.
func contentType(req *http.Request) string {
	t, _, err := mime.ParseMediaType(req.Header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return t
}
