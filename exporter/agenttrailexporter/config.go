package agenttrailexporter

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configcompression"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/confmap"

	"github.com/agenttrail/agenttrail/exporter/delivery"
	"github.com/agenttrail/agenttrail/exporter/journal"
	"github.com/agenttrail/agenttrail/exporter/mapping"
	"github.com/agenttrail/agenttrail/schema/prices"
)

// Config is what users set. README.md has it in the words of the configuration file.
type Config struct {
	// ClientConfig has the endpoint of ClickHouse's HTTP interface, TLS, headers, and the timeout of one INSERT. Its
	// compression is that of the blocks: lz4, zstd, none, or auto, which is none to this machine and lz4 over a network.
	confighttp.ClientConfig `mapstructure:",squash"`

	// Database holds the tables.
	Database string `mapstructure:"database"`
	// Username is the user of ClickHouse.
	Username string `mapstructure:"username"`
	// Password is the user's password.
	Password configopaque.String `mapstructure:"password"`

	// MaxBlockRows is how many rows one INSERT has at most.
	MaxBlockRows int `mapstructure:"max_block_rows"`
	// MaxBlockBytes is how many bytes one INSERT has at most, before compression. One row may exceed it.
	MaxBlockBytes int `mapstructure:"max_block_bytes"`
	// MaxQueueBytes is how many bytes of rows may be in memory before new requests have to wait.
	MaxQueueBytes int64 `mapstructure:"max_queue_bytes"`
	// MaxRequestBytes is how many bytes the rows of one request may take.
	MaxRequestBytes int64 `mapstructure:"max_request_bytes"`
	// MaxWait is how long a request waits for room before it is told to come back.
	MaxWait time.Duration `mapstructure:"max_wait"`
	// MaxAttributeBytes is the size to which attribute values are cut.
	MaxAttributeBytes int `mapstructure:"max_attribute_bytes"`
	// PricesFile is a list of model prices that replaces the shipped one, in the form of schema/prices/modelprices.json.
	PricesFile string `mapstructure:"prices_file"`
	// MaxBodyBytes is the size to which HTTP bodies and the text of log records are cut.
	MaxBodyBytes int `mapstructure:"max_body_bytes"`
	// MaxAgentSeries is how many agents have series of their own in the exporter's metrics; all others share one.
	MaxAgentSeries int `mapstructure:"max_agent_series"`
	// Journal says where rows are kept from the moment they are acknowledged until they are stored.
	Journal JournalConfig `mapstructure:"journal"`
	// FlushInterval is how long rows are collected before they are sent.
	FlushInterval time.Duration `mapstructure:"flush_interval"`
	// Retry says how an INSERT that failed is repeated, without end.
	Retry RetryConfig `mapstructure:"retry"`

	// prevent unkeyed literal initialization
	_ struct{}
}

// RetryConfig says how an INSERT that failed is repeated.
type RetryConfig struct {
	// InitialInterval is the first pause; it doubles every time.
	InitialInterval time.Duration `mapstructure:"initial_interval"`
	// MaxInterval is the longest pause.
	MaxInterval time.Duration `mapstructure:"max_interval"`

	// prevent unkeyed literal initialization
	_ struct{}
}

// JournalConfig says where rows are kept from the moment they are acknowledged until they are stored.
type JournalConfig struct {
	// Directory is the folder, which must be there after a restart. One process uses it at a time.
	Directory string `mapstructure:"directory"`
	// MaxBytes is how many bytes it may take. When they are used up, requests are refused until there is room.
	MaxBytes int64 `mapstructure:"max_bytes"`
	// Compression of the rows in it: lz4, none, or auto, which is lz4 while more than 1/8 of MaxBytes waits.
	Compression string `mapstructure:"compression"`
	// Window is how long a request is remembered after it was acknowledged, so that it is not stored again when its
	// client sends it again.
	Window time.Duration `mapstructure:"window"`
	// WindowRequests is how many requests are remembered at most.
	WindowRequests int `mapstructure:"window_requests"`

	// prevent unkeyed literal initialization
	_ struct{}
}

var (
	_ component.Config    = (*Config)(nil)
	_ confmap.Unmarshaler = (*Config)(nil)
)

func createDefaultConfig() component.Config {
	client := confighttp.NewDefaultClientConfig()
	client.Endpoint = "http://127.0.0.1:8123"
	client.Timeout = 30 * time.Second
	client.Compression = configcompression.Type(delivery.CompressionAuto)
	// Two blocks in flight for each table.
	const connections = 16
	keepalive := confighttp.NewDefaultKeepaliveClientConfig()
	keepalive.MaxIdleConnsPerHost = connections
	client.Keepalive = configoptional.Some(keepalive)
	return &Config{
		ClientConfig:    client,
		Database:        "agenttrail",
		Username:        "default",
		MaxBlockRows:    250_000,
		MaxBlockBytes:   64 << 20,
		MaxQueueBytes:   256 << 20,
		MaxRequestBytes: 256 << 20,
		MaxWait:         5 * time.Second,

		MaxAttributeBytes: mapping.DefaultMaxAttributeBytes,
		MaxBodyBytes:      mapping.DefaultMaxBodyBytes,
		MaxAgentSeries:    200,

		Retry: RetryConfig{
			InitialInterval: 100 * time.Millisecond,
			MaxInterval:     5 * time.Second,
		},
		Journal: JournalConfig{
			MaxBytes:       10 << 30,
			Compression:    string(journal.CompressionAuto),
			Window:         10 * time.Minute,
			WindowRequests: 500_000,
		},
		FlushInterval: 200 * time.Millisecond,
	}
}

// foreignKeys are settings of other exporters that people bring along, and what to do instead.
var foreignKeys = []struct{ key, advice string }{
	{"sending_queue", "the exporter has a journal on disk in place of the queue: a request is acknowledged when its rows are durable there, and a queue in front would acknowledge what it can lose; remove the key, bound the disk with journal::max_bytes and memory with max_queue_bytes"},
	{"retry_on_failure", "remove the key: what is in the journal is sent again until it is stored; retry::initial_interval and retry::max_interval set the pauses"},
	{"retry::max_elapsed_time", "remove the key: an INSERT is repeated until the rows are stored, since giving up would lose what was acknowledged; journal::max_bytes bounds what waits"},
	{"batcher", "remove the key: requests that come together are stored together"},
	{"async_insert", "remove the key: inserts are synchronous, so that rows leave the journal only when they are stored"},
	{"create_schema", "remove the key and run `agenttrail migrate clickhouse`"},
	{"ttl", "remove the key: `agenttrail migrate clickhouse` sets how long tables keep their rows"},
}

// Unmarshal implements [confmap.Unmarshaler], to say what to do about the keys of other exporters.
func (c *Config) Unmarshal(conf *confmap.Conf) error {
	var errs []error
	for _, f := range foreignKeys {
		if conf.IsSet(f.key) {
			errs = append(errs, fmt.Errorf("%s: %s", f.key, f.advice))
		}
	}
	if len(errs) == 0 {
		errs = unknownKeys(conf.ToStringMap(), reflect.TypeFor[Config](), "")
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return conf.Unmarshal(c)
}

// sections are the parts of the configuration that are structs of this package.
var sections = []reflect.Type{reflect.TypeFor[RetryConfig](), reflect.TypeFor[JournalConfig]()}

// unknownKeys returns an error for every key that type t does not have. confmap does not look for unknown keys in a
// struct that embeds one with an Unmarshal of its own, as confighttp.ClientConfig has.
func unknownKeys(m map[string]any, t reflect.Type, path string) []error {
	known := map[string]reflect.Type{}
	addKeys(known, t)
	var errs []error
	for _, key := range slices.Sorted(maps.Keys(m)) {
		typ, ok := known[key]
		if !ok {
			errs = append(errs, fmt.Errorf("%s%s: no such setting; there are %s", path, key, strings.Join(slices.Sorted(maps.Keys(known)), ", ")))
			continue
		}
		if sub, ok := m[key].(map[string]any); ok && slices.Contains(sections, typ) {
			errs = append(errs, unknownKeys(sub, typ, key+"::")...)
		}
	}
	return errs
}

func addKeys(known map[string]reflect.Type, t reflect.Type) {
	for f := range t.Fields() {
		name, opts, _ := strings.Cut(f.Tag.Get(confmap.MapstructureTag), ",")
		switch {
		case !f.IsExported():
		case opts == "squash":
			addKeys(known, f.Type)
		case name != "" && name != "-":
			known[name] = f.Type
		}
	}
}

// maxAgentSeries leaves room for four outcomes of each agent.
const maxAgentSeries = 400

// minValueBytes is the least size to which values may be cut: a cut value ends with a marker.
const minValueBytes = 64

// Validate implements [confmap.Validator].
func (c *Config) Validate() error {
	var errs []error
	check := func(ok bool, key, problem string) {
		if !ok {
			errs = append(errs, fmt.Errorf("%s: %s", key, problem))
		}
	}
	u, err := url.Parse(c.Endpoint)
	check(err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "", "endpoint",
		"give the address of ClickHouse's HTTP interface, such as http://127.0.0.1:8123; the native protocol of port 9000 is not spoken")
	check(c.Database != "", "database", "must not be empty")
	switch delivery.Compression(c.Compression) {
	case delivery.CompressionAuto, delivery.CompressionLZ4, delivery.CompressionZSTD, delivery.CompressionNone, "":
	default:
		check(false, "compression", fmt.Sprintf("%q is not known: use auto, lz4, zstd or none", c.Compression))
	}
	check(c.MaxBlockRows > 0 && c.MaxBlockRows < delivery.LimitBlockRows, "max_block_rows",
		fmt.Sprintf("must be from 1 to %d: ClickHouse cuts larger blocks, and a retry of one would be stored twice", delivery.LimitBlockRows-1))
	check(c.MaxBlockBytes > 0 && c.MaxBlockBytes <= delivery.LimitBlockBytes, "max_block_bytes",
		fmt.Sprintf("must be from 1 to %d: ClickHouse cuts larger blocks, and a retry of one would be stored twice", delivery.LimitBlockBytes))
	check(c.MaxQueueBytes > 0, "max_queue_bytes", "must be positive")
	check(c.MaxRequestBytes > 0, "max_request_bytes", "must be positive")
	check(c.MaxWait > 0, "max_wait", "must be positive, such as 5s")
	check(c.MaxAttributeBytes >= minValueBytes, "max_attribute_bytes", fmt.Sprintf("must be %d or more", minValueBytes))
	check(c.MaxBodyBytes >= minValueBytes, "max_body_bytes", fmt.Sprintf("must be %d or more", minValueBytes))
	check(c.MaxAgentSeries >= 0 && c.MaxAgentSeries <= maxAgentSeries, "max_agent_series", fmt.Sprintf("must be from 0 to %d: the SDK of the metrics keeps 2000 series of one", maxAgentSeries))
	check(c.Timeout > 0, "timeout", "must be positive, such as 30s: without it an INSERT whose answer got lost would wait for ever")
	check(c.Retry.InitialInterval > 0, "retry::initial_interval", "must be positive, such as 100ms")
	check(c.Retry.MaxInterval >= c.Retry.InitialInterval, "retry::max_interval", "must not be less than retry::initial_interval")
	check(c.FlushInterval > 0, "flush_interval", "must be positive, such as 200ms")
	check(c.Journal.Directory != "", "journal::directory",
		"give a folder on a disk that outlives the process, such as /var/lib/agenttrail/journal: requests are acknowledged when their rows are durable there")
	check(c.Journal.MaxBytes > 0, "journal::max_bytes", "must be positive, such as 10737418240")
	switch journal.Compression(c.Journal.Compression) {
	case journal.CompressionAuto, journal.CompressionLZ4, journal.CompressionNone:
	default:
		check(false, "journal::compression", fmt.Sprintf("%q is not known: use auto, lz4 or none", c.Journal.Compression))
	}
	check(c.Journal.Window > 0, "journal::window", "must be positive, such as 10m: a request whose acknowledgement was lost would be stored twice")
	check(c.Journal.WindowRequests > 0, "journal::window_requests", "must be positive, such as 500000")
	return errors.Join(errs...)
}

func (c *Config) mapping(list *prices.List) mapping.Config {
	return mapping.Config{MaxAttributeBytes: c.MaxAttributeBytes, MaxBodyBytes: c.MaxBodyBytes, Prices: list}
}

// prices reads the prices of models: those of prices_file, else the ones that this release ships.
func (c *Config) prices() (*prices.List, error) {
	if c.PricesFile == "" {
		return prices.Shipped()
	}
	f, err := os.Open(c.PricesFile)
	if err != nil {
		return nil, fmt.Errorf("open prices_file: %w", err)
	}
	defer f.Close()
	list, err := prices.Load(f)
	if err != nil {
		return nil, fmt.Errorf("read prices_file %s: %w", c.PricesFile, err)
	}
	return list, nil
}

// settings is what the writer needs, without what depends on the host.
func (c *Config) settings() delivery.Settings {
	return delivery.Settings{
		Endpoint:        c.Endpoint,
		Database:        c.Database,
		Username:        c.Username,
		Password:        string(c.Password),
		Compression:     delivery.Compression(c.Compression),
		MaxBlockRows:    c.MaxBlockRows,
		MaxBlockBytes:   c.MaxBlockBytes,
		MaxQueueBytes:   c.MaxQueueBytes,
		MaxRequestBytes: c.MaxRequestBytes,
		MaxWait:         c.MaxWait,
		RequestTimeout:  c.Timeout,
		RetryInitial:    c.Retry.InitialInterval,
		RetryMax:        c.Retry.MaxInterval,
		FlushInterval:   c.FlushInterval,
		Mappers:         max(2, runtime.GOMAXPROCS(0)),
		Journal: journal.Settings{
			Dir:            c.Journal.Directory,
			MaxBytes:       c.Journal.MaxBytes,
			Compression:    journal.Compression(c.Journal.Compression),
			Window:         c.Journal.Window,
			WindowRequests: c.Journal.WindowRequests,
		},
	}
}
