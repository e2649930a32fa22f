package mapping

import (
	"fmt"
	"slices"
	"strings"
)

// write writes the document: the rules in words, the tables from the code.
func (d *document) write() {
	d.say("# How attributes become columns")
	d.say("<!-- Written from the tables in exporter/mapping by `make generate`. Do not edit. -->")
	d.say(`AgentTrail takes OTLP from any emitter. This is which attribute ends up in which column, and who wins when
several could. A table lists the attributes that can answer **in order of precedence: the first that is there and can
be read decides**. The dialect is the convention or the emitter that has the attribute; it is stored in
` + "`AgentExecution.dialect`" + `. An attribute is read whichever dialect the span has, unless it says "only". Nothing is lost
by this: every attribute also stays in ` + "`attributes`" + ` of its row. A known attribute with a value that cannot be read, such as
a negative count, is skipped, kept there, and counted by the exporter.`)
	d.say("The tests hold these rules against recordings of what real libraries send, see [examples/emitters](../examples/emitters).")

	d.say("## Attributes of our own")
	d.say("They win over all others. None is needed when your library sends one of the dialects below.")
	d.ownAttributes()
	d.classification()
	d.identities()
	d.whatWasUsed()
	d.howItEnded()
	d.howLong()
	d.requests()
	d.logs()
	d.securityEvents()
	d.errorsAndMetrics()
	d.say("## Dialects")
	d.say("What each dialect uses, in the order of this document. Dialects that are told from others by scope or system also use what " +
		"otel_genai uses.")
	d.dialects()
	text := strings.TrimSpace(d.b.String()) + "\n"
	d.b.Reset()
	d.b.WriteString(text)
}

func (d *document) classification() {
	d.say("## What a span is")
	d.say(`The first attribute of this list that a span has with one of the listed values says what the span is. Values compare
without case. A server span with an HTTP method (` + "`http.request.method`, before semconv v1.21 `http.method`" + `) that nothing else
names is a request. The AI SDK before v4 has no ` + "`ai.operationId`; the first word of `operation.name`" + ` is read instead.`)
	d.classTable()
	d.say(`- Each **agent** span is a run: one row of ` + "`AgentExecution`" + `.
- A **workflow** span is a run when no run is around it in the same request; agents below it are runs of their own,
  with its id as parent.
- Two libraries that report one run as parent and child make one row: the child is the only run right below the parent
  and either both have the same ` + "`agenttrail.execution.id`" + `, or both name the same agent (or one of them names none) and
  come from different dialects, or the child is the parent's only child. The row is the parent's, filled up from the
  child. An agent that calls itself through a tool stays two runs.
- Spans of other requests are not waited for. What needs them is joined by trace id when it is asked for.`)
}

func (d *document) identities() {
	d.say("## Who ran")
	d.decision("executionIDs", executionIDs, "### Run\n\n`AgentExecution.id`, and `executionId` of spans, logs, requests and errors. "+
		"An id that the run around has, too, was handed down and is not taken; `gcp.vertex.agent.invocation_id` names only the outermost run.", DialectGenAI)
	d.decision("runIDs", runIDs, "Then an id that only the run's own span has:", DialectGenAI)
	d.say("Without any of these the id is the span id in hex.")
	d.decision("parentIDs", parentIDs, "`AgentExecution.parentExecutionId`, else the nearest run around it in the request:", DialectGenAI)
	d.decision("agentIDs", agentIDs, "### Agent\n\n`AgentExecution.agentId`:", DialectGenAI)
	d.say("Then what the resource says (the attributes that name agents on other spans, below), then the name of the span without " +
		quotedList(runNamePrefixes) + " in front and " + quotedList(runNameSuffixes) + " behind, unless that only names what is done, then `service.name`.")
	d.decision("agentNames", agentNames, "`AgentExecution.agentName`, else the id:", DialectGenAI)
	d.decision("agentVersions", agentVersions, "`AgentExecution.agentVersion`, also from the resource:", DialectGenAI)
	d.decision("namedAgents", namedAgents, "`agentId` of spans and logs outside of a run, and of resources:", DialectGenAI)
	d.decision("ownAgents", ownAgents, "A span inside a run belongs to the run's agent unless it has:", DialectGenAI)
	d.decision("userIDs", userIDs, "### User\n\n`userId`. A run, request or error without one has that of the nearest span above. Never read on resources, where `user.id` is the user of the host.", DialectGenAI)
	d.decision("sessionIDs", sessionIDs, "### Session\n\n`sessionId`, found like the user:", DialectGenAI)
	d.say("### Service, environment")
	d.decision("serviceNames", serviceNames, "`serviceName`, on the resource:", DialectNone)
	d.decision("environments", environments, "`environment`, on the resource, else on the span or log record:", DialectNone)
}

func (d *document) whatWasUsed() {
	d.say("## What it used")
	d.decision("models", models, "### Model, provider, tool\n\n`model`: the one that answered over the one asked for. A run without one has that of its last model call.", DialectGenAI)
	d.decision("modelSpans", modelSpans, "Then, on model calls and embeddings:", DialectGenAI)
	d.decision("providers", providers, "`provider`:", DialectGenAI)
	d.decision("tools", tools, "`Span.tool`, else the name of the span without `execute_tool ` in front and `.tool` behind:", DialectGenAI)
	d.say("### Tokens")
	d.say(`- A run has what its own span says; if that says nothing, the sum of its model calls; if they say nothing, that of its
  steps. Runs inside it count for themselves.
- A model call that two libraries report, one inside the other, counts once.
- Input includes what was read from and written to a cache; output includes reasoning. Cached tokens are added to the
  input of ` + dialectSet(cacheOutside) + `, which leaves them out.
- Run spans of ` + dialectSet(lifetimeUsage) + ` count since the agent was made; their model calls are summed instead.`)
	d.decision("inputTokens", inputTokens, "`inputTokens`:", DialectGenAI)
	d.decision("outputTokens", outputTokens, "`outputTokens`:", DialectGenAI)
	d.decision("cacheReadTokens", cacheReadTokens, "`cacheReadTokens`:", DialectGenAI)
	d.decision("cacheWriteTokens", cacheWriteTokens, "`cacheWriteTokens`:", DialectGenAI)
	d.decision("reasoningTokens", reasoningTokens, "`reasoningTokens`:", DialectGenAI)
	d.say("### Cost and credits")
	d.decision("costs", costs, "`cost` in USD, exact to a billionth, as the emitter tells it; of a run without one, the sum of what is inside it:", DialectGenAI)
	d.decision("credits", credits, "`creditsConsumed`, exact to a millionth:", DialectGenAI)
}

func (d *document) howItEnded() {
	d.say("## How it ended")
	d.say(`` + "`agenttrail.execution.status`" + ` decides. Otherwise a run failed when **its own span** says so: status ERROR, an
` + "`error.type`" + ` on a span that is not OK, or a mark of the emitter (below). Errors of the spans inside a run never fail it: they
may have been handled. A failed run is

1. ` + "**timeout**" + ` when the type of its error, or a known message, says that time ran out;
2. ` + "**failed**" + ` when it was canceled;
3. ` + "**error**" + ` when something was thrown: an exception event, an ` + "`error.type`" + ` that names an exception, or a 5xx;
4. ` + "**failed**" + ` otherwise: it ended without the wanted result.

The AI SDK ends an aborted stream without status, usage and finish reasons (` + "`gen_ai.response.finish_reasons`, `ai.response.finishReason`" + `);
that run is failed with the code ` + "`aborted`" + `. Status ERROR of ` + dialectSet(statusThrows) + ` means that something was thrown.`)
	d.markTable()
	d.decision("errorTypes", errorTypes, "`errorCode` of what did not succeed, else the type of its last exception (`exception.type`), else the type that its message starts with, else the code of the mark, else its kind:", DialectGenAI)
	d.decision("errorMessages", errorMessages, "`errorMessage`, after the message of the exception (`exception.message`) and before the message of the status:", DialectNone)
	d.say("Some messages say only where something went wrong, before a JSON object that says what. Its member is taken:")
	var wraps [][]string
	for _, w := range messageWraps {
		wraps = append(wraps, []string{quoted(w.prefix), quoted(w.member), w.from})
	}
	d.table([]string{"the message starts with", "member", "source"}, wraps)
	d.say("### Types that mean a timeout\n\nOf a type's name the last segment counts, without case, `_` and `-`: `asyncio.TimeoutError` is `timeouterror`.")
	d.typeTable(timeoutTypes)
	d.say("Messages that mean the same, whole or after a colon: " + quotedList(timeoutMessages) + "; or at the start: " + quotedList(timeoutPrefixes) + ".")
	d.say("### Types that mean that it was canceled")
	d.typeTable(cancelTypes)
	d.say("Messages that mean the same: " + quotedList(cancelMessages) + ".")
	d.say("### Types that are results, not exceptions")
	d.typeTable(resultTypes)
	d.say("OpenTelemetry for JavaScript writes the code of a `DOMException` as `exception.type`. These are read as their names:")
	var codes [][]string
	for k, v := range domExceptions {
		codes = append(codes, []string{quoted(k), quoted(v)})
	}
	slices.SortFunc(codes, slices.Compare)
	d.table([]string{"code", "type"}, codes)
}

func (d *document) howLong() {
	d.say("## How long it took")
	d.say(`` + "`startedAt` and `duration`" + ` are the span's. A time of more than ` + fmt.Sprintf("%.0f h", maxFuture.Hours()) + ` after its receipt cannot be true: the time of receipt
is stored, and the given one in ` + "`agenttrail.original_time_unix_nano`" + `. All durations are in ms.`)
	d.decision("queueTimes", queueTimes, "`queueTime`, from the request for the run to its start:", DialectGenAI)
	d.decision("innerQueueTimes", innerQueueTimes, "Then a time in a queue inside of the span, which is taken off `processingTime`:", DialectGenAI)
	d.decision("requestTimes", requestTimes, fmt.Sprintf("Then the start of the span minus the moment at which a proxy took the request, up to %.0f h, or at which the message that started it was sent (a PRODUCER span right above a CONSUMER):", maxQueue.Hours()), DialectHTTP)
	d.decision("responseTimes", responseTimes, "`responseTime`, from the request to the first output:", DialectGenAI)
	d.decision("firstOutputs", firstOutputs, "Then `queueTime` plus the time from the start to the first output, of the run or of its only model call:", DialectGenAI)
	d.decision("firstOutputTimes", firstOutputTimes, "Then the same from the moment of the first output, or of the event `"+firstOutputEvent+"` (ai_sdk_legacy). Without any, the first output is the end.", DialectGenAI)
	d.decision("processingTimes", processingTimes, "`processingTime`, else the duration:", DialectGenAI)
}

func (d *document) requests() {
	d.say("## HTTP requests")
	d.say(`Each answered HTTP request is a row of ` + "`RequestLog`" + `: a server span with an HTTP method. The one run below it gets its client,
user agent and status, and gives it agent, user and session. A 5xx failed; a 4xx is the client's mistake.`)
	d.decision("httpMethods", httpMethods, "`method`; where it is `_OTHER`, `http.request.method_original`:", DialectHTTP)
	d.decision("httpStatuses", httpStatuses, "`httpStatus`:", DialectHTTP)
	d.decision("httpRoutes", httpRoutes, "`route`:", DialectHTTP)
	d.say("`url` is `url.full`, else `http.url`, else built from `url.scheme` (`http.scheme`), `server.address` (`http.host`, `net.host.name`), " +
		"`server.port` (`net.host.port`), `url.path` and `url.query` (`http.target`). `path` is its path.")
	d.decision("clientAddresses", clientAddresses, "`ipAddress`, of the outermost request:", DialectHTTP)
	d.decision("ownAddresses", ownAddresses, "On spans that are no request only:", DialectHTTP)
	d.decision("userAgents", userAgents, "`userAgent`, else the header `http.request.header.user-agent` (`http.request.header.user_agent`):", DialectHTTP)
	d.decision("ownUserAgents", ownUserAgents, "On spans that are no request only:", DialectHTTP)
	d.say("`requestHeaders` and `responseHeaders` are the attributes `" + requestHeaderPrefix + "*` and `" + responseHeaderPrefix +
		"*`; `requestBody` and `responseBody` are `http.request.body.content` and `http.response.body.content`. Emitters send them only when told to.")
}

func (d *document) logs() {
	d.say("## Logs")
	d.say(`Each log record is a row of ` + "`AgentLog`" + `. Run, agent, user and session are read like those of spans. The level is that of the
severity number, else of the severity text (below), else info; error for an exception. The message is the body, else the name of the event.`)
	d.decision("eventNames", eventNames, "`eventName`, after the record's own:", DialectNone)
	d.say("`category` is `" + KeyLogCategory + "`; else error, for the level error and for exceptions; else by the name of the event:")
	var out [][]string
	for _, r := range eventCategories {
		out = append(out, []string{prefixed(r.name), quoted(categoryNames[r.category]), r.from})
	}
	d.table([]string{"event", "category", "source"}, out)
	d.decision("userActions", userActions, "Then `user_action`, with one of:", DialectNone)
	d.decision("durations", durations, "Then `performance`, with one of these; else `execution`:", DialectNone)
	d.decision("codeKeys", codeKeys, "`context` has the scope, the severity text, and:", DialectNone)
	d.say("Severity texts, without case:")
	var levels [][]string
	for _, l := range levelNames {
		levels = append(levels, []string{quoted(l.text), fmt.Sprint(l.severity)})
	}
	d.table([]string{"text", "severity number"}, levels)
}

func (d *document) securityEvents() {
	d.say("## Security events")
	d.say(`A log record about security makes a row of ` + "`SecurityEvents`" + ` beside its row of ` + "`AgentLog`" + `, with the same id. Its type is, in this order:`)
	d.decision("securityTypes", securityTypes, "1. its own:", DialectNone)
	d.say("2. by the name of the event, without `" + securityPrefix + "` in front; any name that starts so is one:")
	var out [][]string
	for _, r := range securityNames {
		kind := "the name"
		if r.kind != "" {
			kind = quoted(r.kind)
		}
		out = append(out, []string{prefixed(r.name), kind, securityOutcomeNames[r.outcome], r.from})
	}
	d.table([]string{"event", "type", "outcome", "source"}, out)
	d.say("3. by ECS's `event.category` and `event.type`, with `event.action` where the type ends in `.*`:")
	out = nil
	for _, r := range securityCategories {
		kind := r.kind
		if kind == "" {
			kind = r.prefix + ".*"
		}
		out = append(out, []string{quoted(r.category), r.eventType, quoted(kind), r.from})
	}
	d.table([]string{"`event.category`", "`event.type`", "type", "source"}, out)
	d.decision("securityActions", securityActions, "The action:", DialectNone)
	d.decision("securityRules", securityRules, "4. `"+ruleMatch+"`, when a security rule raised it:", DialectNone)
	d.decision("securityAlertRules", securityAlertRules, "or, with `event.kind` = `alert`:", DialectNone)
	d.say("`outcome` is `" + KeySecurityOutcome + "`, else `event.outcome`, else what the end of the name tells; `event.type` `denied` is denied. " +
		"`severity` is `" + KeySecuritySeverity + "`, else that of the record.")
	out = nil
	for _, e := range outcomeEndings {
		kept := "stays in the type"
		if e.cut {
			kept = "is cut off the type"
		}
		out = append(out, []string{quoted(e.word), securityOutcomeNames[e.outcome], kept})
	}
	d.table([]string{"the name ends with", "outcome", "the word"}, out)
	d.decision("securityActors", securityActors, "`actor`, else the user:", DialectNone)
	d.decision("securityUsers", securityUsers, "`userId`, after those of every log record:", DialectNone)
	d.decision("securityResources", securityResources, "`resource`:", DialectNone)
	d.decision("securityAddresses", securityAddresses, "`ipAddress`:", DialectNone)
}

func (d *document) errorsAndMetrics() {
	d.say("## Errors")
	d.say(`An exception makes one row of ` + "`SystemErrors`" + ` per type and message in a trace, at the innermost span. So does a log record of
level error or with an exception, and a failed span that nothing below it explains. An exception on a span that did not
fail was handled: its severity is warning. The id is computed from trace id, type and message, so that the same
exception reported as span event and as log record is one error, even in different requests.`)
	d.say("## Metrics")
	d.say(`A metric point makes one row of ` + "`SystemMetrics`" + `. Exponential histograms get the explicit bounds that their scale stands for, so
that one query reads both kinds. A point without a value makes no row and is counted.`)
}
