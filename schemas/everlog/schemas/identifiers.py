"""Identifiers and the key that names a session on the log.

An identifier is 1 to 128 characters of ``[A-Za-z0-9._:@-]``; ``/`` and ``#`` stay free as separators.
"""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import Field

from everlog.schemas.errors import InvalidEventError
from everlog.schemas.limits import ID_CHARACTERS

ID_TEXT: Final = rf"[A-Za-z0-9._:@-]{{1,{ID_CHARACTERS}}}"
"""An identifier within a longer pattern."""
IDENTIFIER_PATTERN: Final = f"^{ID_TEXT}$"
TYPE_PATTERN: Final = r"^[a-z][a-z0-9_]*(\.[a-z0-9_]+){1,15}$"
"""A type's name: ``everlog.message.appended.v1`` or reverse DNS of an application's own."""

SYSTEM_ACTOR_PREFIX: Final = "system:"
EVERLOG_TYPE_PREFIX: Final = "everlog."

Identifier = Annotated[str, Field(pattern=IDENTIFIER_PATTERN, description="1 to 128 of A-Z a-z 0-9 . _ : @ -")]

_identifier = re.compile(ID_TEXT)
_key = re.compile(f"{ID_TEXT}/{ID_TEXT}".encode())


def is_identifier(text: str) -> bool:
    """Whether ``text`` is an identifier."""
    return _identifier.fullmatch(text) is not None


def check_member(name: str) -> str:
    """The name of a participant or owner. Raises ``ValueError`` for one that poses as the system."""
    if name.startswith(SYSTEM_ACTOR_PREFIX):
        raise ValueError(f"no participant or owner may be named {SYSTEM_ACTOR_PREFIX}...")
    return name


def session_key(tenant: str, session: str) -> str:
    """The key of a session on the log and in every store: ``tenant/session``.

    Raises ``InvalidEventError`` when either is not an identifier.
    """
    for name, text in (("tenant", tenant), ("session", session)):
        if not is_identifier(text):
            raise InvalidEventError(
                f"{name} {text[:ID_CHARACTERS]!r} is not an identifier",
                hint="Use 1 to 128 of the characters A-Z a-z 0-9 . _ : @ -",
            )
    return f"{tenant}/{session}"


def split_key(key: str) -> tuple[str, str]:
    """Tenant and session of a well-formed key."""
    tenant, _, session = key.partition("/")
    return tenant, session


def well_formed_key(raw: bytes | None) -> str | None:
    """The key of a raw record key, or None where it names no session."""
    if raw is None or _key.fullmatch(raw) is None:
        return None
    return raw.decode("ascii")


def full_type(short: str) -> str:
    """The full name of a type: ``message.appended`` means ``everlog.message.appended.v1``.

    A name of three or more parts, or one that begins with ``everlog.``, is full already.
    """
    if short.startswith(EVERLOG_TYPE_PREFIX) or short.count(".") != 1:
        return short
    return f"{EVERLOG_TYPE_PREFIX}{short}.v1"
