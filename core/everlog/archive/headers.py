"""Record headers as one byte string, byte for byte and in their order.

Per header: length of the name (u32, little endian), name, length of the value (i32, -1 = null), value.
No header at all is the empty string.
"""

from __future__ import annotations

from struct import Struct

from everlog.ports.log import Headers
from everlog.schemas.errors import ArchiveDamagedError

_NAME = Struct("<I")
_VALUE = Struct("<i")


def encode_headers(headers: Headers) -> bytes:
    """The headers of one record as bytes; a null value (Kafka allows it) stays distinct from an empty one."""
    pieces: list[bytes] = []
    for name, value in headers:
        raw_name = name.encode()
        pieces += (_NAME.pack(len(raw_name)), raw_name, _VALUE.pack(-1 if value is None else len(value)), value or b"")
    return b"".join(pieces)


def decode_headers(data: bytes) -> Headers:
    """The inverse of ``encode_headers``. Raises ``ArchiveDamagedError`` for anything that it cannot have made."""
    headers: list[tuple[str, bytes | None]] = []
    at = 0
    while at < len(data):
        name, at = _take(data, at, _NAME)
        value, at = _take(data, at, _VALUE)
        if name is None:
            raise ArchiveDamagedError("record headers have a null name")
        headers.append((name.decode(), value))
    return tuple(headers)


def _take(data: bytes, at: int, length_format: Struct) -> tuple[bytes | None, int]:
    start = at + length_format.size
    if start > len(data):
        raise ArchiveDamagedError("record headers end too early")
    (length,) = length_format.unpack_from(data, at)
    if length < 0:
        return None, start
    if start + length > len(data):
        raise ArchiveDamagedError("record headers end too early")
    return data[start : start + length], start + length
