"""Merging a timeline into messages, from the newest entry backwards.

What changes a message comes after it: an edit, a redaction, a summary, a rewinding. So whoever reads backwards knows
all about a message when it comes to it, and can stop as soon as it has enough. What is known by then and not used goes
into the cursor of the page of older messages.

1. A redaction always holds, wherever it stands. Of several edits the newest holds.
2. In the view of a model nothing shows that was rewound away; an edit or a summary made there does not hold either.
3. A summary stands where the last version that it covers was, and what it covers does not show. One whose stretch lies
   within that of a newer one does not show.
4. The result of a tool call comes right behind its request, where the result was; a request without one stands alone.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import msgspec

from everlog.domain.event import Event, Payload
from everlog.domain.law import LAW
from everlog.domain.messages import CallStatus, Covering, Cursor, Message, MessageView, Place, ToolCall
from everlog.domain.stored import TimelineEntry
from everlog.domain.types.batch import BatchAppended
from everlog.domain.types.history import HistoryCompacted
from everlog.domain.types.message import MessageAppended, MessageEdited, MessageRedacted
from everlog.domain.types.session import SessionCreated, SessionRewound
from everlog.domain.types.tool_call import ToolCallCompleted, ToolCallFailed, ToolCallRequested
from everlog.schemas.limits import BATCH_EVENTS

_END: Final = BATCH_EVENTS
"""An index behind all of a version."""
_FIRST_MESSAGE: Final = 2
"""The version that a message can have at the earliest: the first is the creation."""


class _Source(NamedTuple):
    """A payload, and where it comes from."""

    place: Place
    payload: Payload
    actor: str
    timestamp: int


class _Slot(msgspec.Struct):
    """A message of the page; an edit or a summary fills it in when its event is at hand."""

    message: Message
    filled_by: Place | None = None
    request: Message | None = None
    """The request of a tool call whose result the message is."""


class Merge:
    """The messages of a page. Give it the entry of version ``next`` for as long as it ``wants`` one, then the entries
    of the versions ``wanted``, and take the ``page``."""

    def __init__(
        self, view: MessageView, count: int, newest: int, *, cursor: Cursor | None = None, is_fork: bool = False
    ) -> None:
        """At least ``count`` messages before the cursor, or the newest of a session at version ``newest``."""
        known = cursor if cursor is not None else Cursor((newest, _END), newest)
        self._is_model, self._count, self._is_fork = view == "model", count, is_fork
        self._before, self._seen, self._rewound_to = known.before, newest, known.rewound_to
        self._edits = dict(known.edits)
        self._redactions = set(known.redactions)
        self._summaries = known.summaries
        self._claimed = set(known.claimed)
        self._slots: list[_Slot] = []
        self._waiting: dict[str, _Slot] = {}
        """Results whose request was not reached yet, by tool call."""
        self._sources: dict[Place, _Source] = {}
        """The edits and summaries that were met."""
        self._cursor: Cursor | None = None
        self._arrive(known.before[0])

    @property
    def wants(self) -> bool:
        """Whether the page needs older entries: it is not full, or a result waits for its request."""
        return self.next >= 1 and (self._cursor is None or bool(self._waiting))

    def add_newer(self, entry: TimelineEntry) -> None:
        """An entry that came since the newest page was read: only its redactions hold."""
        for source in _sources(entry):
            self._take_back(source.payload)

    def add(self, entry: TimelineEntry) -> None:
        """The entry of version ``next``."""
        for source in reversed(_sources(entry)):
            if self._cursor is None:
                self._take(source)
            elif not self._answer(source):
                self._take_back(source.payload)
        self._arrive(entry.version - 1)

    def wanted(self) -> list[int]:
        """Versions, ascending, whose entries the page needs beside those that it was given: newer edits, summaries."""
        needed = {slot.filled_by for slot in self._slots if slot.filled_by is not None}
        return sorted({version for version, _ in needed.difference(self._sources)})

    def learn(self, entry: TimelineEntry) -> None:
        """The entry of a version that is ``wanted``."""
        self._sources.update((source.place, source) for source in _sources(entry))

    def page(self) -> tuple[list[Message], Cursor | None]:
        """The messages, oldest first, and the cursor of the page of older ones; None at the beginning.

        May be called before the page is full: then it ends where it is.
        """
        messages = [message for slot in self._slots for message in self._filled(slot)]
        messages.reverse()
        following = self._cursor
        if following is None and self.next >= 1:
            following = self._snapshot((self.next, _END))
        return messages, following

    def _take(self, source: _Source) -> None:
        match source.payload:
            case MessageAppended() as payload:
                self._show(_message(source, payload), self._edits.get(source.place))
            case MessageEdited() as payload if self._holds and not self._is_redacted(source.place):
                self._edits.setdefault((payload.version, payload.index), source.place)
                self._sources[source.place] = source
            case MessageRedacted() as payload:
                self._take_back(payload)
            case HistoryCompacted() as payload if self._is_model and self._holds:
                self._cover(source, payload)
            case SessionRewound() as payload if self._is_model and self._holds:
                self._rewound_to = payload.to_version
            case SessionCreated(summary=summary) if summary is not None and self._is_model:
                self._show(_summary(source, summary.parts))
            case ToolCallRequested() as payload if not self._answer(source):
                self._show(_request(source, payload, "requested"))
            case ToolCallCompleted() | ToolCallFailed() as payload:
                self._show(_result(source, payload), awaited=payload.tool_call if self._is_model else None)

    def _take_back(self, payload: Payload) -> None:
        if isinstance(payload, MessageRedacted):
            self._redactions.add((payload.version, payload.index))

    def _show(self, message: Message, filled_by: Place | None = None, awaited: str | None = None) -> None:
        """Put a message on the page, if it shows; with the call whose request is awaited."""
        place = message.version, message.index or 0
        if place >= self._before or (self._is_model and (not self._holds or self._is_covered(message.version))):
            return
        slot = _Slot(message, filled_by)
        if awaited is not None:
            self._waiting[awaited] = slot
        self._put(slot, place)

    def _put(self, slot: _Slot, before: tuple[int, int]) -> None:
        """The page may be full then."""
        self._slots.append(slot)
        if len(self._slots) >= self._count:
            self._cursor = self._snapshot(before)

    def _answer(self, source: _Source) -> bool:
        """Whether a request is that of a result, of this page or of a newer one: then it is shown there."""
        payload = source.payload
        if not isinstance(payload, ToolCallRequested):
            return False
        slot = self._waiting.pop(payload.tool_call, None)
        if slot is not None:
            assert slot.message.tool_call is not None  # noqa: S101 (a type narrowing: results have one)
            slot.request = _request(source, payload, slot.message.tool_call.status)
            slot.message.tool_call.name = payload.name
            return True
        if payload.tool_call in self._claimed:
            self._claimed.discard(payload.tool_call)
            return True
        return False

    def _cover(self, source: _Source, payload: HistoryCompacted) -> None:
        """A summary is in force, unless it stands within a newer one's stretch."""
        first = max(payload.from_version, _FIRST_MESSAGE)
        if not any(newer.first <= first and payload.to_version <= newer.last for newer in self._summaries):
            self._summaries.append(Covering(source.place, first, payload.to_version))
            self._sources[source.place] = source

    def _arrive(self, version: int) -> None:
        """Everything above a version was seen: show the summaries that stand here, and skip what nobody will see."""
        self.next = version
        if self._rewound_to is not None and version <= self._rewound_to:
            self._rewound_to = None
        is_rest_covered = not self._waiting and not self._is_fork and self._covers_the_rest(version)
        for covering in sorted(self._summaries, key=lambda covering: -covering.last):
            if covering.is_shown or self._cursor is not None or (covering.last < version and not is_rest_covered):
                continue
            covering.is_shown = True
            place = covering.place
            self._put(_Slot(Message(*place, "system", "", [], 0, summary=True), place), (version, _END))
        if is_rest_covered and self._cursor is None:
            self.next = 0

    def _covers_the_rest(self, version: int) -> bool:
        return any(covering.first <= _FIRST_MESSAGE and version <= covering.last for covering in self._summaries)

    @property
    def _holds(self) -> bool:
        """Whether what stands here was not rewound away."""
        return self._rewound_to is None

    def _is_covered(self, version: int) -> bool:
        return any(covering.first <= version <= covering.last for covering in self._summaries)

    def _is_redacted(self, place: Place) -> bool:
        return place in self._redactions or (place[0], None) in self._redactions

    def _snapshot(self, before: tuple[int, int]) -> Cursor:
        newest = before[0]
        waiting = {covering.place[0] for covering in self._summaries if not covering.is_shown}
        return Cursor(
            before,
            self._seen,
            [(target, edit) for target, edit in self._edits.items() if target[0] <= newest],
            [place for place in self._redactions if place[0] <= newest or place[0] in waiting],
            [msgspec.structs.replace(each) for each in self._summaries if each.first <= newest],
            [*self._claimed, *self._waiting],
            self._rewound_to,
        )

    def _filled(self, slot: _Slot) -> list[Message]:
        """The message and its request, newest first, each as it should be seen now."""
        message = slot.message
        source = self._sources[slot.filled_by] if slot.filled_by is not None else None
        match source:
            case _Source(payload=HistoryCompacted() as payload):
                message = _summary(source, payload.parts)
            case _Source(payload=MessageEdited() as payload):
                message.parts, message.edited = _json(payload.parts), True
                if self._is_redacted(source.place):
                    message.redact()
        shown = [message, slot.request] if slot.request is not None else [message]
        for each in shown:
            if self._is_redacted((each.version, each.index)):
                each.redact()
        return shown


def _sources(entry: TimelineEntry) -> list[_Source]:
    """The payloads of an entry, in order; none of a type that this code does not know."""
    event = LAW.decode(entry.value)
    if not isinstance(event, Event):
        return []
    if not isinstance(event.payload, BatchAppended):
        return [_Source((entry.version, None), event.payload, event.actor, entry.timestamp)]
    return [
        _Source((entry.version, index), payload, event.actor, entry.timestamp)
        for index, payload in enumerate(event.payload.events)
    ]


def _json(value: Any) -> Any:
    return msgspec.to_builtins(value)


def _message(source: _Source, payload: MessageAppended) -> Message:
    return Message(
        *source.place,
        payload.role,
        payload.author or source.actor,
        _json(payload.parts),
        source.timestamp,
        run=payload.run,
        reply_to=_json(payload.reply_to),
    )


def _summary(source: _Source, parts: Any) -> Message:
    return Message(*source.place, "system", source.actor, _json(parts), source.timestamp, summary=True)


def _request(source: _Source, payload: ToolCallRequested, status: CallStatus) -> Message:
    call = ToolCall(payload.tool_call, status, payload.name, payload.arguments)
    return Message(*source.place, "assistant", source.actor, [], source.timestamp, run=payload.run, tool_call=call)


def _result(source: _Source, payload: ToolCallCompleted | ToolCallFailed) -> Message:
    if isinstance(payload, ToolCallCompleted):
        call, parts = ToolCall(payload.tool_call, "completed"), _json(payload.parts)
    else:
        call, parts = ToolCall(payload.tool_call, "failed", error=_json(payload.error)), []
    return Message(*source.place, "tool", source.actor, parts, source.timestamp, tool_call=call)
