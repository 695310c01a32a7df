"""The end of the demo: a table for people, or one JSON object."""

from __future__ import annotations

from typing import Any

from everlog.cli.output import note, print_facts, print_json


def show(figures: dict[str, Any], as_json: bool) -> None:
    """Print the figures of a run."""
    if as_json:
        print_json(figures)
        return
    facts: dict[str, object] = {name: _text(value) for name, value in figures.items() if name != "seconds"}
    facts["archive / raw"] = f"{figures['archive_bytes'] / figures['raw_bytes']:.3f}" if figures["raw_bytes"] else "-"
    facts |= {f"{name}, s": f"{value:.1f}" for name, value in figures["seconds"].items()}
    print_facts("everlog demo", facts)
    note("conversations differ" if figures["mismatches"] else "every conversation came back as it was")


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def percentile(samples: list[float], share: float) -> float:
    """The nearest-rank percentile of samples; 0 where there are none."""
    if not samples:
        return 0.0
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
