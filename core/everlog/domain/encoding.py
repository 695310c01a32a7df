"""Writing an event: the one form that every door gives a record's value.

The envelope's attributes in the decoder's order, the data in canonical JSON, nothing null or default.
"""

from __future__ import annotations

import msgspec

from everlog.domain.canonical import NotCanonicalError, canonical
from everlog.domain.decoding import Envelope, decode
from everlog.domain.event import Malformed
from everlog.schemas import events, limits
from everlog.schemas.errors import InvalidEventError, LimitExceededError

_encoder = msgspec.json.Encoder()


def encode(event: events.Event) -> bytes:
    """The value of the record for an event, checked by the fold's own decoder.

    Raises ``InvalidEventError`` or ``LimitExceededError``: nothing that the log would call malformed passes.
    """
    fields = {name: getattr(event, name) for name in Envelope.__struct_fields__ if name != "data"}
    try:
        data = msgspec.Raw(canonical(event.data))
    except NotCanonicalError as error:
        raise InvalidEventError(f"the data of {event.type} is not JSON that every reader keeps: {error}") from None
    value = _encoder.encode(Envelope(data=data, **fields))
    if len(value) > limits.VALUE_BYTES:
        raise LimitExceededError("an event in bytes", maximum=limits.VALUE_BYTES, actual=len(value))
    decoded = decode(value)
    if isinstance(decoded, Malformed):
        raise InvalidEventError(f"not a valid {event.type}: {decoded.detail}", errors=(decoded.detail,))
    return value
