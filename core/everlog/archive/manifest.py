"""The manifest: what a partition's archive consists of. Immutable; one swap of HEAD makes the next one valid.

An archive is a chain HEAD -> manifest -> segments, each link with its sha256, so one swap of one small object publishes
data and offsets together. Everything here is a pure transition from one manifest or HEAD to the next; a transition that
would break an invariant raises and nothing is published.

Times are milliseconds since 1970, None = not yet. Integers are 64-bit.
"""

from __future__ import annotations

import itertools

import msgspec

from everlog.archive.segment import EncodedSegment
from everlog.ports.log import LogIdentity
from everlog.schemas.errors import IntegrityError, LogLostError

MANIFEST_FORMAT = 1
"""Number of the format of manifests and HEAD: a reader refuses a higher one."""


class ManifestEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One segment: where it is, the offsets ``[first, next)``, and everything that proves and finds its rows.

    ``min_session`` and ``max_session`` bound its session keys; ``bloom_offset`` and ``bloom_length`` are its slice of
    the partition's bloom object; ``writer_epoch`` is the epoch of the writer that made it.
    """

    key: str
    level: int
    first: int
    next: int
    rows: int
    sessions: int
    bytes: int
    sha256: str
    digest64: int
    min_session: str
    max_session: str
    min_timestamp: int
    max_timestamp: int
    footer_offset: int
    footer_length: int
    footer_xxh3: int
    writer_epoch: int
    read_back_at: int
    proved_at: int | None = None
    bloom_offset: int = 0
    bloom_length: int = 0

    def spans(self, session_key: str) -> bool:
        """Whether the session lies between the segment's first and last session."""
        return self.min_session <= session_key <= self.max_session


class Obsolete(msgspec.Struct, frozen=True):
    """An object that no longer is part of the archive; deleted a grace period after ``since``."""

    key: str
    since: int


class BloomObject(msgspec.Struct, frozen=True):
    """The object with all blooms that the entries' slices refer to."""

    key: str
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The archive of one partition of one era.

    ``segments`` are sorted by interval, then session, and tile ``[0, next_offset)``; records below ``trim_ok_offset``
    were compared with the log once more and may be trimmed from it; ``previous`` and ``previous_sha256`` name
    the manifest before.
    """

    format: int = MANIFEST_FORMAT
    cluster_id: str
    topic: str
    era: int
    partitions: int
    partition: int
    seq: int = 0
    epoch: int = 0
    previous: str = ""
    previous_sha256: str = ""
    next_offset: int = 0
    trim_ok_offset: int = 0
    bloom: BloomObject | None = None
    segments: tuple[ManifestEntry, ...] = ()
    obsolete: tuple[Obsolete, ...] = ()


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """HEAD: which manifest is valid, and which writer may publish the next.

    ``writer`` is chosen at random by each writer: two that take over at once would otherwise hold equal HEADs, and the
    one that lost could believe that only its reply was lost.
    """

    format: int = MANIFEST_FORMAT
    epoch: int
    seq: int
    manifest: str
    sha256: str
    writer: str


def first_manifest(identity: LogIdentity, partition: int) -> Manifest:
    """The empty archive of a partition."""
    return Manifest(
        cluster_id=identity.cluster_id,
        topic=identity.topic,
        era=identity.era,
        partitions=identity.partitions,
        partition=partition,
    )


def entry_of(segment: EncodedSegment, *, key: str, level: int, writer_epoch: int, read_back_at: int) -> ManifestEntry:
    """The entry of a segment that was written to ``key`` and read back."""
    return ManifestEntry(
        key=key,
        level=level,
        first=segment.first,
        next=segment.next,
        rows=segment.rows,
        sessions=segment.sessions,
        bytes=len(segment.data),
        sha256=segment.sha256,
        digest64=segment.digest.total,
        min_session=segment.min_session,
        max_session=segment.max_session,
        min_timestamp=segment.min_timestamp,
        max_timestamp=segment.max_timestamp,
        footer_offset=segment.footer_offset,
        footer_length=segment.footer_length,
        footer_xxh3=segment.footer_xxh3,
        writer_epoch=writer_epoch,
        read_back_at=read_back_at,
    )


def append_segment(manifest: Manifest, entry: ManifestEntry) -> Manifest:
    """The manifest with one more segment, which must begin where the archive ends and be dense.

    Raises ``IntegrityError``.
    """
    if entry.first != manifest.next_offset:
        raise IntegrityError(
            f"a segment that begins at offset {entry.first} cannot follow an archive up to {manifest.next_offset}"
        )
    if entry.rows != entry.next - entry.first or entry.rows < 1:
        raise IntegrityError(f"a segment of [{entry.first}, {entry.next}) has {entry.rows} rows: it must be dense")
    return msgspec.structs.replace(manifest, segments=(*manifest.segments, entry), next_offset=entry.next)


def prove(manifest: Manifest, upto: int, at: int) -> Manifest:
    """The manifest after the records below ``upto``, the end of a segment, were compared with the log at time ``at``.

    Raises ``IntegrityError`` for an offset that is not a segment's end or lies below what is proved already.
    """
    ends = {entry.next for entry in manifest.segments}
    if upto not in ends or upto < manifest.trim_ok_offset:
        raise IntegrityError(f"offset {upto} is not the end of an archived segment at or above what is proved already")
    segments = tuple(
        msgspec.structs.replace(entry, proved_at=at) if entry.next <= upto and entry.proved_at is None else entry
        for entry in manifest.segments
    )
    return msgspec.structs.replace(manifest, segments=segments, trim_ok_offset=upto)


def successor(manifest: Manifest, head: Head) -> Manifest:
    """``manifest`` stamped as the one that follows ``head``: next number, the writer's epoch, the link back."""
    return msgspec.structs.replace(
        manifest, seq=head.seq + 1, epoch=head.epoch, previous=head.manifest, previous_sha256=head.sha256
    )


def takeover(head: Head, writer: str) -> Head:
    """HEAD after another writer took over: the next epoch fences the one before."""
    return msgspec.structs.replace(head, epoch=head.epoch + 1, writer=writer)


def check_identity(manifest: Manifest, identity: LogIdentity) -> None:
    """Refuse to continue the archive with another log. Raises ``LogLostError``, which says what to do."""
    archived = LogIdentity(manifest.cluster_id, manifest.topic, manifest.era, manifest.partitions)
    if archived != identity:
        raise LogLostError(
            f"the archive of partition {manifest.partition} belongs to {archived}, the log is {identity}",
            hint="If the old log is lost or has other partitions now, begin a new era: everlog archive adopt --new-era",
        )


def check_tiling(manifest: Manifest) -> None:
    """Prove that the segments tile ``[0, next_offset)``, and the offsets are in order. Raises ``IntegrityError``.

    Segments that share an interval were split at session boundaries: their sessions must ascend without overlap, and
    their rows add up to the interval.
    """
    where = f"manifest {manifest.seq} of partition {manifest.partition}"
    end = 0
    for (first, next_), group in itertools.groupby(manifest.segments, key=lambda entry: (entry.first, entry.next)):
        parts = list(group)
        if first != end:
            raise IntegrityError(f"{where}: a segment begins at {first} where {end} belongs")
        if next_ <= first or sum(part.rows for part in parts) != next_ - first:
            raise IntegrityError(f"{where}: the rows of [{first}, {next_}) do not fill it")
        _check_parts(where, parts)
        end = next_
    if end != manifest.next_offset:
        raise IntegrityError(f"{where}: its segments end at {end}, it says {manifest.next_offset}")
    if not 0 <= manifest.trim_ok_offset <= manifest.next_offset:
        raise IntegrityError(f"{where}: trimming is allowed to {manifest.trim_ok_offset}, beyond the archive's end")


def _check_parts(where: str, parts: list[ManifestEntry]) -> None:
    for before, after in itertools.pairwise(parts):
        if not before.max_session < after.min_session:
            raise IntegrityError(f"{where}: the parts {before.key} and {after.key} overlap")
