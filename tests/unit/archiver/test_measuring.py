"""The gauges of the archive say how far it is behind, and how old its proofs are."""

from __future__ import annotations

from prometheus_client import REGISTRY

from everlog.archiver.measuring import ArchiveMeter
from everlog.archiver.service import Archiver
from support.conversations import PARTITION, Conversations
from support.watched import Watch
from support.world import World


def shown(name: str) -> float | None:
    return REGISTRY.get_sample_value(f"everlog_archive_{name}")


async def measure(world: World, meter: ArchiveMeter) -> None:
    manifest = await world.archive()[0].load(0, PARTITION)
    assert manifest is not None
    await meter.measure({PARTITION: manifest})


async def begun(world: World) -> Archiver:
    """An archiver that has taken every partition over."""
    archiver = world.archiver()
    await archiver.seal(everything=True)
    return archiver


async def test_lag_is_the_age_of_the_oldest_event_that_is_not_archived() -> None:
    world = await World().begin()
    watch = Watch()
    meter = ArchiveMeter(watch.over(world.log), world.clock)
    await begun(world)
    await measure(world, meter)
    assert (shown("lag_seconds"), shown("oldest_proof_seconds")) == (0, 0)
    await Conversations(world.log).go_on(5)
    world.now_ms += 40_000
    for _ in range(3):
        await measure(world, meter)
    assert shown("lag_seconds") == 40
    assert watch.calls.count("read") == 1, "its append time is asked for once"
    await begun(world)
    await measure(world, meter)
    assert shown("lag_seconds") == 0


async def test_offsets_and_the_oldest_proof_are_shown_also_after_a_restart() -> None:
    world = await World().begin()
    await Conversations(world.log).go_on(5)
    await world.seal(segment_events=2)
    world.now_ms += 60_000
    await measure(world, ArchiveMeter(world.log, world.clock))
    for name in ("everlog_archive_next_offset", "everlog_archive_proved_offset"):
        assert REGISTRY.get_sample_value(name, {"partition": str(PARTITION)}) == 5
    assert shown("oldest_proof_seconds") == 60
