package main

import (
	"context"
	"fmt"
	"os"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// ledgerServiceName is the service.name of the ledger's own telemetry.
const ledgerServiceName = "agenttrail-ledger"

// newLedgerTracing sends the ledger's spans to the collector at endpoint, a host:port that receives OTLP over gRPC in
// plain text. Spans are dropped, never waited for, when the collector is away: money does not depend on telemetry.
func newLedgerTracing(ctx context.Context, endpoint, environment string) (*sdktrace.TracerProvider, error) {
	exporter, err := otlptracegrpc.New(ctx, otlptracegrpc.WithEndpoint(endpoint), otlptracegrpc.WithInsecure())
	if err != nil {
		return nil, fmt.Errorf("open trace exporter: %w", err)
	}
	attrs := []attribute.KeyValue{
		attribute.String("service.name", ledgerServiceName),
		attribute.String("service.version", version),
		attribute.String("service.instance.id", uuid.NewString()),
	}
	if host, err := os.Hostname(); err == nil {
		attrs = append(attrs, attribute.String("host.name", host))
	}
	if environment != "" {
		attrs = append(attrs, attribute.String("deployment.environment.name", environment))
	}
	return sdktrace.NewTracerProvider(sdktrace.WithResource(resource.NewSchemaless(attrs...)), sdktrace.WithBatcher(exporter)), nil
}
