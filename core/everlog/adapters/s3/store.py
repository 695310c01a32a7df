"""The object store on S3: blocking boto3 calls in a bounded pool of threads.

Conditional writes are single PutObject calls only: completing a multipart upload with a condition is not atomic on
some look-alikes.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from botocore.exceptions import ClientError

from everlog.adapters.s3.client import POOL_SIZE, make_client
from everlog.adapters.s3.errors import error_code, is_missing, is_refused, status, translated
from everlog.ports.objects import ObjectInfo, StoredObject
from everlog.runtime.config import S3Settings
from everlog.runtime.lifecycle import Closing

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import PutObjectRequestTypeDef

SHA256_METADATA = "sha256"
"""Name of the metadata entry (x-amz-meta-sha256) that keeps an object's sha256."""

_Result = TypeVar("_Result")


class S3ObjectStore(Closing):
    """An ``ObjectStore`` in one bucket. Close it, or use it as an async context manager."""

    def __init__(self, settings: S3Settings) -> None:
        self._settings = settings
        self._client = make_client(settings)
        self._threads = ThreadPoolExecutor(POOL_SIZE, thread_name_prefix="s3")
        self._where = f"{settings.endpoint_url or 'AWS S3'} (bucket {settings.bucket})"

    async def close(self) -> None:
        """Wait for running calls, which their timeouts bound, and close all connections."""
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)
        self._client.close()

    async def ensure_bucket(self) -> None:
        """Create the bucket if there is none. Only ``everlog init`` and tests call this."""
        await self._call(self._ensure_bucket)

    async def create(self, key: str, data: bytes) -> bool:
        """Put a new object (If-None-Match: *); False if the key exists already."""
        return await self._call(lambda: self._put(key, data, {"IfNoneMatch": "*"})) is not None

    async def swap(self, key: str, data: bytes, *, etag: str | None) -> str | None:
        """Replace the object whose ETag is ``etag`` (None: there must be none); the new ETag, or None if it moved."""
        condition = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": etag}
        return await self._call(lambda: self._put(key, data, condition))

    async def get(self, key: str, *, first: int = 0, length: int | None = None) -> StoredObject | None:
        """The bytes of an object or of a range of it; None if there is no such key."""
        return await self._call(lambda: self._get(key, first, length))

    async def head(self, key: str) -> ObjectInfo | None:
        """Size, ETag and checksum of an object; None if there is no such key."""
        return await self._call(lambda: self._head(key))

    async def delete(self, key: str) -> None:
        """Delete an object; no error if there is none."""
        await self._call(lambda: self._client.delete_object(Bucket=self._settings.bucket, Key=key))

    async def _call(self, work: Callable[[], _Result]) -> _Result:
        with translated(self._where):
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _put(self, key: str, data: bytes, condition: dict[str, str]) -> str | None:
        sha256 = hashlib.sha256(data)
        request: PutObjectRequestTypeDef = {
            "Bucket": self._settings.bucket,
            "Key": key,
            "Body": data,
            "Metadata": {SHA256_METADATA: sha256.hexdigest()},
            **condition,  # type: ignore[typeddict-item]  # a literal of the two conditions that exist
        }
        if self._settings.checksum == "native":
            request["ChecksumSHA256"] = base64.b64encode(sha256.digest()).decode()
        try:
            return self._client.put_object(**request)["ETag"]
        except ClientError as error:
            if is_refused(error) or ("IfMatch" in condition and is_missing(error)):
                return None
            raise

    def _get(self, key: str, first: int, length: int | None) -> StoredObject | None:
        whole = first == 0 and length is None
        byte_range = f"bytes={first}-" if length is None else f"bytes={first}-{first + length - 1}"
        try:
            if whole:
                answer = self._client.get_object(Bucket=self._settings.bucket, Key=key)
            else:
                answer = self._client.get_object(Bucket=self._settings.bucket, Key=key, Range=byte_range)
        except ClientError as error:
            if is_missing(error):
                return None
            if status(error) == 416:  # nothing lies at or behind `first`
                info = self._head(key)
                return None if info is None else StoredObject(b"", info.etag)
            raise
        with answer["Body"] as body:
            return StoredObject(body.read(), answer["ETag"])

    def _head(self, key: str) -> ObjectInfo | None:
        try:
            answer = self._client.head_object(Bucket=self._settings.bucket, Key=key)
        except ClientError as error:
            if is_missing(error):
                return None
            raise
        return ObjectInfo(answer["ContentLength"], answer["ETag"], answer["Metadata"].get(SHA256_METADATA))

    def _ensure_bucket(self) -> None:
        try:
            self._client.head_bucket(Bucket=self._settings.bucket)
        except ClientError as error:
            if status(error) != 404:
                raise
        else:
            return
        try:
            if self._settings.region == "us-east-1":  # the only region that must not be named
                self._client.create_bucket(Bucket=self._settings.bucket)
            else:
                self._client.create_bucket(
                    Bucket=self._settings.bucket,
                    CreateBucketConfiguration={"LocationConstraint": self._settings.region},  # type: ignore[typeddict-item]  # any region
                )
        except ClientError as error:
            if error_code(error) not in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}:
                raise
