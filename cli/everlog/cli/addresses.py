"""Where local services are, in the two forms that every command reads: a settings file, and environment variables."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Final

from everlog.gateway.keys import new_key_pair
from everlog.gateway.settings import PRIVATE_KEY_NAME, PUBLIC_KEY_NAME, keys_directory
from everlog.local.ports import HOST, Ports
from everlog.local.stack import Addresses
from everlog.runtime.config import CONFIG_NAME, ENVIRONMENT_PREFIX

Tables = dict[str, dict[str, str | int]]

_OWNER_ONLY: Final = 0o600


def settings_tables(addresses: Addresses, ports: Ports) -> Tables:
    """The settings of each room that local services on these ports need."""
    return {
        "kafka": {"brokers": addresses.kafka, "replication": 1},
        "redis": {"url": addresses.redis},
        "mongo": {"url": addresses.mongo},
        "s3": {
            "endpoint_url": addresses.s3,
            "access_key": addresses.s3_access_key,
            "secret_key": addresses.s3_secret_key,
        },
        "gateway": {"port": ports.gateway},
        "projector": {"metrics_port": ports.projector},
        "archiver": {"metrics_port": ports.archiver},
        "client": {"url": f"http://{HOST}:{ports.gateway}"},
    }


def environment(tables: Tables, directory: Path) -> dict[str, str]:
    """The same as variables; ``directory`` is where the local services live."""
    variables = {
        f"{ENVIRONMENT_PREFIX}_{room.upper()}__{field.upper()}": str(value)
        for room, fields in tables.items()
        for field, value in fields.items()
    }
    return {**variables, f"{ENVIRONMENT_PREFIX}_LOCAL__DIRECTORY": str(directory)}


def write_settings_file(tables: Tables, directory: Path) -> Path:
    """Write the settings file that every command finds; it holds secrets, so it is its owner's alone."""
    lines = ["# Written by everlog up: where the local services are.\n"]
    for room, fields in tables.items():
        lines.append(f"\n[{room}]\n")
        lines += [f"{field} = {json.dumps(value)}\n" for field, value in fields.items()]
    path = directory / CONFIG_NAME
    _write_private(path, "".join(lines).encode())
    return path


def ensure_key_pair() -> Path:
    """The private key that signs local tokens, made at first use; the gateway checks with its public half."""
    folder = keys_directory()
    private, public = folder / PRIVATE_KEY_NAME, folder / PUBLIC_KEY_NAME
    if not (private.exists() and public.exists()):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        pair = new_key_pair()
        _write_private(private, pair.private)
        public.write_bytes(pair.public)
    return private


def _write_private(path: Path, data: bytes) -> None:
    """Replace a file as a whole, readable by its owner only."""
    unfinished = path.with_suffix(".part")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    unfinished.replace(path)
