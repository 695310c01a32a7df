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
from everlog.schemas.json_values import JsonObject, is_plain
from everlog.schemas.limits import ID_CHARACTERS, SAFE_INTEGER
from everlog.schemas.payloads import BatchAppended, InnerEvent
from everlog.schemas.times import TIME_PATTERN

CONTENT_TYPE: Final = "application/cloudevents+json"
RULES: Final = 1
"""The number of the verdict rules that events are written under today."""

SOURCE_PATTERN: Final = r"^/[A-Za-z0-9._:@/-]{1,255}$"

EXPECTED_VERSION: Final = "Version the session must have"

_Safe = Annotated[int, Field(ge=0, le=SAFE_INTEGER)]


class Event(BaseModel):
    """One event: a proposed change of one session."""

    model_config = MODEL

    specversion: Literal["1.0"] = Field(default="1.0", description="Of CloudEvents")
    id: Identifier = Field(
        description="Chosen by the producer; a retry has the same", examples=["01942f5e-7c3a-7b1e-9d2f-5a4c8e6b1f03"]
    )
    source: str = Field(pattern=SOURCE_PATTERN, description="Which kind of producer", examples=["/mads/planner"])
    type: str = Field(pattern=TYPE_PATTERN, max_length=ID_CHARACTERS, examples=["everlog.message.appended.v1"])
    subject: Identifier = Field(description="Session id", examples=["rome-42"])
    tenantid: Identifier = Field(description="Tenant; with the subject the session's identity", examples=["acme"])
    time: str = Field(
        pattern=TIME_PATTERN,
        description="The producer's clock, UTC; never used for order",
        examples=["2026-01-02T03:04:05.678Z"],
    )
    actor: Identifier = Field(description="Participant or principal that did it", examples=["ada"])
    expectedversion: _Safe | None = Field(default=None, description=EXPECTED_VERSION, examples=[41])
    leaseepoch: _Safe | None = Field(default=None, description="The writer's fencing number", examples=[4])
    retry: bool = Field(default=False, description="A second or later hand-over of the same id", examples=[True])
    seenversion: _Safe | None = Field(
        default=None, description="Version known at the first hand-over; 0 = none", examples=[40]
    )
    correlationid: Identifier | None = Field(default=None, description="Run or turn", examples=["run-1"])
    causationid: Identifier | None = Field(
        default=None, description="The event that directly caused this one", examples=["event-6"]
    )
    rules: int = Field(
        default=RULES, ge=1, le=SAFE_INTEGER, description="Verdict rules it was written under", examples=[RULES]
    )
    data: JsonObject = Field(description="The payload of its type")


def plain_data(event: Event) -> dict[str, Any]:
    """The data of an event as JSON, also where it is of its type's own class; what was not given is left out."""
    if isinstance(event.data, dict):
        return event.data
    dumped: dict[str, Any] = event.model_dump(include={"data"}, exclude_unset=True)["data"]
    return dumped


class WholeEvent(Event):
    """An event as a record holds it: complete, and its data of its type's own class."""

    specversion: Literal["1.0"] = Field(description="Of CloudEvents", examples=["1.0"])

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        is_plain(plain_data(self))
        if isinstance(self.data, BatchAppended):
            for index, inner in enumerate(self.data.events):
                check_inner(index, inner)
        return self


def _typed(name: TypeName) -> type[Event]:
    payload = PAYLOADS[name]
    fields: dict[str, Any] = {"type": (Literal[name], Field(description="Its type")), "data": (payload, ...)}
    if payload.needs_expected_version:
        fields["expectedversion"] = (_Safe, Field(description=EXPECTED_VERSION, examples=[41]))
    made: type[Event] = create_model(f"{payload.__name__}Event", __base__=WholeEvent, __doc__=payload.__doc__, **fields)
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
