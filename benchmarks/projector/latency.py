"""Time from the moment an event was due to its acknowledgement, and to its being visible."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import islice
from typing import Final

from benchmarks.projector.appending import Appended, append_on_schedule, fill
from benchmarks.projector.events import SESSIONS, events
from benchmarks.projector.stage import Stage
from benchmarks.projector.watching import Arrivals, watching
from everlog.producers.producer import Producer
from everlog.runtime.config import KafkaSettings

RATES_PER_S: Final = (200, 2_000)
WARM_UP_S: Final = 5
MEASURED_S: Final = 20


async def measure_latency(stage: Stage) -> dict[str, float]:
    """The percentiles at each rate, with the real projector at work."""
    metrics: dict[str, float] = {}
    coming = events()
    async with Producer(KafkaSettings.load()) as producer, watching() as arrivals:
        with stage.projector():
            await fill(producer, islice(coming, SESSIONS))
            appended = SESSIONS
            for per_s in RATES_PER_S:
                batch = list(islice(coming, per_s * (WARM_UP_S + MEASURED_S)))  # made before, not while it counts
                done = await append_on_schedule(producer, batch, per_s)
                appended += len(done)
                await arrivals.reach(appended)
                metrics |= _percentiles(done[per_s * WARM_UP_S :], arrivals, per_s)
    return metrics


def _percentiles(done: Sequence[Appended], arrivals: Arrivals, per_s: int) -> dict[str, float]:
    acknowledged_ms = [(one.acknowledged_s - one.due_s) * 1000 for one in done]
    visible_ms = [(arrivals.visible_s(one.position) - one.due_s) * 1000 for one in done]
    metrics = {
        "ack_p50_ms": percentile(acknowledged_ms, 50),
        "ack_p99_ms": percentile(acknowledged_ms, 99),
        "visible_p50_ms": percentile(visible_ms, 50),
        "visible_p99_ms": percentile(visible_ms, 99),
    }
    metrics["visible_to_ack_p50"] = metrics["visible_p50_ms"] / metrics["ack_p50_ms"]
    return {f"{name}_{per_s}": round(metric, 2) for name, metric in metrics.items()}


def percentile(numbers: Sequence[float], percent: float) -> float:
    """The smallest number that at least ``percent`` % of them do not exceed (nearest rank)."""
    return sorted(numbers)[max(math.ceil(len(numbers) * percent / 100), 1) - 1]
