package delivery

import (
	"flag"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"golang.org/x/sys/unix"

	"github.com/agenttrail/agenttrail/exporter/column"
	"github.com/agenttrail/agenttrail/exporter/frame"
	"github.com/agenttrail/agenttrail/exporter/frompdata"
	"github.com/agenttrail/agenttrail/exporter/fromwire"
	"github.com/agenttrail/agenttrail/exporter/mapping"
	"github.com/agenttrail/agenttrail/exporter/record"
	"github.com/agenttrail/agenttrail/schema/prices"
)

var requestsDir = flag.String("requests", "", "folder with requests *.traces.pb and *.logs.pb for BenchmarkStages, as bench/ingest -write makes them; else the recorded ones are taken")

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
	plain  *encoder
}

// group is how many requests become one block, about as many as arrive between two flushes.
const group = 16

// BenchmarkStages measures what a span, with its share of log records, costs at each stage of the exporter, in CPU time
// on one thread, and the floor: decoding, compressing and writing the same bytes. An operation is all requests once.
//
//	go run ./ingest -write /tmp/requests -spans 20000   (in bench)
//	go test ./exporter/delivery -run '^$' -bench Stages -requests /tmp/requests
//
// The stages of the direct front end are decode, hash, map (to columns), record (for the journal), write (into it), join
// (of records to a block), emit (with compression) and send. "compress" is the part of "emit" that is compression,
// "pdata" what the other front end needs in place of "decode".
func BenchmarkStages(b *testing.B) {
	s := newStages(b)
	b.ResetTimer()
	var spent [stageCount]time.Duration
	file, err := os.Create(filepath.Join(b.TempDir(), "file"))
	require.NoError(b, err)
	defer file.Close()
	client, server := loopback(b)
	defer client.Close()
	go func() { _, _ = io.Copy(io.Discard, server) }()
	for range b.N {
		for from := 0; from < len(s.traces); from += group {
			s.run(b, from, min(from+group, len(s.traces)), &spent, file, client)
		}
	}
	b.StopTimer()
	ns := func(stages ...stage) (sum float64) {
		for _, i := range stages {
			sum += float64(spent[i].Nanoseconds()) / float64(b.N*s.spans)
		}
		return sum
	}
	for i := range stageCount {
		b.ReportMetric(ns(i), i.String()+"-ns/span")
	}
	floor := ns(stageDecode, stageCompress, stageWrite, stageSend)
	ours := ns(stageHash, stageMap, stageRecord, stageJoin) + ns(stageDecode, stageWrite)
	direct, plain := ours+ns(stageEmit, stageSend), ours+ns(stageCopy, stageSendPlain)
	b.ReportMetric(floor, "floor-ns/span")
	b.ReportMetric(direct, "direct-ns/span")
	b.ReportMetric(direct/floor, "direct/floor")
	b.ReportMetric(plain, "direct-plain-ns/span")
	b.ReportMetric(plain/floor, "direct-plain/floor")
	b.ReportMetric(plain/ns(stageDecode, stageWrite, stageSendPlain), "direct-plain/floor-plain")
	b.ReportMetric(0, "ns/op")
}

type stage int

const (
	stageDecode stage = iota
	stageHash
	stageMap
	stageRecord
	stageWrite
	stageJoin
	stageEmit
	stageSend
	stageCompress
	stageCopy
	stageSendPlain
	stagePdata
	stageCount
)

func (s stage) String() string {
	return [...]string{"decode", "hash", "map", "record", "write", "join", "emit", "send", "compress", "copy", "send-plain", "pdata"}[s]
}

func newStages(b *testing.B) *stages {
	b.Helper()
	list, err := prices.Shipped()
	require.NoError(b, err)
	s := &stages{mapper: mapping.New(mapping.Config{Prices: list})}
	s.frames, err = frame.NewEncoder(frame.MethodLZ4)
	require.NoError(b, err)
	s.plain, err = newEncoder(CompressionNone)
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
	if *requestsDir == "" {
		s.addRecorded(b)
	} else {
		s.addFolder(b, *requestsDir)
	}
	for _, t := range s.traces {
		require.NoError(b, fromwire.Traces(t, &s.in))
		s.spans += len(s.in.Spans)
	}
	return s
}

func (s *stages) addFolder(b *testing.B, dir string) {
	b.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.traces.pb"))
	require.NoError(b, err)
	require.NotEmpty(b, names)
	for _, name := range names {
		t, err := os.ReadFile(name)
		require.NoError(b, err)
		l, err := os.ReadFile(strings.TrimSuffix(name, ".traces.pb") + ".logs.pb")
		require.NoError(b, err)
		s.traces, s.logs = append(s.traces, t), append(s.logs, l)
	}
}

// addRecorded adds what real emitters sent, without log records.
func (s *stages) addRecorded(b *testing.B) {
	b.Helper()
	names, err := filepath.Glob("../mapping/testdata/recorded/*.traces.json")
	require.NoError(b, err)
	require.NotEmpty(b, names)
	for _, name := range names {
		text, err := os.ReadFile(name)
		require.NoError(b, err)
		q := ptraceotlp.NewExportRequest()
		require.NoError(b, q.UnmarshalJSON(text))
		t, err := q.MarshalProto()
		require.NoError(b, err)
		s.traces, s.logs = append(s.traces, t), append(s.logs, nil)
	}
}

func (s *stages) run(b *testing.B, from, to int, spent *[stageCount]time.Duration, file *os.File, client net.Conn) {
	b.Helper()
	// Only this thread counts: who reads at the other end of the connection is ClickHouse.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	at := cpu(b, unix.CLOCK_THREAD_CPUTIME_ID)
	lap := func(i stage) {
		now := cpu(b, unix.CLOCK_THREAD_CPUTIME_ID)
		spent[i] += now - at
		at = now
	}
	received := time.Now()
	for i := from; i < to; i++ {
		set := s.sets[i-from]
		set.Reset()
		at = cpu(b, unix.CLOCK_THREAD_CPUTIME_ID)
		require.NoError(b, fromwire.Traces(s.traces[i], &s.in))
		require.NoError(b, fromwire.Logs(s.logs[i], &s.inLogs))
		lap(stageDecode)
		s.in.Hash()
		s.inLogs.Hash()
		lap(stageHash)
		s.mapper.Traces(&s.in, received, set)
		s.mapper.Logs(&s.inLogs, received, set)
		lap(stageMap)
		s.recs[i-from] = set.AppendRecord(s.recs[i-from][:0])
		lap(stageRecord)
		_, err := file.WriteAt(s.recs[i-from], 0)
		require.NoError(b, err)
		lap(stageWrite)
	}
	require.NoError(b, syscall.Fdatasync(int(file.Fd())))
	lap(stageWrite)
	frameBuf := make([]byte, 0, frameBytes)
	held := newHeld(nil, func() {})
	for t := range column.TableCount {
		at = cpu(b, unix.CLOCK_THREAD_CPUTIME_ID)
		for i := from; i < to; i++ {
			require.NoError(b, s.blocks.AppendOwnTable(s.recs[i-from], t.String()))
		}
		lap(stageJoin)
		if s.blocks.Rows(t.String()) == 0 {
			continue
		}
		s.out = s.out[:0]
		require.NoError(b, s.blocks.EmitNative(t.String(), frameBuf, func(p []byte) ([]byte, error) {
			s.out = s.frames.Append(s.out, p)
			return p, nil
		}))
		lap(stageEmit)
		_, err := client.Write(s.out)
		require.NoError(b, err)
		lap(stageSend)
		at = cpu(b, unix.CLOCK_THREAD_CPUTIME_ID)
		body, err := s.plain.body(s.blocks, t.String(), held)
		require.NoError(b, err)
		lap(stageCopy)
		_, err = io.Copy(client, body.open())
		require.NoError(b, err)
		body.release()
		lap(stageSendPlain)
		s.native[t] = s.blocks.AppendNative(s.native[t][:0], t.String())
		at = cpu(b, unix.CLOCK_THREAD_CPUTIME_ID)
		s.out = s.out[:0]
		for p := s.native[t]; len(p) > 0; {
			n := min(len(p), frameBytes)
			s.out = s.frames.Append(s.out, p[:n])
			p = p[n:]
		}
		lap(stageCompress)
	}
	s.blocks.Reset()
	at = cpu(b, unix.CLOCK_PROCESS_CPUTIME_ID) // With what the garbage takes.
	for i := from; i < to; i++ {
		q, l := ptraceotlp.NewExportRequest(), plogotlp.NewExportRequest()
		require.NoError(b, q.UnmarshalProto(s.traces[i]))
		frompdata.Traces(q.Traces(), &s.in)
		require.NoError(b, l.UnmarshalProto(s.logs[i]))
		frompdata.Logs(l.Logs(), &s.inLogs)
	}
	spent[stagePdata] += cpu(b, unix.CLOCK_PROCESS_CPUTIME_ID) - at
}

func cpu(b *testing.B, clock int32) time.Duration {
	b.Helper()
	var t unix.Timespec
	if err := unix.ClockGettime(clock, &t); err != nil {
		b.Fatal(err)
	}
	return time.Duration(t.Nano())
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
