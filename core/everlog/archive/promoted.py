"""The clear fields of a record's value that get a column of their own, for SQL and pruning.

Leniently: whatever is not there, not of the right type or not JSON at all is null, for the archive keeps
every record and judges none. Only fields that are clear by their definition are taken: below ``data`` only of
Everlog's own types, because an application's own type may hold content under the same names.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

FIELD_LENGTH_LIMIT = 256
"""Longest promoted string, characters: twice the longest id; a longer one is garbage and would bloat the footer."""

_OWN_TYPES = "everlog."
_TOOL_CALL_TYPES = "everlog.tool_call."
_BATCH_TYPE = "everlog.batch.appended.v1"


class Promoted(NamedTuple):
    """The promoted fields of one record, in the order of their columns. ``cost_micros`` is in millionths."""

    type: str | None = None
    actor: str | None = None
    run: str | None = None
    role: str | None = None
    tool_name: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_micros: int | None = None


NOTHING = Promoted()


class _Envelope(msgspec.Struct, gc=False):
    type: Any = None
    actor: Any = None
    data: msgspec.Raw = msgspec.Raw()


class _Data(msgspec.Struct, gc=False):
    run: Any = None
    role: Any = None
    name: Any = None
    usage: Any = None
    events: msgspec.Raw = msgspec.Raw()


class _Inner(msgspec.Struct, gc=False):
    data: msgspec.Raw = msgspec.Raw()


_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_decode_data = msgspec.json.Decoder(_Data).decode
_decode_events = msgspec.json.Decoder(list[_Inner]).decode
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def promote(value: bytes | None) -> Promoted:
    """The promoted fields of a record's value; the usage of a batch is the sum over its events."""
    if not value:
        return NOTHING
    try:
        envelope = _decode_envelope(value)
    except _UNREADABLE:
        return NOTHING
    type_, actor = _text(envelope.type), _text(envelope.actor)
    if type_ is None or not type_.startswith(_OWN_TYPES):
        return Promoted(type_, actor)
    data = _data_of(envelope.data)
    usage = _batch_usage(data.events) if type_ == _BATCH_TYPE else _usage(data.usage)
    tool_name = _text(data.name) if type_.startswith(_TOOL_CALL_TYPES) else None
    return Promoted(type_, actor, _text(data.run), _text(data.role), tool_name, *usage)


_Usage = tuple[int | None, int | None, int | None]
_NO_USAGE: _Usage = (None, None, None)


def _data_of(raw: msgspec.Raw) -> _Data:
    try:
        return _decode_data(raw)
    except _UNREADABLE:
        return _Data()


def _usage(usage: object) -> _Usage:
    if not isinstance(usage, dict):
        return _NO_USAGE
    return _number(usage.get("input_tokens")), _number(usage.get("output_tokens")), _number(usage.get("cost_micros"))


def _batch_usage(raw: msgspec.Raw) -> _Usage:
    try:
        usages = [_usage(_data_of(inner.data).usage) for inner in _decode_events(raw)]
    except _UNREADABLE:
        return _NO_USAGE
    return _sum(usages, 0), _sum(usages, 1), _sum(usages, 2)


def _sum(usages: list[_Usage], column: int) -> int | None:
    numbers = [usage[column] for usage in usages]
    return _number(sum(number or 0 for number in numbers)) if any(n is not None for n in numbers) else None


def _text(field: object) -> str | None:
    return field if isinstance(field, str) and len(field) <= FIELD_LENGTH_LIMIT else None


def _number(field: object) -> int | None:
    return field if type(field) is int and -(1 << 63) <= field < 1 << 63 else None
