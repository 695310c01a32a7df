"""The envelope: CloudEvents 1.0 in structured mode, one JSON document a record.

Source: CloudEvents specification 1.0.2, https://github.com/cloudevents/spec; extension attributes are of
lower-case letters and digits. What is null or default is left out: an envelope costs bytes in every record.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, Self, Union

from pydantic import BaseModel, Field, TypeAdapter, ValidationError, create_model, model_validator

from everlog.schemas.catalogue import PAYLOADS, TYPE_NAMES, TypeName
from everlog.schemas.content import CLEAR_TAG, ENCRYPTED_TAG, MODEL
from everlog.schemas.errors import InvalidEventError
from everlog.schemas.identifiers import EVERLOG_TYPE_PREFIX, TYPE_PATTERN, Identifier
from everlog.schemas.json_values import JsonObject
from everlog.schemas.limits import ID_CHARACTERS, SAFE_INTEGER
from everlog.schemas.payloads import BatchAppended, InnerEvent, SessionRewound
from everlog.schemas.times import TIME_PATTERN

CONTENT_TYPE: Final = "application/cloudevents+json"
RULES: Final = 1
"""The number of the verdict rules that events are written under today."""

SOURCE_PATTERN: Final = r"^/[A-Za-z0-9._:@/-]{1,255}$"

_Safe = Annotated[int, Field(ge=0, le=SAFE_INTEGER)]


class Event(BaseModel):
    """One event: a proposed change of one session."""

    model_config = MODEL

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
    data: JsonObject = Field(description="The payload of its type")


class _TypedEvent(Event):
    """An event whose data is of its type's own class."""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if isinstance(self.data, BatchAppended):
            for index, inner in enumerate(self.data.events):
                check_inner(index, inner)
        elif isinstance(self.data, SessionRewound) and self.expectedversion is None:
            raise ValueError("rewinding needs expectedversion")
        return self


def _typed(name: TypeName) -> type[Event]:
    payload = PAYLOADS[name]
    title = payload.__name__
    made: type[Event] = create_model(
        title,
        __base__=_TypedEvent,
        __doc__=payload.__doc__,
        type=(Literal[name], ...),  # type: ignore[arg-type]  # made at run time
        data=(payload, ...),
    )
    return made


EVENTS: Final[dict[TypeName, type[Event]]] = {name: _typed(name) for name in TYPE_NAMES}
"""The public definition of each type's whole event."""

AnyEvent: Final[TypeAdapter[Event]] = TypeAdapter(
    Annotated[Union[tuple(EVENTS.values())], Field(discriminator="type")]  # type: ignore[arg-type]  # noqa: UP007
)
"""The discriminated union of all of Everlog's own types."""


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
        if isinstance(checked, BatchAppended):
            for index, inner in enumerate(checked.events):
                check_inner(index, inner)
    except ValidationError as error:
        raise invalid_event(type_name, error) from None
    except ValueError as error:
        raise InvalidEventError(str(error), errors=(str(error),)) from None


def check_inner(index: int, inner: InnerEvent) -> None:
    """Check an event of a batch. Raises ``ValueError`` that names its index."""
    payload = PAYLOADS.get(inner.type)
    if payload is not None and not payload.in_batch:
        raise ValueError(f"event {index}: a batch may not hold {inner.type}")
    try:
        check_data(inner.type, inner.data)
    except InvalidEventError as error:
        raise ValueError(f"event {index}: {error.message}") from None


_TAGS: Final = (CLEAR_TAG, ENCRYPTED_TAG)


def invalid_event(what: str, error: ValidationError) -> InvalidEventError:
    """The typed error of a failed validation: each wrong field by its path, never its content."""
    errors = tuple(
        f"{'.'.join(str(step) for step in detail['loc'] if step not in _TAGS) or 'event'}: {detail['msg']}"
        for detail in error.errors(include_input=False, include_url=False, include_context=False)
    )
    return InvalidEventError(f"not a valid {what}: {'; '.join(errors)}", errors=errors)
