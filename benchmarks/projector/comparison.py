"""Who consumes how fast, and our worker's memory: all on one log that was filled once."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import defaultdict
from itertools import islice
from pathlib import Path
from typing import Final

from benchmarks.projector.appending import fill
from benchmarks.projector.events import events
from benchmarks.projector.latency import measure_latency
from benchmarks.projector.stage import PEERS_PYTHON, Stage, open_stage
from benchmarks.projector.watching import watching
from everlog.producers.producer import Producer
from everlog.runtime.collector import relax_collector
from everlog.runtime.config import KafkaSettings

RECORDS: Final = 1_024_000
COMPARED_RECORDS: Final = 400_000
"""So many keep the fastest consumer busy for more than five seconds."""
STOCK_RECORDS: Final = 40_000
"""So many take a stock agent more than five seconds."""
STOCK_STORES_RECORDS: Final = 3_000
ROUNDS: Final = 2
"""The best one counts: noise only ever slows down."""
EARLY_RECORDS: Final = 200_000
"""The first look at the memory: every session is cached by then."""
LATE_RECORDS: Final = 1_000_000


def compare() -> dict[str, float]:
    """The metrics."""
    if not PEERS_PYTHON.exists():
        raise FileNotFoundError(f"{PEERS_PYTHON} is made by: make bench NAME=projector")
    relax_collector()
    with open_stage() as stage:
        stage.use_log("history")
        asyncio.run(_fill())
        metrics = _without_stores(stage) | _with_stores(stage)
        stage.use_log("live")
        return metrics | asyncio.run(measure_latency(stage))


async def _fill() -> None:
    _say(f"filling the log with {RECORDS} events")
    async with Producer(KafkaSettings.load()) as producer:
        await fill(producer, islice(events(), RECORDS))


def _without_stores(stage: Stage) -> dict[str, float]:
    consumers: dict[str, tuple[str, int, Path]] = {
        "stock_faust_per_s": ("stock", STOCK_RECORDS, Path(sys.executable)),
        "quixstreams_per_s": ("quix", COMPARED_RECORDS, PEERS_PYTHON),
        "plain_aiokafka_per_s": ("plain", COMPARED_RECORDS, Path(sys.executable)),
        "everlog_per_s": ("worker", COMPARED_RECORDS, Path(sys.executable)),
    }
    best: dict[str, float] = defaultdict(float)
    for _ in range(ROUNDS):
        for name, consumer in consumers.items():
            best[name] = max(best[name], _rate(stage, name, *consumer))
    everlog = best["everlog_per_s"]
    return {
        **best,
        "everlog_to_stock_faust": round(everlog / best["stock_faust_per_s"], 2),
        "everlog_to_quixstreams": round(everlog / best["quixstreams_per_s"], 2),
        "everlog_to_plain_aiokafka": round(everlog / best["plain_aiokafka_per_s"], 2),
    }


def _with_stores(stage: Stage) -> dict[str, float]:
    stock = _rate(stage, "stock_faust_stores_per_s", "stock_stores", STOCK_STORES_RECORDS, Path(sys.executable))
    metrics = asyncio.run(_catch_up(stage))
    ratio = round(metrics["everlog_stores_per_s"] / stock, 2)
    return {"stock_faust_stores_per_s": stock, **metrics, "everlog_to_stock_faust_stores": ratio}


def _rate(stage: Stage, name: str, module: str, records: int, python: Path) -> float:
    per_s = round(stage.consume(module, records, python).per_s)
    _say(f"{name}: {per_s}")
    return per_s


async def _catch_up(stage: Stage) -> dict[str, float]:
    """The real projector, from nothing to the log's end; timed from the first visible batch to the last."""
    async with watching() as arrivals:
        with stage.projector() as projector:
            await arrivals.reach(EARLY_RECORDS)
            early = _resident_mb(projector.pid)
            await arrivals.reach(LATE_RECORDS)
            late = _resident_mb(projector.pid)
            await arrivals.reach(RECORDS)
    per_s = (arrivals.records - arrivals.first_batch) / (arrivals.last_s - arrivals.first_s)
    _say(f"everlog_stores_per_s: {per_s:.0f}")
    return {
        "everlog_stores_per_s": round(per_s),
        "rss_mb_after_200k": early,
        "rss_mb_after_1m": late,
        "rss_1m_to_200k": round(late / early, 3),
    }


def _resident_mb(pid: int) -> float:
    shown = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=True)
    return round(int(shown.stdout) / 1024, 1)


def _say(line: str) -> None:
    print(line, file=sys.stderr)
