package agenttrail

import (
	"cmp"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// envSampler names a sampler of OpenTelemetry's SDK, which reads it and what it decides by.
const envSampler = "OTEL_TRACES_SAMPLER"

// signal is one of the three kinds of telemetry, named as in OTEL_EXPORTER_OTLP_<SIGNAL>_ENDPOINT.
type signal string

const (
	signalTraces  signal = "TRACES"
	signalLogs    signal = "LOGS"
	signalMetrics signal = "METRICS"
)

var signals = []signal{signalTraces, signalLogs, signalMetrics}

// The protocols of OTEL_EXPORTER_OTLP_PROTOCOL that are there.
const (
	protocolHTTP = "http/protobuf"
	protocolGRPC = "grpc"
)

// otlpVariable returns a variable of OTLP exporters: that of the signal, else that of all.
func otlpVariable(s signal, name string) string {
	return cmp.Or(os.Getenv("OTEL_EXPORTER_OTLP_"+string(s)+"_"+name), os.Getenv("OTEL_EXPORTER_OTLP_"+name))
}

// protocolOf returns how a signal is sent.
func (c *config) protocolOf(s signal) string {
	return cmp.Or(c.protocol, otlpVariable(s, "PROTOCOL"), protocolHTTP)
}

// readEnvironment reads the variables that OpenTelemetry's SDK and exporters do not read by themselves.
func (c *config) readEnvironment() error {
	c.exports = map[signal]bool{}
	disabled := strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true")
	for _, s := range signals {
		name := "OTEL_" + string(s) + "_EXPORTER"
		switch value := os.Getenv(name); value {
		case "", "otlp":
			c.exports[s] = !disabled
		case "none":
		default:
			return fmt.Errorf("read %s: %q is not known; it must be otlp or none", name, value)
		}
	}
	if err := c.spans.readEnvironment("OTEL_BSP_"); err != nil {
		return err
	}
	if err := c.logs.readEnvironment("OTEL_BLRP_"); err != nil {
		return err
	}
	c.timeout = defaultTimeout
	return nil
}

// readEnvironment reads the variables of a batch processor. The export timeout is that of OTEL_EXPORTER_OTLP_TIMEOUT,
// because a batch that was not taken in time is sent again.
func (b *batching) readEnvironment(prefix string) error {
	if err := readMillis(prefix+"SCHEDULE_DELAY", &b.delay); err != nil {
		return err
	}
	if err := readCount(prefix+"MAX_QUEUE_SIZE", &b.maxCount); err != nil {
		return err
	}
	return readCount(prefix+"MAX_EXPORT_BATCH_SIZE", &b.batch)
}

func readMillis(name string, d *time.Duration) error {
	var ms int
	if err := readCount(name, &ms); err != nil || ms == 0 {
		return err
	}
	*d = time.Duration(ms) * time.Millisecond
	return nil
}

// readCount reads a number above zero; a variable that is empty or not set leaves it as it is.
func readCount(name string, n *int) error {
	value := strings.TrimSpace(os.Getenv(name))
	if value == "" {
		return nil
	}
	read, err := strconv.Atoi(value)
	if err != nil || read < 1 {
		return fmt.Errorf("read %s: %q is not a number above zero", name, value)
	}
	*n = read
	return nil
}
