package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/runtime"

	sdk "github.com/agenttrail/agenttrail/sdk"
)

// ledgerServiceName is the service.name of the ledger's own telemetry.
const ledgerServiceName = "agenttrail-ledger"

// ledgerMetricInterval is how often the ledger says how it is.
const ledgerMetricInterval = 15 * time.Second

// newLedgerTrail sends the ledger's spans, security events and runtime metrics to the collector at endpoint, a host:port
// that receives OTLP over gRPC in plain text. They are dropped, never waited for, when the collector is away: money does not
// depend on telemetry.
func newLedgerTrail(ctx context.Context, endpoint, environment string, logger *slog.Logger) (*sdk.Trail, error) {
	options := []sdk.Option{
		sdk.WithService(ledgerServiceName, version), sdk.WithEndpoint("http://" + endpoint), sdk.WithProtocol("grpc"),
		sdk.WithMetricInterval(ledgerMetricInterval), sdk.WithLogger(logger),
	}
	if environment != "" {
		options = append(options, sdk.WithEnvironment(environment))
	}
	trail, err := sdk.Init(ctx, options...)
	if err != nil {
		return nil, fmt.Errorf("open telemetry of the ledger: %w", err)
	}
	if err := runtime.Start(runtime.WithMeterProvider(trail.MeterProvider())); err != nil {
		return nil, errors.Join(fmt.Errorf("open telemetry of the ledger: %w", err), trail.Shutdown(ctx))
	}
	return trail, nil
}

// shutdownTrail sends what is left. A collector that is away does not make the stop of the ledger fail.
func shutdownTrail(t *sdk.Trail) func(context.Context) error {
	return func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
		defer cancel()
		_ = t.Shutdown(ctx)
		return nil
	}
}
