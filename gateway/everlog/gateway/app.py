"""The gateway put together: from its dependencies to an ASGI app."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Final

import uuid_utils
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from prometheus_client import CollectorRegistry
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route

from everlog.gateway import contracts, following, lease_routes, participation, probes, reads, routes, writing
from everlog.gateway.conversation import Conversation
from everlog.gateway.delivery import Delivery
from everlog.gateway.denials import Denials
from everlog.gateway.documents import describe
from everlog.gateway.edge import Edge
from everlog.gateway.fairness import Buckets, Turns
from everlog.gateway.health import Health
from everlog.gateway.identity import TokenVerifier
from everlog.gateway.janitor import LeaseJanitor
from everlog.gateway.keyed import FirstTries
from everlog.gateway.known import KnownSessions
from everlog.gateway.leases import Leases
from everlog.gateway.listing import Listing
from everlog.gateway.live import LivePointer, OpenTiers
from everlog.gateway.metrics import GatewayMetrics
from everlog.gateway.operations import Operations
from everlog.gateway.outcomes import OutcomeFinder
from everlog.gateway.problems import Refusal, of_error, problem_response
from everlog.gateway.reading import SessionReader
from everlog.gateway.requests import UnsupportedMediaTypeError
from everlog.gateway.services import Services
from everlog.gateway.sessions import Sessions
from everlog.gateway.settings import GatewaySettings
from everlog.gateway.steadiness import Steadiness
from everlog.gateway.streams import Streams
from everlog.gateway.telling import Telling
from everlog.gateway.timeline import TimelineReader
from everlog.gateway.trust import TrustedKeys
from everlog.gateway.verdicts import OutcomeWaiter
from everlog.ports.audit import AuditTrail
from everlog.ports.control import ControlStore
from everlog.ports.deltas import Deltas
from everlog.ports.heartbeats import Heartbeats
from everlog.ports.history import History
from everlog.ports.idempotency import IdempotencyStore
from everlog.ports.log import Appender, LogIdentity, LogReader
from everlog.schemas.errors import DeniedError, EverlogError, IntegrityError

ACKNOWLEDGE_GRACE_S: Final = 1.0
"""The appender ends by its own timeout, which says whether anything was handed over; this is only the last bound."""

ROUTERS: Final = (
    writing.router,
    routes.router,
    reads.router,
    following.router,
    participation.router,
    lease_routes.router,
    contracts.router,
    probes.router,
)
"""All routes."""

log = logging.getLogger(__name__)


def _now() -> datetime:
    return datetime.now(UTC)


def _new_id() -> str:
    return str(uuid_utils.uuid7())


@dataclass(frozen=True, kw_only=True)
class Dependencies:
    """What a composition root hands in.

    ``trusted_keys`` are those that may sign tokens. ``open_tiers`` gives the readers of a generation under a
    hot epoch; it is called again whenever either changes. The appender's own timeout must not be longer than
    ``settings.append_timeout_s``.
    """

    settings: GatewaySettings
    trusted_keys: TrustedKeys
    appender: Appender
    log_reader: LogReader
    log_identity: LogIdentity
    control: ControlStore
    idempotency: IdempotencyStore
    open_tiers: OpenTiers
    history: History
    heartbeats: Heartbeats
    deltas: Deltas
    audit: AuditTrail
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    now: Callable[[], datetime] = _now
    monotonic_s: Callable[[], float] = time.monotonic
    new_id: Callable[[], str] = _new_id


def create_app(dependencies: Dependencies) -> FastAPI:
    """The ASGI app; its lifespan runs the background work."""
    settings = dependencies.settings
    pointer = LivePointer(dependencies.control, dependencies.open_tiers, dependencies.monotonic_s)
    waiter = OutcomeWaiter(pointer, dependencies.monotonic_s)
    services = _services(dependencies, pointer, waiter)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        works = [
            pointer.watch,
            waiter.run,
            services.first_tries.keep_swept,
            services.denials.run,
            services.steadiness.run,
            services.janitor.run,
            services.streams.run,
        ]
        async with _background(services.health, works):
            yield

    app = FastAPI(
        title="Everlog",
        version=version("everlog"),
        description="Keeps conversations for ever.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # asking for it costs a tenth of a request
        lifespan=lifespan,
        exception_handlers={
            EverlogError: _on_error,
            RequestValidationError: _on_invalid,
            HTTPException: _on_http,
        },
    )
    app.state.services = services
    app.openapi = lambda: describe(app)  # type: ignore[method-assign]
    for router in ROUTERS:
        app.include_router(router)
    app.add_middleware(
        Edge,
        metrics=services.metrics,
        body_bytes_max=settings.body_bytes_max,
        requests_max=settings.requests_max,
    )
    return app


def _services(dependencies: Dependencies, pointer: LivePointer, waiter: OutcomeWaiter) -> Services:
    settings = dependencies.settings
    reader = SessionReader(
        pointer=pointer,
        log_reader=dependencies.log_reader,
        log_identity=dependencies.log_identity,
        history=dependencies.history,
        timeout_s=settings.read_timeout_s,
        monotonic_s=dependencies.monotonic_s,
    )
    timelines = TimelineReader(reader, pointer, dependencies.history)
    finder = OutcomeFinder(reader, timelines, pointer)
    steadiness = Steadiness(dependencies.heartbeats, dependencies.monotonic_s)
    leases = Leases(
        heartbeats=dependencies.heartbeats,
        steadiness=steadiness,
        reader=reader,
        timelines=timelines,
        now=dependencies.now,
    )
    known = KnownSessions(reader, dependencies.monotonic_s)
    first_tries = FirstTries(dependencies.idempotency, settings.append_timeout_s, dependencies.now)
    sessions = Sessions(
        delivery=Delivery(
            appender=dependencies.appender,
            known=known,
            finder=finder,
            waiter=waiter,
            first_tries=first_tries,
            turns=Turns(settings.session_appends_max),
            acknowledge_timeout_s=settings.append_timeout_s + ACKNOWLEDGE_GRACE_S,
            monotonic_s=dependencies.monotonic_s,
        ),
        known=known,
        reader=reader,
        leases=leases,
        now=dependencies.now,
        new_id=dependencies.new_id,
    )
    metrics = GatewayMetrics(dependencies.registry)
    return Services(
        settings=settings,
        verifier=TokenVerifier(
            dependencies.trusted_keys,
            algorithms=settings.algorithms,
            issuer=settings.issuer,
            audience=settings.audience,
            leeway_s=settings.token_leeway_s,
        ),
        buckets=Buckets(settings.principal_requests_per_s, settings.principal_burst, dependencies.monotonic_s),
        sessions=sessions,
        first_tries=first_tries,
        reader=reader,
        timelines=timelines,
        finder=finder,
        conversation=Conversation(reader, timelines),
        listing=Listing(pointer, timelines),
        streams=Streams(
            reader=reader,
            timelines=timelines,
            pointer=pointer,
            waiter=waiter,
            deltas=dependencies.deltas,
            streams_max=settings.streams_max,
            streams_of_principal_max=settings.principal_streams_max,
            count=metrics.sse_clients.set,
        ),
        telling=Telling(reader, dependencies.deltas, dependencies.monotonic_s),
        leases=leases,
        janitor=LeaseJanitor(
            heartbeats=dependencies.heartbeats,
            leases=leases,
            sessions=sessions,
            metrics=metrics,
            grace_s=settings.lease_grace_s,
        ),
        steadiness=steadiness,
        metrics=metrics,
        denials=Denials(dependencies.audit, metrics, dependencies.now, dependencies.new_id),
        operations=Operations(dependencies.audit, dependencies.now, dependencies.new_id),
        health=Health(
            log=dependencies.log_reader,
            control=dependencies.control,
            waiter=waiter,
            monotonic_s=dependencies.monotonic_s,
        ),
    )


@asynccontextmanager
async def _background(health: Health, works: Sequence[Callable[[], Coroutine[Any, Any, None]]]) -> AsyncIterator[None]:
    """Keep works going for as long as the body runs: the live pointer, the outcomes, and what else never ends."""

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            health.is_broken = True
            log.critical("The background work has failed; this process must be replaced", exc_info=error)

    tasks = [asyncio.create_task(work()) for work in works]
    for task in tasks:
        task.add_done_callback(ended)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _on_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, EverlogError)  # noqa: S101 (a type narrowing: registered for it)
    if isinstance(error, DeniedError):
        request.app.state.services.denials.note(request, error)
    if isinstance(error, IntegrityError):
        log.error("%s", error, extra={"trace_id": request.state.trace_id})
    refusal = of_error(error)
    if isinstance(error, UnsupportedMediaTypeError):
        refusal = Refusal("unsupported-media-type", str(error))
    return _answer(request, refusal)


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 (a type narrowing: registered for it)
    errors: list[dict[str, Any]] = list(error.errors())
    named = tuple(f"{'.'.join(str(step) for step in each['loc'])}: {each['msg']}" for each in errors)
    return _answer(request, Refusal("invalid-request", "; ".join(named), named))


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 (a type narrowing: registered for it)
    names = {404: "no-such-route", 405: "method-not-allowed"}
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = _allowed(request)
    name = names.get(error.status_code, "invalid-request" if error.status_code < 500 else "internal")
    return _answer(request, Refusal(name, str(error.detail), headers=headers))


def _allowed(request: Request) -> str:
    """The methods of a path: of all its routes, where the framework tells those of the first one only."""
    routes = [route for router in ROUTERS for route in router.routes if isinstance(route, Route)]
    matching = [route for route in routes if route.matches(request.scope)[0] is not Match.NONE]
    return ", ".join(sorted({method for route in matching for method in route.methods or ()}))


def _answer(request: Request, refusal: Refusal) -> Response:
    return problem_response(refusal, instance=request.url.path, trace_id=request.state.trace_id)
