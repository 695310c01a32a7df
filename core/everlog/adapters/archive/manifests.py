"""HEAD and the manifests: reading them, taking a partition over, publishing.

The order of a publish:
1. the bloom object, then the manifest, under keys that carry their content's hash;
2. HEAD, by compare-and-swap: from here on, and not before, readers see the new manifest.
A crash in between leaves objects that nobody names. A swap that is refused is not yet lost: its first try may have
landed without its reply, so HEAD is read again. If it is ours, we won; if it is the one we knew, nothing happened and
the call may be repeated as it was; else another writer fenced us.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from everlog.archive.codec import (
    Blooms,
    EncodedObject,
    check_sha256,
    decode_head,
    decode_manifest,
    encode_head,
    encode_manifest,
    encoded,
    join_blooms,
    split_blooms,
)
from everlog.archive.layout import PartitionLayout
from everlog.archive.manifest import (
    BloomObject,
    Head,
    Manifest,
    Obsolete,
    check_identity,
    check_tiling,
    first_manifest,
    successor,
    takeover,
)
from everlog.ports.log import LogIdentity
from everlog.ports.objects import ObjectStore
from everlog.schemas.errors import ArchiveDamagedError, FencedWriterError, NotFoundError, UnavailableError


class HeldHead(NamedTuple):
    """HEAD and the ETag that it had: what the next swap replaces."""

    head: Head
    etag: str


class Claim(NamedTuple):
    """A writer's hold on a partition: HEAD as it last saw it, and the manifest that HEAD names."""

    held: HeldHead
    manifest: Manifest


class ManifestStore:
    """HEAD, manifests and bloom objects below ``root``. Stateless; every method raises ``UnavailableError``."""

    def __init__(self, objects: ObjectStore, root: str) -> None:
        self._objects = objects
        self._root = root

    def layout(self, era: int, partition: int) -> PartitionLayout:
        """The keys of a partition."""
        return PartitionLayout(self._root, era, partition)

    async def load_head(self, era: int, partition: int) -> HeldHead | None:
        """HEAD of a partition, None if nothing was archived yet. Raises ``ArchiveDamagedError``."""
        key = self.layout(era, partition).head
        stored = await self._objects.get(key)
        return None if stored is None else HeldHead(decode_head(stored.data, what=key), stored.etag)

    async def load_manifest(self, head: Head) -> Manifest:
        """The manifest that HEAD names; its sha256 and its tiling are proved.

        Raises ``ArchiveDamagedError`` or ``IntegrityError`` if they fail, and if the object is gone.
        """
        stored = await self._objects.get(head.manifest)
        if stored is None:
            raise ArchiveDamagedError(f"{head.manifest} is gone, and HEAD names it")
        manifest = decode_manifest(stored.data, sha256=head.sha256, what=head.manifest)
        if manifest.seq != head.seq:
            raise ArchiveDamagedError(f"{head.manifest} says that it is number {manifest.seq}, HEAD says {head.seq}")
        check_tiling(manifest)
        return manifest

    async def load(self, era: int, partition: int) -> Manifest | None:
        """The valid manifest of a partition, None if nothing was archived yet."""
        held = await self.load_head(era, partition)
        return None if held is None else await self.load_manifest(held.head)

    async def load_blooms(self, manifest: Manifest) -> dict[str, bytes]:
        """The bloom filters of a manifest's segments by segment key.

        Raises ``ArchiveDamagedError``; ``NotFoundError`` if a newer manifest's writer deleted the object: reload.
        """
        if manifest.bloom is None:
            return {}
        stored = await self._objects.get(manifest.bloom.key)
        if stored is None:
            raise NotFoundError(f"{manifest.bloom.key} is gone", hint="Load the newest manifest")
        check_sha256(stored.data, manifest.bloom.sha256, manifest.bloom.key)
        return split_blooms(manifest, stored.data)

    async def take_over(self, identity: LogIdentity, partition: int, *, writer: str) -> Claim:
        """Become the writer of a partition: the next epoch fences every writer before.

        ``writer`` is a random name of this process. The first writer of a partition publishes its empty manifest.
        Raises ``LogLostError`` if the archive is another log's, ``FencedWriterError`` if another writer was quicker.
        """
        held = await self.load_head(identity.era, partition)
        if held is None:
            return await self._publish_first(first_manifest(identity, partition), writer)
        manifest = await self.load_manifest(held.head)
        check_identity(manifest, identity)
        return Claim(await self._swap(manifest, takeover(held.head, writer), held), manifest)

    async def publish(self, held: HeldHead, manifest: Manifest, blooms: Blooms, *, at: int) -> Claim:
        """Make ``manifest``, a transition of the one that ``held`` names, the valid one.

        ``blooms`` holds at least the blooms of its segments by segment key; ``at`` is the time (ms since 1970) at which
        a replaced bloom object becomes obsolete. After ``UnavailableError`` the same call may be repeated: it finds
        what it had done. Raises ``FencedWriterError``, ``IntegrityError`` (tiling).
        """
        check_tiling(manifest)
        manifest = successor(manifest, held.head)
        if manifest.segments:
            manifest = await self._put_blooms(manifest, blooms, at)
        written = encode_manifest(manifest)
        key = self.layout(manifest.era, manifest.partition).manifest(manifest.seq, written.sha256)
        await put_named(self._objects, key, written)
        head = msgspec.structs.replace(held.head, seq=manifest.seq, manifest=key, sha256=written.sha256)
        return Claim(await self._swap(manifest, head, held), manifest)

    async def _publish_first(self, manifest: Manifest, writer: str) -> Claim:
        manifest = msgspec.structs.replace(manifest, epoch=1)
        written = encode_manifest(manifest)
        key = self.layout(manifest.era, manifest.partition).manifest(manifest.seq, written.sha256)
        await put_named(self._objects, key, written)
        head = Head(epoch=1, seq=manifest.seq, manifest=key, sha256=written.sha256, writer=writer)
        return Claim(await self._swap(manifest, head, None), manifest)

    async def _put_blooms(self, manifest: Manifest, blooms: Blooms, at: int) -> Manifest:
        manifest, data = join_blooms(manifest, blooms)
        joined = encoded(data)
        if manifest.bloom is not None and manifest.bloom.sha256 == joined.sha256:
            return manifest
        key = self.layout(manifest.era, manifest.partition).bloom(manifest.seq, joined.sha256)
        await put_named(self._objects, key, joined)
        obsolete = (
            manifest.obsolete if manifest.bloom is None else (*manifest.obsolete, Obsolete(manifest.bloom.key, at))
        )
        return msgspec.structs.replace(manifest, bloom=BloomObject(key, joined.sha256), obsolete=obsolete)

    async def _swap(self, manifest: Manifest, head: Head, held: HeldHead | None) -> HeldHead:
        key = self.layout(manifest.era, manifest.partition).head
        etag = await self._objects.swap(key, encode_head(head), etag=None if held is None else held.etag)
        if etag is not None:
            return HeldHead(head, etag)
        now = await self.load_head(manifest.era, manifest.partition)
        if now is not None and now.head == head:
            return now
        if now == held:
            raise UnavailableError("the object store", f"{key} met another write at the same moment")
        raise FencedWriterError(
            f"another writer took over {key}" if now else f"{key} is gone",
            hint="Only one archiver writes a partition; this one stops and must take over again",
        )


async def put_named(objects: ObjectStore, key: str, written: EncodedObject) -> None:
    """Create an object under a key that carries its hash; one that is there already must be the same.

    Raises ``ArchiveDamagedError`` if it is not, ``UnavailableError``.
    """
    if await objects.create(key, written.data):
        return
    stored = await objects.get(key)
    if stored is None:
        raise UnavailableError("the object store", f"{key} met another write at the same moment")
    check_sha256(stored.data, written.sha256, key)
