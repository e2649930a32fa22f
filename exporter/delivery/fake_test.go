package delivery

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ClickHouse/ch-go/compress"
	chproto "github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2/lib/proto"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap/zaptest"

	"github.com/agenttrail/agenttrail/exporter/column"
	"github.com/agenttrail/agenttrail/exporter/journal"
	"github.com/agenttrail/agenttrail/internal/enginetest"
)

func TestMain(m *testing.M) {
	enginetest.Main(m)
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, "goroutines are left:", err)
		os.Exit(1)
	}
}

// insertCall is one INSERT that arrived.
type insertCall struct {
	table, token string
	query        url.Values
	header       http.Header
	body         []byte
}

var tableInStatement = regexp.MustCompile("\\.`([A-Za-z]+)` \\(`")

// fakeClickHouse answers INSERTs as ClickHouse does, the deduplication token included, and fails when it is told to.
type fakeClickHouse struct {
	*httptest.Server
	// fault, if set, answers a request itself and returns true. It is called with the rows decoded.
	fault func(w http.ResponseWriter, c insertCall, rows []map[string]any) bool

	mu     sync.Mutex
	calls  []insertCall
	tokens map[string]bool
	rows   map[string][]map[string]any
}

func newFake(t *testing.T) *fakeClickHouse {
	t.Helper()
	f := &fakeClickHouse{tokens: map[string]bool{}, rows: map[string][]map[string]any{}}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { f.serve(t, w, r) }))
	t.Cleanup(f.Close)
	return f
}

func (f *fakeClickHouse) serve(t *testing.T, w http.ResponseWriter, r *http.Request) {
	t.Helper()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	q := r.URL.Query()
	w.Header().Set("X-ClickHouse-Server-Display-Name", "fake")
	statement := q.Get("query")
	if !strings.HasPrefix(statement, "INSERT INTO") {
		_, _ = io.WriteString(w, "1\n")
		return
	}
	table := tableInStatement.FindStringSubmatch(statement)[1]
	c := insertCall{table: table, token: q.Get("insert_deduplication_token"), query: q, header: r.Header, body: body}
	rows := decodeBody(t, body, q.Get("decompress") == "1")
	f.mu.Lock()
	f.calls = append(f.calls, c)
	fault := f.fault
	f.mu.Unlock()
	if fault != nil && fault(w, c, rows) {
		return
	}
	f.store(c, rows)
}

// change replaces the fault while requests arrive.
func (f *fakeClickHouse) change(fault func(w http.ResponseWriter, c insertCall, rows []map[string]any) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
}

func (f *fakeClickHouse) store(c insertCall, rows []map[string]any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.tokens[c.token] {
		f.tokens[c.token] = true
		f.rows[c.table] = append(f.rows[c.table], rows...)
	}
}

func (f *fakeClickHouse) stored(table column.Table) []map[string]any {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.rows[table.String()]
}

func (f *fakeClickHouse) seen() []insertCall {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]insertCall(nil), f.calls...)
}

func exception(w http.ResponseWriter, status, code int, text string) bool {
	w.Header().Set("X-ClickHouse-Exception-Code", strconv.Itoa(code))
	w.WriteHeader(status)
	_, _ = io.WriteString(w, "Code: "+strconv.Itoa(code)+". DB::Exception: "+text+"\nstack\n")
	return true
}

// decodeBody reads a body the way ClickHouse's own Go client does.
func decodeBody(t *testing.T, body []byte, compressed bool) []map[string]any {
	t.Helper()
	var r io.Reader = bytes.NewReader(body)
	if compressed {
		r = compress.NewReader(r)
	}
	native, err := io.ReadAll(r)
	if err != nil && !errors.Is(err, io.EOF) {
		t.Errorf("decompress: %v", err)
		return nil
	}
	b := proto.NewBlock()
	pr := chproto.NewReader(bytes.NewReader(native))
	if err := b.Decode(pr, 0); err != nil {
		t.Errorf("decode: %v", err)
		return nil
	}
	if _, err := pr.ReadByte(); err == nil {
		t.Error("there is more than one block in the body")
	}
	rows := make([]map[string]any, b.Rows())
	for i := range rows {
		rows[i] = map[string]any{}
		for _, c := range b.Columns {
			rows[i][c.Name()] = c.Row(i, false)
		}
	}
	return rows
}

// newTestWriter returns a writer with a journal of its own that sends and retries at once, has patience with a slow disk
// and a slow machine, and is shut down at the end of the test.
func newTestWriter(t *testing.T, endpoint string, change func(*Settings)) *Writer {
	t.Helper()
	w, err := NewWriter(t.Context(), testSettings(t, endpoint, change))
	require.NoError(t, err)
	t.Cleanup(func() { shutdown(t, w) })
	return w
}

func testSettings(t *testing.T, endpoint string, change func(*Settings)) Settings {
	t.Helper()
	s := Settings{
		Endpoint: endpoint, Client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}},
		Logger: zaptest.NewLogger(t), RetryInitial: time.Millisecond, RetryMax: 2 * time.Millisecond, FlushInterval: time.Millisecond,
		Journal: journal.Settings{Dir: t.TempDir()}, patience: 10 * time.Millisecond, brokenFlush: time.Millisecond, tellAfter: time.Nanosecond,
		openAtMost: time.Hour, MaxWait: 2 * time.Minute, RequestTimeout: 5 * time.Minute,
	}
	if change != nil {
		change(&s)
	}
	return s
}

func shutdown(t *testing.T, w *Writer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	require.NoError(t, w.Shutdown(ctx))
}

// eventually waits for what happens in the background.
func eventually(t *testing.T, condition func() bool, what ...any) {
	t.Helper()
	require.Eventually(t, condition, 2*time.Minute, time.Millisecond, what...)
}

// drained waits until nothing is left to be stored.
func drained(t *testing.T, w *Writer) {
	t.Helper()
	eventually(t, func() bool {
		_, _, segments := w.Backlog()
		return segments == 0
	}, "all is stored")
	eventually(t, func() bool { return w.QueueBytes() == 0 }, "no memory is held")
}
