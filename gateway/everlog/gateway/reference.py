"""The page of roles for people, ``docs/reference/roles.md``, written by ``make generate`` from the table itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from everlog.gateway.listing import SEE_ALL
from everlog.gateway.roles import ADDS_OTHERS, JOINS_AS, ROLES, Verb

ROLES_PAGE: Final = "docs/reference/roles.md"
_HEAD: Final = """# Roles

<!-- Made by `make generate` from gateway/everlog/gateway/roles.py: change that. -->

The claim `role` of a token names one of these roles. What the table does not allow is denied: 403 `forbidden`, and the
answer says nothing about a session. A token is of one tenant: a session of another tenant is answered as one that does
not exist. A MAD is an `editor`.
"""
_ROSTER: Final = """
## In a session

The session's own roster stands on top of the table, and the log's order decides with it: to append, to change the
status, to answer an interrupt or to send others away, a principal needs a participant in the session as well, whose
role there allows it, and a participant acts with the epoch of its lease where it holds one. Who may append and governs
a session may take away any lease in it.

Who may read may read every session of the tenant whose id it knows. Lists and searches show every session of the
tenant to: {see_all}; to others those that they own or are present in.
"""
_JOINING: Final = """
Roles that a principal may give itself when it joins a session: none above its own.

"""


def roles_page() -> str:
    """The whole page."""
    return "".join([_HEAD, "\n", _verbs(), _roster(), _JOINING, _joining(), "\n", _adding()])


def _verbs() -> str:
    marks = {verb.value: ["yes" if verb in allowed else "" for allowed in ROLES.values()] for verb in Verb}
    return _table(["may", *_codes(ROLES)], marks)


def _roster() -> str:
    return _ROSTER.format(see_all=", ".join(_codes(role for role in ROLES if role in SEE_ALL)))


def _joining() -> str:
    joined = [role for role in ROLES if any(role in given for given in JOINS_AS.values())]
    marks = {f"`{role}`": ["yes" if other in given else "" for other in joined] for role, given in JOINS_AS.items()}
    return _table(["role of the token", *(f"joins as {code}" for code in _codes(joined))], marks)


def _adding() -> str:
    roles = ", ".join(_codes(role for role in ROLES if role in ADDS_OTHERS))
    return f"Others may be let in by who governs the session, and into any session of the tenant by: {roles}.\n"


def _table(head: list[str], rows: Mapping[str, list[str]]) -> str:
    lines = [head, ["---"] * len(head), *([name, *marks] for name, marks in rows.items())]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _codes(names: Iterable[str]) -> list[str]:
    return [f"`{name}`" for name in names]
