package delivery

import (
	"bytes"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"

	"github.com/agenttrail/agenttrail/exporter/column"
	"github.com/agenttrail/agenttrail/exporter/frame"
	"github.com/agenttrail/agenttrail/exporter/frompdata"
	"github.com/agenttrail/agenttrail/exporter/fromwire"
	"github.com/agenttrail/agenttrail/exporter/mapping"
	"github.com/agenttrail/agenttrail/exporter/record"
	"github.com/agenttrail/agenttrail/schema/prices"
)

var requestsDir = flag.String("requests", "", "folder with requests *.traces.pb and *.logs.pb for BenchmarkStages, as bench/ingest -write makes them; else small ones are made up")

// stages is what becomes of a request on its way, one step after the other, on one thread.
type stages struct {
	traces, logs [][]byte
	spans        int

	in     record.Traces
	inLogs record.Logs
	mapper *mapping.Mapper
	sets   []*column.Set
	recs   [][]byte
	blocks *column.Blocks
	native [][]byte
	frames *frame.Encoder
	out    []byte
}

// group is how many requests become one block, about as many as arrive between two flushes.
const group = 16

// BenchmarkStages measures what a span costs at each stage of the exporter, in CPU time, and the floor: decoding,
// compressing and writing the same bytes. An operation is all requests once.
//
//	go run ./ingest -write /tmp/requests -spans 20000   (in bench)
//	go test ./exporter/delivery -run '^$' -bench Stages -requests /tmp/requests
func BenchmarkStages(b *testing.B) {
	s := newStages(b)
	b.ResetTimer()
	var spent [16]time.Duration
	names := []string{"decode", "hash", "map", "record", "write", "join", "emit", "compress", "send", "pdata"}
	file, err := os.Create(filepath.Join(b.TempDir(), "file"))
	require.NoError(b, err)
	defer file.Close()
	client, server := loopback(b)
	defer client.Close()
	go func() { _, _ = bytes.NewBuffer(nil).ReadFrom(server) }()
	for range b.N {
		for from := 0; from < len(s.traces); from += group {
			s.run(b, from, min(from+group, len(s.traces)), &spent, file, client)
		}
	}
	b.StopTimer()
	ns := func(i int) float64 { return float64(spent[i].Nanoseconds()) / float64(b.N*s.spans) }
	for i, name := range names {
		b.ReportMetric(ns(i), name+"-ns/span")
	}
	b.ReportMetric(ns(0)+ns(7)+ns(4)+ns(8), "floor-ns/span")
	b.ReportMetric(ns(0)+ns(1)+ns(2)+ns(3)+ns(4)+ns(5)+ns(6)+ns(8), "direct-ns/span")
}

func newStages(b *testing.B) *stages {
	b.Helper()
	list, err := prices.Shipped()
	require.NoError(b, err)
	s := &stages{mapper: mapping.New(mapping.Config{Prices: list}), frames: nil}
	s.frames, err = frame.NewEncoder(frame.MethodLZ4)
	require.NoError(b, err)
	s.blocks, err = column.NewBlocks(column.Layout())
	require.NoError(b, err)
	for range group {
		s.sets = append(s.sets, column.NewSet())
		s.recs = append(s.recs, nil)
	}
	for range column.TableCount {
		s.native = append(s.native, nil)
	}
	dir := *requestsDir
	if dir == "" {
		b.Skip("give -requests")
	}
	names, err := filepath.Glob(filepath.Join(dir, "*.traces.pb"))
	require.NoError(b, err)
	require.NotEmpty(b, names)
	for _, name := range names {
		t, err := os.ReadFile(name)
		require.NoError(b, err)
		l, err := os.ReadFile(strings.TrimSuffix(name, ".traces.pb") + ".logs.pb")
		require.NoError(b, err)
		s.traces, s.logs = append(s.traces, t), append(s.logs, l)
		require.NoError(b, fromwire.Traces(t, &s.in))
		s.spans += len(s.in.Spans)
	}
	return s
}

func (s *stages) run(b *testing.B, from, to int, spent *[16]time.Duration, file *os.File, client net.Conn) {
	at := cpu(b)
	lap := func(i int) {
		now := cpu(b)
		spent[i] += now - at
		at = now
	}
	received := time.Now()
	for i := from; i < to; i++ {
		set := s.sets[i-from]
		set.Reset()
		at = cpu(b)
		require.NoError(b, fromwire.Traces(s.traces[i], &s.in))
		require.NoError(b, fromwire.Logs(s.logs[i], &s.inLogs))
		lap(0)
		s.in.Hash()
		s.inLogs.Hash()
		lap(1)
		s.mapper.Traces(&s.in, received, set)
		s.mapper.Logs(&s.inLogs, received, set)
		lap(2)
		s.recs[i-from] = set.AppendRecord(s.recs[i-from][:0])
		lap(3)
		_, err := file.WriteAt(s.recs[i-from], 0)
		require.NoError(b, err)
		lap(4)
	}
	require.NoError(b, syscall.Fdatasync(int(file.Fd())))
	lap(4)
	frameBuf := make([]byte, 0, frameBytes)
	for t := range column.TableCount {
		at = cpu(b)
		for i := from; i < to; i++ {
			require.NoError(b, s.blocks.AppendTable(s.recs[i-from], t.String()))
		}
		lap(5)
		if s.blocks.Rows(t.String()) == 0 {
			continue
		}
		s.out = s.out[:0]
		require.NoError(b, s.blocks.EmitNative(t.String(), frameBuf, func(p []byte) error {
			s.out = s.frames.Append(s.out, p)
			return nil
		}))
		lap(6)
		_, err := client.Write(s.out)
		require.NoError(b, err)
		lap(8)
		s.native[t] = s.blocks.AppendNative(s.native[t][:0], t.String())
		at = cpu(b)
		s.out = s.out[:0]
		for p := s.native[t]; len(p) > 0; {
			n := min(len(p), frameBytes)
			s.out = s.frames.Append(s.out, p[:n])
			p = p[n:]
		}
		lap(7)
	}
	s.blocks.Reset()
	at = cpu(b)
	for i := from; i < to; i++ {
		q, l := ptraceotlp.NewExportRequest(), plogotlp.NewExportRequest()
		require.NoError(b, q.UnmarshalProto(s.traces[i]))
		frompdata.Traces(q.Traces(), &s.in)
		require.NoError(b, l.UnmarshalProto(s.logs[i]))
		frompdata.Logs(l.Logs(), &s.inLogs)
	}
	lap(9)
}

func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func loopback(b *testing.B) (client, server net.Conn) {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(b, err)
	defer l.Close()
	client, err = net.Dial("tcp", l.Addr().String())
	require.NoError(b, err)
	server, err = l.Accept()
	require.NoError(b, err)
	return client, server
}

var _ = fmt.Sprint
