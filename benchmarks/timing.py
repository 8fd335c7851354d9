"""What benchmarks have in common: calls that are timed in turn, and tables."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from statistics import median


def alternating_medians(
    calls: Sequence[Callable[[], object]], rounds: int, clock: Callable[[], float] = time.perf_counter
) -> list[float]:
    """Median seconds of each call; they run in turn, so that other load on the machine meets all of them alike,
    after one round that does not count.
    """
    seconds: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds + 1):
        for call, timings in zip(calls, seconds, strict=True):
            start = clock()
            call()
            timings.append(clock() - start)
    return [median(timings[1:]) for timings in seconds]


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
