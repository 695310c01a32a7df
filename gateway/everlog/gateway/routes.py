"""Routes that read one session: its state, its timeline, what became of an event."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from everlog.gateway import requests
from everlog.gateway.answers import append_body, etag, event_body, state_body
from everlog.gateway.appending import (
    PREFIX,
    Caller,
    PathId,
    json_response,
    problem,
)
from everlog.gateway.documents import answers, problems, unchanged
from everlog.gateway.problems import Refusal
from everlog.gateway.roles import Verb, require
from everlog.gateway.services import services_of
from everlog.schemas.errors import InvalidEventError
from everlog.schemas.http import (
    PAGE_DEFAULT,
    PAGE_MAX,
    TIER_HEADER,
    AppendAnswer,
    StateAnswer,
    TimelinePage,
)
from everlog.schemas.identifiers import session_key
from everlog.schemas.limits import SAFE_INTEGER
from everlog.schemas.payloads.base import KeyVersion

router = APIRouter(prefix=PREFIX)


class _Parameters(BaseModel):
    model_config = ConfigDict(extra="forbid")


class StateParameters(_Parameters):
    """Which version of a state."""

    min_version: int | None = Field(default=None, ge=1, le=SAFE_INTEGER, description="At least this one, waited for")
    at_version: int | None = Field(default=None, ge=1, le=SAFE_INTEGER, description="Exactly this one")


class PageParameters(_Parameters):
    """Which page of a timeline."""

    after: KeyVersion | None = Field(default=None, description="Version behind which the page begins: a page's `next`")
    limit: int = Field(default=PAGE_DEFAULT, ge=1, le=PAGE_MAX)
    order: Literal["asc", "desc"] = Field(default="asc", description="desc: newest first")
    min_version: int | None = Field(
        default=None, ge=1, le=SAFE_INTEGER, description="Of a session at this version at least, waited for"
    )


class OutcomeParameters(_Parameters):
    """Where to look for an event."""

    after: KeyVersion | None = Field(default=None, description="Version known before the event was handed over")


@router.get("/sessions/{session}", responses=answers(StateAnswer, s200="The state") | unchanged() | problems(404, 423))
async def read_state(
    request: Request,
    caller: Caller,
    session: PathId,
    parameters: Annotated[StateParameters, Query()],
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """The state of a session: as it stands, at a version, or at least at one."""
    services = services_of(request)
    require(caller, Verb.READ)
    key = session_key(caller.tenant, session)
    if parameters.at_version is not None:
        if parameters.min_version is not None:
            raise InvalidEventError("min_version and at_version exclude each other")
        shown = await services.reader.at(key, parameters.at_version)
    else:
        shown = await services.reader.at_least(key, parameters.min_version or 0)
    services.metrics.tier_reads.labels(shown.tier).inc()
    headers = {"ETag": etag(shown), TIER_HEADER: shown.tier}
    if requests.none_match(if_none_match, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return json_response(state_body(shown), 200, headers)


@router.get(
    "/sessions/{session}/events",
    responses=answers(TimelinePage, s200="A page") | unchanged() | problems(404, 423, examples=("not-yet",)),
)
async def read_timeline(
    request: Request,
    caller: Caller,
    session: PathId,
    parameters: Annotated[PageParameters, Query()],
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """A page of the session's accepted events."""
    services = services_of(request)
    require(caller, Verb.READ)
    page = await services.timelines.page(
        session_key(caller.tenant, session),
        after=parameters.after,
        limit=parameters.limit,
        newest_first=parameters.order == "desc",
        min_version=parameters.min_version or 0,
    )
    services.metrics.tier_reads.labels(page.tier).inc()
    headers = {"ETag": etag(page.shown), TIER_HEADER: page.tier}
    if requests.none_match(if_none_match, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    following = str(page.next_after) if page.next_after is not None else None
    if following is not None:
        query = urlencode({"after": following, "limit": parameters.limit, "order": parameters.order})
        headers["Link"] = f'<{PREFIX}/sessions/{session}/events?{query}>; rel="next"'
    return json_response({"events": [event_body(entry) for entry in page.entries], "next": following}, 200, headers)


@router.get(
    "/sessions/{session}/outcomes/{event_id}",
    responses=answers(AppendAnswer, s200="What became of the event") | problems(404, 423),
)
async def read_outcome(
    request: Request,
    caller: Caller,
    session: PathId,
    event_id: PathId,
    parameters: Annotated[OutcomeParameters, Query()],
) -> Response:
    """The verdict on an event: where a 202 points to."""
    services = services_of(request)
    require(caller, Verb.READ)
    verdict = await services.finder.find(session_key(caller.tenant, session), event_id, parameters.after)
    if verdict is None:
        return problem(request, Refusal("outcome-unknown", f"nothing is known of an event {event_id}"))
    return json_response(append_body(event_id, verdict, None), 200, {})
