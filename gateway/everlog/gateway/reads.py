"""Routes that read more than one event: messages, lists of sessions, pending interrupts."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from everlog.domain.searching import label_terms, words_of
from everlog.gateway import requests
from everlog.gateway.answers import etag, message_body
from everlog.gateway.appending import PREFIX, Caller, PathId, json_response
from everlog.gateway.documents import answers, problems, unchanged
from everlog.gateway.listing import CURSOR_CHARACTERS, Asked
from everlog.gateway.roles import Verb, require
from everlog.gateway.services import services_of
from everlog.schemas import limits
from everlog.schemas.http import (
    LISTED_DEFAULT,
    LISTED_MAX,
    MESSAGES_DEFAULT,
    MESSAGES_MAX,
    TIER_HEADER,
    InterruptsPage,
    MessagesPage,
    SessionsPage,
)
from everlog.schemas.identifiers import Identifier, session_key

LABELS_MAX = 8
"""Labels that a search names: each narrows it."""
WORDS_CHARACTERS = 256
router = APIRouter(prefix=PREFIX)


class _Parameters(BaseModel):
    model_config = ConfigDict(extra="forbid")


class MessagesParameters(_Parameters):
    """Which messages, and how they are shown."""

    last: int = Field(default=MESSAGES_DEFAULT, ge=1, le=MESSAGES_MAX, description="How many, about")
    before: str | None = Field(default=None, min_length=1, max_length=4096, description="A page's `next`: older ones")
    view: Literal["model", "raw"] = Field(
        default="model", description="model: as a model should see them; raw: all that was ever said"
    )
    min_version: int | None = Field(
        default=None, ge=1, le=limits.SAFE_INTEGER, description="Of a session at this version at least, waited for"
    )


class _ListParameters(_Parameters):
    cursor: str | None = Field(default=None, min_length=1, max_length=CURSOR_CHARACTERS, description="A page's `next`")
    limit: int = Field(default=LISTED_DEFAULT, ge=1, le=LISTED_MAX)


class SessionsParameters(_ListParameters):
    """Which sessions: all conditions hold."""

    label: list[Annotated[str, Field(min_length=1, max_length=400)]] = Field(
        default=[], max_length=LABELS_MAX, description="`name:value`, or a name; may be repeated"
    )
    status: Literal["active", "dormant", "closed", "erased"] | None = Field(default=None)
    participant: Identifier | None = Field(default=None, description="Present, by its name or its principal")
    q: str | None = Field(
        default=None,
        min_length=1,
        max_length=WORDS_CHARACTERS,
        description="Each word must begin a word of the title or the id",
    )


class InterruptsParameters(_ListParameters):
    """Which interrupts."""

    status: Literal["pending"] = Field(default="pending")


@router.get(
    "/sessions/{session}/messages",
    responses=answers(MessagesPage, s200="Messages, oldest first")
    | unchanged()
    | problems(examples=("not-found", "parked", "not-yet", "invalid-request", "limit-exceeded")),
)
async def read_messages(
    request: Request,
    caller: Caller,
    session: PathId,
    parameters: Annotated[MessagesParameters, Query()],
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Messages as a model or a person should see them: edits, redactions, summaries and rewindings are applied."""
    services = services_of(request)
    require(caller, Verb.READ)
    key = session_key(caller.tenant, session)
    shown = await services.conversation.shown(key, parameters.min_version or 0)
    headers = {"ETag": etag(shown), TIER_HEADER: shown.tier}
    if requests.none_match(if_none_match, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    read = await services.conversation.page(key, shown, parameters.view, parameters.last, parameters.before)
    services.metrics.tier_reads.labels(read.tier).inc()
    headers |= {TIER_HEADER: read.tier}
    if read.next is not None:
        asked = {"before": read.next, "last": parameters.last, "view": parameters.view}
        headers |= next_link(f"/sessions/{session}/messages", asked)
    return json_response({"messages": [message_body(each) for each in read.messages], "next": read.next}, 200, headers)


@router.get(
    "/sessions",
    responses=answers(SessionsPage, s200="The latest updated first") | problems(examples=("invalid-request",)),
)
async def list_sessions(
    request: Request, caller: Caller, parameters: Annotated[SessionsParameters, Query()]
) -> Response:
    """Sessions of the tenant that the principal may see."""
    services = services_of(request)
    require(caller, Verb.READ)
    asked = Asked(
        limit=parameters.limit,
        cursor=parameters.cursor,
        status=parameters.status,
        labels=tuple(tuple(label_terms(label)) for label in parameters.label),
        participant=parameters.participant,
        words=words_of(parameters.q or ""),
    )
    sessions, following = await services.listing.sessions(caller, asked)
    given = [(name, value) for name, value in request.query_params.multi_items() if name != "cursor"]
    headers = next_link("/sessions", [*given, ("cursor", following)]) if following is not None else {}
    return json_response({"sessions": sessions, "next": following}, 200, headers)


@router.get(
    "/interrupts",
    responses=answers(InterruptsPage, s200="Those of the latest updated sessions first")
    | problems(examples=("invalid-request",)),
)
async def list_interrupts(
    request: Request, caller: Caller, parameters: Annotated[InterruptsParameters, Query()]
) -> Response:
    """Interrupts that wait for an answer, in the sessions that the principal may see; ``limit`` counts sessions."""
    services = services_of(request)
    require(caller, Verb.READ)
    interrupts, following = await services.listing.interrupts(caller, Asked(parameters.limit, parameters.cursor))
    headers = {}
    if following is not None:
        headers = next_link("/interrupts", {"status": "pending", "limit": parameters.limit, "cursor": following})
    return json_response({"interrupts": interrupts, "next": following}, 200, headers)


def next_link(path: str, asked: Any) -> dict[str, str]:
    """The header that leads to the next page; ``asked`` are its query parameters."""
    return {"Link": f'<{PREFIX}{path}?{urlencode(asked)}>; rel="next"'}
