"""The demo's phases, one after the other, each with its figures."""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from everlog.archiver.eviction import idle_sessions
from everlog.archiver.settings import ArchiverSettings
from everlog.cli.archive import proved_offsets
from everlog.cli.composition import Stores, StoreSettings, now_ms, open_stores
from everlog.cli.demo.comparison import differences
from everlog.cli.demo.dataset import Conversation, load_conversations
from everlog.cli.demo.report import percentile
from everlog.cli.demo.script import TENANT, key_of
from everlog.cli.demo.speakers import BulkSpeakers, GatewaySpeakers, side_by_side
from everlog.cli.demo.stage import Stage, open_stage
from everlog.cli.demo.visibility import Visibility
from everlog.cli.tokens import local_token
from everlog.client import Everlog, Session
from everlog.producers.producer import Producer
from everlog.schemas.errors import UnavailableError

GATEWAY_CONVERSATIONS: Final = 20
"""Conversations that go through the gateway: some hundred appends with verdict."""
REHYDRATED: Final = 200
"""Sessions that are brought back and compared."""
REHYDRATED_AT_ONCE: Final = 4
CATCH_UP_TIMEOUT_S: Final = 120.0
SEED: Final = 42
"""Of the choice of conversations, so that two runs do the same."""


class Run:
    """The running demo: its progress bars, and the figures so far."""

    def __init__(self, console: Console) -> None:
        self.progress = Progress(
            TextColumn("{task.description:<12}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=console,
        )
        self.figures: dict[str, Any] = {}
        self.seconds: dict[str, float] = {}

    @contextmanager
    def phase(self, name: str, total: int) -> Iterator[Any]:
        """A phase with a bar and a rate; yields what advances it."""
        task = self.progress.add_task(name, total=total, rate="")
        began, done = time.perf_counter(), 0

        def advance(count: int) -> None:
            nonlocal done
            done += count
            rate = done / max(time.perf_counter() - began, 1e-6)
            self.progress.update(task, advance=count, rate=f"{rate:,.0f}/s")

        yield advance
        self.seconds[name] = time.perf_counter() - began


def run_demo(count: int | None) -> dict[str, Any]:
    """Run the whole demo on ``count`` conversations (None: all) and return its figures."""
    console = Console(stderr=True)
    conversations = load_conversations(count)
    console.print(f"{len(conversations):,} conversations; the services run on this machine and end with the demo")
    began = time.perf_counter()
    run = Run(console)
    with open_stage(Path(tempfile.mkdtemp(prefix="everlog-demo-"))) as stage:
        run.seconds["set_up"] = time.perf_counter() - began
        console.print("Kafka, Valkey, SeaweedFS and a stand-in for MongoDB are up, with projector and gateway")
        asyncio.run(_on_stage(run, stage, conversations))
    run.figures["seconds"] = {**run.seconds, "total": time.perf_counter() - began}
    return run.figures


async def _on_stage(run: Run, stage: Stage, conversations: Sequence[Conversation]) -> None:
    async with open_stores(StoreSettings.load()) as stores:
        with run.progress:
            await _phases(run, stage, stores, conversations)


async def _phases(run: Run, stage: Stage, stores: Stores, conversations: Sequence[Conversation]) -> None:
    chance = random.Random(SEED)  # noqa: S311 (a choice of examples, not a secret)
    await _append(run, stage, stores, conversations, chance)
    await _archive(run, stores)
    await _evict(run, stores, conversations)
    sample = chance.sample(conversations, min(REHYDRATED, len(conversations)))
    await _rehydrate(run, stage, stores, sample)


async def _append(
    run: Run, stage: Stage, stores: Stores, conversations: Sequence[Conversation], chance: random.Random
) -> None:
    through_gateway = set(chance.sample(range(len(conversations)), min(GATEWAY_CONVERSATIONS, len(conversations))))
    messages = sum(len(conversation.utterances) for conversation in conversations)
    visibility = Visibility()
    with run.phase("append", messages) as advance:
        async with Producer(stores.settings.kafka) as producer, _following(stores, visibility):
            bulk = BulkSpeakers(producer, visibility, advance)
            http = GatewaySpeakers(stage.gateway_url, _token, visibility, advance)
            began = time.perf_counter()
            async with asyncio.TaskGroup() as group:
                group.create_task(bulk.hold([one for at, one in enumerate(conversations) if at not in through_gateway]))
                group.create_task(http.hold([conversations[at] for at in sorted(through_gateway)]))
            elapsed = time.perf_counter() - began
            await _caught_up(stores)
    events = bulk.events + http.events
    run.figures |= {
        "sessions": len(conversations),
        "messages": messages,
        "events": events,
        "append_per_s": round(events / elapsed, 1),
        "gateway_append_p50_ms": round(percentile(http.latencies_ms, 0.5), 2),
        "visible_p99_ms": round(percentile(visibility.latencies_ms(), 0.99), 2),
    }


async def _archive(run: Run, stores: Stores) -> None:
    archiver = await stores.archiver(ArchiverSettings())
    with run.phase("archive", 1) as advance:
        sealed = await archiver.seal(everything=True)
        advance(1)
    with run.phase("prove", 1) as advance:
        await archiver.prove()
        advance(1)
    with run.phase("trim", 1) as advance:
        trims = await archiver.trim(window_s=0)
        advance(1)
    run.figures |= {
        "segments": sealed.segments,
        "archive_bytes": sealed.bytes,
        "raw_bytes": sealed.raw_bytes,
        "trimmed_events": sum(trim.after - trim.before for trim in trims),
    }


async def _evict(run: Run, stores: Stores, conversations: Sequence[Conversation]) -> None:
    live = await stores.control.live()
    proved = await proved_offsets(stores)
    with run.phase("evict", len(conversations)) as advance:
        keys = [key async for key in idle_sessions(stores.warm(live.generation), proved, now_ms() + 1)]
        requests = stores.requests(live.generation)
        evicted = await requests.carry_out("evict_session", keys, proved=proved)
        advance(evicted)
    run.figures["evicted_sessions"] = evicted


async def _rehydrate(run: Run, stage: Stage, stores: Stores, sample: Sequence[Conversation]) -> None:
    live = await stores.control.live()
    requests = stores.requests(live.generation)
    latencies_ms: list[float] = []
    rehydrated: list[int] = []
    mismatches: list[int] = []
    with run.phase("rehydrate", len(sample)) as advance:
        async with Everlog.connect(stage.gateway_url, token=_token("chitchat-reader")) as log:

            async def bring_back(conversation: Conversation) -> None:
                began = time.perf_counter()
                rehydrated.append(await requests.carry_out("rehydrate", [key_of(conversation)]))
                latencies_ms.append((time.perf_counter() - began) * 1000)
                mismatches.append(await _mismatches(log.session(conversation.id), conversation))
                advance(1)

            await side_by_side([partial(bring_back, one) for one in sample], REHYDRATED_AT_ONCE)
    run.figures |= {
        "rehydrated_sessions": sum(rehydrated),
        "rehydrate_p99_ms": round(percentile(latencies_ms, 0.99), 2),
        "mismatches": sum(mismatches),
    }


async def _mismatches(session: Session, conversation: Conversation) -> int:
    """Differences of a conversation that came back, read whole and opened in its middle."""
    events = [event async for event in session.timeline()]
    middle = len(events) // 2 + 1
    opened = await session.state(at_version=middle)
    return differences(conversation, events) + (opened.version != middle)


@asynccontextmanager
async def _following(stores: Stores, visibility: Visibility) -> AsyncIterator[None]:
    live = await stores.control.live()
    hot = stores.hot(live.generation, live.hot_epoch)
    async with hot.subscribe() as outcomes:
        task = asyncio.create_task(visibility.follow(outcomes))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def _caught_up(stores: Stores) -> None:
    """Wait until the projection has folded all that is on the log. Raises ``UnavailableError`` at the deadline."""
    warm = stores.warm((await stores.control.live()).generation)
    deadline = time.monotonic() + CATCH_UP_TIMEOUT_S
    for partition in range(stores.identity.partitions):
        end = (await stores.log.bounds(partition)).end
        while (await warm.watermark(stores.identity.era, partition) or 0) < end:
            if time.monotonic() > deadline:
                raise UnavailableError("the projector", f"partition {partition} is not at {end} in time")
            await asyncio.sleep(0.05)


def _token(principal: str) -> str:
    return local_token(tenant=TENANT, principal=principal, role="editor")
