"""SeaweedFS (S3) as one process: master, volume server, filer and S3 gateway."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from everlog.local import programs, readiness
from everlog.local.layout import Layout
from everlog.local.ports import HOST
from everlog.local.process import Command
from everlog.local.service import Place

# It needs 15 s to end after TERM, to let streams of its own parts go; what it acknowledged is in its files already.
_STOP_TIMEOUT_S = 2.0
# Volumes made at a bucket's first write; its default of 7 costs time, and 14 buckets would use up all 100.
_GROWTH = {"WEED_MASTER_VOLUME_GROWTH_COPY_1": "1"}
# The program puts these here whatever TMPDIR says, and leaves them when it is killed.
_SOCKETS = Path("/tmp")  # noqa: S108
_SERVICE = "s3"


@dataclass(frozen=True, slots=True)
class Credentials:
    """An S3 key pair."""

    access_key: str
    secret_key: str


def credentials(layout: Layout) -> Credentials:
    """The key pair of this data directory; made by chance the first time."""
    file = layout.data(_SERVICE) / "s3.json"
    if not file.exists():
        made = Credentials(f"everlog-{secrets.token_hex(4)}", secrets.token_urlsafe(30))
        _write_configuration(file, made)
    pair = json.loads(file.read_bytes())["identities"][0]["credentials"][0]
    return Credentials(pair["accessKey"], pair["secretKey"])


def _write_configuration(file: Path, pair: Credentials) -> None:
    """Written whole or not at all, for the owner's eyes only."""
    identity = {
        "name": "everlog",
        "credentials": [{"accessKey": pair.access_key, "secretKey": pair.secret_key}],
        "actions": ["Admin", "Read", "List", "Tagging", "Write"],
    }
    unfinished = file.with_suffix(".part")
    unfinished.touch(mode=0o600)
    unfinished.write_text(json.dumps({"identities": [identity]}))
    unfinished.replace(file)


@dataclass(frozen=True, slots=True)
class SeaweedFS:
    """The cold tier."""

    place: Place
    name: str = _SERVICE

    def prepare(self) -> None:
        """Make the key pair and the folder of the volumes."""
        credentials(self.place.layout)
        self._volumes.mkdir(exist_ok=True)

    def command(self) -> Command:
        """All its servers in one process; nothing is reported to its makers, no other catalogues are served."""
        ports = self.place.ports
        listeners = {
            "master.port": ports.weed_master,
            "master.port.grpc": ports.weed_master_grpc,
            "volume.port": ports.weed_volume,
            "volume.port.grpc": ports.weed_volume_grpc,
            "filer.port": ports.weed_filer,
            "filer.port.grpc": ports.weed_filer_grpc,
            "s3.port": ports.s3,
            "s3.port.grpc": ports.s3_grpc,
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
        }
        options = {
            "dir": str(self._volumes),
            "ip": HOST,
            "ip.bind": HOST,
            "filer": "true",
            "s3": "true",
            "s3.config": str(self.place.layout.data(self.name) / "s3.json"),
            "master.telemetry": "false",
            "master.volumeSizeLimitMB": "1024",
            "volume.max": "100",
            "volume.preStopSeconds": "0",  # no other server waits to hear of the stop
            "master.electionTimeout": "1s",  # of one: its default of 10 s is what a restart would take
            # relative to the working directory: a socket's whole path may have 104 characters only
            "filer.localSocket": "filer.sock",
            "s3.localSocket": "s3.sock",
            **{name: str(port) for name, port in listeners.items()},
        }
        argv = (str(programs.weed()), "server", *(f"-{name}={value}" for name, value in options.items()))
        return self.place.command(
            self.name, argv, stop_timeout_s=_STOP_TIMEOUT_S, environment=_GROWTH, leftovers=self._leftovers
        )

    def probe(self) -> None:
        """It stores an object and gives it back."""
        pair = credentials(self.place.layout)
        readiness.s3(f"http://{HOST}:{self.place.ports.s3}", pair.access_key, pair.secret_key)

    @property
    def _leftovers(self) -> tuple[Path, ...]:
        ports = self.place.ports
        owners = {
            "master": ports.weed_master_grpc,
            "volume": ports.weed_volume_grpc,
            "filer": ports.weed_filer_grpc,
            "s3": ports.s3_grpc,
        }
        return tuple(_SOCKETS / f"seaweedfs-{owner}-grpc-{port}.sock" for owner, port in owners.items())

    @property
    def _volumes(self) -> Path:
        return self.place.layout.data(self.name) / "volumes"
