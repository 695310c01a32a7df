"""Reading requests strictly: bodies, conditions, preferences. All errors are ``InvalidEventError``."""

from __future__ import annotations

import re
from typing import Final, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from everlog.domain.canonical import parse_strictly
from everlog.schemas.errors import InvalidEventError
from everlog.schemas.events import invalid_event
from everlog.schemas.http import JSON, BatchRequest, EventRequest
from everlog.schemas.identifiers import is_identifier
from everlog.schemas.json_values import NotInteroperableError

WAIT_MAX_S: Final = 30.0
"""The longest wait that ``Prefer: wait=`` is granted: below the 60 s after which proxies give up."""
_ETAG: Final = re.compile(r'"(0|[1-9][0-9]{0,15})(?:\.[0-9]{1,9})?"')
_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")
_TRACEPARENT: Final = re.compile(r"00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
"""W3C Trace Context, version 00."""
_ModelT = TypeVar("_ModelT", bound=BaseModel)


class UnsupportedMediaTypeError(InvalidEventError):
    """The body is not said to be JSON."""


async def read_body(request: Request, what: str) -> object:
    """The body as JSON without any laxness (no duplicate keys, NaN, other encodings).

    Raises ``UnsupportedMediaTypeError``, ``InvalidEventError``.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != JSON:
        raise UnsupportedMediaTypeError(f"the body must be {JSON}", hint=f"Send Content-Type: {JSON}")
    try:
        return parse_strictly(await request.body())
    except NotInteroperableError as error:
        raise InvalidEventError(f"the body is not {what} in JSON: {error}", errors=(f"body: {error}",)) from None


def parse_model(model: type[_ModelT], body: object, what: str) -> _ModelT:
    """The body as a model. Raises ``InvalidEventError`` that names each wrong field."""
    try:
        return model.model_validate(body)
    except ValidationError as error:
        raise invalid_event(what, error) from None


def parse_append(body: object) -> EventRequest | BatchRequest:
    """One event, or several as a batch."""
    if isinstance(body, dict) and "events" in body:
        return parse_model(BatchRequest, body, "batch of events")
    return parse_model(EventRequest, body, "event")


def path_id(request: Request, name: str) -> str:
    """An identifier in the request's path."""
    given: str = request.path_params[name]
    if not is_identifier(given):
        raise InvalidEventError(f"path.{name} is not an identifier", errors=(f"path.{name}: not an identifier",))
    return given


def idempotency_key(header: str | None, body_id: str | None) -> str | None:
    """The caller's own key: the header's, in quotation marks (draft-ietf-httpapi-idempotency-key-header-07) or without,
    or the id that it chose for its event."""
    if header is None:
        return body_id
    key = header[1:-1] if len(header) > 1 and header[0] == header[-1] == '"' else header
    if _KEY.fullmatch(key) is None:
        raise InvalidEventError("Idempotency-Key must be 1 to 255 visible ASCII characters")
    if body_id is not None and key != body_id:
        raise InvalidEventError("Idempotency-Key and the id in the body are different", hint="Send one of them")
    return key


def expected_version(if_match: str | None, in_body: int | None) -> int | None:
    """The version that the session must have: that of the ETag in ``If-Match``, or the body's."""
    if if_match is None:
        return in_body
    tag = _ETAG.fullmatch(if_match.strip())
    if tag is None:
        raise InvalidEventError('If-Match must be one strong ETag, as in "12.1"')
    version = int(tag[1])
    if in_body is not None and in_body != version:
        raise InvalidEventError("If-Match and expected_version are different", hint="Send one of them")
    return version


def wait_s(prefer: str | None, default_s: float) -> float:
    """How long to wait for the verdict, by ``Prefer: wait=5`` or ``respond-async`` (RFC 7240); others are ignored."""
    wait: float | None = None
    is_async = False
    for preference in (prefer or "").lower().split(","):
        name, _, value = preference.partition(";")[0].strip().partition("=")
        if name.strip() == "respond-async":
            is_async = True
        elif name.strip() == "wait" and value.strip(' "').isascii() and value.strip(' "').isdigit():
            wait = min(float(value.strip(' "')[:9]), WAIT_MAX_S)
    if wait is None:
        return 0.0 if is_async else default_s
    return wait


def none_match(header: str | None, tag: str) -> bool:
    """Whether ``If-None-Match`` names this ETag (weak comparison, RFC 9110, section 13.1.2)."""
    if header is None:
        return False
    tags = [given.strip().removeprefix("W/") for given in header.split(",")]
    return tag in tags or "*" in tags


def traceparent(header: str | None) -> tuple[str | None, str | None]:
    """A well-formed ``traceparent`` and its trace id; (None, None) for anything else."""
    match = _TRACEPARENT.fullmatch(header or "")
    return (match[0], match[1]) if match is not None else (None, None)
