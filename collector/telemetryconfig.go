package collector

import (
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configtelemetry"
	"go.opentelemetry.io/collector/confmap"
	"go.uber.org/zap/zapcore"
)

// telemetryConfig is service::telemetry: the keys of the standard collector for its log and its Prometheus metrics,
// with the same defaults. What needs OTLP exporters for the collector's own telemetry is left out.
type telemetryConfig struct {
	Logs     logsConfig     `mapstructure:"logs"`
	Metrics  metricsConfig  `mapstructure:"metrics"`
	Resource map[string]any `mapstructure:"resource"`
}

type logsConfig struct {
	Level              zapcore.Level   `mapstructure:"level"`
	Development        bool            `mapstructure:"development"`
	Encoding           string          `mapstructure:"encoding"`
	DisableCaller      bool            `mapstructure:"disable_caller"`
	DisableStacktrace  bool            `mapstructure:"disable_stacktrace"`
	Sampling           *samplingConfig `mapstructure:"sampling"`
	OutputPaths        []string        `mapstructure:"output_paths"`
	ErrorOutputPaths   []string        `mapstructure:"error_output_paths"`
	InitialFields      map[string]any  `mapstructure:"initial_fields"`
	DisableZapResource bool            `mapstructure:"disable_zap_resource"`
}

type samplingConfig struct {
	Enabled    bool          `mapstructure:"enabled"`
	Tick       time.Duration `mapstructure:"tick"`
	Initial    int           `mapstructure:"initial"`
	Thereafter int           `mapstructure:"thereafter"`
}

type metricsConfig struct {
	Level   configtelemetry.Level `mapstructure:"level"`
	Readers []readerConfig        `mapstructure:"readers"`
}

type readerConfig struct {
	Pull *pullConfig `mapstructure:"pull"`
}

type pullConfig struct {
	Exporter pullExporterConfig `mapstructure:"exporter"`
}

type pullExporterConfig struct {
	Prometheus *prometheusConfig `mapstructure:"prometheus"`
}

type prometheusConfig struct {
	Host string `mapstructure:"host"`
	Port int    `mapstructure:"port"`
	// True unless they are set, so that metrics have the names of a collector whose readers are not configured.
	WithoutScopeInfo           *bool          `mapstructure:"without_scope_info"`
	WithoutUnits               *bool          `mapstructure:"without_units"`
	WithoutTypeSuffix          *bool          `mapstructure:"without_type_suffix"`
	WithResourceConstantLabels *includeConfig `mapstructure:"with_resource_constant_labels"`
}

type includeConfig struct {
	Included []string `mapstructure:"included"`
	Excluded []string `mapstructure:"excluded"`
}

var _ confmap.Unmarshaler = (*telemetryConfig)(nil)

func createTelemetryConfig() component.Config {
	return &telemetryConfig{
		Logs: logsConfig{
			Level:            zapcore.InfoLevel,
			Encoding:         "console",
			Sampling:         &samplingConfig{Enabled: true, Tick: 10 * time.Second, Initial: 10, Thereafter: 100},
			OutputPaths:      []string{"stderr"},
			ErrorOutputPaths: []string{"stderr"},
		},
		Metrics: metricsConfig{
			Level: configtelemetry.LevelNormal,
			Readers: []readerConfig{{Pull: &pullConfig{Exporter: pullExporterConfig{Prometheus: &prometheusConfig{
				Host: "localhost", Port: 8888,
			}}}}},
		},
	}
}

const adviceOwnDistribution = "this distribution reports about itself by its log and by Prometheus metrics only; build one of your own with collector/builder-config.yaml to have it"

// Unmarshal implements [confmap.Unmarshaler], to say what is wrong with keys that the standard collector knows.
func (c *telemetryConfig) Unmarshal(conf *confmap.Conf) error {
	var errs []error
	for _, key := range []string{"traces", "logs::processors", "metrics::views", "metrics::address"} {
		if conf.IsSet(key) {
			errs = append(errs, fmt.Errorf("service::telemetry::%s: %s", key, adviceOwnDistribution))
		}
	}
	if readers, ok := conf.Get("metrics::readers").([]any); ok {
		for i, r := range readers {
			if m, ok := r.(map[string]any); ok && m["periodic"] != nil {
				errs = append(errs, fmt.Errorf("service::telemetry::metrics::readers[%d]::periodic: %s", i, adviceOwnDistribution))
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if conf.IsSet("metrics::readers") {
		c.Metrics.Readers = nil // Readers that are given replace the default one instead of mixing with it.
	}
	return conf.Unmarshal(c)
}

// Validate implements [confmap.Validator].
func (c *telemetryConfig) Validate() error {
	var errs []error
	if e := c.Logs.Encoding; e != "console" && e != "json" {
		errs = append(errs, fmt.Errorf("logs::encoding: %q is not known: use console or json", e))
	}
	if c.Metrics.Level != configtelemetry.LevelNone && len(c.Metrics.Readers) == 0 {
		errs = append(errs, errors.New("metrics::readers: give one, or set metrics::level to none"))
	}
	for i, r := range c.Metrics.Readers {
		key := fmt.Sprintf("metrics::readers[%d]::pull::exporter::prometheus", i)
		if r.Pull == nil || r.Pull.Exporter.Prometheus == nil {
			errs = append(errs, fmt.Errorf("%s: must be there", key))
			continue
		}
		p := r.Pull.Exporter.Prometheus
		if p.Host == "" {
			errs = append(errs, fmt.Errorf("%s::host: must not be empty, such as 127.0.0.1", key))
		}
		if p.Port < 0 || p.Port > 65535 {
			errs = append(errs, fmt.Errorf("%s::port: must be from 0 to 65535", key))
		}
	}
	if _, err := c.resourceOverrides(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// resourceOverrides returns the attributes of service::telemetry::resource, in either of the forms that the standard
// collector knows: a map, or a list of name and value under attributes. A null removes an attribute.
func (c *telemetryConfig) resourceOverrides() (map[string]any, error) {
	list, ok := c.Resource["attributes"].([]any)
	if !ok {
		return c.Resource, nil
	}
	attrs := make(map[string]any, len(list))
	for i, e := range list {
		m, _ := e.(map[string]any)
		name, _ := m["name"].(string)
		if name == "" {
			return nil, fmt.Errorf("resource::attributes[%d]: must have a name and a value", i)
		}
		attrs[name] = m["value"]
	}
	return attrs, nil
}
