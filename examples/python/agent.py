"""A small agent with nothing but OpenTelemetry, and the attributes that make its rows complete.

It answers three tickets: one well, one whose tool fails and whose run goes on, and one that runs out of time. The model is
a function of this file, so no key and no network are needed, except to where OTLP goes.
"""

import contextlib
import logging
import os
import time
import uuid

from opentelemetry import _logs, trace
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode

os.environ.setdefault("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
os.environ.setdefault("OTEL_SERVICE_NAME", "support-python")
os.environ.setdefault("OTEL_RESOURCE_ATTRIBUTES", "service.version=1.4.0,deployment.environment.name=demo")

tracers, loggers = TracerProvider(), LoggerProvider()
tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
loggers.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
trace.set_tracer_provider(tracers)
_logs.set_logger_provider(loggers)
tracer = trace.get_tracer("support", "1.4.0")
log = logging.getLogger("support")
log.setLevel(logging.INFO)
log.addHandler(LoggingHandler(logger_provider=loggers))


class Run:
    """A run of the agent: the ids that all its spans and log records carry, and what it used so far."""

    def __init__(self, user, session, queued_at):
        self.ids = {
            "agenttrail.execution.id": str(uuid.uuid4()),
            "gen_ai.agent.id": "support-triage",
            "user.id": user,
            "session.id": session,
        }
        self.started = time.time()
        self.queue_ms = 1000 * (self.started - queued_at)
        self.input = self.output = 0

    def log(self, level, message, category="execution", **more):
        """Writes a log record; it carries the trace by itself."""
        log.log(level, message, extra={**self.ids, "agenttrail.log.category": category, **more})

    @contextlib.contextmanager
    def span(self, name, kind=SpanKind.INTERNAL, **attributes):
        """A span of the run. Errors are recorded by OpenTelemetry, and named here."""
        attributes = {key.replace("__", "."): value for key, value in attributes.items()}
        with tracer.start_as_current_span(name, kind=kind, attributes={**self.ids, **attributes}) as span:
            try:
                yield span
            except Exception as error:
                span.set_attribute("error.type", type(error).__name__)
                raise


def ask_model(run, prompt):
    """A call of a model: who serves it, which one, and what it used."""
    with run.span("chat gpt-5-mini", SpanKind.CLIENT, gen_ai__operation__name="chat", gen_ai__provider__name="openai") as span:
        span.set_attribute("gen_ai.request.model", "gpt-5-mini")
        if prompt == "think forever":
            raise TimeoutError("the model gave no answer in time")
        span.set_attributes({
            "gen_ai.response.model": "gpt-5-mini",
            "gen_ai.usage.input_tokens": 120,
            "gen_ai.usage.output_tokens": 30,
            "gen_ai.response.finish_reasons": ["stop"],
        })
        run.input, run.output = run.input + 120, run.output + 30
        return "billing"


def assign(run, ticket):
    """A call of a tool."""
    with run.span("execute_tool assign_queue", gen_ai__operation__name="execute_tool", gen_ai__tool__name="assign_queue"):
        if ticket == "T-2":
            raise LookupError("no such ticket: T-2")


def answer(ticket, prompt, user, session, queued_at):
    """A run: the span invoke_agent with what the whole run was, used and cost."""
    run = Run(user, session, queued_at)
    with run.span("invoke_agent support-triage", gen_ai__operation__name="invoke_agent", gen_ai__agent__name="Support Triage") as span:
        span.set_attributes({"gen_ai.agent.version": "1.4.0", "agenttrail.execution.queue_time_ms": run.queue_ms})
        run.log(logging.INFO, "ticket taken", ticket=ticket)
        try:
            ask_model(run, prompt)
            with contextlib.suppress(LookupError):  # The run goes on without it.
                assign(run, ticket)
            span.set_attribute("agenttrail.credits", "2.500000")
        finally:
            span.set_attributes({
                "gen_ai.provider.name": "openai",
                "gen_ai.request.model": "gpt-5-mini",
                "gen_ai.usage.input_tokens": run.input,
                "gen_ai.usage.output_tokens": run.output,
            })
        run.log(logging.INFO, "ticket answered", ticket=ticket)
        span.set_status(Status(StatusCode.OK))


def main():
    """Answers the tickets and sends what is still waiting."""
    for ticket, prompt in (("T-1", "sort this"), ("T-2", "sort this"), ("T-3", "think forever")):
        try:
            answer(ticket, prompt, user="ada", session="ada-1", queued_at=time.time() - 0.05)
            print(ticket, "answered")
        except TimeoutError as error:
            print(ticket, error)
    tracers.shutdown()
    loggers.shutdown()


if __name__ == "__main__":
    main()
