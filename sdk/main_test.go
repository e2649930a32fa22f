package agenttrail_test

import (
	"os"
	"testing"

	"github.com/agenttrail/agenttrail/internal/enginetest"
)

// TestMain lets examples, which say nothing of where telemetry goes, send it to stored.
func TestMain(m *testing.M) {
	server := stored.serve()
	defer server.Close()
	if err := os.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL); err != nil {
		panic(err)
	}
	enginetest.Main(m)
}
