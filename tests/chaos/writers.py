"""Writers on the real log: the scripts of the simulation in rooms, and the mixture of all types in other sessions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from random import Random
from typing import Any, Final, NamedTuple

from benchmarks.mixture import histories

from chaos.door import Door
from chaos.listener import Listener
from everlog.domain.encoding import encode
from everlog.domain.state import State
from everlog.domain.verdicts import Accepted, Duplicate, Rejected, unpack
from everlog.ports.warm import WarmReader
from everlog.schemas.errors import IntegrityError, UnavailableError
from everlog.schemas.identifiers import session_key
from simulation import scripts
from simulation.schedule import GUESTS
from simulation.writer import Draft, Script, Stall

TENANT: Final = "chaos"
ROOMS: Final = 25
MIXED: Final = 15
AGENTS: Final = 2
GUEST_NAMES: Final = 6
"""Members of a room from the start; as many more have to join."""
VOICES: Final = 2
"""Writers that talk in a room at once."""
ATTEMPTS_MAX: Final = 3
VERDICT_TIMEOUT_S: Final = 1.5
"""How long a verdict is awaited before the event is handed over again."""
THINKING_MAX_S: Final = 0.5
STALL_FACTOR: Final = 10.0
"""The simulation's naps are of virtual milliseconds: shorter than what a real verdict takes."""
LOOK_S: Final = 0.3
"""How often the sessions are read: what writers know is always a little old."""
REPEAT_MAX_S: Final = 0.8
TELLING_PAUSE_MAX_S: Final = 1.5
"""Between a few events of the mixture: its sessions end all over the run."""
FIRST_QUIET_S: Final = 5.0
"""Rooms fall quiet one by one, from here to the end: what a fault spoils of a quiet one, no later event mends."""
LAST_WORDS: Final = 5
"""Rooms in which something is said when all is over: some sessions of the end, and most of before."""


class Sessions:
    """What can be read of the sessions now; old while MongoDB is away."""

    def __init__(self, warm: WarmReader, keys: list[str]) -> None:
        self._warm, self._keys = warm, keys
        self._states: dict[str, State] = {}

    def state(self, key: str) -> State | None:
        """A session's state."""
        return self._states.get(key)

    def version(self, key: str) -> int:
        """A session's version; 0 where none is known."""
        state = self._states.get(key)
        return state.version if state is not None else 0

    async def look(self) -> None:
        """Read all of them, again and again."""
        while True:
            try:
                loaded = await self._warm.load(self._keys)
            except (UnavailableError, IntegrityError):
                loaded = {}
            for key, document in loaded.items():
                if document.stored.state is not None:
                    self._states[key] = document.stored.state
            await asyncio.sleep(LOOK_S)


class Voice(NamedTuple):
    """Somebody who writes: what all share, and a chance of its own, so that its draws depend on nobody else."""

    door: Door
    listener: Listener
    sessions: Sessions
    chance: Random
    name: str

    def state(self, key: str) -> State | None:
        """A session's state as it can be read now."""
        return self.sessions.state(key)

    def version(self, key: str) -> int:
        """A session's version as it can be read now."""
        return self.sessions.version(key)

    async def perform(self, actor: str, key: str, script: Script) -> None:
        """Do what a script says; it is told each verdict, or None where none came in time."""
        verdict: Accepted | Rejected | None = None
        number = 0
        while True:
            try:
                step = script.send(verdict)
            except StopIteration:
                return
            if isinstance(step, Stall):
                await asyncio.sleep(STALL_FACTOR * step.ms / 1000)
                verdict = None
                continue
            number += 1
            verdict = await self._hand_over(f"{self.name}-{number}", actor, key, step)
            await asyncio.sleep(self.chance.uniform(0, THINKING_MAX_S))

    async def _hand_over(self, event_id: str, actor: str, key: str, draft: Draft) -> Accepted | Rejected | None:
        seen_version = self.version(key)
        for attempt in range(ATTEMPTS_MAX):
            value = encode(draft.event(event_id, actor, key, seen_version if attempt else None))
            position = await self.door.append(key, value, seen_version)
            if position is None:
                continue
            if draft.durable:
                return None
            packed = await self.listener.outcome(position.partition, position.offset, VERDICT_TIMEOUT_S)
            verdict = unpack(packed) if packed is not None else None
            if verdict is not None:
                return verdict.first if isinstance(verdict, Duplicate) else verdict
        return None


class Crowd:
    """All who write in a run."""

    def __init__(self, seed: int, window_s: float, door: Door, listener: Listener, warm: WarmReader) -> None:
        self._seed, self._window_s, self._door, self._listener = seed, window_s, door, listener
        self._rooms = [session_key(TENANT, f"room-{number}") for number in range(ROOMS)]
        self._mixed = histories(seed, MIXED)
        self._sessions = Sessions(warm, [*self._rooms, *(history[0][0].decode() for history in self._mixed)])

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        """While the body runs, they write."""
        looking = asyncio.create_task(self._sessions.look())
        tasks = [asyncio.create_task(work) for work in self._all_work()]
        try:
            yield
            for task in tasks:
                if task.done():
                    task.result()  # nobody fails unseen
        finally:
            for task in (looking, *tasks):
                task.cancel()
            await asyncio.gather(looking, *tasks, return_exceptions=True)

    async def last_words(self) -> None:
        """Say something in some of the rooms."""
        voices = [self._voice(f"last-{number}") for number in range(LAST_WORDS)]
        said = [
            voice.perform(scripts.OWNER, key, _last_word()) for voice, key in zip(voices, self._rooms, strict=False)
        ]
        await asyncio.gather(*said)

    def _all_work(self) -> list[Coroutine[Any, Any, None]]:
        rooms = [self._talk_in(key, voice) for key in self._rooms for voice in range(VOICES)]
        return [*rooms, *map(self._tell, self._mixed), self._repeat()]

    def _voice(self, name: str) -> Voice:
        chance = Random(f"{name} of {self._seed}")
        return Voice(self._door, self._listener, self._sessions, chance, name)

    async def _talk_in(self, key: str, number: int) -> None:
        """One script after another, until the room falls quiet; the first creates it, and another may do so, too."""
        name = f"{key.partition('/')[2]}-{number}"
        guests = [f"guest-{other}" for other in range(GUEST_NAMES)]
        creation = scripts.creation("One", AGENTS, guests)
        await self._voice(f"{name}-first").perform(scripts.OWNER, key, creation)
        chance = Random(f"who talks in {name} of {self._seed}")
        clock, turn = asyncio.get_running_loop().time, 0
        quiet_s = clock() + chance.uniform(FIRST_QUIET_S, FIRST_QUIET_S + self._window_s)
        while clock() < quiet_s:
            turn += 1
            voice = self._voice(f"{name}-{turn}")
            actor, script = _next_script(voice, key, chance)
            await voice.perform(actor, key, script(voice, key))

    async def _tell(self, history: list[tuple[bytes, bytes]]) -> None:
        """One session of the mixture, in order, a few events at a time."""
        chance = Random(f"how fast {history[0][0]!r} of {self._seed} is told")
        at = 0
        while at < len(history):
            count = chance.randint(1, 8)
            for raw_key, value in history[at : at + count]:
                key = raw_key.decode()
                for _ in range(ATTEMPTS_MAX):
                    if await self._door.append(key, value, self._sessions.version(key)) is not None:
                        break
            at += count
            await asyncio.sleep(chance.uniform(0, TELLING_PAUSE_MAX_S))

    async def _repeat(self) -> None:
        chance = Random(f"what of {self._seed} comes again")
        while True:
            await asyncio.sleep(chance.uniform(0, REPEAT_MAX_S))
            if self._door.sent:
                await self._door.repeat(chance)


def _next_script(voice: Voice, key: str, chance: Random) -> tuple[str, Callable[[Voice, str], Script]]:
    """Who acts next in a room, and what it does."""
    drawn = chance.random()
    if drawn < 0.04:
        return scripts.OWNER, lambda world, _: scripts.governor(world, scripts.OWNER)
    if drawn < 0.10:
        return "system:reaper", scripts.reaper
    if drawn < 0.35:
        agent = f"agent-{chance.randrange(AGENTS)}"
        return agent, lambda world, where: scripts.agent(world, where, agent)
    guest = f"guest-{chance.randrange(2 * GUEST_NAMES)}"
    kind = chance.choices(list(GUESTS), list(GUESTS.values()))[0]
    return guest, lambda world, where: kind(world, where, guest)


def _last_word() -> Script:
    yield scripts.said("good bye", durable=True)
