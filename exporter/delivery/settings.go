package delivery

import (
	"net/http"
	"time"

	"go.uber.org/zap"
)

// Compression is how blocks are compressed on their way to ClickHouse.
type Compression string

// The kinds of compression. Those of ClickHouse's own frames are meant, not HTTP's.
const (
	CompressionNone Compression = "none"
	CompressionLZ4  Compression = "lz4"
	CompressionZSTD Compression = "zstd"
)

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

	Compression Compression // (lz4)

	MaxBlockRows  int   // Rows per block and INSERT (250,000).
	MaxBlockBytes int   // Bytes per block before compression (64 MiB); one row may exceed it.
	MaxQueueBytes int64 // Bytes of rows that are not stored yet, over all requests (256 MiB).
	// A request whose rows take more than this is refused for good (MaxQueueBytes).
	MaxRequestBytes int64

	MaxWait        time.Duration // How long a new request waits for room (5 s).
	RequestTimeout time.Duration // Of one INSERT (30 s).
	RetryInitial   time.Duration // First pause before a retry (100 ms); it doubles every time.
	RetryMax       time.Duration // Longest pause (5 s).
	RetryElapsed   time.Duration // After which a request is told to come back (20 s).
	Pace           time.Duration // Least time between the starts of two groups (10 ms).

	Senders int // Groups in flight (2).
	Mappers int // Requests whose rows are being made at the same time (4).

	Client   *http.Client // (http.DefaultClient)
	Logger   *zap.Logger  // (none)
	Observer Observer     // (none)
}

func (s Settings) withDefaults() Settings {
	set := func(v *int, d int) { *v = orDefault(*v, d) }
	wait := func(v *time.Duration, d time.Duration) { *v = orDefault(*v, d) }
	s.Database = orDefault(s.Database, "agenttrail")
	s.Username = orDefault(s.Username, "default")
	s.Compression = orDefault(s.Compression, CompressionLZ4)
	set(&s.MaxBlockRows, 250_000)
	set(&s.MaxBlockBytes, 64<<20)
	s.MaxQueueBytes = orDefault(s.MaxQueueBytes, 256<<20)
	s.MaxRequestBytes = orDefault(s.MaxRequestBytes, s.MaxQueueBytes)
	wait(&s.MaxWait, 5*time.Second)
	wait(&s.RequestTimeout, 30*time.Second)
	wait(&s.RetryInitial, 100*time.Millisecond)
	wait(&s.RetryMax, 5*time.Second)
	wait(&s.RetryElapsed, 20*time.Second)
	wait(&s.Pace, 10*time.Millisecond)
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

func orDefault[T comparable](v, d T) T {
	var zero T
	if v == zero {
		return d
	}
	return v
}
