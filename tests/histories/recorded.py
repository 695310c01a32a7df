"""The files of recorded histories: what a file holds, and the record values and verdicts that its lines stand for.

A line is one record, or several alike. So that large ones stay readable, a line may have
``repeat``    so many records follow each other, ``@i@`` in the value is the number of each, 000, 001, ...; each
              accepted one makes the next version
``fill``      the text ``replaces`` in the value stands for ``times`` copies of ``text``, joined by ``join``; ``@n@`` in
              a copy is its number
A value is text, ``{"base64": ...}`` where it is no text, or null for a record without a value.
"""

from __future__ import annotations

from base64 import b64decode
from pathlib import Path
from typing import Any, Final

import msgspec

FOLDER: Final = Path(__file__).parent
SUMS: Final = FOLDER / "SHA256SUMS"
UNKNOWN_RULES: Final = "unknown_rules"
"""Not a verdict: the reader must halt at such a record."""


class Fill(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A piece of a value that stands for many."""

    replaces: str
    text: str
    times: int
    join: str = ""

    def into(self, value: str) -> str:
        """The value with all copies in it."""
        copies = self.join.join(self.text.replace("@n@", f"{number:03}") for number in range(self.times))
        return value.replace(self.replaces, copies)


class Base64(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bytes that are no text."""

    base64: str


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """One record, or several alike, and their verdicts."""

    why: str = ""
    """What it is there for."""
    bound: str = ""
    """Which bound it meets or passes: a name of ``everlog.schemas.limits``."""
    verdict: dict[str, Any]
    value: str | Base64 | None
    repeat: int = 1
    fill: Fill | None = None

    def values(self) -> list[bytes | None]:
        """The value of each record."""
        if not isinstance(self.value, str):
            return [b64decode(self.value.base64) if self.value is not None else None]
        text = self.fill.into(self.value) if self.fill is not None else self.value
        return [text.replace("@i@", f"{number:03}").encode() for number in range(self.repeat)]

    def verdicts(self) -> list[dict[str, Any]]:
        """The verdict on each record."""
        if self.repeat == 1 or self.verdict["outcome"] != "accepted":
            return [self.verdict] * self.repeat
        first = self.verdict["version"]
        return [{**self.verdict, "version": first + number} for number in range(self.repeat)]


class History(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A recorded history of one session, from its first record on."""

    about: str
    session: str
    """``tenant/session``, the key of its records."""
    records: list[Line]
    state: dict[str, Any] | None
    """What it folds to; null where there is no session in the end."""


def names() -> list[str]:
    """All recorded histories."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def load(name: str) -> History:
    """The history of a name."""
    return msgspec.json.decode((FOLDER / f"{name}.json").read_bytes(), type=History)


def recorded_sums() -> dict[str, str]:
    """The sha256 that each file had when it was recorded, by file name."""
    lines = SUMS.read_text().splitlines() if SUMS.exists() else []
    return {name: digest for digest, name in (line.split("  ", 1) for line in lines)}
