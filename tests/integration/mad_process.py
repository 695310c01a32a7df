"""A MAD as a process: joins, holds a lease and writes for ever: ``python mad_process.py URL TOKEN SESSION NAME TTL_S``.

Prints a line in JSON per thing that it tried: through the SDK, by HTTP with its epoch, and by HTTP without one.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import httpx

from everlog.client import Everlog, EverlogError, Message, text

PAUSE_S = 0.02
HTTP_TIMEOUT_S = 60.0


def tell(**facts: Any) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


async def main(url: str, token: str, session: str, name: str, ttl_s: int) -> None:
    headers = {"Authorization": f"Bearer {token}", "Everlog-Participant": name}
    async with (
        Everlog.connect(url, token=token) as log,
        httpx.AsyncClient(base_url=url, headers=headers, timeout=HTTP_TIMEOUT_S) as http,
        log.session(session).join(name, kind="agent", lease_ttl_s=ttl_s) as me,
    ):
        await me.run(agent=name).__aenter__()  # a run that nobody ends
        tell(epoch=me.epoch)
        while True:
            try:
                done = await me.append(Message(role="assistant", parts=[text("through the SDK")]))
                tell(way="sdk", version=done.version)
            except EverlogError as error:
                tell(way="sdk", refused=type(error).__name__)
            await write(http, session, "with its epoch", {"Everlog-Lease-Epoch": str(me.epoch)})
            await write(http, session, "without an epoch", {})
            await asyncio.sleep(PAUSE_S)


async def write(http: httpx.AsyncClient, session: str, way: str, headers: dict[str, str]) -> None:
    body = {"type": "message.appended", "data": {"role": "assistant", "parts": [{"type": "text", "text": way}]}}
    answer = await http.post(f"/v1/sessions/{session}/events", json=body, headers=headers)
    told = answer.json()
    if answer.status_code == 201:
        tell(way=way, version=told["version"])
    else:
        tell(way=way, refused=told.get("type", "").rpartition(":")[2] or told.get("outcome"))


url, token, session, name, ttl_s = sys.argv[1:]
asyncio.run(main(url, token, session, name, int(ttl_s)))
