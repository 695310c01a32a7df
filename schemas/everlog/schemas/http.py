"""The bodies of the HTTP interface: what the gateway takes and gives, and what the SDK sends and reads.

Requests refuse fields that they do not know; answers are read with new fields ignored, so that an older SDK goes on
with a newer gateway. The requests are defined in ``http_requests``.
"""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from everlog.schemas.http_requests import (
    DELTA_CHARACTERS,
    BatchRequest,
    ChangeRequest,
    CloseRequest,
    CreateRequest,
    DeltaRequest,
    EventRequest,
    InnerEventRequest,
    JoinRequest,
    LeaseRequest,
    ReasonRequest,
    ResolveRequest,
    ShortType,
    StateChange,
)
from everlog.schemas.payloads import Usage

__all__ = [
    "CONFLICT_BYTES",
    "CONFLICT_EVENTS",
    "DELTA_CHARACTERS",
    "JSON",
    "LEASE_EPOCH_HEADER",
    "LISTED_DEFAULT",
    "LISTED_MAX",
    "MESSAGES_DEFAULT",
    "MESSAGES_MAX",
    "PAGE_DEFAULT",
    "PAGE_MAX",
    "PARTICIPANT_HEADER",
    "PROBLEM_JSON",
    "PROBLEM_PREFIX",
    "TIER_HEADER",
    "AppendAnswer",
    "BatchRequest",
    "ChangeRequest",
    "CloseRequest",
    "CreateAnswer",
    "CreateRequest",
    "DeltaFrame",
    "DeltaRequest",
    "EventRequest",
    "HeartbeatAnswer",
    "HeldLeaseAnswer",
    "InnerEventRequest",
    "InterruptAnswer",
    "InterruptsPage",
    "JoinAnswer",
    "JoinRequest",
    "LeaseAnswer",
    "LeaseRequest",
    "ListedSession",
    "MessageAnswer",
    "MessagesPage",
    "OpenAnswer",
    "ParticipantAnswer",
    "PositionAnswer",
    "Problem",
    "ReasonRequest",
    "ResolveRequest",
    "SessionsPage",
    "ShortType",
    "StateAnswer",
    "StateChange",
    "Tier",
    "TimelineEvent",
    "TimelinePage",
    "ToolCallAnswer",
]

JSON: Final = "application/json"
PROBLEM_JSON: Final = "application/problem+json"
PROBLEM_PREFIX: Final = "urn:everlog:problem:"
"""A problem's type is this and a name: ``urn:everlog:problem:version-conflict``."""

PARTICIPANT_HEADER: Final = "Everlog-Participant"
LEASE_EPOCH_HEADER: Final = "Everlog-Lease-Epoch"
TIER_HEADER: Final = "Everlog-Tier"

CONFLICT_EVENTS: Final = 100
"""Events between the expected and the actual version that a conflict carries at most: a page."""
CONFLICT_BYTES: Final = 64 * 1024
"""Their size at most, so that an answer stays readable in a log."""

PAGE_DEFAULT: Final = 100
PAGE_MAX: Final = 1000
"""Events of a timeline page."""

MESSAGES_DEFAULT: Final = 50
MESSAGES_MAX: Final = 500
"""Messages of a page."""
LISTED_DEFAULT: Final = 50
LISTED_MAX: Final = 200
"""Sessions, or interrupts' sessions, of a page."""
Tier = Literal["hot", "warm", "cold"]


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class PositionAnswer(_Answer):
    """Where an event's record lies on the log."""

    era: int
    partition: int
    offset: int


class AppendAnswer(_Answer):
    """What became of an event.

    ``outcome`` is ``accepted``, ``duplicate``, ``pending`` or the reason of a rejection; the last two have no
    ``version``. A rejection that is looked up later also says the session's version at that moment
    (``actual_version``) and what clashed (``keys``).
    """

    event_id: str
    outcome: str
    version: int | None = None
    position: PositionAnswer | None = None
    actual_version: int | None = None
    keys: list[str] | None = None


class CreateAnswer(AppendAnswer):
    """What became of a creation, and the session's id."""

    session: str


class JoinAnswer(AppendAnswer):
    """What became of a joining, and who has joined."""

    participant: str


class LeaseAnswer(AppendAnswer):
    """What became of an acquisition; ``epoch`` goes into ``Everlog-Lease-Epoch`` of every write."""

    epoch: int | None = None
    ttl_s: int


class HeartbeatAnswer(_Answer):
    """A lease was kept: it lapses at ``alive_until`` unless it is kept again."""

    epoch: int
    ttl_s: int
    alive_until: str


class HeldLeaseAnswer(_Answer):
    """The lease of a participant: ``epoch`` is None where it is free.

    ``alive_until`` is None where its holder gave no sign of life for ``ttl_s``: then it may be taken over.
    """

    participant: str
    epoch: int | None = None
    ttl_s: int | None = None
    alive_until: str | None = None


class ParticipantAnswer(_Answer):
    """An entry of a session's roster; ``lease_epoch`` is None where no lease is held."""

    participant: str
    kind: str
    role: str
    present: bool
    lease_epoch: int | None = None


class OpenAnswer(_Answer):
    """Ids of what is open in a session."""

    runs: list[str]
    tool_calls: list[str]
    interrupts: list[str]


class StateAnswer(_Answer):
    """The state of a session at a version."""

    tenant: str
    session: str
    version: int
    status: str
    title: JsonValue = Field(description="Text, or its encrypted form")
    labels: dict[str, JsonValue] = Field(description="Texts, or their encrypted forms")
    owner: str
    participants: list[ParticipantAnswer]
    state: dict[str, Any]
    key_versions: dict[str, int]
    usage: Usage = Field(description="Totals of the runs that completed")
    open: OpenAnswer
    created_at: str
    updated_at: str


class TimelineEvent(_Answer):
    """An accepted event: ``type`` in full, ``recorded_at`` by the broker's clock, ``time`` by the producer's."""

    version: int
    event_id: str
    type: str
    actor: str
    recorded_at: str
    time: str
    data: dict[str, Any]
    correlation_id: str | None = None
    causation_id: str | None = None


class TimelinePage(_Answer):
    """A page of a timeline; ``next`` is the ``after`` of the next page, None at the end."""

    events: list[TimelineEvent]
    next: str | None = None


class ToolCallAnswer(_Answer):
    """The tool call that a message is part of: of role ``assistant`` its request, of role ``tool`` its result."""

    tool_call: str
    name: str | None = Field(default=None, description="The tool; None where the request was not found")
    arguments: JsonValue = None
    status: Literal["requested", "completed", "failed"]
    error: dict[str, JsonValue] | None = Field(default=None, description="Why it failed")


class MessageAnswer(_Answer):
    """A message as it should be seen now; ``version`` and ``index`` name it, ``index`` only where a batch holds it.

    A summary has role ``system``; its version is that of the event that brought it.
    """

    version: int
    index: int | None = None
    role: str
    author: str
    parts: JsonValue = Field(description="A list of parts, or their encrypted form; an empty list once redacted")
    run: str | None = None
    reply_to: dict[str, int] | None = None
    recorded_at: str
    edited: bool = False
    redacted: bool = False
    summary: bool = False
    tool_call: ToolCallAnswer | None = None


class MessagesPage(_Answer):
    """Messages, oldest first; ``next`` is the ``before`` of the page of older ones, None at the beginning.

    A page may hold fewer messages than asked for, even none, while ``next`` leads on; and a few more, so that a call
    and its result stay together.
    """

    messages: list[MessageAnswer]
    next: str | None = None


class ListedSession(_Answer):
    """A session as a list shows it; one that is only a stub has neither title nor times."""

    session: str
    version: int
    status: str
    title: JsonValue = Field(default=None, description="Text, or its encrypted form")
    labels: dict[str, JsonValue] = Field(default_factory=dict, description="Texts, or their encrypted forms")
    owner: str | None = None
    interrupts: list[str] = Field(default_factory=list, description="Those that are pending")
    created_at: str | None = None
    updated_at: str | None = None


class SessionsPage(_Answer):
    """Sessions, the latest updated first; ``next`` is the ``cursor`` of the next page, None at the end."""

    sessions: list[ListedSession]
    next: str | None = None


class InterruptAnswer(_Answer):
    """An interrupt that is pending; what is None was not found among the session's newest events."""

    session: str
    interrupt: str
    version: int | None = None
    reason: str | None = None
    message: JsonValue = Field(default=None, description="Text, or its encrypted form")
    response_schema: dict[str, JsonValue] | None = None
    tool_call: str | None = None
    expires_at: str | None = None
    raised_by: str | None = None
    raised_at: str | None = None


class InterruptsPage(_Answer):
    """Pending interrupts of several sessions; ``next`` is the ``cursor`` of the next page, None at the end."""

    interrupts: list[InterruptAnswer]
    next: str | None = None


class DeltaFrame(DeltaRequest):
    """The data of a frame ``delta`` on a stream."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    participant: str = Field(description="Who said it")


class Problem(BaseModel):
    """An error, RFC 9457.

    A conflict also carries ``actual_version``, ``events`` (those in between) and ``keys`` (those that clash); an
    exceeded limit ``limit``, and where it is known ``maximum`` and ``actual``.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    type: str = Field(examples=[PROBLEM_PREFIX + "version-conflict"])
    title: str
    status: int
    detail: str
    instance: str = Field(description="Path of the request")
    errors: list[str] = Field(default_factory=list, description="Each wrong field, or what was named wrongly")
    trace_id: str = Field(description="Finds the request in the gateway's log")
