"""Messages as they should be seen, and what a page of them must know of the newer ones.

Two views. ``model``: what a model should be given: edits and redactions merged, summaries in the place of what they
cover, nothing of what was rewound away, a tool call next to its result. ``raw``: what a person may want to see:
everything that was ever said, in the order of the log, edits and redactions merged.
"""

from __future__ import annotations

import base64
import zlib
from typing import Any, Final, Literal

import msgspec

from everlog.schemas.errors import InvalidEventError, LimitExceededError

MessageView = Literal["model", "raw"]
CallStatus = Literal["requested", "completed", "failed"]
Place = tuple[int, int | None]
"""The version that brought something, and its index where that is a batch."""

CURSOR_CHARACTERS: Final = 4096
"""A cursor at most: proxies and servers take request lines of 8 KiB."""
UNPACKED_BYTES: Final = 64 * 1024
"""What is unpacked of a cursor at most: nobody sends a small one that becomes a large one."""


class ToolCall(msgspec.Struct, omit_defaults=True):
    """Of a message that asks for a tool or is its result; ``name`` is None where the request was not found."""

    tool_call: str
    status: CallStatus
    name: str | None = None
    arguments: Any = None
    error: Any = None


class Message(msgspec.Struct):
    """A message; ``parts`` are JSON: a list of parts, or their encrypted form."""

    version: int
    index: int | None
    role: str
    author: str
    parts: Any
    timestamp: int
    """The broker's append time of its event, milliseconds since 1970."""
    run: str | None = None
    reply_to: Any = None
    edited: bool = False
    redacted: bool = False
    summary: bool = False
    tool_call: ToolCall | None = None

    def redact(self) -> None:
        """Take back what it says."""
        self.redacted, self.parts = True, []
        if self.tool_call is not None:
            self.tool_call.arguments = self.tool_call.error = None


class Covering(msgspec.Struct, array_like=True):
    """A summary in force: where its event is, the versions that it covers, and whether it has been shown."""

    place: Place
    first: int
    last: int
    is_shown: bool = False


class Cursor(msgspec.Struct, array_like=True):
    """Where the page of older messages begins, and what it must know of what is newer.

    The pages of one reading show the conversation as it was at ``seen``, but for redactions, which always hold.
    """

    before: tuple[int, int]
    """Version and index: only what lies before is shown."""
    seen: int
    """The newest version that was looked at."""
    edits: list[tuple[Place, Place]] = []
    """What was edited, and by which event, as far as it was not reached."""
    redactions: list[Place] = []
    """What was redacted, likewise; index None means all of a version."""
    summaries: list[Covering] = []
    claimed: list[str] = []
    """Tool calls that were shown with their result, and whose request lies before."""
    rewound_to: int | None = None
    """Within what was rewound away: the version where it ends."""
    overfull_characters: int = 0
    """How long it would be with all it must know, if that is too long: reading cannot go on."""


_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(Cursor)


def encode_cursor(cursor: Cursor) -> str:
    """The text of a cursor; for one that is too large a text that ``decode_cursor`` refuses with the reason."""
    text = base64.urlsafe_b64encode(zlib.compress(_encoder.encode(cursor))).rstrip(b"=").decode()
    if len(text) > CURSOR_CHARACTERS:
        return encode_cursor(Cursor(cursor.before, cursor.seen, overfull_characters=len(text)))
    return text


def decode_cursor(text: str) -> Cursor:
    """The cursor of a text. Raises ``InvalidEventError``, and ``LimitExceededError`` for one that was too large."""
    try:
        if len(text) > CURSOR_CHARACTERS:
            raise ValueError("it is too long")
        unpacking = zlib.decompressobj()
        packed = unpacking.decompress(base64.b64decode(text + "=" * (-len(text) % 4), b"-_", True), UNPACKED_BYTES)
        cursor = _decoder.decode(packed)
        if not 1 <= cursor.before[0] <= cursor.seen:
            raise ValueError("it begins nowhere")
    except (ValueError, zlib.error, msgspec.MsgspecError):
        raise InvalidEventError("before is not a page's next", hint="Leave it out to begin at the newest") from None
    if cursor.overfull_characters:
        raise LimitExceededError(
            "what a page must know of newer changes, in characters,",
            maximum=CURSOR_CHARACTERS,
            actual=cursor.overfull_characters,
        )
    return cursor
