"""Routes of those who follow a session as it goes on: the stream of its events, and the deltas of its runs."""

from __future__ import annotations

import logging
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import SendTimeoutError
from starlette.types import Receive, Scope, Send

from everlog.gateway import requests
from everlog.gateway.appending import PREFIX, Caller, IdHeader, PathId, without_query
from everlog.gateway.documents import Responses, body_of, problems
from everlog.gateway.roles import Verb, require
from everlog.gateway.services import services_of
from everlog.gateway.streams import Stream
from everlog.schemas.errors import InvalidEventError
from everlog.schemas.http import DeltaFrame, DeltaRequest
from everlog.schemas.identifiers import session_key
from everlog.schemas.limits import SAFE_INTEGER
from everlog.schemas.payloads.base import KeyVersion

PING_S: Final = 15
"""Below the 30 s and more after which proxies give up on a silent connection."""
EVENT_STREAM: Final = "text/event-stream"
router = APIRouter(prefix=PREFIX)
log = logging.getLogger(__name__)


class StreamParameters(BaseModel):
    """Where a stream begins."""

    model_config = ConfigDict(extra="forbid")

    after: KeyVersion | None = Field(
        default=None, description="Behind this version; Last-Event-ID goes first. Else behind the session's version now"
    )


class StreamResponse(EventSourceResponse):
    """A stream that is closed however it ends. A reader that takes nothing for ``send_timeout_s`` is cut off."""

    def __init__(self, stream: Stream, send_timeout_s: float) -> None:
        super().__init__(
            stream.frames(), ping=PING_S, ping_message_factory=_ping, sep="\n", send_timeout=send_timeout_s
        )
        self._stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream."""
        try:
            await super().__call__(scope, receive, send)
        except SendTimeoutError:
            log.info("A reader that takes nothing was cut off")
        finally:
            self._stream.close()


def _ping() -> ServerSentEvent:
    return ServerSentEvent(comment="ping", sep="\n")


def _stream_of_events() -> Responses:
    description = "Frames `event` with the version as `id`, and `delta` without one; a comment every 15 s"
    frame = {
        "type": "object",
        "properties": {
            "id": {"type": "string", "description": "The version"},
            "event": {"enum": ["event", "delta"]},
            "data": {"type": "string", "description": "A TimelineEvent, or a DeltaFrame, as JSON"},
        },
        "required": ["event", "data"],
    }
    return {200: {"description": description, "content": {EVENT_STREAM: {"schema": frame}}}}


def _told() -> Responses:
    return {202: {"description": "Told to those who follow now"}}


@router.get(
    "/sessions/{session}/stream",
    responses=_stream_of_events() | problems(examples=("not-found", "parked", "rate-limited", "unavailable")),
    response_class=Response,
)
async def follow_session(
    request: Request,
    caller: Caller,
    session: PathId,
    parameters: Annotated[StreamParameters, Query()],
    last_event_id: Annotated[str | None, Header()] = None,
) -> Response:
    """The session's events as they are accepted: each once, in order; resumes behind ``Last-Event-ID``."""
    services = services_of(request)
    require(caller, Verb.READ)
    after = _version(last_event_id) if last_event_id is not None else parameters.after
    stream = await services.streams.open(caller, session_key(caller.tenant, session), after)
    request.state.leave()
    return StreamResponse(stream, services.settings.stream_send_timeout_s)


@router.post(
    "/sessions/{session}/deltas",
    status_code=202,
    responses=_told()
    | problems(examples=("not-found", "forbidden", "unsupported-media-type", "parked", "rate-limited")),
    openapi_extra=body_of(DeltaRequest),
    response_class=Response,
    dependencies=[Depends(without_query)],
)
async def tell_delta(
    request: Request, caller: Caller, session: PathId, everlog_participant: IdHeader = None
) -> Response:
    """A piece of what a run is about to say: for those who follow the session now, and kept nowhere."""
    services = services_of(request)
    require(caller, Verb.APPEND)
    body = requests.parse_model(DeltaRequest, await requests.read_body(request, "a delta"), "delta")
    key = session_key(caller.tenant, session)
    participant = await services.telling.authorised(caller, key, everlog_participant)
    await services.telling.tell(key, DeltaFrame(**body.model_dump(), participant=participant))
    return Response(status_code=202)


def _version(last_event_id: str) -> int:
    if not (last_event_id.isascii() and last_event_id.isdigit() and len(last_event_id) <= len(str(SAFE_INTEGER))):
        raise InvalidEventError("Last-Event-ID must be a version", hint="Send the id of the last frame that had one")
    return min(int(last_event_id), SAFE_INTEGER)
