package agenttrail_test

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	agenttrail "github.com/agenttrail/agenttrail/sdk"
)

func ExampleInit() {
	stored.forget()
	ctx := context.Background()
	trail, err := agenttrail.Init(ctx,
		agenttrail.WithService("support", "1.4.0"),
		agenttrail.WithEnvironment("production"),
		agenttrail.WithResource(attribute.String("team", "blue")),
		agenttrail.WithHeaders(map[string]string{"X-Gateway-Key": "k"}),
		agenttrail.WithProtocol("http/protobuf"),
		agenttrail.WithInterval(200*time.Millisecond),
		agenttrail.WithMetricInterval(10*time.Second),
		agenttrail.WithLogger(slog.New(slog.DiscardHandler)),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, run := trail.StartExecution(ctx, agenttrail.Run{Agent: triage})
	run.End(nil)
	if err := trail.Shutdown(ctx); err != nil {
		fmt.Println(err)
	}
	stored.print("AgentExecution", "serviceName", "environment")
	// Output:
	// AgentExecution: support, production
}

// A program that has providers already keeps them.
func ExampleWithProviders() {
	ctx := context.Background()
	own := sdktrace.NewTracerProvider()
	trail, err := agenttrail.Init(ctx, agenttrail.WithProviders(agenttrail.Providers{Tracer: own}))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(trail.TracerProvider() == own)
	fmt.Println(trail.Shutdown(ctx)) // The program stops its own.
	// Output:
	// true
	// <nil>
}

// Libraries that look for the global providers of OpenTelemetry find those of the Trail.
func ExampleWithGlobals() {
	before, propagator, meters, loggers := otel.GetTracerProvider(), otel.GetTextMapPropagator(), otel.GetMeterProvider(), otel.GetLoggerProvider()
	ctx, trail := begin(agenttrail.WithGlobals())
	_, span := otel.Tracer("some/library").Start(ctx, "library work")
	span.End()
	fmt.Println(otel.GetLoggerProvider() == trail.LoggerProvider())
	end(ctx, trail)
	stored.print("Span", "name", "serviceName")
	otel.SetTracerProvider(before)
	otel.SetTextMapPropagator(propagator)
	otel.SetMeterProvider(meters)
	otel.SetLoggerProvider(loggers)
	// Output:
	// true
	// Span: library work, support
}

func ExampleTrail_MeterProvider() {
	ctx, trail := begin()
	tickets, err := trail.MeterProvider().Meter("support").Int64Counter("support.tickets", metric.WithUnit("{ticket}"))
	if err != nil {
		fmt.Println(err)
	}
	tickets.Add(ctx, 2)
	end(ctx, trail)
	stored.print("SystemMetrics", "metric", "value", "unit", "component")
	// Output:
	// SystemMetrics: support.tickets, 2, {ticket}, support
}

// Where a run begins elsewhere, a context still can have the Trail.
func ExampleTrail_Context() {
	ctx, trail := begin()
	ctx = trail.Context(ctx)
	_, step := agenttrail.StartStep(ctx, agenttrail.StepMemory, "compact memories")
	step.End(nil)
	end(ctx, trail)
	stored.print("Span", "operation", "name")
	// Output:
	// Span: memory, compact memories
}

// Nobody takes the telemetry: the program goes on, and says what was lost.
func ExampleTrail_Lost() {
	ctx, trail := begin(agenttrail.WithEndpoint("http://127.0.0.1:1"), agenttrail.WithBuffer(2, 1<<20), agenttrail.WithLogger(slog.New(slog.DiscardHandler)))
	for range 5 {
		_, run := trail.StartExecution(ctx, agenttrail.Run{Agent: triage})
		run.End(nil)
	}
	fmt.Println(trail.Lost().Spans)
	short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	fmt.Println(trail.Flush(short) != nil, trail.Shutdown(short) != nil)
	fmt.Println(trail.Lost() == agenttrail.Loss{Spans: 5, Metrics: trail.Lost().Metrics})
	// Output:
	// 3
	// true true
	// true
}

func ExampleTrail_Flush() {
	ctx, trail := begin()
	_, run := trail.StartExecution(ctx, agenttrail.Run{Agent: triage})
	run.End(nil)
	fmt.Println(trail.Flush(ctx)) // Before a serverless function is frozen, for example.
	stored.print("AgentExecution", "agentId", "status")
	end(ctx, trail)
	// Output:
	// <nil>
	// AgentExecution: support-triage, success
}
