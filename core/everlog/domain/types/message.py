"""Messages: appended, edited, redacted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from everlog.domain.event import FreeJson, Payload, unknown
from everlog.domain.standing import Standing
from everlog.domain.types.content_fields import Parts, free_json
from everlog.domain.types.fields import BatchIndex, Identifier, Text, Version
from everlog.domain.verdicts import Rejected
from everlog.domain.view import View


class ReplyTo(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The message that is answered."""

    version: Version
    index: BatchIndex | None = None


class MessageAppended(Payload, frozen=True):
    """Somebody said something."""

    role: Literal["user", "assistant", "system", "developer", "tool"]
    parts: Parts
    author: Identifier | None = None
    run: Identifier | None = None
    reply_to: ReplyTo | None = None

    def free_json(self) -> Sequence[FreeJson]:
        """Data parts."""
        return free_json(self.parts)

    def refusal(self, standing: Standing) -> Rejected | None:
        """A run that is not open; an answer to a version that is not there yet."""
        if self.run is not None and self.run not in standing.runs:
            return unknown(standing, self.run)
        if self.reply_to is not None and self.reply_to.version > standing.version:
            return unknown(standing, f"version {self.reply_to.version}")
        return None

    def show(self, view: View, version: int) -> None:
        """Counted; the message itself is a timeline entry."""
        view.messages += 1


class MessageEdited(Payload, frozen=True):
    """A message gets other parts; readers merge it."""

    version: Version
    parts: Parts
    index: BatchIndex | None = None

    def free_json(self) -> Sequence[FreeJson]:
        """Data parts."""
        return free_json(self.parts)

    def refusal(self, standing: Standing) -> Rejected | None:
        """A version that is not there yet."""
        return unknown(standing, f"version {self.version}") if self.version > standing.version else None


class MessageRedacted(Payload, frozen=True):
    """A message's parts are taken back; readers blank them."""

    version: Version
    index: BatchIndex | None = None
    reason: Text | None = None

    def refusal(self, standing: Standing) -> Rejected | None:
        """A version that is not there yet."""
        return unknown(standing, f"version {self.version}") if self.version > standing.version else None
