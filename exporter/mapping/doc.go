// Package mapping turns the records of one OTLP request into rows of the ClickHouse tables.
//
// It is a pure function of the request and the time at which it was received: the same input gives the same rows,
// ids included, so that a replay is harmless. Nothing is remembered from one request to the next; what needs spans
// of another request is joined on traceId by the views.
//
// Every decision is one table: which spans are runs (classRules), who ran (agentIDs, userIDs, sessionIDs,
// executionIDs), what it used (usageTables, costs), how it ended (timeoutTypes, cancelTypes, failureMarks) and how
// long it took (firstOutputs). A row names the attribute and the convention or emitter it comes from, in order of
// precedence; adding a dialect is adding rows. The project's own attributes, agenttrail.*, come first everywhere.
//
// # What is a run
//
// Each span of class agent is a run. A span of class workflow is a run only when no run encloses it in the same
// request; the agents below it are runs of their own with its id as parent. A span that creates an agent is none.
//
// Two instrumentations may report one run as parent and child. They become one row when the child is the only run
// right below the parent and either both carry the same agenttrail.execution.id, or the child's parent span is the
// parent run's span, both name the same agent (or one of them, of another dialect, names none) and they come from
// different dialects or the child is the parent's only child. An agent that calls itself through a tool stays two
// runs. The row is the parent's, filled up from the child; the first of the two that did not succeed decides the
// outcome, because the outer span of some emitters is always OK.
//
// # Status
//
// agenttrail.execution.status decides. Else a run failed when its own span says so: status ERROR, error.type on a
// span that is not OK, or a failure mark of the emitter. Errors of child spans never fail a run: they may have been
// handled. A failed run is a timeout when the type of its error says so, failed when it was canceled, error when it
// threw (an exception event, an error.type that names an exception, or a 5xx) and failed otherwise.
// The AI SDK ends an aborted stream with status UNSET, without usage and without finish reasons: that run is failed
// with the code "aborted", because every run of it that ends has both.
//
// # Errors
//
// An exception makes one row per type and message in a trace, at the innermost span. Its id is computed from trace
// id, type and message only, and its fingerprint from service, type and normalized message: the same exception
// reported as span event and as log record, perhaps in different requests, has the same id and fingerprint in both.
//
// # Security events
//
// A log record that is about security makes a row of SecurityEvents beside its row of AgentLog, with the same id. It is
// one when it has agenttrail.security.type, a name that securityNames knows or that starts with "security.", one of
// ECS's categories about security, or a security rule that raised it.
//
// # Metrics
//
// A metric point makes one row. Exponential histograms get the explicit bounds that their scale stands for, so that one
// query reads both kinds.
package mapping
