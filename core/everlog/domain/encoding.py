"""Writing an event: the one form that every door gives a record's value.

The envelope's attributes in the decoder's order, the data in canonical JSON, nothing null or default.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from everlog.domain.canonical import canonical
from everlog.domain.envelope import Envelope
from everlog.domain.event import Event, Malformed, UnknownRules
from everlog.domain.law import LAW
from everlog.schemas import events, limits
from everlog.schemas.errors import InvalidEventError, LimitExceededError
from everlog.schemas.json_values import NotInteroperableError

_ATTRIBUTES: Final = tuple(name for name in Envelope.__struct_fields__ if name != "data")
_encoder: Final = msgspec.json.Encoder()


class Encoded(NamedTuple):
    """The value of a record, and the event that the law reads in it."""

    value: bytes
    event: Event


def encode(event: events.Event) -> bytes:
    """The value of the record for an event, checked by the fold's own decoder.

    Raises ``InvalidEventError`` or ``LimitExceededError``: nothing that the log would call malformed passes.
    """
    return encoded(event).value


def encoded(event: events.Event) -> Encoded:
    """As ``encode``, with what the decoder read."""
    try:
        data = msgspec.Raw(canonical(events.plain_data(event)))
        value = _encoder.encode(Envelope(data=data, **{name: getattr(event, name) for name in _ATTRIBUTES}))
    except (NotInteroperableError, UnicodeError) as error:
        raise InvalidEventError(f"{event.type} is not JSON that every reader keeps: {error}") from None
    if len(value) > limits.VALUE_BYTES:
        raise LimitExceededError("an event in bytes", maximum=limits.VALUE_BYTES, actual=len(value))
    match LAW.decode(value):
        case Malformed(detail):
            raise InvalidEventError(f"not a valid {event.type}: {detail}", errors=(detail,))
        case UnknownRules(rules):
            raise InvalidEventError(f"this door does not know rules {rules}", hint="Upgrade it")
        case read:
            return Encoded(value, read)
