"""Jar files by Maven coordinates, fetched once through jgo and then used offline.

Kafka and its logging backend are resolved apart: resolved together, the dependency management of log4j's parent would
replace Kafka's own client library by an older one. A list of the files is written only after all of them are there,
so a download that was cut off is never taken for a whole one.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import zipfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from everlog.schemas.errors import ConfigurationError, UnavailableError

KAFKA_VERSION = "4.3.1"
# Every inner tuple is one resolution; versions are pinned, so the list of files can be cached for good.
COORDINATES: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "kafka": (
        (f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}",),
        ("org.apache.logging.log4j:log4j-slf4j-impl:2.25.4",),
    ),
    "mongo": (
        ("de.bwaldvogel:mongo-java-server:1.47.0", "de.bwaldvogel:mongo-java-server-h2-backend:1.47.0"),
        ("org.slf4j:slf4j-nop:2.0.17",),
    ),
    "compiler": (("org.eclipse.jdt:ecj:3.42.0",),),
}

CENTRAL = "central"
# Downloads at a time, as Maven itself has it; more brings nothing on one connection's bandwidth.
_PARALLEL_DOWNLOADS = 5
_TIMEOUT_S = 20
_DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR})


@dataclass(frozen=True, slots=True)
class JarCache:
    """Jar files below ``directory``; ``repositories`` adds Maven repositories by name, or replaces ``central``."""

    directory: Path
    repositories: Mapping[str, str]

    def jars(self, name: str) -> tuple[Path, ...]:
        """The files of ``COORDINATES[name]`` with everything they need; downloads what is missing.

        Raises:
            UnavailableError: the repository or the proxy before it does not answer, or answers with something else.
            ConfigurationError: the cache cannot be written.
        """
        found = self._listed(name)
        if found:
            return found
        try:
            with self._exclusively():
                return self._listed(name) or self._download(name)
        except OSError as error:
            if error.errno in _DISK_ERRORS:
                raise unwritable(self.directory, error) from error
            raise unreachable(name, error) from error
        except Exception as error:  # jgo's own errors are of many kinds, none documented
            raise unreachable(name, error) from error

    @property
    def _repository(self) -> Path:
        return self.directory / "maven"

    def _list_file(self, name: str) -> Path:
        pinned = hashlib.sha256(repr(COORDINATES[name]).encode()).hexdigest()[:12]
        return self.directory / f"jars-{name}-{pinned}.json"

    def _listed(self, name: str) -> tuple[Path, ...]:
        """The files of a finished download; empty if it is not finished, or a file is gone or cut."""
        try:
            sizes: dict[str, int] = json.loads(self._list_file(name).read_bytes())
            files = {self._repository / path: size for path, size in sizes.items()}
            whole = all(file.stat().st_size == size for file, size in files.items())
        except (OSError, ValueError):
            return ()
        return tuple(files) if whole else ()

    def _download(self, name: str) -> tuple[Path, ...]:
        remove_broken(self._repository)
        files: dict[str, Path] = {}  # by file name: what two resolutions share is taken from the first
        for coordinates in COORDINATES[name]:
            for file in self._resolve(coordinates):
                files.setdefault(file.name, file)
        sizes = {str(file.relative_to(self._repository)): file.stat().st_size for file in files.values()}
        unfinished = self._list_file(name).with_suffix(".part")
        unfinished.write_text(json.dumps(sizes, indent=0))
        unfinished.replace(self._list_file(name))
        return tuple(files.values())

    def _resolve(self, coordinates: tuple[str, ...]) -> list[Path]:
        from jgo.constants import MAVEN_CENTRAL_URL
        from jgo.maven import MavenContext
        from jgo.parse import Coordinate

        context = MavenContext(
            repo_cache=self._repository,
            remote_repos={CENTRAL: MAVEN_CENTRAL_URL, **self.repositories},
            timeout=_TIMEOUT_S,
        )
        wanted = []
        for coordinate in coordinates:
            group, artifact, version = coordinate.split(":")
            wanted.append(context.create_dependency(Coordinate(group, artifact, version, scope="compile")))
        inputs, others = context.resolver.resolve(wanted)
        needed = [*inputs, *(each for each in others if each.scope in ("compile", "runtime"))]
        with ThreadPoolExecutor(_PARALLEL_DOWNLOADS) as pool:
            return list(pool.map(lambda dependency: Path(dependency.artifact.resolve()), needed))

    @contextmanager
    def _exclusively(self) -> Iterator[None]:
        """One download at a time on this machine: a second process waits, then finds the files."""
        self.directory.mkdir(parents=True, exist_ok=True)
        with (self.directory / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def remove_broken(repository: Path) -> None:
    """Delete what an earlier, killed download left half written: jgo would take it for whole."""
    for jar in repository.rglob("*.jar"):
        if not zipfile.is_zipfile(jar):
            jar.unlink()
    for pattern in ("*.pom", "*.xml"):
        for descriptor in repository.rglob(pattern):
            try:
                ElementTree.parse(descriptor)  # noqa: S314 - only asked whether it is whole
            except ElementTree.ParseError:
                descriptor.unlink()


def unreachable(name: str, error: Exception) -> UnavailableError:
    """One sentence for whatever a download failed with."""
    lines = str(error).strip().splitlines()
    return UnavailableError(
        "The Maven repository",
        f"the Java parts of {name} could not be downloaded ({type(error).__name__}: {(lines or [''])[0][:300]})",
        hint="Check the network and HTTPS_PROXY, name a mirror in EVERLOG_LOCAL__REPOSITORIES"
        ' as {"central": "<address>"}, or use services that already run by their addresses',
    )


def unwritable(directory: Path, error: OSError) -> ConfigurationError:
    """The cache is full, read only or someone else's."""
    return ConfigurationError(
        f"The download cache {directory} cannot be written: {error.strerror}",
        hint="Free some space or make it writable, or name another directory in EVERLOG_LOCAL__CACHE",
    )
