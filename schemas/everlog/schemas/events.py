"""The envelope: CloudEvents 1.0 in structured mode, one JSON document a record.

Source: CloudEvents specification 1.0.2, https://github.com/cloudevents/spec; extension attributes are of
lower-case letters and digits. What is null or default is left out: an envelope costs bytes in every record.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from everlog.schemas.errors import InvalidEventError
from everlog.schemas.identifiers import EVERLOG_TYPE_PREFIX, TYPE_PATTERN, Identifier
from everlog.schemas.limits import ID_CHARACTERS, SAFE_INTEGER
from everlog.schemas.payloads import PAYLOADS, InnerEvent, Payload

CONTENT_TYPE: Final = "application/cloudevents+json"
RULES: Final = 1
"""The number of the verdict rules that events are written under today."""

TIME_PATTERN: Final = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?Z$"
SOURCE_PATTERN: Final = r"^/[A-Za-z0-9._:@/-]{1,255}$"

_Safe = Annotated[int, Field(ge=0, le=SAFE_INTEGER)]


class Event(BaseModel):
    """One event: a proposed change of one session."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    specversion: Literal["1.0"] = "1.0"
    id: Identifier = Field(description="Chosen by the producer; a retry has the same")
    source: str = Field(pattern=SOURCE_PATTERN, description="Which kind of producer", examples=["/mads/planner"])
    type: str = Field(pattern=TYPE_PATTERN, max_length=ID_CHARACTERS, examples=["everlog.message.appended.v1"])
    subject: Identifier = Field(description="Session id")
    tenantid: Identifier = Field(description="Tenant; with the subject the session's identity")
    time: str = Field(pattern=TIME_PATTERN, description="The producer's clock, UTC; never used for order")
    actor: Identifier = Field(description="Participant or principal that did it")
    expectedversion: _Safe | None = Field(default=None, description="Version the session must have")
    leaseepoch: _Safe | None = Field(default=None, description="The writer's fencing number")
    retry: bool = Field(default=False, description="A second or later hand-over of the same id")
    seenversion: _Safe | None = Field(default=None, description="Version known at the first hand-over; 0 = none")
    correlationid: Identifier | None = Field(default=None, description="Run or turn")
    causationid: Identifier | None = Field(default=None, description="The event that directly caused this one")
    rules: int = Field(default=RULES, ge=1, le=SAFE_INTEGER, description="Verdict rules it was written under")
    data: dict[str, JsonValue] = Field(description="The payload of its type")


def check_data(type_name: str, data: dict[str, Any]) -> None:
    """Check a payload against its type; an application's own type may carry any JSON object.

    Raises ``InvalidEventError`` that names each wrong field.
    """
    payload = PAYLOADS.get(type_name)
    if payload is None:
        if type_name.startswith(EVERLOG_TYPE_PREFIX):
            raise InvalidEventError(f"there is no type {type_name}", hint=f"Everlog's types are {', '.join(PAYLOADS)}")
        return
    try:
        checked = payload.model_validate(data)
    except ValidationError as error:
        raise invalid_event(type_name, error) from None
    for index, inner in enumerate(_inner_events(checked)):
        try:
            _check_inner(inner)
        except InvalidEventError as error:
            raise InvalidEventError(f"event {index} of the batch: {error.message}", errors=error.errors) from None


def _check_inner(inner: InnerEvent) -> None:
    payload = PAYLOADS.get(inner.type)
    if payload is not None and not payload.in_batch:
        raise InvalidEventError(f"a batch may not hold {inner.type}", hint="Append it on its own")
    check_data(inner.type, inner.data)


def _inner_events(payload: Payload) -> list[InnerEvent]:
    return getattr(payload, "events", [])


def invalid_event(what: str, error: ValidationError) -> InvalidEventError:
    """The typed error of a failed validation: each wrong field by its path, never its content."""
    errors = tuple(
        f"{'.'.join(str(step) for step in detail['loc']) or 'event'}: {detail['msg']}"
        for detail in error.errors(include_input=False, include_url=False, include_context=False)
    )
    return InvalidEventError(f"not a valid {what}: {'; '.join(errors)}", errors=errors)
