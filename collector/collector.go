// Package collector is AgentTrail's distribution of the OpenTelemetry Collector: OTLP in, ClickHouse out.
//
// It runs inside other programs: it handles no signals, and it says when it listens and where.
package collector

import (
	"context"
	_ "embed" // For the default configuration.
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"syscall"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/provider/envprovider"
	"go.opentelemetry.io/collector/confmap/provider/fileprovider"
	"go.opentelemetry.io/collector/confmap/provider/yamlprovider"
	"go.opentelemetry.io/collector/otelcol"

	"github.com/agenttrail/agenttrail/collector/durability"
	"github.com/agenttrail/agenttrail/collector/otlp/choice"
)

// DefaultConfig is the configuration that is used when none is given, with comments.
//
//go:embed config.yaml
var DefaultConfig string

// Name is the service name of the collector in its own telemetry.
const Name = "agenttrail-collector"

// The addresses of DefaultConfig.
const (
	DefaultGRPCAddr    = "127.0.0.1:4317"
	DefaultHTTPAddr    = "127.0.0.1:4318"
	DefaultHealthAddr  = "127.0.0.1:13133"
	DefaultMetricsAddr = "127.0.0.1:8888"
)

// Settings says how a [Collector] runs. Fields that are empty leave the configuration as it is.
type Settings struct {
	// ConfigURIs are files, or URIs such as file:…, env:… and yaml:…; later ones win. None means DefaultConfig.
	ConfigURIs []string
	// Overrides are single values that win over all configuration, such as
	// exporters::agenttrail::endpoint=http://127.0.0.1:8123; dots may stand for the double colons.
	Overrides []string

	// What programs override most, host:port each; port 0 takes a free one.
	GRPCAddr, HTTPAddr, HealthAddr, MetricsAddr string
	// ClickHouseURL is the address of ClickHouse's HTTP interface, with user and password if it needs them.
	ClickHouseURL string
	// Database is the ClickHouse database with the tables.
	Database string
	// JournalDir is the folder of the exporter's journal, which must outlive the process.
	JournalDir string
	// DataDir is the folder whose disk is reported, where it is not the current one.
	DataDir string

	// Version is the version of the program.
	Version string
	// Logger, if set, takes the collector's logs, whatever service::telemetry::logs says about where they go.
	Logger *slog.Logger
}

// Collector is one collector. It runs once, by Run, or by Start and Shutdown.
type Collector struct {
	col   *otelcol.Collector
	watch *watch
	ready chan struct{}

	mu    sync.Mutex
	stop  context.CancelFunc // Set by Start.
	ended chan struct{}      // Closed when the Run of Start has returned.
	errs  chan error         // Its error, if nobody asked it to stop.
	err   error              // Its error, valid once ended is closed.

	warnings []string // Of the configuration that was read last.
}

// New reads no configuration yet; Run and Validate do.
func New(settings Settings) (*Collector, error) {
	uris, health, err := configURIs(settings)
	if err != nil {
		return nil, err
	}
	w := &watch{logger: settings.Logger, at: Addrs{Health: health}}
	c := &Collector{watch: w, ready: make(chan struct{}), ended: make(chan struct{}), errs: make(chan error, 1)}
	c.col, err = otelcol.NewCollector(otelcol.CollectorSettings{
		BuildInfo:               component.BuildInfo{Command: Name, Description: "AgentTrail collector", Version: settings.Version},
		Factories:               func() (otelcol.Factories, error) { return components(w) },
		DisableGracefulShutdown: true,
		LoggingOptions:          w.loggingOptions(),
		// Its logs are about connections of clients that went away.
		SkipSettingGRPCLogger: true,
		ConfigProviderSettings: otelcol.ConfigProviderSettings{ResolverSettings: confmap.ResolverSettings{
			URIs:              uris,
			ProviderFactories: []confmap.ProviderFactory{fileprovider.NewFactory(), envprovider.NewFactory(), yamlprovider.NewFactory()},
			DefaultScheme:     "env",
			// Before the collector says that it does not know a component, people learn that they must not have it.
			ConverterFactories: []confmap.ConverterFactory{durability.NewFactoryFunc(c.setWarnings), choice.NewFactory()},
		}},
	})
	if err != nil {
		return nil, fmt.Errorf("make collector: %w", err)
	}
	return c, nil
}

// Validate reads the configuration and returns what is wrong with it, without opening anything. What is doubtful is in
// Warnings then.
func (c *Collector) Validate(ctx context.Context) error {
	if err := c.col.DryRun(ctx); err != nil {
		return fmt.Errorf("check configuration: %w", advise(err))
	}
	return nil
}

// Warnings are what is doubtful about the configuration that was read last, a sentence each: with it, something that
// was acknowledged may be lost. A collector that runs logs them too.
func (c *Collector) Warnings() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.warnings
}

func (c *Collector) setWarnings(warnings []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.warnings = warnings
}

// Run starts the collector and runs it until ctx is done. Then it stops receiving, stores what it accepted, and
// returns nil.
func (c *Collector) Run(ctx context.Context) error {
	done := make(chan struct{})
	var watcher sync.WaitGroup
	watcher.Go(func() { c.awaitRunning(done) })
	err := c.col.Run(ctx)
	close(done)
	watcher.Wait()
	switch {
	case err != nil:
		return fmt.Errorf("run collector: %w", advise(err))
	case ctx.Err() == nil:
		return errors.New("run collector: it stopped by itself after an error of a component: its log says which")
	}
	return nil
}

// Start runs the collector until Shutdown, and returns when it receives. ctx bounds the start only.
func (c *Collector) Start(ctx context.Context) error {
	c.mu.Lock()
	if c.stop != nil {
		c.mu.Unlock()
		return errors.New("start collector: it was started or shut down before")
	}
	runCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
	c.stop = stop
	c.mu.Unlock()
	go func() {
		defer close(c.ended)
		c.err = c.Run(runCtx)
		if c.err != nil && runCtx.Err() == nil {
			c.errs <- c.err
		}
	}()
	select {
	case <-c.ready:
		return nil
	case <-c.ended:
		select {
		case <-c.errs: // Returned here instead.
		default:
		}
		return c.err
	case <-ctx.Done():
		stop()
		<-c.ended
		return fmt.Errorf("start collector: %w", context.Cause(ctx))
	}
}

// Err delivers the error of a started collector that stops by itself.
func (c *Collector) Err() <-chan error { return c.errs }

// Shutdown stops receiving and stores what was accepted. When ctx ends first it returns, and the rest goes on by
// itself. It may be called twice, and without Start.
func (c *Collector) Shutdown(ctx context.Context) error {
	c.mu.Lock()
	if c.stop == nil { // Never started, and never will be.
		c.stop = func() {}
		close(c.ended)
	}
	stop := c.stop
	c.mu.Unlock()
	stop()
	select {
	case <-c.ended:
		return c.err
	case <-ctx.Done():
		return fmt.Errorf("stop collector: %w", context.Cause(ctx))
	}
}

// awaitRunning closes ready when the collector says that it runs.
func (c *Collector) awaitRunning(done <-chan struct{}) {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if c.col.GetState() == otelcol.StateRunning {
				close(c.ready)
				return
			}
		case <-done:
			return
		}
	}
}

// Ready is closed when the collector receives. It is never closed when Run fails before.
func (c *Collector) Ready() <-chan struct{} { return c.ready }

// Addrs returns where the collector listens. It is complete once Ready is closed.
func (c *Collector) Addrs() Addrs { return c.watch.addrs() }

// advise adds what to do to errors that newcomers meet, and leaves out how the collector came to a clear one.
func advise(err error) error {
	if lossy, ok := errors.AsType[*durability.Error](err); ok {
		return lossy
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%w: another program listens there: end it, or choose another address in the configuration", err)
	}
	return err
}
