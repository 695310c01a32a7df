"""What is appended: typed payloads and how to write them shortly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from everlog.schemas.json_values import Json
from everlog.schemas.payloads import MessageAppended, Part, Payload, StatePatched

Message = MessageAppended
"""Somebody said something: ``Message(role="user", parts=[text("Hello")])``."""

StatePatch = StatePatched
"""Keys of the state document change: ``StatePatch(set={"city": "Rome"})``."""

Appendable = str | Payload | Sequence[Payload]
"""The name of a type (its data apart), a payload, or several payloads as one atomic batch."""


def text(content: str) -> Part:
    """A text part of a message."""
    return Part(type="text", text=content)


def reasoning(content: str) -> Part:
    """What a model thought before it spoke."""
    return Part(type="reasoning", text=content)


def data(value: Json, *, media_type: str | None = None) -> Part:
    """A part of any JSON but null, as a tool gives it."""
    return Part(type="data", data=value, media_type=media_type)


def file(uri: str, *, sha256: str | None = None, size_bytes: int | None = None, media_type: str | None = None) -> Part:
    """A file by its address; its content lies in an object store."""
    return Part(type="file", uri=uri, sha256=sha256, size_bytes=size_bytes, media_type=media_type)


def body_of(what: Appendable, data: Mapping[str, Any] | None) -> dict[str, Any]:
    """The body of an append request. Raises ``TypeError`` for data that do not belong there, or are missing."""
    if isinstance(what, str):
        if data is None:
            raise TypeError(f"append({what!r}, data): the data are missing")
        return {"type": what, "data": dict(data)}
    if data is not None:
        raise TypeError("a payload brings its own data")
    if isinstance(what, Payload):
        return _event(what)
    return {"events": [_event(payload) for payload in what]}


def _event(payload: Payload) -> dict[str, Any]:
    return {"type": payload.type_name, "data": payload.model_dump(mode="json", exclude_defaults=True)}
