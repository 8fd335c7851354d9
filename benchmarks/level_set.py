"""Level set in a narrow band against plain iterations over the whole picture, for the same motion.

    python benchmarks/level_set.py [--sizes 512 1024] [--rounds 5] [--threads 1]

A disc grows, under F = 1 with the curvature term, by as much as 300 iterations of the scheme that P1's authors
released move it (with the sign of the paper): central differences, all pixels,
P += 0.001 F |grad P| + 0.1 |grad P| div(grad P / |grad P|) with F = 255. The two take turns; times are medians
of processor time. The radius that the equation gives, dr/dt = F - b/r, judges both.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor
from torch.nn import functional as F

from chunky_core.segments.level_set import evolve
from chunky_core.segments.signed_distance import soft_mask

ITERATIONS, PER_ITERATION, BENDING = 300, 0.001 * 255, 0.1
DISTANCE = ITERATIONS * PER_ITERATION  # pixels, without curvature
CURVATURE = BENDING / PER_ITERATION


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[512, 1024])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"{'size':>5} {'band s':>7} {'plain s':>8} {'ratio':>6} {'radius':>8} {'band':>8} {'plain':>8}")
    for size in options.sizes:
        print(row(size, options.rounds), flush=True)


def row(size: int, rounds: int) -> str:
    """One line of the table: times, and the radii of equal area."""
    start = size / 5
    line = torch.arange(size, dtype=torch.float32) - (size - 1) / 2
    mask = soft_mask(start - torch.hypot(line[:, None], line))[None, None]
    full = torch.ones_like(mask)
    movers: list[Callable[[], Tensor]] = [
        lambda: evolve(mask, full, distance=DISTANCE, sign=1, curvature=CURVATURE),
        lambda: plain(mask, 255 * full),
    ]
    ours, theirs = alternating_medians(movers, rounds)
    reached = [math.sqrt(mover().sum().item() / math.pi) for mover in movers]
    return (
        f"{size:5d} {ours:7.3f} {theirs:8.3f} {theirs / ours:6.1f} {exact_radius(start):8.2f} "
        f"{reached[0]:8.2f} {reached[1]:8.2f}"
    )


def plain(mask: Tensor, force: Tensor) -> Tensor:
    """All iterations over all pixels; a hard mask, as released."""
    level = 255 * (mask - 0.5)
    for _ in range(ITERATIONS):
        x, y = central(level)
        steepness = (x * x + y * y).sqrt()
        bending = central(x / (steepness + 1e-8))[0] + central(y / (steepness + 1e-8))[1]
        level = level + steepness * (PER_ITERATION / 255 * force + BENDING * bending)
    return (level > 0).float()


def central(level: Tensor) -> tuple[Tensor, Tensor]:
    """Differences along x and y; the border's pixels go on beyond it."""
    wide = F.pad(level, (1, 1, 1, 1), mode="replicate")
    return (wide[..., 1:-1, 2:] - wide[..., 1:-1, :-2]) / 2, (wide[..., 2:, 1:-1] - wide[..., :-2, 1:-1]) / 2


def exact_radius(radius: float, steps: int = 10000) -> float:
    for _ in range(steps):
        radius += DISTANCE / steps * (1 - CURVATURE / radius)
    return radius


def alternating_medians(movers: list[Callable[[], Tensor]], rounds: int) -> list[float]:
    """Median processor seconds of each mover; they run in turn, after one round that does not count."""
    seconds: list[list[float]] = [[] for _ in movers]
    for _ in range(rounds + 1):
        for mover, timings in zip(movers, seconds, strict=True):
            start = time.process_time()
            mover()
            timings.append(time.process_time() - start)
    return [median(timings[1:]) for timings in seconds]


if __name__ == "__main__":
    main()
