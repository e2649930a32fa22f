package delivery

import (
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"go.uber.org/zap"

	"github.com/agenttrail/agenttrail/exporter/journal"
)

// Compression is how blocks are compressed on their way to ClickHouse.
type Compression string

// The kinds of compression. Those of ClickHouse's own frames are meant, not HTTP's.
const (
	CompressionNone Compression = "none"
	CompressionLZ4  Compression = "lz4"
	CompressionZSTD Compression = "zstd"
	// CompressionAuto is none to a ClickHouse on this machine, where bytes cost less than the work to save them, and
	// LZ4 over a network.
	CompressionAuto Compression = "auto"
)

// of returns what c means for an endpoint.
func (c Compression) of(endpoint *url.URL) Compression {
	if c != CompressionAuto {
		return c
	}
	host := endpoint.Hostname()
	if addr, err := netip.ParseAddr(host); err == nil && addr.Unmap().IsLoopback() || host == "localhost" {
		return CompressionNone
	}
	return CompressionLZ4
}

// Limits of ClickHouse: a larger block is cut by the server, and then a retry is no longer recognized as one.
// See min_insert_block_size_rows and min_insert_block_size_bytes.
const (
	LimitBlockRows  = 1_048_449
	LimitBlockBytes = 256 << 20
)

// Settings is what a [Writer] needs to know. Zero fields take the value in parentheses.
type Settings struct {
	Endpoint string // Of ClickHouse's HTTP interface, such as http://127.0.0.1:8123.
	Database string // ("agenttrail")
	Username string // ("default")
	Password string

	Compression Compression // (auto)

	// Journal says where rows are kept until they are stored. Its Dir must be given; Layout, Logger and Observer are
	// the writer's own.
	Journal journal.Settings

	MaxBlockRows  int   // Rows per block and INSERT (250,000).
	MaxBlockBytes int   // Bytes per block before compression (64 MiB); one row may exceed it.
	MaxQueueBytes int64 // Bytes of rows in memory (256 MiB).
	// A request whose rows take more than this is refused for good (MaxQueueBytes).
	MaxRequestBytes int64

	FlushInterval  time.Duration // How long rows are collected before they are sent (200 ms).
	MaxWait        time.Duration // How long a new request waits for room (5 s).
	RequestTimeout time.Duration // Of one INSERT (30 s).
	RetryInitial   time.Duration // First pause before a retry (100 ms); it doubles every time.
	RetryMax       time.Duration // Longest pause (5 s).

	Senders int // Blocks in flight per table (2).
	Mappers int // Requests whose rows are being made at the same time (4).

	Client   *http.Client // (http.DefaultClient)
	Logger   *zap.Logger  // (none)
	Observer Observer     // (none)

	tellAfter time.Duration // After which trouble with ClickHouse is told (1 s).
	// After which a segment is closed even if many wait (5 s, or FlushInterval if that is longer).
	openAtMost time.Duration
	// FlushInterval at least while some table takes no rows (1 s): every segment is kept for that table, so there
	// should be few of them.
	brokenFlush   time.Duration
	progressAfter time.Duration // After which it is kept on disk that a table is stored while others are not (5 s).
	feedPause     time.Duration // After which a segment that cannot be read is tried again (30 s).
	patience      time.Duration // How long Shutdown waits for a ClickHouse that does not take rows (2 s).
	calm          time.Duration // How long Shutdown waits when nothing is stored, such as for an answer (10 s).
	reserve       time.Duration // What is left of the time to shut down when sending ends (1 s).
}

func (s Settings) withDefaults() Settings {
	set := func(v *int, d int) { *v = orDefault(*v, d) }
	wait := func(v *time.Duration, d time.Duration) { *v = orDefault(*v, d) }
	s.Database = orDefault(s.Database, "agenttrail")
	s.Username = orDefault(s.Username, "default")
	s.Compression = orDefault(s.Compression, CompressionAuto)
	set(&s.MaxBlockRows, 250_000)
	set(&s.MaxBlockBytes, 64<<20)
	s.MaxQueueBytes = orDefault(s.MaxQueueBytes, 256<<20)
	s.MaxRequestBytes = orDefault(s.MaxRequestBytes, s.MaxQueueBytes)
	wait(&s.FlushInterval, 200*time.Millisecond)
	wait(&s.MaxWait, 5*time.Second)
	wait(&s.RequestTimeout, 30*time.Second)
	wait(&s.RetryInitial, 100*time.Millisecond)
	wait(&s.RetryMax, 5*time.Second)
	wait(&s.tellAfter, time.Second)
	wait(&s.openAtMost, max(5*time.Second, s.FlushInterval))
	wait(&s.brokenFlush, time.Second)
	wait(&s.progressAfter, 5*time.Second)
	wait(&s.feedPause, 30*time.Second)
	wait(&s.patience, 2*time.Second)
	wait(&s.calm, 10*time.Second)
	wait(&s.reserve, time.Second)
	set(&s.Senders, 2)
	set(&s.Mappers, 4)
	if s.Client == nil {
		s.Client = http.DefaultClient
	}
	if s.Logger == nil {
		s.Logger = zap.NewNop()
	}
	if s.Observer == nil {
		s.Observer = noObserver{}
	}
	return s
}

// segmentBytes is how many bytes of rows one segment may have over all tables. It is a small part of the memory, so
// that a few segments fit into it.
func (s *Settings) segmentBytes() int64 { return s.MaxQueueBytes / 8 }

// waitingBytes is how many bytes of closed segments are kept in memory. The rest is for requests on their way, the
// open segment, and segments that are read back.
func (s *Settings) waitingBytes() int64 { return s.MaxQueueBytes / 2 }

// loadedBytes is how many bytes of segments that were read back are kept for their other tables: a whole one, with the
// request that it was closed for.
func (s *Settings) loadedBytes() int64 { return s.segmentBytes() * 5 / 4 }

func orDefault[T comparable](v, d T) T {
	var zero T
	if v == zero {
		return d
	}
	return v
}
