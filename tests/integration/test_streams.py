"""Streams of the real gateway on the real services; ``make bench NAME=streams`` does the same with thousands."""

from __future__ import annotations

import uuid

import pytest
from benchmarks.streams import Load, run

from support.running import Running

pytestmark = pytest.mark.integration


async def test_every_reader_sees_every_version_once_in_order_also_after_a_broken_connection(running: Running) -> None:
    tokens: dict[str, str] = {}

    def token_of(principal: str) -> str:
        return tokens.setdefault(principal, running.token(principal))

    figures = await run(running.gateway, token_of, Load(200, 10, 50), f"s{uuid.uuid4().hex}")
    assert figures["duplicates"] == figures["gaps"] == 0
    assert figures["frames"] == figures["appends"] > 200
    assert figures["connections"] == 400
    assert figures["rss_after_mb"] < figures["rss_before_mb"] + 60
