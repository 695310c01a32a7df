"""Describing a new history: records one after the other, each with the outcome that the law asks for.

The outcomes are written by hand, from the law; recording refuses a history whose fold says otherwise.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from typing import Any, Final

import msgspec

from everlog.domain.canonical import canonical
from everlog.domain.encoding import encode
from everlog.domain.envelope import Envelope
from everlog.domain.law import LAW
from everlog.schemas.events import Event
from everlog.schemas.identifiers import full_type
from histories.folding import fold, log_of, readable
from histories.recorded import FOLDER, SUMS, UNKNOWN_RULES, Base64, Fill, History, Line, recorded_sums

TENANT, SESSION = "acme", "rome-42"
KEY: Final = f"{TENANT}/{SESSION}"
Description = Callable[["Recording"], None]
DESCRIPTIONS: Final[dict[str, Description]] = {}


def history(name: str) -> Callable[[Description], Description]:
    """Name a description; its docstring says what the history is about."""

    def named(description: Description) -> Description:
        assert name not in DESCRIPTIONS, name
        DESCRIPTIONS[name] = description
        return description

    return named


class Recording:
    """A history that is being described."""

    def __init__(self) -> None:
        self.lines: list[Line] = []

    def add(
        self,
        outcome: str,
        type_name: str,
        data: dict[str, Any],
        *,
        why: str = "",
        bound: str = "",
        detail: tuple[str, ...] | None = None,
        repeat: int = 1,
        fill: Fill | None = None,
        **attributes: Any,
    ) -> None:
        """An event as a door writes it, and its outcome; ``detail`` is what the verdict must name."""
        line = Line(
            why=why,
            bound=bound,
            verdict={"outcome": outcome} | ({"detail": list(detail)} if detail is not None else {}),
            value=self.written(type_name, data, repeated=repeat > 1, **attributes),
            repeat=repeat,
            fill=fill,
        )
        if outcome not in ("malformed", UNKNOWN_RULES):
            for value in line.values():
                assert value is not None
                assert encode(Event(**json.loads(value))) == value, f"no door writes this: {value[:400]!r}"
        self.lines.append(line)

    def created(self, **data: Any) -> None:
        """Most histories begin like this."""
        self.add("accepted", "session.created", {"owner": "ada", **data})

    def said(self, outcome: str, text: str = "hi", **options: Any) -> None:
        """A message, which needs nothing but the right to write."""
        self.add(outcome, "message.appended", message(text), **options)

    def raw(self, outcome: str, value: str | bytes | None, *, why: str = "", bound: str = "") -> None:
        """Any value at all."""
        kept = Base64(b64encode(value).decode()) if isinstance(value, bytes) else value
        self.lines.append(Line(why=why, bound=bound, verdict={"outcome": outcome}, value=kept))

    def bent(
        self, outcome: str, old: str, new: str, *event: Any, why: str = "", bound: str = "", **attributes: Any
    ) -> None:
        """The value that a door writes for an event (type, data; a message without), with a piece replaced."""
        value = self.written(*(event or ("message.appended", message("hi"))), **attributes)
        assert value.count(old) == 1, (old, value)
        self.raw(outcome, value.replace(old, new), why=why, bound=bound)

    def written(self, type_name: str, data: dict[str, Any], *, repeated: bool = False, **attributes: Any) -> str:
        """The text of a value, not checked: it may yet be filled, or wrong on purpose."""
        number = len(self.lines) + 1
        envelope = Envelope(
            **{
                "specversion": "1.0",
                "id": f"e-{number}" + ("-@i@" if repeated else ""),
                "source": "/mads/planner",
                "type": full_type(type_name),
                "subject": SESSION,
                "tenantid": TENANT,
                "time": f"2026-01-02T03:{number // 60:02}:{number % 60:02}Z",
                "actor": "ada",
                "data": msgspec.Raw(canonical(data)),
                **attributes,
            }
        )
        return msgspec.json.encode(envelope).decode()

    def whole(self, about: str) -> History:
        """The history with all that it folds to. Raises ``AssertionError`` where that is not what was described."""
        folded = [line for line in self.lines if line.verdict["outcome"] != UNKNOWN_RULES]
        result = fold(KEY, log_of(KEY, [value for line in folded for value in line.values()]))
        verdicts = iter(result.verdicts)
        lines = [self._judged(line, verdicts) for line in self.lines]
        return History(about, KEY, lines, readable(result.state))

    def _judged(self, line: Line, verdicts: Any) -> Line:
        if line.verdict["outcome"] == UNKNOWN_RULES:
            (value,) = line.values()
            return msgspec.structs.replace(
                line, verdict={**line.verdict, "rules": msgspec.to_builtins(LAW.decode(value))["rules"]}
            )
        found = [next(verdicts) for _ in range(line.repeat)]
        judged = msgspec.structs.replace(line, verdict={**found[0]})
        assert line.verdict.items() <= found[0].items(), f"the law asks for {line.verdict}, not {found[0]}: {line}"
        assert judged.verdicts() == found, f"not all alike: {found}"
        return judged


def message(text: str) -> dict[str, Any]:
    """The data of a message."""
    return {"role": "user", "parts": [{"type": "text", "text": text}]}


def record(name: str) -> None:
    """Write a described history and its line in the sums. Raises ``FileExistsError``: a recorded one never changes."""
    recording = Recording()
    DESCRIPTIONS[name](recording)
    about = " ".join((DESCRIPTIONS[name].__doc__ or "").split())
    document: dict[str, Any] = msgspec.to_builtins(recording.whole(about))
    file = FOLDER / f"{name}.json"
    with file.open("x", encoding="utf-8") as opened:
        opened.write(laid_out(document))
    sums = {**recorded_sums(), file.name: sha256(file.read_bytes()).hexdigest()}
    SUMS.write_text("".join(f"{digest}  {listed}\n" for listed, digest in sorted(sums.items())))


def laid_out(document: dict[str, Any]) -> str:
    """A history's file: a line for each attribute of a record, which people can read and diff."""

    def text(value: Any) -> str:
        return json.dumps(value, ensure_ascii=False)

    records = [
        "  {" + ",\n   ".join(f"{text(name)}: {text(item)}" for name, item in line.items()) + "}"
        for line in document["records"]
    ]
    state = "null"
    if document["state"] is not None:
        state = "{" + ",\n  ".join(f"{text(name)}: {text(item)}" for name, item in document["state"].items()) + "}"
    return (
        f'{{"about": {text(document["about"])},\n "session": {text(document["session"])},\n "records": [\n'
        + ",\n".join(records)
        + f'\n ],\n "state": {state}}}\n'
    )
