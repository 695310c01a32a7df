"""Messages."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from everlog.domain.canonical import is_plain
from everlog.domain.event import Payload
from everlog.domain.standing import Standing
from everlog.domain.types.fields import Count, Identifier, Version
from everlog.domain.verdicts import Reason, Rejected
from everlog.domain.view import View
from everlog.schemas import limits


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One part of a message."""

    type: Literal["text", "file", "data", "reasoning"]
    text: str | None = None
    uri: str | None = None
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")] | None = None
    size_bytes: Count | None = None
    media_type: Annotated[str, Meta(max_length=128)] | None = None
    data: Any = None


class ReplyTo(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The message that is answered."""

    version: Version
    index: Annotated[int, Meta(ge=0, lt=limits.BATCH_EVENTS)] | None = None


class MessageAppended(Payload, frozen=True):
    """Somebody said something."""

    role: Literal["user", "assistant", "system", "developer", "tool"]
    parts: Annotated[list[Part], Meta(min_length=1, max_length=limits.PARTS)]
    author: Identifier | None = None
    run: Identifier | None = None
    reply_to: ReplyTo | None = None

    def is_plain(self) -> bool:
        """Data parts are free JSON."""
        return all([part.data is None or is_plain(part.data) for part in self.parts])  # noqa: C419 (visit all)

    def refusal(self, standing: Standing) -> Rejected | None:
        """An answer to a version that is not there yet; a run, since none can be open."""
        if self.reply_to is not None and self.reply_to.version > standing.version:
            return Rejected(Reason.UNKNOWN_REFERENCE, standing.version, (f"version {self.reply_to.version}",))
        if self.run is not None:
            return Rejected(Reason.UNKNOWN_REFERENCE, standing.version, (self.run,))
        return None

    def show(self, view: View, version: int) -> None:
        """Counted; the message itself is a timeline entry."""
        view.messages += 1
