// Command sink is a loopback OTLP/HTTP receiver that writes every request it gets to a file, as OTLP/JSON.
//
// The first part of the path names the recording: a request to /ai-7.0.173-success/v1/traces becomes
// ai-7.0.173-success.traces.json, the next one ai-7.0.173-success.traces.2.json. Protobuf and JSON, plain and gzip, are
// accepted. What was written reads back to what came in, or the sink ends with an error. After that check, and only
// then, text given with -scrub is replaced and attributes that name a machine are removed.
//
// It prints its address and runs until its standard input ends.
package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"
)

func main() {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	if err := run(log); err != nil {
		log.Error("sink stopped", "error", err)
		os.Exit(1)
	}
}

func run(log *slog.Logger) error {
	dir := flag.String("out", ".", "folder that the recordings go to")
	var scrubs []string
	flag.Func("scrub", "old=new: text to replace in what is written; may be given again", func(s string) error {
		old, replacement, ok := strings.Cut(s, "=")
		if !ok || old == "" {
			return errors.New("want old=new")
		}
		scrubs = append(scrubs, old, replacement)
		return nil
	})
	flag.Parse() //nolint:revive // main calls nothing but run

	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // Nothing to cancel: it lives as long as the program.
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	s := newSink(*dir, strings.NewReplacer(scrubs...))
	server := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	go func() { s.failed <- server.Serve(listener) }()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		s.failed <- nil
	}()
	fmt.Fprintf(os.Stdout, "http://%s\n", listener.Addr())
	err = <-s.failed
	log.Info("requests written", "count", s.total())
	return err
}

// sink writes requests to files.
type sink struct {
	dir    string
	scrub  *strings.Replacer
	failed chan error // the reason to stop, nil when the input ended

	mu   sync.Mutex
	seen map[string]int // requests by recording and signal
}

func newSink(dir string, scrub *strings.Replacer) *sink {
	return &sink{dir: dir, scrub: scrub, failed: make(chan error, 3), seen: map[string]int{}}
}

var target = regexp.MustCompile(`^/([a-z0-9][A-Za-z0-9._-]*)/v1/(traces|logs|metrics)$`)

// ServeHTTP takes one export request. A request that cannot be recorded exactly ends the sink: a recording that looks
// complete and is not would be worse than none.
func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m := target.FindStringSubmatch(r.URL.Path)
	if m == nil {
		http.Error(w, "want /<recording>/v1/traces, logs or metrics", http.StatusNotFound)
		return
	}
	isJSON := strings.HasPrefix(r.Header.Get("Content-Type"), "application/json")
	if err := s.record(m[1], m[2], isJSON, r); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		select {
		case s.failed <- fmt.Errorf("record %s of %s: %w", m[2], m[1], err):
		default:
		}
		return
	}
	if isJSON {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, "{}")
		return
	}
	w.Header().Set("Content-Type", "application/x-protobuf") // An empty message is an empty body.
}

func (s *sink) record(recording, signal string, isJSON bool, r *http.Request) error {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		unzipped, err := gzip.NewReader(body)
		if err != nil {
			return fmt.Errorf("open gzip: %w", err)
		}
		body = unzipped
	}
	raw, err := io.ReadAll(body)
	if err != nil {
		return fmt.Errorf("read request: %w", err)
	}
	text, err := toJSON(signal, isJSON, raw)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := json.Indent(&out, []byte(s.scrub.Replace(string(text))), "", " "); err != nil {
		return fmt.Errorf("indent request: %w", err)
	}
	out.WriteByte('\n')
	return os.WriteFile(filepath.Join(s.dir, s.next(recording, signal)), out.Bytes(), 0o644) //nolint:gosec // Recordings are public.
}

// next names the file of the next request.
func (s *sink) next(recording, signal string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := recording + "." + signal
	s.seen[key]++
	if n := s.seen[key]; n > 1 {
		return fmt.Sprintf("%s.%d.json", key, n)
	}
	return key + ".json"
}

func (s *sink) total() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	var n int
	for _, count := range s.seen {
		n += count
	}
	return n
}
