"""One run: real servers, workers and writers; everything is broken for a while, made whole, compared with the log."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from chaos.check import Said, at_work, caught_up, compare, settled, stores_of
from chaos.door import APPEND_TIMEOUT_S, Door
from chaos.faults import Chaos
from chaos.listener import Listener
from chaos.schedule import Fault, calm_fault, draw
from chaos.servers import Log, Servers
from chaos.workers import Workers
from chaos.writers import Crowd
from everlog.producers import Producer

INIT_TIMEOUT_S: Final = 60.0
SHOWN_PROBLEMS: Final = 20


class ChaosError(AssertionError):
    """A run after which something is wrong; says everything that is needed to repeat and to understand it."""

    def __init__(self, seed: int, faults: Sequence[Fault], problems: Sequence[str], diagnosis: str) -> None:
        lines = [
            f"{len(problems)} problems; repeat with: make chaos CHAOS_RUNS=1 SEED={seed}",
            *(f"  {problem}" for problem in problems[:SHOWN_PROBLEMS]),
            "the faults were:",
            *(f"  {fault}" for fault in faults),
            f"  in the end  {calm_fault(seed)}",
            diagnosis,
        ]
        super().__init__("\n".join(lines))


async def run_chaos(servers: Servers, seed: int, window_s: float, directory: Path) -> str:
    """Run a seed's schedule; says in a line what happened. Raises ``ChaosError``."""
    faults = draw(seed, window_s)
    log = Log(servers, f"chaos-{seed}")
    await servers.begin_anew()
    await asyncio.to_thread(initialise, log, directory)
    direct = log.settings(proxied=False)
    workers = Workers(log.environment(proxied=True), directory)
    listener = Listener(direct.redis)
    try:
        async with (
            servers.proxied(seed) as proxies,
            stores_of(direct) as stores,
            listener.listening(),
            workers.supervised(),
            Producer(log.settings(proxied=True).kafka, append_timeout_s=APPEND_TIMEOUT_S) as producer,
        ):
            door = Door(producer)
            workers.begin()
            chaos = Chaos(log, workers, proxies)
            crowd = Crowd(seed, window_s, door, listener, stores.warm)
            async with crowd.writing():
                await at_work(stores)
                await chaos.carry_out(faults)
            problems = [*await settled(stores), *await caught_up(stores)]
            async with chaos.in_the_calm(calm_fault(seed)):
                await crowd.last_words()
                problems += await caught_up(stores)
            problems += await caught_up(stores)
            found = await compare(stores, Said(door.acknowledged, listener.heard), seed)
            epoch = (await stores.control.live()).hot_epoch
    except Exception as error:
        raise ChaosError(seed, faults, [f"the run ended with {error!r}"], _diagnosis(workers, directory)) from error
    summary = (
        f"{len(faults)} faults; {found.verdicts.total()} records: {dict(found.verdicts)}; {door.unanswered} of "
        f"{len(door.sent)} hand-overs without an answer; {len(listener.heard)} messages heard; {found.hot} sessions "
        f"hot in epoch {epoch}"
    )
    if problems := [*problems, *found.problems, *workers.unexplained()]:
        raise ChaosError(seed, faults, problems, f"{summary}\n{_diagnosis(workers, directory)}")
    return f"seed {seed}: {summary}"


def initialise(log: Log, directory: Path) -> None:
    """``everlog init``."""
    command = [sys.executable, "-P", "-m", "everlog.cli", "init"]
    environment = dict(log.environment(proxied=False))
    done = subprocess.run(
        command, env=environment, cwd=directory, capture_output=True, text=True, timeout=INIT_TIMEOUT_S, check=False
    )
    assert done.returncode == 0, done.stderr


def _diagnosis(workers: Workers, directory: Path) -> str:
    exits = {name: worker.exits for name, worker in workers.by_name.items()}
    return f"the workers ended with {exits}; their logs are in {directory}"
