"""Appends to a session through a spool while no gateway answers, for ever: ``python spooling_process.py <spool>``.

Prints the number of each event that is safe on disk, so that whoever kills it knows what must come.
"""

from __future__ import annotations

import asyncio
import sys

import stamina

from everlog.client import Everlog, Message, Spooled, text


async def main() -> None:
    async with Everlog.connect("http://127.0.0.1:9", token="t", spool=sys.argv[1]) as log:
        chat, number = log.session("rome-42"), 0
        while True:
            done = await chat.append(Message(role="user", parts=[text(str(number))]), event_id=f"e-{number}")
            assert isinstance(done, Spooled)
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()
            number += 1


stamina.instrumentation.set_on_retry_hooks([])  # stdout is for the numbers
asyncio.run(main())
