"""Manifests, HEAD and the bloom object as bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import NamedTuple, TypeVar

import msgspec
import zstandard

from everlog.archive.manifest import MANIFEST_FORMAT, Head, Manifest
from everlog.schemas.errors import ArchiveDamagedError

MANIFEST_COMPRESSION_LEVEL = 9
"""zstd level of manifests: they are written once and read by every reader."""

Blooms = Mapping[str, bytes]
"""Bloom filters by the key of their segment."""

_Format = TypeVar("_Format", Head, Manifest)


class EncodedObject(NamedTuple):
    """An object's bytes and their sha256 (hex)."""

    data: bytes
    sha256: str


def encoded(data: bytes) -> EncodedObject:
    """The bytes with their sha256."""
    return EncodedObject(data, hashlib.sha256(data).hexdigest())


def check_sha256(data: bytes, sha256: str, what: str) -> None:
    """Prove an object's bytes. Raises ``ArchiveDamagedError``, which names the object."""
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ArchiveDamagedError(f"{what} has other bytes than were written (sha256 {sha256[:12]}... expected)")


def encode_manifest(manifest: Manifest) -> EncodedObject:
    """zstd JSON. The same manifest always gives the same bytes, so a repeated publish finds its own objects."""
    compressor = zstandard.ZstdCompressor(level=MANIFEST_COMPRESSION_LEVEL)
    return encoded(compressor.compress(msgspec.json.encode(manifest)))


def decode_manifest(data: bytes, *, sha256: str, what: str = "a manifest") -> Manifest:
    """The manifest, after its sha256 was proved. Raises ``ArchiveDamagedError``."""
    check_sha256(data, sha256, what)
    try:
        plain = zstandard.ZstdDecompressor().decompress(data)
    except zstandard.ZstdError as error:
        raise ArchiveDamagedError(f"{what} cannot be decompressed: {error}") from error
    return _decode(plain, Manifest, what)


def encode_head(head: Head) -> bytes:
    """Plain JSON: the one object that people look at."""
    return msgspec.json.encode(head)


def decode_head(data: bytes, *, what: str = "HEAD") -> Head:
    """Raises ``ArchiveDamagedError``."""
    return _decode(data, Head, what)


def _decode(data: bytes, form: type[_Format], what: str) -> _Format:
    try:
        decoded = msgspec.json.decode(data, type=form)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ArchiveDamagedError(f"{what} cannot be decoded: {error}") from error
    if decoded.format > MANIFEST_FORMAT:
        raise ArchiveDamagedError(
            f"{what} has format {decoded.format}, this code reads up to {MANIFEST_FORMAT}", hint="Upgrade Everlog"
        )
    return decoded


def join_blooms(manifest: Manifest, blooms: Blooms) -> tuple[Manifest, bytes]:
    """One object of all live segments' blooms, and the manifest whose entries know their slices of it.

    ``blooms`` may hold more than the live segments. Raises ``KeyError`` if it lacks one.
    """
    pieces: list[bytes] = []
    entries = []
    offset = 0
    for entry in manifest.segments:
        bloom = bytes(blooms[entry.key])
        entries.append(msgspec.structs.replace(entry, bloom_offset=offset, bloom_length=len(bloom)))
        pieces.append(bloom)
        offset += len(bloom)
    return msgspec.structs.replace(manifest, segments=tuple(entries)), b"".join(pieces)


def split_blooms(manifest: Manifest, data: bytes) -> dict[str, bytes]:
    """The blooms of a bloom object by segment key. Raises ``ArchiveDamagedError`` if the slices do not fill it."""
    if sum(entry.bloom_length for entry in manifest.segments) != len(data):
        raise ArchiveDamagedError(f"the blooms of manifest {manifest.seq} do not fill their object")
    return {
        entry.key: data[entry.bloom_offset : entry.bloom_offset + entry.bloom_length] for entry in manifest.segments
    }
