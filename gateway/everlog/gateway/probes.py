"""For supervisors and Prometheus, without a token: alive, ready, metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import orjson
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from everlog.gateway.documents import Responses, problems
from everlog.gateway.problems import Refusal, problem_response, retry_after
from everlog.gateway.services import services_of
from everlog.schemas.http import JSON

router = APIRouter()
_NOT_READY_S = 1.0


def _probe() -> Responses:
    return {200: {"description": "Yes", "content": {JSON: {"schema": {"type": "object"}}}}}


def _metrics() -> Responses:
    text = {"schema": {"type": "string"}}
    return {200: {"description": "Prometheus text", "content": {"text/plain": text}}} | problems(needs_token=False)


@router.get("/livez", responses=_probe() | problems(503, needs_token=False, examples=("unavailable",)))
async def alive(request: Request) -> Response:
    """200 while this process works; 503 when it must be replaced."""
    if services_of(request).health.is_broken:
        return _refuse(request, "this process must be replaced", {})
    return Response(orjson.dumps({"status": "alive"}), media_type=JSON)


@router.get("/readyz", responses=_probe() | problems(503, needs_token=False, examples=("unavailable",)))
async def ready(request: Request, verbose: Annotated[str | None, Query()] = None) -> Response:
    """200 while requests should come here; ``?verbose`` tells which dependency answers."""
    health = services_of(request).health
    checks = await health.checks()
    told = {"checks": {**checks, "draining": health.is_draining}} if verbose is not None else {}
    if not health.is_ready(checks):
        return _refuse(request, "draining" if health.is_draining else "a dependency does not answer", told)
    return Response(orjson.dumps({"status": "ready", **told}), media_type=JSON)


@router.get("/metrics", responses=_metrics(), response_class=PlainTextResponse)
async def metrics(request: Request) -> Response:
    """Prometheus text."""
    return Response(generate_latest(services_of(request).metrics.registry), media_type=CONTENT_TYPE_LATEST)


def _refuse(request: Request, detail: str, told: Mapping[str, object]) -> Response:
    refusal = Refusal("unavailable", detail, extras=told, headers=retry_after(_NOT_READY_S))
    return problem_response(refusal, instance=request.url.path, trace_id=request.state.trace_id)
