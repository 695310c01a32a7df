"""The fault proxy: whole without a fault, and each fault as its name says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from everlog.local.ports import HOST
from support.fault_proxy import FaultProxy, Way

QUIET_S = 0.2
"""Nothing within so long is nothing: an answer takes a millisecond."""
DEADLINE_S = 10.0
LATENCY_S = 0.15


class Client:
    """A connection through the proxy to a server that sends back what it gets."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def ask(self, text: bytes) -> bytes:
        self.writer.write(text)
        await self.writer.drain()
        return await asyncio.wait_for(self.reader.readexactly(len(text)), DEADLINE_S)

    async def hears_nothing(self) -> bool:
        try:
            await asyncio.wait_for(self.reader.readexactly(1), QUIET_S)
        except TimeoutError:
            return True
        return False

    async def is_reset(self) -> bool:
        try:
            await asyncio.wait_for(self.reader.read(), DEADLINE_S)
        except ConnectionResetError:
            return True
        return False


@pytest.fixture
async def proxy() -> AsyncIterator[FaultProxy]:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while piece := await reader.read(1024):
                writer.write(piece)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(echo, HOST, 0)
    async with server, FaultProxy(HOST, server.sockets[0].getsockname()[1], seed=7) as proxy:
        yield proxy


@pytest.fixture
async def client(proxy: FaultProxy) -> AsyncIterator[Client]:
    client = await connected(proxy)
    yield client
    client.writer.close()


async def connected(proxy: FaultProxy) -> Client:
    return Client(*await asyncio.open_connection(HOST, proxy.port))


async def test_without_a_fault_everything_passes_in_order(client: Client) -> None:
    text = bytes(range(256)) * 4_000
    assert await client.ask(text) == text


async def test_who_hangs_up_is_hung_up_on(proxy: FaultProxy, client: Client) -> None:
    await client.ask(b"hello")
    client.writer.write_eof()
    assert await asyncio.wait_for(client.reader.read(), DEADLINE_S) == b""


async def test_a_delay_holds_each_way_and_keeps_the_order(proxy: FaultProxy, client: Client) -> None:
    proxy.delay(LATENCY_S, 0.05)
    began = asyncio.get_running_loop().time()
    answers = b"".join([await client.ask(b"%d" % number) for number in range(2)])
    assert answers == b"01"
    assert asyncio.get_running_loop().time() - began >= 4 * LATENCY_S
    client.writer.writelines([b"%04d" % number for number in range(1_000)])
    assert await client.reader.readexactly(4_000) == b"".join(b"%04d" % number for number in range(1_000))


async def test_a_stall_accepts_and_never_answers_and_loses_nothing(proxy: FaultProxy, client: Client) -> None:
    proxy.stall()
    client.writer.write(b"kept")
    another = await connected(proxy)
    another.writer.write(b"new")
    assert await client.hears_nothing()
    assert await another.hears_nothing()
    await proxy.heal()
    assert await asyncio.wait_for(client.reader.readexactly(4), DEADLINE_S) == b"kept"
    assert await asyncio.wait_for(another.reader.readexactly(3), DEADLINE_S) == b"new"
    another.writer.close()


async def test_a_black_hole_loses_everything_and_never_gives_half_a_stream(proxy: FaultProxy, client: Client) -> None:
    proxy.swallow()
    client.writer.write(b"lost")
    assert await client.hears_nothing()
    await proxy.heal()
    assert await client.is_reset()
    later = await connected(proxy)
    assert await later.ask(b"hello") == b"hello"
    later.writer.close()


async def test_a_reset_ends_open_connections_and_lets_new_ones_in(proxy: FaultProxy, client: Client) -> None:
    assert await client.ask(b"hello") == b"hello"
    proxy.reset()
    assert await client.is_reset()
    later = await connected(proxy)
    assert await later.ask(b"again") == b"again"
    later.writer.close()


async def test_who_refuses_keeps_open_connections_and_accepts_again_when_healed(
    proxy: FaultProxy, client: Client
) -> None:
    await client.ask(b"hello")
    proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        await connected(proxy)
    assert await client.ask(b"still here") == b"still here"
    await proxy.heal()
    later = await connected(proxy)
    assert await later.ask(b"again") == b"again"
    later.writer.close()


@pytest.mark.parametrize("way", list(Way))
async def test_a_connection_is_cut_after_so_many_bytes_one_way(proxy: FaultProxy, client: Client, way: Way) -> None:
    await client.ask(b"before the fault")
    proxy.cut(way, 8)
    assert await client.ask(b"1234") == b"1234"
    client.writer.write(b"567890")
    assert await client.is_reset()
    later = await connected(proxy)
    assert await later.ask(b"1234567") == b"1234567"
    later.writer.write(b"890")
    assert await later.is_reset()
    await proxy.heal()
    healed = await connected(proxy)
    assert await healed.ask(b"a longer one") == b"a longer one"
    for one in (later, healed):
        one.writer.close()


async def test_a_server_that_is_away_is_a_reset(proxy: FaultProxy) -> None:
    async with FaultProxy(HOST, 1) as nowhere:
        client = await connected(nowhere)
        assert await client.is_reset()
        client.writer.close()


async def test_the_end_of_a_proxy_ends_its_connections(proxy: FaultProxy) -> None:
    async with FaultProxy(HOST, proxy.port) as outer:
        client = await connected(outer)
        assert await client.ask(b"twice") == b"twice"
    assert outer.open_connections == 0
    assert await client.is_reset()
    client.writer.close()
