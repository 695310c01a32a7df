"""What the audit topic holds: denied requests and operators' actions, in a CloudEvents envelope of their own.

They are no events of a session: nothing is folded from them, and they say nothing of a session's content.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from everlog.schemas.identifiers import Identifier
from everlog.schemas.times import TIME_PATTERN

TEXT_CHARACTERS: Final = 512
"""A path, a reason or an argument; what is longer is cut."""
SESSIONS_NAMED: Final = 100
"""Sessions that an operation names; of more only the count is kept."""

Text = Annotated[str, Field(max_length=TEXT_CHARACTERS)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Denial(_Frozen):
    """A request that was refused because of who asked."""

    method: Text
    path: Text
    reason: Literal["unauthenticated", "forbidden"]
    detail: Text
    role: Identifier | None = None
    trace_id: Text | None = None


class Operation(_Frozen):
    """Something that an operator did, written down before it was done."""

    command: Text = Field(examples=["archive trim"])
    reason: Text = ""
    arguments: dict[str, Text] = Field(default_factory=dict)
    sessions: Annotated[list[Text], Field(max_length=SESSIONS_NAMED)] = Field(default_factory=list)
    session_count: int = Field(default=0, ge=0)

    @classmethod
    def of(cls, command: str, reason: str, arguments: Mapping[str, object], sessions: Sequence[str]) -> Self:
        """An operation on these sessions (``tenant/session``), cut where it is too long for an entry."""
        return cls(
            command=command,
            reason=cut(reason),
            arguments={name: cut(str(value)) for name, value in arguments.items()},
            sessions=[cut(key) for key in sessions[:SESSIONS_NAMED]],
            session_count=len(sessions),
        )


class AuditEvent(_Frozen):
    """One entry of the audit topic."""

    specversion: Literal["1.0"] = "1.0"
    id: Identifier
    source: Literal["/gateway", "/cli"]
    type: Literal["everlog.audit.denied.v1", "everlog.audit.operation.v1"]
    time: str = Field(pattern=TIME_PATTERN)
    tenantid: Identifier | None = Field(default=None, description="None = not known, or no single tenant's matter")
    actor: Text | None = Field(default=None, description="Principal, or the system's user who ran a command")
    data: Denial | Operation


def cut(text: str) -> str:
    """A text that fits, without what no UTF-8 can hold."""
    return text.encode("utf-8", "replace").decode()[:TEXT_CHARACTERS]
