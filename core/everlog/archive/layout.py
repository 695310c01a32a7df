"""Object keys of the archive.

    <root>/everlog.events/era-<n>/p=00017/HEAD
                                         /m/<seq>-<sha12>.json.zst
                                         /s/L<level>/<first>-<next>-<sha12>.parquet
                                         /b/<seq>-<sha12>.bloom

All but HEAD carry a hash of their content: a retry or a zombie never collides with, and nothing ever
overwrites, published data.
"""

from __future__ import annotations

from typing import NamedTuple

TOPIC_FOLDER = "everlog.events"
"""Folder of the event log's archive below the root; eras are folders of their own."""

SHA_LENGTH = 12
"""Hex digits of the sha256 in a key: 48 bits tell apart the few writers that could race for one interval."""


class PartitionLayout(NamedTuple):
    """The keys of one partition of one era below ``root`` (may be empty)."""

    root: str
    era: int
    partition: int

    @property
    def folder(self) -> str:
        """The partition's folder, without a slash at the end."""
        folder = f"{TOPIC_FOLDER}/era-{self.era}/p={self.partition:05d}"
        root = self.root.strip("/")
        return f"{root}/{folder}" if root else folder

    @property
    def head(self) -> str:
        """Key of the only object that is ever replaced."""
        return f"{self.folder}/HEAD"

    def manifest(self, seq: int, sha256: str) -> str:
        """Key of the manifest ``seq`` whose object has this sha256 (hex)."""
        return f"{self.folder}/m/{seq}-{sha256[:SHA_LENGTH]}.json.zst"

    def segment(self, level: int, first: int, next_: int, sha256: str) -> str:
        """Key of a segment of the offsets ``[first, next_)``."""
        return f"{self.folder}/s/L{level}/{first}-{next_}-{sha256[:SHA_LENGTH]}.parquet"

    def bloom(self, seq: int, sha256: str) -> str:
        """Key of the object with all segment blooms, first named by manifest ``seq``."""
        return f"{self.folder}/b/{seq}-{sha256[:SHA_LENGTH]}.bloom"
