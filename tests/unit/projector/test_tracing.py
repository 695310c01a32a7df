"""One span per batch, with its stages, its counts and links to who produced its events."""

from __future__ import annotations

import io
import json
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import redirect_stderr
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import structlog
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode, format_trace_id

from everlog.adapters.memory.log import MemoryLog
from everlog.domain.record import partition_of
from everlog.projector.ports import ResumeError
from everlog.projector.tracing import LINKS_MAX, TracedSink, links_of
from everlog.runtime import logging as logs
from everlog.runtime import tracing
from support.conversations import PARTITION, PARTITIONS, Conversations, records_of
from support.events import said
from support.watched import away
from support.world import World

STAGES = {"projector.load", "projector.fold", "projector.warm", "projector.hot"}


def traceparent(number: int) -> bytes:
    return f"00-{number:032x}-{number:016x}-01".encode()


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    """What was traced."""
    exporter = InMemorySpanExporter()
    tracing.begin("projector", SimpleSpanProcessor(exporter))
    yield exporter
    tracing.end()


async def apply(world: World, *, failing: str = "") -> None:
    """One batch of everything on the log."""
    projection = await world.projection(away({failing}))
    sink = TracedSink(projection, generation=1)
    assert await sink.assigned([PARTITION]) == {PARTITION: 0}
    await sink.verify(PARTITION)
    try:
        await sink.apply(PARTITION, await records_of(world.log))
    finally:
        await sink.revoked([PARTITION])


def named(spans: InMemorySpanExporter, name: str) -> ReadableSpan:
    (found,) = [span for span in spans.get_finished_spans() if span.name == name]
    return found


async def test_a_batch_is_a_span_with_its_place_and_its_counts_and_its_stages_are_its_children(
    spans: InMemorySpanExporter,
) -> None:
    world = await World().begin()
    talks = Conversations(world.log)
    await talks.create(talks.keys[0])
    await world.log.append(talks.keys[0], b"malformed")
    await apply(world)
    batch = named(spans, "projector.batch")
    assert batch.attributes is not None and batch.context is not None
    told = {name.removeprefix("everlog."): value for name, value in batch.attributes.items()}
    assert told == {
        "generation": 1, "partition": PARTITION, "first_offset": 0, "records": 2, "sessions": 1,
        "accepted": 1, "rejected": 1,
    }  # fmt: skip
    children = [span for span in spans.get_finished_spans() if span.parent is not None]
    assert {span.name for span in children} == STAGES
    assert {span.parent.span_id for span in children if span.parent is not None} == {batch.context.span_id}
    assert batch.resource.attributes["service.name"] == "everlog-projector"


async def test_what_a_batch_raises_is_noted_and_foreign_texts_are_not(spans: InMemorySpanExporter) -> None:
    with pytest.raises(ResumeError), tracing.span("ours"):
        raise ResumeError("partition 1: somebody else moved the watermark 7")
    with pytest.raises(ValueError, match="secret"), tracing.span("foreign"):
        raise ValueError("secret")
    ours, foreign = named(spans, "ours"), named(spans, "foreign")
    assert {span.status.status_code for span in (ours, foreign)} == {StatusCode.ERROR}
    assert ours.status.description == "partition 1: somebody else moved the watermark 7"
    assert [dict(event.attributes or {}) for event in foreign.events] == [{"exception.type": "ValueError"}]
    assert "secret" not in foreign.to_json()


async def test_a_batch_links_to_its_producers_spans_once_each_and_to_a_bounded_number(
    spans: InMemorySpanExporter,
) -> None:
    log = MemoryLog(PARTITIONS)
    numbers = [7, 7, *range(1, 100)]
    for number in numbers:
        headers = [("content-type", b"x"), ("traceparent", traceparent(number))]
        await log.append("acme/rome", said("hi"), headers)
    for wrong in (b"nonsense", b"\xff" * 20, b"00-" + b"0" * 500, None):
        await log.append("acme/rome", said("hi"), [("traceparent", wrong)])
    partition = partition_of(b"acme/rome", PARTITIONS)
    records = [record async for chunk in log.read(partition, 0, len(numbers) + 4) for record in chunk]
    links = links_of(records)
    assert len(links) == LINKS_MAX
    assert [link.context.span_id for link in links[:3]] == [7, 1, 2]
    assert links_of(records[-4:]) == []


async def test_nothing_is_traced_without_an_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*tracing.ENDPOINT_VARIABLES, tracing.DISABLED_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    assert not tracing.configure("projector")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    assert not tracing.configure("projector")
    with tracing.span("nothing") as span:
        assert (span, tracing.trace_id(), tracing.is_on()) == (None, None, False)
    tracing.annotate({"everlog.records": 1})
    tracing.end()


class Collector(BaseHTTPRequestHandler):
    """Takes what an OTLP exporter sends."""

    received: list[tuple[str, ExportTraceServiceRequest]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.received.append((self.path, ExportTraceServiceRequest.FromString(body)))
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def collector() -> Iterator[HTTPServer]:
    """A real receiver on a port of its own."""
    Collector.received = []
    server = HTTPServer(("127.0.0.1", 0), Collector)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


async def test_spans_arrive_at_a_collector_and_the_logs_of_the_batch_name_their_trace(
    collector: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.server_port}")
    assert tracing.configure("projector")
    world = await World().begin()
    await Conversations(world.log).go_on(3)
    lines: list[dict[str, object]] = []

    class Sink:
        async def apply(self, *_: object) -> None:
            lines.append(dict(structlog.contextvars.get_contextvars()))

    try:
        await apply(world)
        await TracedSink(Sink(), 1).apply(PARTITION, await records_of(world.log))  # type: ignore[arg-type]
    finally:
        tracing.end()
    assert {path for path, _ in Collector.received} == {"/v1/traces"}
    resources = [each for _, request in Collector.received for each in request.resource_spans]
    names = {span.name for each in resources for scope in each.scope_spans for span in scope.spans}
    assert names == STAGES | {"projector.batch"}
    batches = [
        span
        for each in resources
        for scope in each.scope_spans
        for span in scope.spans
        if span.name == "projector.batch"
    ]
    (line,) = lines
    assert line["partition"] == PARTITION
    assert line["trace_id"] in {format_trace_id(int.from_bytes(span.trace_id, "big")) for span in batches}


def test_a_collector_that_is_away_does_not_hold_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    assert tracing.configure("projector")
    with tracing.span("lost"):
        pass
    since_s = time.monotonic()
    tracing.end()
    assert time.monotonic() - since_s < 4 * tracing.FLUSH_TIMEOUT_S


@pytest.fixture
def restored_logs() -> Iterator[None]:
    """The logging of the other tests, afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.mark.usefixtures("restored_logs")
def test_every_line_is_json_and_says_service_generation_and_partition_from_any_thread() -> None:
    with redirect_stderr(io.StringIO()) as written:
        logs.configure("projector", for_people=False)
        logs.always(generation=3)
        with structlog.contextvars.bound_contextvars(partition=2, trace_id="ab"):
            structlog.get_logger("everlog.projector.projection").info("replaying", first=7)
            logging.getLogger("everlog.projector.worker").warning("Resuming partitions %s", [2])
        thread = threading.Thread(target=lambda: logging.getLogger("faust").error("lost"))
        thread.start()
        thread.join()
        logging.getLogger("everlog.gateway").error("wrong", extra={"trace_id": "cd", "secret": "x"})
    ours, worker, faust, gateway = map(json.loads, written.getvalue().splitlines())
    assert {(line["service"], line["generation"], line["level"] in ("info", "warning", "error")) for line in
            (ours, worker, faust, gateway)} == {("projector", 3, True)}  # fmt: skip
    assert (ours["event"], ours["first"], ours["partition"], ours["trace_id"]) == ("replaying", 7, 2, "ab")
    assert (worker["event"], worker["partition"], worker["logger"]) == (
        "Resuming partitions [2]", 2, "everlog.projector.worker",
    )  # fmt: skip
    assert gateway["trace_id"] == "cd" and "secret" not in gateway
    assert "partition" not in faust
