"""The strict decoder: bytes of a record's value in, an event out; it never raises.

What it checks, in order: (1) the envelope has exactly the known attributes, each of its type and pattern; (2) its rules
are known; (3) the type is known under them, or an application's own; (4) the data is exactly of that type; (5) free
JSON is what every reader keeps; (6) the whole document has no duplicate keys, NaN or lone surrogates.

Step 6 needs no second parse for a value that its door wrote: such a value is canonical, so that writing the decoded
event again gives the same bytes, which nothing lax survives. Only other values are parsed once more, strictly.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from everlog.domain import content
from everlog.domain.canonical import canonical, content_hash, id_hash, parse_strictly
from everlog.domain.envelope import Envelope, Origin, check, is_type
from everlog.domain.event import Event, FreeJson, Malformed, Payload, UnknownRules
from everlog.domain.registry import BATCH, RuleBook
from everlog.domain.types.batch import BatchAppended
from everlog.domain.types.custom import Custom
from everlog.schemas import limits
from everlog.schemas.identifiers import EVERLOG_TYPE_PREFIX, is_identifier
from everlog.schemas.json_values import NotInteroperableError, is_plain


class _Inner(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    data: msgspec.Raw
    type: str


class _Batch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    events: Annotated[list[_Inner], Meta(min_length=1, max_length=limits.BATCH_EVENTS)]


class _RulesOnly(msgspec.Struct):
    rules: int = 1
    id: str | None = None


_envelopes: Final = msgspec.json.Decoder(Envelope)
_batches: Final = msgspec.json.Decoder(_Batch)
_objects: Final = msgspec.json.Decoder(dict[str, Any])
_rules_only: Final = msgspec.json.Decoder(_RulesOnly)
_written: Final = msgspec.json.Encoder()
_sorted: Final = msgspec.json.Encoder(order="sorted")

_AROUND_INNER: Final = 3
"""Around the data of an event of a batch: the batch's data, its array of events, the event."""

DAMAGE: Final = (msgspec.MsgspecError, NotInteroperableError, UnicodeDecodeError, RecursionError)
"""What decoding raises for bytes that are not what they should be."""


class Decoder:
    """Decodes under the rules of some books."""

    def __init__(self, books: Mapping[int, RuleBook]) -> None:
        self._payloads = {
            number: {name: msgspec.json.Decoder(payload) for name, payload in book.types.items() if name != BATCH}
            for number, book in books.items()
        }
        self._books = books

    def decode(self, value: bytes | None) -> Event | Malformed | UnknownRules:
        """The event that a record's value holds, or why it is none."""
        if value is None:
            return Malformed("the record has no value")
        if len(value) > limits.VALUE_BYTES:
            return Malformed(f"the value has {len(value)} bytes, the limit is {limits.VALUE_BYTES}")
        try:
            envelope = _envelopes.decode(value)
            origin = check(envelope)
            if envelope.rules not in self._books:
                return UnknownRules(envelope.rules)
            return self._event(value, envelope, origin)
        except DAMAGE as error:
            return self._told(value, str(error))

    def _event(self, value: bytes, envelope: Envelope, origin: Origin) -> Event:
        data, type_name = bytes(envelope.data), envelope.type
        payload, is_canonical = self._data(envelope.rules, type_name, data, limits.JSON_DEPTH)
        if payload.needs_expected_version and envelope.expectedversion is None:
            raise msgspec.ValidationError(f"{type_name} needs expectedversion")
        if not is_canonical or data.find(content.MARK) >= 0 or _written.encode(envelope) != value:
            data = canonical(content.masked(parse_strictly(value)["data"]))
        return Event(  # by place: naming thirteen fields costs as much as decoding the data
            origin.key,
            envelope.id,
            type_name,
            envelope.actor,
            envelope.time,
            payload,
            id_hash(envelope.id),
            content_hash(origin.hashed, data),
            envelope.rules,
            envelope.expectedversion,
            envelope.leaseepoch,
            envelope.retry,
            envelope.seenversion,
        )

    def _data(self, rules: int, type_name: str, raw: bytes, depth: int) -> tuple[Payload, bool]:
        """The payload, which may nest to a depth, and whether its bytes are canonical."""
        decoder = self._payloads[rules].get(type_name)
        if decoder is not None:
            payload = decoder.decode(raw)
            values = payload.free_json()
            return payload, (not values or _are_plain(values, depth)) and _sorted.encode(payload) == raw
        if type_name == BATCH:
            return self._batch(rules, raw)
        if type_name.startswith(EVERLOG_TYPE_PREFIX):
            raise msgspec.ValidationError(f"rules {rules} have no type {type_name}")
        custom = Custom(_objects.decode(raw))
        return custom, _are_plain(custom.free_json(), depth) and _sorted.encode(custom.data) == raw

    def _batch(self, rules: int, raw: bytes) -> tuple[Payload, bool]:
        batch = _batches.decode(raw)
        batchable = self._books[rules].batchable
        payloads, is_canonical = [], _written.encode(batch) == raw
        for inner in batch.events:
            if not is_type(inner.type) or (inner.type.startswith(EVERLOG_TYPE_PREFIX) and inner.type not in batchable):
                raise msgspec.ValidationError("a batch holds a type that it may not hold")
            payload, inner_is_canonical = self._data(
                rules, inner.type, bytes(inner.data), limits.JSON_DEPTH - _AROUND_INNER
            )
            payloads.append(payload)
            is_canonical = is_canonical and inner_is_canonical
        return BatchAppended(tuple(payloads)), is_canonical

    def _told(self, value: bytes, detail: str) -> Malformed | UnknownRules:
        """What can be said of a value that is no event: newer rules may allow what these do not."""
        try:
            told = _rules_only.decode(value)
        except DAMAGE:
            return Malformed(detail)
        if 0 < told.rules <= limits.SAFE_INTEGER and told.rules not in self._books:
            return UnknownRules(told.rules)
        return Malformed(detail, told.id if told.id is not None and is_identifier(told.id) else None)


def _are_plain(values: Sequence[FreeJson], depth: int) -> bool:
    """Whether all free JSON is plain. Raises ``NotInteroperableError`` for what not every reader keeps."""
    return all([is_plain(value, depth - around) for around, value in values])  # noqa: C419 (visit all)
