"""A stand-in for MongoDB: a server of its wire protocol on the same Java, with a launcher of ours.

It is not MongoDB: no transactions, change streams, TTL deletion or partial indexes, and only ``_id`` (by value,
``$in`` or range) and unique indexes are used. ``java/MongoStandIn.java`` says what it adds, and why.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from everlog.local import readiness
from everlog.local.ports import HOST
from everlog.local.process import Command
from everlog.local.service import Place
from everlog.schemas.errors import UnavailableError

SOURCES = sorted((Path(__file__).parent / "java").glob("*.java"))
MAIN_CLASS = "MongoStandIn"
_COMPILE_TIMEOUT_S = 120.0
_STOP_TIMEOUT_S = 10.0
# The store's own cache takes 64 MB: in a smaller heap every fourth second has a pause of 40 ms for all of it. More room
# for what is young makes its pauses longer, since the cache is among what they copy.
_HEAP = ("-Xms128m", "-Xmn20m", "-Xmx384m")


@dataclass(frozen=True, slots=True)
class Mongo:
    """The warm tier."""

    place: Place
    name: str = "mongo"

    def prepare(self) -> None:
        """Compile the launcher, once per version of it."""
        if not self._classes.exists():
            self._compile()

    def command(self) -> Command:
        """The server."""
        file = self.place.layout.data(self.name) / "store.mv"
        path = os.pathsep.join([str(self._classes), self._library])
        # Netty looks for natives and buffers that it does not need here, and Java 24 warns about the access
        java = self.place.java(self.name, *_HEAP, "-Dio.netty.noUnsafe=true", "-cp", path)
        argv = (*java, MAIN_CLASS, HOST, str(self.place.ports.mongo), str(file))
        return self.place.command(self.name, argv, stop_timeout_s=_STOP_TIMEOUT_S)

    def probe(self) -> None:
        """It answers a command."""
        readiness.mongo(f"mongodb://{HOST}:{self.place.ports.mongo}")

    @property
    def _library(self) -> str:
        return os.pathsep.join(map(str, self.place.jar_cache.jars("mongo")))

    @property
    def _classes(self) -> Path:
        text = b"".join(source.read_bytes() for source in SOURCES)
        version = hashlib.sha256(text + self._library.encode()).hexdigest()[:12]
        return self.place.jar_cache.directory / f"classes-{version}"

    def _compile(self) -> None:
        (compiler,) = self.place.jar_cache.jars("compiler")
        made = self._classes.with_suffix(f".{os.getpid()}.part")
        # not --release: the runtime of the wheel has no description of older releases
        target = ("-source", "17", "-target", "17", "-proc:none", "-nowarn", "-d", str(made))
        argv = (*self.place.java(self.name), "-jar", str(compiler), *target, "-cp", self._library, *map(str, SOURCES))
        done = subprocess.run(argv, capture_output=True, text=True, timeout=_COMPILE_TIMEOUT_S, check=False)
        if done.returncode != 0:
            shutil.rmtree(made, ignore_errors=True)
            raise UnavailableError("The MongoDB stand-in", f"its launcher does not compile:\n{done.stderr}")
        try:
            made.rename(self._classes)
        except OSError:  # another process was faster
            shutil.rmtree(made, ignore_errors=True)
