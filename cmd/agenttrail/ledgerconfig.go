package main

import (
	"bytes"
	"cmp"
	_ "embed" // For the default configuration.
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"go.yaml.in/yaml/v3"
)

// defaultLedgerConfig is the configuration that is used when none is given, with comments.
//
//go:embed ledger.yaml
var defaultLedgerConfig string

// ledgerConfig is what users set of the ledger. ledger.yaml describes it.
type ledgerConfig struct {
	Listen      string `yaml:"listen"`
	PostgresURL string `yaml:"postgres_url"`
	Pool        struct {
		MaxConnections int           `yaml:"max_connections"`
		AcquireTimeout time.Duration `yaml:"acquire_timeout"`
	} `yaml:"pool"`
	Requests struct {
		MaxBodyBytes      int64         `yaml:"max_body_bytes"`
		MaxInFlight       int           `yaml:"max_in_flight"`
		MaxInFlightPerKey int           `yaml:"max_in_flight_per_key"`
		Timeout           time.Duration `yaml:"timeout"`
	} `yaml:"requests"`
	Jobs struct {
		ExpireEvery   time.Duration `yaml:"expire_every"`
		SealEvery     time.Duration `yaml:"seal_every"`
		MaintainEvery time.Duration `yaml:"maintain_every"`
	} `yaml:"jobs"`
	Stripe         stripeConfig         `yaml:"stripe"`
	Packages       []packageConfig      `yaml:"packages"`
	ClickHouse     clickHouseConfig     `yaml:"clickhouse"`
	Reconciliation reconciliationConfig `yaml:"reconciliation"`
	Forecast       forecastConfig       `yaml:"forecast"`
	Coverage       coverageConfig       `yaml:"coverage"`
	Telemetry      struct {
		OTLPEndpoint string `yaml:"otlp_endpoint"`
		Environment  string `yaml:"environment"`
	} `yaml:"telemetry"`
	Stop struct {
		Delay   time.Duration `yaml:"delay"`
		Timeout time.Duration `yaml:"timeout"`
	} `yaml:"stop"`
}

// minConnections lets every job hold its lock on a connection while one more does the work.
const minConnections = 6

// newDefaultLedgerConfig is the built-in configuration.
func newDefaultLedgerConfig() ledgerConfig {
	var c ledgerConfig
	if err := c.read([]byte(defaultLedgerConfig)); err != nil {
		panic(fmt.Sprintf("BUG: the built-in configuration: %v", err))
	}
	return c
}

// loadLedgerConfig reads a file over the built-in configuration; no file leaves that.
func loadLedgerConfig(file string) (ledgerConfig, error) {
	c := newDefaultLedgerConfig()
	if file == "" {
		return c, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return c, fmt.Errorf("read configuration: %w", err)
	}
	if err := c.read(text); err != nil {
		return c, fmt.Errorf("read configuration %s: %w", file, err)
	}
	return c, nil
}

// read sets what the text has, and refuses keys that nothing has.
func (c *ledgerConfig) read(text []byte) error {
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(c); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// Validate names every key that is wrong.
func (c *ledgerConfig) Validate() error {
	var errs []error
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		errs = append(errs, fmt.Errorf("listen: %w", err))
	}
	if c.PostgresURL == "" {
		errs = append(errs, errors.New("postgres_url: say where Postgres is, here, with --url or in "+envPostgresURL))
	}
	if c.Pool.MaxConnections < minConnections {
		errs = append(errs, fmt.Errorf("pool::max_connections: must be at least %d", minConnections))
	}
	for _, n := range []struct {
		key   string
		value int64
	}{
		{"requests::max_body_bytes", c.Requests.MaxBodyBytes},
		{"requests::max_in_flight", int64(c.Requests.MaxInFlight)},
		{"requests::max_in_flight_per_key", int64(c.Requests.MaxInFlightPerKey)},
		{"pool::acquire_timeout", int64(c.Pool.AcquireTimeout)},
		{"requests::timeout", int64(c.Requests.Timeout)},
		{"jobs::expire_every", int64(c.Jobs.ExpireEvery)},
		{"jobs::seal_every", int64(c.Jobs.SealEvery)},
		{"jobs::maintain_every", int64(c.Jobs.MaintainEvery)},
		{"stop::timeout", int64(c.Stop.Timeout)},
	} {
		if n.value <= 0 {
			errs = append(errs, fmt.Errorf("%s: must be more than 0", n.key))
		}
	}
	errs = append(errs, c.validatePayments()...)
	errs = append(errs, c.validateTelemetry()...)
	if c.Stop.Delay < 0 {
		errs = append(errs, errors.New("stop::delay: must not be negative"))
	}
	if e := c.Telemetry.OTLPEndpoint; e != "" {
		if _, _, err := net.SplitHostPort(e); err != nil {
			errs = append(errs, fmt.Errorf("telemetry::otlp_endpoint: %w", err))
		}
	}
	return errors.Join(errs...)
}

// override sets what flags and the environment say.
func (c *ledgerConfig) override(listen, url, otlp string) {
	c.Listen = cmp.Or(listen, c.Listen)
	c.PostgresURL = cmp.Or(url, c.PostgresURL, os.Getenv(envPostgresURL))
	c.Stripe.override()
	c.ClickHouse.override()
	c.Telemetry.OTLPEndpoint = cmp.Or(otlp, c.Telemetry.OTLPEndpoint)
}
