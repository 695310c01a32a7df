"""What every object store must do, and the archive on top of it: memory, moto and a real S3 server."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from moto.server import ThreadedMotoServer

from everlog.adapters.archive import ManifestStore, SegmentStore
from everlog.adapters.memory.objects import MemoryObjectStore
from everlog.adapters.s3 import S3ObjectStore, probe_object_store
from everlog.archive.manifest import append_segment, entry_of
from everlog.archive.segment import encode_segment
from everlog.ports.log import LogIdentity, Record
from everlog.ports.objects import ObjectStore
from everlog.runtime.config import S3Settings
from everlog.schemas.errors import ConfigurationError, FencedWriterError, UnavailableError


class ObjectStoreContract:
    """Subclasses give the fixture ``objects``."""

    @pytest.fixture
    def key(self) -> str:
        return f"contract/{uuid.uuid4()}/p=00001/s=ä b"

    async def test_what_was_created_is_read_back(self, objects: ObjectStore, key: str) -> None:
        data = bytes(range(256)) * 5000
        assert await objects.create(key, data)
        stored = await objects.get(key)
        assert stored is not None and stored.data == data
        info = await objects.head(key)
        assert info == (len(data), stored.etag, hashlib.sha256(data).hexdigest())

    async def test_an_empty_object_is_an_object(self, objects: ObjectStore, key: str) -> None:
        assert await objects.create(key, b"")
        stored = await objects.get(key)
        assert stored is not None and stored.data == b""

    async def test_a_second_creation_leaves_the_first(self, objects: ObjectStore, key: str) -> None:
        assert await objects.create(key, b"first")
        assert not await objects.create(key, b"second")
        stored = await objects.get(key)
        assert stored is not None and stored.data == b"first"

    async def test_what_is_not_there_is_none(self, objects: ObjectStore, key: str) -> None:
        assert await objects.get(key) is None
        assert await objects.get(key, first=3, length=2) is None
        assert await objects.head(key) is None

    @pytest.mark.parametrize(
        ("first", "length", "expected"),
        [(0, 3, b"012"), (3, 4, b"3456"), (8, 100, b"89"), (4, None, b"456789"), (10, 5, b""), (99, None, b"")],
    )
    async def test_a_range_is_what_lies_in_it(
        self, objects: ObjectStore, key: str, first: int, length: int | None, expected: bytes
    ) -> None:
        await objects.create(key, b"0123456789")
        part, whole = await objects.get(key, first=first, length=length), await objects.get(key)
        assert part is not None and whole is not None
        assert part == (expected, whole.etag)

    async def test_a_swap_replaces_the_object_that_it_expects(self, objects: ObjectStore, key: str) -> None:
        first = await objects.swap(key, b"first", etag=None)
        assert first is not None
        second = await objects.swap(key, b"second", etag=first)
        assert second is not None and second != first
        stored = await objects.get(key)
        assert stored == (b"second", second)

    async def test_a_stale_swap_is_refused(self, objects: ObjectStore, key: str) -> None:
        first = await objects.swap(key, b"first", etag=None)
        assert first is not None
        await objects.swap(key, b"second", etag=first)
        assert await objects.swap(key, b"stale", etag=first) is None
        assert await objects.swap(key, b"stale", etag=None) is None
        stored = await objects.get(key)
        assert stored is not None and stored.data == b"second"

    async def test_a_swap_of_an_object_that_is_gone_is_refused(self, objects: ObjectStore, key: str) -> None:
        first = await objects.swap(key, b"first", etag=None)
        await objects.delete(key)
        assert await objects.swap(key, b"second", etag=first) is None
        assert await objects.get(key) is None

    async def test_deleting_twice_is_no_error(self, objects: ObjectStore, key: str) -> None:
        await objects.create(key, b"x")
        await objects.delete(key)
        await objects.delete(key)
        assert await objects.head(key) is None

    async def test_the_archive_can_rest_on_it(self, objects: ObjectStore) -> None:
        for _ in range(3):
            await probe_object_store(objects, f"contract/{uuid.uuid4()}")

    async def test_an_archive_is_written_read_and_fenced(self, objects: ObjectStore) -> None:
        root, identity = f"contract/{uuid.uuid4()}", LogIdentity("cluster", "everlog.events.1", 1, 4)
        manifests, segments = ManifestStore(objects, root), SegmentStore(objects, root)
        claim = await manifests.take_over(identity, 2, writer="w1")
        records = [Record(2, at, at, b"t/%d" % (at % 7), b"v%d" % at) for at in range(500)]
        segment = encode_segment(records, era=1)
        key = await segments.put(segment, era=1, partition=2, level=0)
        assert await segments.put(segment, era=1, partition=2, level=0) == key
        assert (await segments.read(key, sha256=segment.sha256)).records() == records
        entry = entry_of(segment, key=key, level=0, writer_epoch=1, read_back_at=1)
        manifest = append_segment(claim.manifest, entry)
        published = await manifests.publish(claim.held, manifest, {key: segment.bloom}, at=2)
        assert await manifests.publish(claim.held, manifest, {key: segment.bloom}, at=2) == published
        await manifests.take_over(identity, 2, writer="w2")
        with pytest.raises(FencedWriterError):
            await manifests.publish(published.held, published.manifest, {key: segment.bloom}, at=3)
        assert await manifests.load(1, 2) == published.manifest
        found = await segments.read_session(published.manifest.segments[0], "t/3")
        assert found == [record for record in records if record.key == b"t/3"]


class TestMemoryObjectStore(ObjectStoreContract):
    @pytest.fixture
    def objects(self) -> ObjectStore:
        return MemoryObjectStore()


async def opened(settings: S3Settings) -> AsyncIterator[S3ObjectStore]:
    async with S3ObjectStore(settings) as store:
        await store.ensure_bucket()
        yield store


@pytest.fixture(scope="module")
def moto_endpoint() -> Iterator[str]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def moto_settings(moto_endpoint: str) -> S3Settings:
    return S3Settings(endpoint_url=moto_endpoint, bucket="everlog", access_key="key", secret_key="secret")


class TestS3ObjectStoreOnMoto(ObjectStoreContract):
    @pytest.fixture
    async def objects(self, moto_settings: S3Settings) -> AsyncIterator[S3ObjectStore]:
        async for store in opened(moto_settings):
            yield store


@pytest.mark.integration
class TestS3ObjectStoreOnARealServer(ObjectStoreContract):
    @pytest.fixture
    def settings(self, services: Any) -> S3Settings:
        return S3Settings(
            endpoint_url=services.s3,
            bucket="everlog-contract",
            access_key=services.s3_access_key,
            secret_key=services.s3_secret_key,
        )

    @pytest.fixture
    async def objects(self, settings: S3Settings) -> AsyncIterator[S3ObjectStore]:
        async for store in opened(settings):
            yield store

    async def test_a_wrong_secret_key_is_named(self, settings: S3Settings) -> None:
        wrong = S3Settings(
            endpoint_url=settings.endpoint_url, bucket=settings.bucket, access_key="nobody", secret_key="wrong"
        )
        async with S3ObjectStore(wrong) as store:
            with pytest.raises(UnavailableError, match="secret key"):
                await store.get("any")


async def test_an_endpoint_where_nothing_listens_is_unavailable_with_a_hint() -> None:
    settings = S3Settings(endpoint_url="http://127.0.0.1:9", bucket="everlog", access_key="k", secret_key="s3cr3t")
    assert "s3cr3t" not in repr(settings)
    async with S3ObjectStore(settings) as store:
        with pytest.raises(UnavailableError, match="Check the endpoint"):
            await store.get("key")


async def test_a_missing_bucket_is_unavailable_and_not_a_missing_key(moto_endpoint: str) -> None:
    settings = S3Settings(endpoint_url=moto_endpoint, bucket="not-there", access_key="k", secret_key="s")
    async with S3ObjectStore(settings) as store:
        for call in (store.get("key"), store.create("key", b""), store.swap("key", b"", etag='"x"')):
            with pytest.raises(UnavailableError, match="everlog init"):
                await call


@pytest.mark.parametrize("checksum", ["native", "metadata"])
async def test_either_checksum_mode_keeps_the_sha256(moto_settings: S3Settings, checksum: str) -> None:
    settings = moto_settings.model_copy(update={"checksum": checksum})
    async for store in opened(settings):
        await store.create(f"sum-{checksum}", b"data")
        info = await store.head(f"sum-{checksum}")
        assert info is not None and info.sha256 == hashlib.sha256(b"data").hexdigest()


class CheckThenWriteObjectStore(MemoryObjectStore):
    """Like some S3 look-alikes: looks, then writes, with a pause between."""

    async def create(self, key: str, data: bytes) -> bool:
        if await self.head(key) is not None:
            return False
        await asyncio.sleep(0)
        self._put(key, data)
        return True

    async def swap(self, key: str, data: bytes, *, etag: str | None) -> str | None:
        info = await self.head(key)
        if (info.etag if info else None) != etag:
            return None
        await asyncio.sleep(0)
        return self._put(key, data)


class NoConditionsObjectStore(MemoryObjectStore):
    """Like older look-alikes: ignores conditions."""

    async def create(self, key: str, data: bytes) -> bool:
        self._put(key, data)
        return True

    async def swap(self, key: str, data: bytes, *, etag: str | None) -> str | None:
        return self._put(key, data)


@pytest.mark.parametrize("objects", [CheckThenWriteObjectStore(), NoConditionsObjectStore()])
async def test_the_probe_refuses_a_store_that_keeps_no_promises(objects: MemoryObjectStore) -> None:
    with pytest.raises(ConfigurationError, match="8 of 8 racing creations"):
        await probe_object_store(objects, "probe")
    assert objects.all_keys() == []
