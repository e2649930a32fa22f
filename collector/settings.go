package collector

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
)

// configURIs turns settings into what the collector's configuration is read from, and returns the address of the
// health check if settings names it.
func configURIs(settings Settings) (uris []string, health string, err error) {
	uris = append(uris, settings.ConfigURIs...)
	if len(uris) == 0 {
		uris = append(uris, "yaml:"+DefaultConfig)
	}
	named, health, err := namedOverrides(settings)
	if err != nil {
		return nil, "", err
	}
	if named != "" {
		uris = append(uris, named)
	}
	for _, o := range settings.Overrides {
		key, value, ok := strings.Cut(o, "=")
		if key = strings.TrimSpace(key); !ok || key == "" {
			return nil, "", fmt.Errorf("read override %q: write it as key=value, such as exporters::agenttrail::endpoint=http://127.0.0.1:8123", o)
		}
		if !strings.Contains(key, "::") {
			key = strings.ReplaceAll(key, ".", "::")
		}
		uris = append(uris, "yaml:"+key+": "+strings.TrimSpace(value))
	}
	return uris, health, nil
}

// namedOverrides is the URI of the settings that have a field of their own.
func namedOverrides(settings Settings) (uri, health string, err error) {
	overrides := map[string]any{}
	set := func(key, value string) {
		if value != "" {
			// A dollar sign would start a reference to the environment, and a password may have one.
			overrides[key] = strings.ReplaceAll(value, "$", "$$")
		}
	}
	set("receivers::otlp::protocols::grpc::endpoint", settings.GRPCAddr)
	set("receivers::otlp::protocols::http::endpoint", settings.HTTPAddr)
	set("exporters::agenttrail::endpoint", settings.ClickHouseURL)
	set("exporters::agenttrail::database", settings.Database)
	set("exporters::agenttrail::journal::directory", settings.JournalDir)
	if settings.DataDir != "" {
		overrides["receivers::agenttrail_host::paths"] = []any{strings.ReplaceAll(settings.DataDir, "$", "$$")}
	}
	if settings.HealthAddr != "" {
		if health, err = fixedPort(settings.HealthAddr); err != nil {
			return "", "", fmt.Errorf("read address of the health check: %w", err)
		}
		set("extensions::health_check::endpoint", health)
	}
	if settings.MetricsAddr != "" {
		host, port, err := net.SplitHostPort(settings.MetricsAddr)
		if err != nil {
			return "", "", fmt.Errorf("read address of the metrics: %w", err)
		}
		number, err := strconv.Atoi(port)
		if err != nil {
			return "", "", fmt.Errorf("read address of the metrics: %q is not a port", port)
		}
		prometheus := map[string]any{"host": host, "port": number}
		overrides["service::telemetry::metrics::readers"] = []any{
			map[string]any{"pull": map[string]any{"exporter": map[string]any{"prometheus": prometheus}}},
		}
	}
	if len(overrides) == 0 {
		return "", health, nil
	}
	text, err := json.Marshal(overrides) // JSON is YAML.
	if err != nil {
		return "", "", fmt.Errorf("write overrides: %w", err)
	}
	return "yaml:" + string(text), health, nil
}

// Ports that fixedPort takes. Systems give out higher ones by themselves, so that nobody else is given one of these in the
// moment until it is used.
const lowestPort, highestPort = 15_000, 32_000

// fixedPort replaces port 0 by a free one. The health check does not tell which port it got, so it must be told; in
// between, another program may take the port, which is then an error like that of any taken port.
func fixedPort(addr string) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || port != "0" {
		return addr, err
	}
	for range 100 {
		at := net.JoinHostPort(host, strconv.Itoa(lowestPort+rand.N(highestPort-lowestPort))) //nolint:gosec // Not a secret.
		var l net.Listener
		if l, err = net.Listen("tcp", at); err == nil { //nolint:noctx // Closed at once.
			return at, l.Close()
		}
	}
	return "", err
}
