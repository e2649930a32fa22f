package chserver

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/agenttrail/agenttrail/embedded/chdb"
)

// runWhole runs a statement and sends its output in one piece.
func runWhole(resp *response, conn *chdb.Conn, q *request, text string) error {
	res, err := conn.Query(text, q.format, q.values...)
	if err != nil {
		return err
	}
	defer res.Close()
	resp.stats = res.Stats()
	if _, err := resp.Write(res.Bytes()); err != nil {
		return err
	}
	return resp.finish()
}

// runSelect sends the result of a SELECT block by block.
//
// The engine formats every block it gives out as a document of its own. For formats of plain rows that makes no difference.
// For documents, such as JSON or Parquet, it does as soon as there is a second block: the statement is then started anew
// in a way that formats the result as one, see pipeDocument.
func (s *Server) runSelect(ctx context.Context, resp *response, conn *chdb.Conn, q *request, format string) error {
	stream, err := conn.Stream(q.st.text, q.format, q.values...)
	if err != nil {
		var e *chdb.Exception
		if errors.As(err, &e) && e.Code == codeBadArguments && strings.Contains(e.Text, "Streaming query is not supported") {
			return runWhole(resp, conn, q, q.st.text)
		}
		return err
	}
	defer stream.Close()
	if q.isRowFormat(format) {
		for {
			if done, err := forward(ctx, resp, stream); done || err != nil {
				return err
			}
		}
	}

	first, err := stream.Next()
	if errors.Is(err, io.EOF) {
		return resp.finish()
	}
	if err != nil {
		return err
	}
	defer first.Close()
	second, err := stream.Next()
	if errors.Is(err, io.EOF) {
		resp.stats = first.Stats()
		if _, err := resp.Write(first.Bytes()); err != nil {
			return err
		}
		return resp.finish()
	}
	if err != nil {
		return err
	}
	second.Close()
	first.Close()
	stream.Close()
	if q.mustBeWhole() {
		return runWhole(resp, conn, q, q.st.text)
	}
	return s.pipeDocument(resp, conn, q, format)
}

// forward sends the next block.
func forward(ctx context.Context, resp *response, stream *chdb.Stream) (done bool, err error) {
	chunk, err := stream.Next()
	if errors.Is(err, io.EOF) {
		return true, resp.finish()
	}
	if err != nil {
		return true, err
	}
	defer chunk.Close()
	resp.stats.Add(chunk.Stats())
	if _, err := resp.Write(chunk.Bytes()); err != nil {
		return true, err
	}
	if ctx.Err() != nil {
		return true, newError(codeQueryWasCancelled, "Query was cancelled")
	}
	return false, nil
}

// mustBeWhole says if a document cannot be written through a pipe: when it has parts besides its rows, or when the statement
// needs the tables of its own connection.
func (q *request) mustBeWhole() bool {
	if _, session := q.params.lookup("session_id"); session || len(q.external) > 0 || parseBool(q.settings["extremes"]) {
		return true
	}
	l := lexer{sql: q.st.text}
	for tok := l.next(); tok.kind != tokenEnd; tok = l.next() {
		word := q.st.text[tok.start:tok.end]
		if tok.kind == tokenWord && (strings.EqualFold(word, "TOTALS") || strings.EqualFold(word, "extremes")) {
			return true
		}
	}
	return false
}

// pipeDocument lets the engine write the result as one document into a named pipe, and sends what comes out of it. So a
// document of any size passes through bounded memory. It runs on a connection of its own that may write; the statement is a
// SELECT, which the engine has already run on the connection of the request, with its restrictions.
func (s *Server) pipeDocument(resp *response, conn *chdb.Conn, q *request, format string) error {
	dir, err := os.MkdirTemp("", "agenttrail-clickhouse-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "result")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		return &os.PathError{Op: "mkfifo", Path: path, Err: err}
	}
	// Open for both, so that neither side waits for the other to open; the reader meets the end when this is closed.
	hold, err := os.OpenFile(path, os.O_RDWR|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	pipe, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		_ = hold.Close()
		return err
	}
	defer func() { _ = pipe.Close() }()

	settings := s.requestSettings(q)
	delete(settings, "readonly")
	for name, value := range map[string]string{
		"max_insert_threads": "1", "min_insert_block_size_rows": "65536", "min_insert_block_size_bytes": "4194304",
	} {
		if settings[name] == "" {
			settings[name] = value
		}
	}
	writer, err := s.connect(settings)
	if err == nil {
		if err = use(writer, q.database); err != nil {
			writer.Close()
		}
	}
	if err != nil {
		_ = hold.Close()
		return err
	}
	var stats chdb.Stats
	result := make(chan error, 1)
	go func() {
		defer func() { _ = hold.Close() }()
		defer writer.Close()
		res, err := writer.Query("INSERT INTO FUNCTION file("+quoteString(path)+", "+quoteString(format)+") "+q.st.bare, "Null", q.values...)
		if err == nil {
			stats = res.Stats()
			res.Close()
		}
		result <- err
	}()

	n, copyErr := io.CopyBuffer(struct{ io.Writer }{resp}, struct{ io.Reader }{pipe}, make([]byte, 256<<10))
	if copyErr != nil { // the client has gone: end the statement, and take what it still writes
		q.cancel()
		_, _ = io.Copy(io.Discard, pipe)
	}
	err = <-result
	switch {
	case copyErr != nil:
		return copyErr
	case err != nil && n == 0 && pipeCannot(err):
		return runWhole(resp, conn, q, q.st.text)
	case err != nil:
		return err
	}
	resp.stats = chdb.Stats{ReadRows: stats.ReadRows, ReadBytes: stats.ReadBytes, ResultRows: stats.WrittenRows, ResultBytes: stats.WrittenBytes}
	return resp.finish()
}

// pipeCannot says if a statement failed for the way it is run, and not by itself: names that are twice in the result, or a
// SELECT of a form that INSERT does not take.
func pipeCannot(err error) bool {
	var e *chdb.Exception
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code {
	case 15, 36, 44, 48, codeSyntaxError, 73, 80, 352: // DUPLICATE_COLUMN, BAD_ARGUMENTS, ILLEGAL_COLUMN, NOT_IMPLEMENTED, …, UNKNOWN_FORMAT, INCORRECT_QUERY, AMBIGUOUS_COLUMN_NAME
		return true
	}
	return false
}
