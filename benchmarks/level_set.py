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
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).parent.parent))

from timing import alternating_medians, markdown

from chunky_core.segments.level_set import evolve
from chunky_core.segments.level_set.narrow_band import soft_mask

ITERATIONS, PER_ITERATION, BENDING = 300, 0.001 * 255, 0.1
DISTANCE = ITERATIONS * PER_ITERATION  # pixels, without curvature
CURVATURE = BENDING / PER_ITERATION
COLUMNS = ("side", "band s", "plain s", "ratio", "exact radius", "band", "plain")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[512, 1024])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(markdown(COLUMNS, [row(size, options.rounds) for size in options.sizes]))


def row(size: int, rounds: int) -> list[str]:
    """COLUMNS for one size: processor times, and the radii of equal area."""
    start = size / 5
    line = torch.arange(size, dtype=torch.float32) - (size - 1) / 2
    mask = soft_mask(start - torch.hypot(line[:, None], line))[None, None]
    full = torch.ones_like(mask)
    movers: list[Callable[[], Tensor]] = [
        lambda: evolve(mask, full, distance=DISTANCE, sign=1, curvature=CURVATURE),
        lambda: plain(mask, 255 * full),
    ]
    ours, theirs = alternating_medians(movers, rounds, time.process_time)
    reached = [math.sqrt(mover().sum().item() / math.pi) for mover in movers]
    radii = [f"{radius:.2f}" for radius in (exact_radius(start), *reached)]
    return [str(size), f"{ours:.3f}", f"{theirs:.3f}", f"{theirs / ours:.1f}", *radii]


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


if __name__ == "__main__":
    main()
