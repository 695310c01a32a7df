"""The SDK's suite against the gateway over a socket, with its stores in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from support.listening import listening
from support.sdk_contract import Gateway, SdkContract


class TestTheGateway(SdkContract):
    @pytest.fixture
    async def everlog(self) -> AsyncIterator[Gateway]:
        async with listening() as gateway:
            yield gateway
