"""A whole Everlog that runs on this machine."""

from __future__ import annotations

from typing import NamedTuple

from support.command_line import CommandLine


class Running(NamedTuple):
    """Everything up on this machine: the command that knows it, and the gateway's address."""

    everlog: CommandLine
    gateway: str

    def token(self, principal: str = "ada", role: str = "owner", tenant: str = "acme") -> str:
        """A token that the gateway takes."""
        claims = ("--principal", principal, "--role", role, "--tenant", tenant)
        return self.everlog.ok("token", *claims).out.strip()
