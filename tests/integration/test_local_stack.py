"""The local stack with its real services: served, broken, restarted, stopped, and nothing left behind."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from botocore.config import Config
from pymongo import AsyncMongoClient, InsertOne, MongoClient, ReplaceOne, ReturnDocument
from pymongo.errors import BulkWriteError, PyMongoError
from redis.asyncio import Redis
from redis.exceptions import TimeoutError as RedisTimeoutError

from everlog.local.ports import Ports, is_free
from everlog.local.stack import ALL, Addresses, Stack
from everlog.local.stack import addresses as addresses_of
from everlog.schemas.errors import ConfigurationError, UnavailableError, UsageError
from support.waiting import until, wait_for

pytestmark = pytest.mark.integration

DEADLINE_S = 60.0
# Other stacks of this machine have sockets there, too: only those of our own ports count.
SOCKETS = Path("/tmp")


@dataclass
class Running:
    stack: Stack
    addresses: Addresses


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    stack = Stack(tmp_path_factory.mktemp("stack"), Ports.free())
    try:
        yield Running(stack, stack.start())
    finally:
        stack.stop()


def services_in(directory: Path) -> list[int]:
    """Every service works somewhere below its directory; some overwrite their command line and environment."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            working_directory = str((entry / "cwd").readlink())
        except OSError:
            continue
        if working_directory.startswith(f"{directory}/"):
            found.append(int(entry.name))
    return found


def sockets_of(ports: Ports) -> list[Path]:
    return [file for file in SOCKETS.glob("seaweedfs-*.sock") if any(f"-{port}." in file.name for port in ports.all())]


def s3_client(addresses: Addresses) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=addresses.s3,
        aws_access_key_id=addresses.s3_access_key,
        aws_secret_access_key=addresses.s3_secret_key,
        region_name="us-east-1",
        config=Config(retries={"total_max_attempts": 10, "mode": "standard"}),
    )


@asynccontextmanager
async def mongo(addresses: Addresses) -> AsyncIterator[AsyncMongoClient[Any]]:
    client: AsyncMongoClient[Any] = AsyncMongoClient(addresses.mongo, timeoutMS=10_000, w="majority")
    async with client:
        yield client


async def make_topic(addresses: Addresses, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=addresses.kafka)
    try:
        await admin.start()
        await admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])
    finally:
        await admin.close()


async def produce(addresses: Addresses, topic: str, values: list[bytes]) -> None:
    async with AIOKafkaProducer(bootstrap_servers=addresses.kafka, acks="all", enable_idempotence=True) as producer:
        await asyncio.gather(*[await producer.send(topic, value) for value in values])


async def consume(addresses: Addresses, topic: str, count: int) -> list[bytes]:
    consumer = AIOKafkaConsumer(bootstrap_servers=addresses.kafka, isolation_level="read_committed")
    async with asyncio.timeout(DEADLINE_S), consumer:
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        await consumer.seek_to_beginning(partition)
        return [(await consumer.getone()).value for _ in range(count)]


async def test_kafka_gives_back_what_was_appended_also_after_a_kill(running: Running) -> None:
    values = [b"%d" % number for number in range(500)]
    await make_topic(running.addresses, "kept")
    await produce(running.addresses, "kept", values)
    running.stack.kill("kafka")
    await asyncio.to_thread(running.stack.restart, "kafka")
    await produce(running.addresses, "kept", [b"after"])
    assert await consume(running.addresses, "kept", 501) == [*values, b"after"]


async def test_redis_runs_scripts_and_keeps_its_data_over_a_clean_restart(running: Running) -> None:
    async with Redis.from_url(running.addresses.redis) as client:
        assert await client.eval("return redis.call('set', KEYS[1], ARGV[1])", 1, "key", "value") == b"OK"
    await asyncio.to_thread(running.stack.restart, "redis")
    async with Redis.from_url(running.addresses.redis) as client:
        assert await client.get("key") == b"value"


async def test_a_guarded_bulk_replace_counts_only_what_was_on_its_base(running: Running) -> None:
    async with mongo(running.addresses) as client:
        documents = client.stack.guarded
        await documents.insert_many([{"_id": f"t/{n:03d}", "revision": 1, "state": b"\x00\xff"} for n in range(200)])
        result = await documents.bulk_write(
            [
                ReplaceOne({"_id": f"t/{n:03d}", "revision": 1 if n % 2 else 9}, {"revision": 2, "state": b"new"})
                for n in range(200)
            ],
            ordered=False,
        )
        assert (result.matched_count, result.modified_count) == (100, 100)
        assert await documents.count_documents({"revision": 2}) == 100


async def test_a_duplicate_insert_is_reported_by_its_index_and_the_others_land(running: Running) -> None:
    async with mongo(running.addresses) as client:
        documents = client.stack.duplicates
        await documents.insert_one({"_id": "b"})
        with pytest.raises(BulkWriteError) as error:
            await documents.bulk_write([InsertOne({"_id": each}) for each in "abc"], ordered=False)
        details = error.value.details or {}
        assert [(each["index"], each["code"]) for each in details["writeErrors"]] == [(1, 11000)]
        assert sorted([each["_id"] async for each in documents.find()]) == ["a", "b", "c"]


async def test_documents_are_found_and_deleted_by_lists_and_ranges_of_ids(running: Running) -> None:
    async with mongo(running.addresses) as client:
        documents = client.stack.ids
        await documents.insert_many([{"_id": f"s#{n:012d}", "n": n} for n in range(50)])
        listed = await documents.find({"_id": {"$in": ["s#000000000007", "missing", "s#000000000003"]}}).to_list()
        assert sorted(each["n"] for each in listed) == [3, 7]
        bounds = {"$gt": "s#000000000010", "$lte": "s#000000000020"}
        ranged = await documents.find({"_id": bounds}, sort=[("_id", -1)], limit=3).to_list()
        assert [each["n"] for each in ranged] == [20, 19, 18]
        both = await documents.find({"_id": bounds, "n": {"$lt": 13}}).sort("_id", 1).to_list()
        assert [each["n"] for each in both] == [11, 12]
        deleted = await documents.delete_many({"_id": {"$in": [f"s#{n:012d}" for n in range(40)]}})
        assert deleted.deleted_count == 40
        assert await documents.count_documents({"_id": {"$gte": "s#"}}) == 10


async def test_concurrent_find_and_updates_each_get_their_own_result(running: Running) -> None:
    async with mongo(running.addresses) as client:
        counters = client.stack.counters
        await counters.insert_one({"_id": "c", "n": 0})

        async def take() -> int:
            changed = await counters.find_one_and_update(
                {"_id": "c"}, {"$inc": {"n": 1}}, return_document=ReturnDocument.AFTER
            )
            assert changed is not None
            return int(changed["n"])

        assert sorted(await asyncio.gather(*[take() for _ in range(200)])) == list(range(1, 201))


async def test_dropping_a_database_leaves_those_whose_names_go_on(running: Running) -> None:
    async with mongo(running.addresses) as client:
        for name in ("short", "short_longer"):
            await client[name]["things"].insert_one({"_id": "one"})
        await client.drop_database("short")
        assert await client["short"]["things"].count_documents({}) == 0
        assert await client["short_longer"]["things"].count_documents({}) == 1
        await client["short"]["things"].insert_one({"_id": "one"})
        await client.drop_database("short_longer")


async def test_mongo_keeps_every_acknowledged_write_over_a_kill(running: Running) -> None:
    acknowledged: list[int] = []
    enough = asyncio.Event()

    async def write() -> None:
        async with mongo(running.addresses) as client:
            for number in range(100_000):
                batch = [InsertOne({"_id": f"{number}-{part}", "n": number}) for part in range(20)]
                await client.stack.kept.bulk_write(batch, ordered=False)
                acknowledged.append(number)
                if number == 100:
                    enough.set()

    writing = asyncio.create_task(write())
    await asyncio.wait_for(enough.wait(), DEADLINE_S)
    running.stack.kill("mongo")
    with pytest.raises(PyMongoError):
        await writing
    await asyncio.to_thread(running.stack.restart, "mongo")
    async with mongo(running.addresses) as client:
        wanted = [f"{number}-{part}" for number in acknowledged for part in range(20)]
        assert await client.stack.kept.count_documents({"_id": {"$in": wanted}}) == len(wanted)


async def test_mongo_counts_every_acknowledged_write_once_over_kills_that_cut_its_journal(running: Running) -> None:
    acknowledged, kills = 0, 3
    journal = running.stack.layout.data("mongo") / "store.mv.journal"

    async def count() -> None:
        nonlocal acknowledged
        async with mongo(running.addresses) as client:
            while True:
                await client.stack.counted.update_one({"_id": "one"}, {"$inc": {"n": 1}}, upsert=True)
                acknowledged += 1

    for _ in range(kills):
        before = acknowledged
        counting = asyncio.create_task(count())
        await until(lambda before=before: acknowledged >= before + 200, timeout_s=DEADLINE_S)  # type: ignore[misc]
        running.stack.kill("mongo")
        with pytest.raises(PyMongoError):
            await counting
        with journal.open("ab") as file:
            file.write(b"\0\0\1\0an entry that a kill cut short")
        await asyncio.to_thread(running.stack.restart, "mongo")
    async with mongo(running.addresses) as client:
        found = await client.stack.counted.find_one({"_id": "one"})
    assert found is not None
    assert acknowledged <= found["n"] <= acknowledged + kills  # a write of each kill may lack its answer


def test_s3_keeps_objects_over_a_kill_and_lets_one_creation_win(running: Running) -> None:
    client = s3_client(running.addresses)
    try:
        client.create_bucket(Bucket="kept")
        client.put_object(Bucket="kept", Key="a/b", Body=b"bytes", IfNoneMatch="*")
        with pytest.raises(client.exceptions.ClientError, match="PreconditionFailed"):
            client.put_object(Bucket="kept", Key="a/b", Body=b"other", IfNoneMatch="*")
        running.stack.kill("s3")
        running.stack.restart("s3")
        with client.get_object(Bucket="kept", Key="a/b")["Body"] as body:
            assert body.read() == b"bytes"
    finally:
        client.close()


def test_s3_refuses_a_wrong_key(running: Running) -> None:
    client = s3_client(Addresses(**{**_fields(running.addresses), "s3_secret_key": "wrong"}))
    try:
        with pytest.raises(client.exceptions.ClientError, match="SignatureDoesNotMatch"):
            client.list_buckets()
    finally:
        client.close()


async def test_a_paused_service_answers_nothing_until_it_goes_on(running: Running) -> None:
    async with Redis.from_url(running.addresses.redis, socket_timeout=0.3, retry=None) as client:
        await client.ping()
        running.stack.pause("redis")
        with pytest.raises(RedisTimeoutError):
            await client.ping()
        running.stack.resume("redis")
        assert await client.ping()


def test_ports_in_use_are_refused_before_anything_starts(running: Running, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=f"port {running.stack.ports.mongo} \\(mongo of mongo\\)"):
        Stack(tmp_path, running.stack.ports).start()
    assert not services_in(tmp_path)


def test_a_service_that_cannot_start_takes_the_others_down_and_shows_its_log(tmp_path: Path) -> None:
    stack = Stack(tmp_path, Ports.free(), services=["redis", "s3"])
    (stack.layout.data("redis") / "appendonlydir").write_text("in the way")
    with pytest.raises(UnavailableError, match=r"redis is unavailable(.|\n)*append"):
        stack.start()
    assert not services_in(tmp_path)
    assert all(map(is_free, stack.ports.all()))


def test_an_unknown_service_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There are: kafka, redis, mongo, s3"):
        Stack(tmp_path, Ports.free(), services=["cassandra"])
    with pytest.raises(UsageError, match="does not run here"):
        Stack(tmp_path, Ports.free()).kill("kafka")


def test_a_stopped_stack_leaves_no_process_port_or_temporary_file_and_its_data_move_to_other_ports(
    tmp_path: Path,
) -> None:
    before = set(Path("/tmp").iterdir())
    with Stack(tmp_path, Ports.free(), services=["kafka", "mongo", "s3"]) as stack:
        addresses = _addresses(stack)
        asyncio.run(make_topic(addresses, "moved"))
        asyncio.run(produce(addresses, "moved", [b"value"]))
        with MongoClient[Any](addresses.mongo) as client:
            client.stack.moved.insert_one({"_id": "moved"})
        s3 = s3_client(addresses)
        s3.create_bucket(Bucket="moved")
        s3.put_object(Bucket="moved", Key="key", Body=b"value")
        s3.close()
    stack.stop()
    assert not services_in(tmp_path)
    assert all(map(is_free, stack.ports.all()))
    assert not sockets_of(stack.ports)
    assert not [each for each in set(Path("/tmp").iterdir()) - before if "java" in each.name or "netty" in each.name]
    assert not (tmp_path / "tmp").exists()
    with Stack(tmp_path, Ports.free(), services=["kafka", "mongo", "s3"]) as moved:
        addresses = _addresses(moved)
        assert asyncio.run(consume(addresses, "moved", 1)) == [b"value"]
        with MongoClient[Any](addresses.mongo) as client:
            assert client.stack.moved.count_documents({"_id": "moved"}) == 1
        s3 = s3_client(addresses)
        with s3.get_object(Bucket="moved", Key="key")["Body"] as body:
            assert body.read() == b"value"
        s3.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has the signal")
def test_a_killed_parent_leaves_no_service_behind(tmp_path: Path) -> None:
    code = f"""
import time
from pathlib import Path
from everlog.local.ports import Ports
from everlog.local.stack import Stack
stack = Stack(Path({str(tmp_path)!r}), Ports.free())
stack.start()
print(*stack.ports.all(), flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        ports = Ports(*map(int, parent.stdout.readline().split()))
        services = services_in(tmp_path)
        parent.kill()
    assert len(services) == len(ALL)
    wait_for(lambda: not services_in(tmp_path), timeout_s=DEADLINE_S, what="the services are gone")
    wait_for(lambda: all(map(is_free, ports.all())), timeout_s=DEADLINE_S, what="the ports are free")
    for socket_file in sockets_of(ports):  # a killed process could not
        socket_file.unlink()


def _fields(addresses: Addresses) -> dict[str, str]:
    return {name: getattr(addresses, name) for name in Addresses.__slots__}


def _addresses(stack: Stack) -> Addresses:
    return addresses_of(stack.layout, stack.ports)
