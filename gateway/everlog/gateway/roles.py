"""What a role may do, as data; what is not in the table is denied.

The roster of a session stands on top of it: what a participant may do to its session is a rule of ``decide``.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from everlog.gateway.identity import Identity
from everlog.schemas.errors import ForbiddenError


class Verb(StrEnum):
    """What can be asked of the gateway."""

    CREATE = "create a session"
    APPEND = "append to a session"
    READ = "read a session"
    JOIN = "join or leave a session"
    LEASE = "hold a lease"
    CHANGE_STATUS = "suspend, resume, close or reopen a session"
    RESOLVE = "answer an interrupt"
    REVOKE_LEASE = "take away a lease in any session"


_TAKES_PART: Final = frozenset({Verb.JOIN, Verb.LEASE, Verb.CHANGE_STATUS, Verb.RESOLVE})

ROLES: Final[Mapping[str, frozenset[Verb]]] = {
    "owner": frozenset({Verb.CREATE, Verb.APPEND, Verb.READ, Verb.REVOKE_LEASE}) | _TAKES_PART,
    "editor": frozenset({Verb.CREATE, Verb.APPEND, Verb.READ}) | _TAKES_PART,
    "viewer": frozenset({Verb.READ}),
    "analyst": frozenset({Verb.READ}),
    "operator": frozenset({Verb.READ, Verb.REVOKE_LEASE}),
    "auditor": frozenset({Verb.READ}),
}
"""A MAD is an editor."""

JOINS_AS: Final[Mapping[str, frozenset[str]]] = {
    "owner": frozenset({"owner", "editor", "viewer", "analyst"}),
    "editor": frozenset({"editor", "viewer", "analyst"}),
}
"""Participant roles that a principal may give itself when it joins: none above its own."""

ADDS_OTHERS: Final = frozenset({"owner"})
"""Roles that may let others join any session of the tenant; else only who governs a session may."""


def allows(identity: Identity, verb: Verb) -> bool:
    """Whether the identity's role may do this."""
    return verb in ROLES.get(identity.role, frozenset())


def require(identity: Identity, *verbs: Verb) -> None:
    """Raise ``ForbiddenError`` unless the identity's role may do one of these. Every route asks before it reads."""
    if not any(allows(identity, verb) for verb in verbs):
        raise ForbiddenError(f"role {identity.role} may not {', nor '.join(verbs)}")
