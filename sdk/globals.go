package agenttrail

import "go.opentelemetry.io/otel"

// setGlobals makes the Trail what libraries use that look for OpenTelemetry's global providers.
func (t *Trail) setGlobals() {
	otel.SetTracerProvider(t.tracers)
	otel.SetMeterProvider(t.meters)
	otel.SetLoggerProvider(t.loggers)
	otel.SetTextMapPropagator(Propagator())
}
