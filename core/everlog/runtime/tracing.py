"""Traces by OpenTelemetry: off, and not even imported, without the standard variable of an endpoint.

Spans carry positions, counts and ids of traces; never content, secrets, or the text of errors that are not ours.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from everlog.schemas.errors import EverlogError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
    from opentelemetry.trace import Link, Span

ENDPOINT_VARIABLES: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
DISABLED_VARIABLE: Final = "OTEL_SDK_DISABLED"
SERVICE_VARIABLE: Final = "OTEL_SERVICE_NAME"
FLUSH_TIMEOUT_S: Final = 1.0
"""What the end of a service waits for its last spans: a collector that is away must not hold a restart."""

Attributes = Mapping[str, str | int]

_provider: TracerProvider | None = None


def configure(service: str) -> bool:
    """Export the spans of this process by OTLP over HTTP, if an endpoint is set; whether it is.

    All else is set by OpenTelemetry's own variables, the sampler (``OTEL_TRACES_SAMPLER``) among them.
    """
    disabled = os.environ.get(DISABLED_VARIABLE, "").lower() == "true"
    if disabled or not any(os.environ.get(name) for name in ENDPOINT_VARIABLES):
        return False
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    begin(service, BatchSpanProcessor(OTLPSpanExporter()))
    return True


def begin(service: str, processor: SpanProcessor) -> None:
    """Make spans from now on and give them to a processor."""
    global _provider
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

    named = {} if SERVICE_VARIABLE in os.environ else {"service.name": f"everlog-{service}"}
    resource = Resource.create({"service.version": version("everlog"), **named})
    _provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    _provider.add_span_processor(processor)


def end() -> None:
    """Send what waits, for ``FLUSH_TIMEOUT_S`` at most, and make no more spans.

    In a thread, because an exporter that finds no collector tries for 10 s and heeds no timeout before
    (https://github.com/open-telemetry/opentelemetry-python/issues/4568).
    """
    global _provider
    provider, _provider = _provider, None
    if provider is not None:
        ending = threading.Thread(target=provider.shutdown, name="traces-end", daemon=True)
        ending.start()
        ending.join(FLUSH_TIMEOUT_S)


def is_on() -> bool:
    """Whether spans are made."""
    return _provider is not None


@contextmanager
def span(name: str, attributes: Attributes | None = None, links: Sequence[Link] = ()) -> Iterator[Span | None]:
    """A span around the body, child of the one around it; None where traces are off.

    What the body raises is noted with its type, and raised on.
    """
    if _provider is None:
        yield None
        return
    from opentelemetry.trace import StatusCode

    with _provider.get_tracer("everlog").start_as_current_span(
        name, attributes=attributes, links=links, record_exception=False, set_status_on_exception=False
    ) as current:
        try:
            yield current
        except BaseException as error:
            text = str(error) if isinstance(error, EverlogError) else ""
            told = {"exception.type": type(error).__name__, **({"exception.message": text} if text else {})}
            current.add_event("exception", told)
            current.set_status(StatusCode.ERROR, text or type(error).__name__)
            raise


def annotate(attributes: Attributes) -> None:
    """Add attributes to the innermost span of this context, if there is one."""
    if _provider is not None:
        from opentelemetry.trace import get_current_span

        get_current_span().set_attributes(attributes)


def trace_id() -> str | None:
    """The trace that this context is part of, as 32 hexadecimal digits; None outside of one."""
    if _provider is None:
        return None
    from opentelemetry.trace import format_trace_id, get_current_span

    context = get_current_span().get_span_context()
    return format_trace_id(context.trace_id) if context.is_valid else None


def link_to(traceparent: str) -> Link | None:
    """A link to the span that a W3C ``traceparent`` names; None for anything else."""
    from opentelemetry.trace import Link, get_current_span
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    found = get_current_span(TraceContextTextMapPropagator().extract({"traceparent": traceparent}))
    context = found.get_span_context()
    return Link(context) if context.is_valid else None
