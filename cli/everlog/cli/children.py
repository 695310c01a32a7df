"""The Everlog services as child processes of a supervisor, or of the demo."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from everlog.local.ports import HOST, Ports
from everlog.local.spec import ExtraService

INIT: Final = "init"
ONLY_PROJECTOR: Final = {"EVERLOG_PROJECTOR__INSTANCE_ID": "local"}
"""A restarted projector gets its partitions back at once; a new member would wait for the dead one's session to end."""


def service(name: str, ports: Ports, directory: Path) -> ExtraService:
    """``everlog <name>``, with the local services of a directory."""
    urls = {
        "gateway": f"http://{HOST}:{ports.gateway}/readyz",
        "projector": f"http://{HOST}:{ports.projector}/readyz",
        "archiver": f"http://{HOST}:{ports.archiver}/readyz",
    }
    return ExtraService(
        name=name,
        argv=(sys.executable, "-m", "everlog.cli", name),
        environment={
            "EVERLOG_LOCAL__DIRECTORY": str(directory),
            **(ONLY_PROJECTOR if name == "projector" else {}),
        },
        ready_url=urls.get(name),
    )
