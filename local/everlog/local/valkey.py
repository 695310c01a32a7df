"""Valkey (the Redis protocol) as one process."""

from __future__ import annotations

from dataclasses import dataclass

from everlog.local import programs, readiness
from everlog.local.ports import HOST
from everlog.local.process import Command
from everlog.local.service import Place

_STOP_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Valkey:
    """The hot tier. A clean stop keeps everything; a kill may lose the last second, as a real failover may."""

    place: Place
    name: str = "redis"

    def prepare(self) -> None:
        """Its folder is all it needs."""
        self.place.layout.data(self.name)

    def command(self) -> Command:
        """The server."""
        options = {
            "--bind": HOST,
            "--port": str(self.place.ports.redis),
            "--dir": str(self.place.layout.data(self.name)),
            "--appendonly": "yes",
            "--appendfsync": "everysec",
            "--save": "",
            "--loglevel": "notice",
        }
        argv = (str(programs.redis_server()), *(part for option in options.items() for part in option))
        return self.place.command(self.name, argv, stop_timeout_s=_STOP_TIMEOUT_S)

    def probe(self) -> None:
        """It answers, and has finished loading its file."""
        readiness.redis(f"redis://{HOST}:{self.place.ports.redis}/0")
