// Package agenttrail instruments programs that run AI agents: runs, model calls, tools, logs, HTTP requests, errors and
// security events, as OpenTelemetry that AgentTrail turns into complete rows.
//
//	trail, err := agenttrail.Init(ctx, agenttrail.WithService("support", "1.4.0"))
//	defer trail.Shutdown(ctx)
//
//	ctx, run := trail.StartExecution(ctx, agenttrail.Run{Agent: agenttrail.Agent{ID: "support-triage"}, UserID: user})
//	defer run.End(&err)
//
// [Init] makes what sends telemetry; it reads the standard OTEL_* variables. [Trail.StartExecution] begins a run, and
// [StartModelCall], [StartTool] and [StartStep] begin its steps. They, [Log] and [RecordSecurity] find the run in the
// context, so that code below needs nothing but that. [Trail.Handler] does the same for log/slog, [Trail.Middleware] and
// [Trail.Transport] for net/http.
//
// # It never stands in the way
//
// What records never blocks, fails or panics because of the backend. Ended spans and log records wait in bounded memory
// until the collector took them, however long it is away; what does not fit is counted by [Trail.Lost], and said once
// for each outage. [Trail.Flush] and [Trail.Shutdown] obey their context.
//
// # Ids
//
// Every span and log record carries the ids of its run, agent, user and session. [Propagator] carries them to other
// services in the W3C baggage, under the names of the attributes; see [Identity].
package agenttrail
