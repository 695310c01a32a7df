"""The strict decoder of rules 1: bytes of a record's value in, an event or ``Malformed`` out; it never raises.

What it checks, in order: (1) the envelope has exactly the known attributes, each of its type and pattern; (2) the type
is known, or an application's own; (3) the data is exactly of that type; (4) the whole document is JSON without
duplicate keys, NaN, lone surrogates, unsafe integers or deep nesting.

Step 4 needs no second parse for a value that its door wrote: such a value is canonical, so that writing the decoded
event again gives the same bytes, which nothing lax survives. Only other values are parsed once more, strictly.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from everlog.domain.canonical import NotCanonicalError, canonical, content_hash, id_hash, parse_strictly
from everlog.domain.event import Event, Malformed, Payload
from everlog.domain.registry import BATCH, BATCHABLE, TYPES
from everlog.domain.types.batch import BatchAppended
from everlog.domain.types.custom import Custom
from everlog.domain.types.fields import Count, Identifier
from everlog.schemas import limits
from everlog.schemas.events import SOURCE_PATTERN, TIME_PATTERN
from everlog.schemas.identifiers import EVERLOG_TYPE_PREFIX, TYPE_PATTERN

KNOWN_RULES: Final = 1
"""The highest rules number that this code knows."""

_Type = Annotated[str, Meta(pattern=TYPE_PATTERN.replace("$", r"\Z"), max_length=limits.ID_CHARACTERS)]


class Envelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The envelope as it lies on the log; the order of the fields is the order in which a door writes them."""

    specversion: Literal["1.0"]
    id: Identifier
    source: Annotated[str, Meta(pattern=SOURCE_PATTERN.replace("$", r"\Z"))]
    type: _Type
    subject: Identifier
    tenantid: Identifier
    time: Annotated[str, Meta(pattern=TIME_PATTERN.replace("$", r"\Z"))]
    actor: Identifier
    data: msgspec.Raw
    expectedversion: Count | None = None
    leaseepoch: Count | None = None
    retry: bool = False
    seenversion: Count | None = None
    correlationid: Identifier | None = None
    causationid: Identifier | None = None
    rules: Annotated[int, Meta(ge=1, le=limits.SAFE_INTEGER)] = 1


class _Inner(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    data: msgspec.Raw
    type: _Type


class _Batch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    events: Annotated[list[_Inner], Meta(min_length=1, max_length=limits.BATCH_EVENTS)]


_envelopes: Final = msgspec.json.Decoder(Envelope)
_payloads: Final = {name: msgspec.json.Decoder(payload) for name, payload in TYPES.items()}
_batches: Final = msgspec.json.Decoder(_Batch)
_objects: Final = msgspec.json.Decoder(dict[str, Any])
_written: Final = msgspec.json.Encoder()
_sorted: Final = msgspec.json.Encoder(order="sorted")


def decode(value: bytes | None) -> Event | Malformed:
    """The event that a record's value holds, or why it is malformed."""
    if value is None:
        return Malformed("the record has no value")
    if len(value) > limits.VALUE_BYTES:
        return Malformed(f"the value has {len(value)} bytes, the limit is {limits.VALUE_BYTES}")
    event_id = None
    try:
        envelope = _envelopes.decode(value)
        event_id = envelope.id
        data = bytes(envelope.data)
        payload, is_canonical = _decode_data(envelope.type, data)
        if not is_canonical or _written.encode(envelope) != value:
            data = canonical(parse_strictly(value)["data"])
    except (msgspec.MsgspecError, NotCanonicalError, UnicodeDecodeError, RecursionError) as error:
        return Malformed(str(error), event_id)
    return Event(
        key=f"{envelope.tenantid}/{envelope.subject}",
        id=envelope.id,
        type=envelope.type,
        actor=envelope.actor,
        time=envelope.time,
        payload=payload,
        id_hash=id_hash(envelope.id),
        content_hash=content_hash(envelope.type, envelope.actor, data),
        rules=envelope.rules,
        expected_version=envelope.expectedversion,
        lease_epoch=envelope.leaseepoch,
        retry=envelope.retry,
        seen_version=envelope.seenversion,
    )


def _decode_data(type_name: str, raw: bytes) -> tuple[Payload, bool]:
    """The payload, and whether its bytes are canonical."""
    if type_name == BATCH:
        return _decode_batch(raw)
    decoder = _payloads.get(type_name)
    if decoder is not None:
        payload = decoder.decode(raw)
        return payload, payload.is_plain() and _sorted.encode(payload) == raw
    if type_name.startswith(EVERLOG_TYPE_PREFIX):
        raise msgspec.ValidationError(f"rules 1 have no type {type_name}")
    custom = Custom(_objects.decode(raw))
    return custom, custom.is_plain() and _sorted.encode(custom.data) == raw


def _decode_batch(raw: bytes) -> tuple[Payload, bool]:
    batch = _batches.decode(raw)
    payloads, is_canonical = [], _written.encode(batch) == raw
    for inner in batch.events:
        if inner.type.startswith(EVERLOG_TYPE_PREFIX) and inner.type not in BATCHABLE:
            raise msgspec.ValidationError(f"a batch may not hold {inner.type}")
        payload, inner_is_canonical = _decode_data(inner.type, bytes(inner.data))
        payloads.append(payload)
        is_canonical = is_canonical and inner_is_canonical
    return BatchAppended(tuple(payloads)), is_canonical
