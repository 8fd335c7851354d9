"""Label maps that were smoothed, resized or compressed as if their labels were brightnesses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Numbers: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]

# Measured: drawn and painted maps stay below 0.1, also with strands and frames one pixel wide, superpixels below 0.5;
# bilinear, area, cubic and Lanczos resizes, blur, JPEG up to quality 98 and lossy WebP lie at 0.35 to 1.
MOST_MIXED = 0.3
# Share of the thin lines between plain areas with a label in between: 0.1 to 0.65 by chance, 0.65 to 1 in mixtures.
LEAST_BETWEEN = 0.65
FEWEST = 8  # mixed crossings that say anything
LEAST_PLAIN = 0.3  # share of the pixels in plain areas; a map of noise has too few to tell


def mixture_problem(labels: Tensor) -> str | None:
    """What shows that a label map's numbers were mixed with one another; None for a clean map.

    labels: whole numbers [H,W]. An interpolating resize or a lossy file puts 5 where 3 meets 8. The map is read
    along its rows and columns: wherever one plain area gives way to another, and their labels are not neighboring
    numbers, there is either a step, or a few pixels with a label in between. A clean map has steps almost
    everywhere, a mixed one almost nowhere. Maps of two labels hold no such mixture, and one label that occurs in
    thin lines alone counts as an outline that was drawn. Returns a clause for an error, whose subject is the map.
    """
    pixels = labels.detach().cpu().numpy().astype(np.int64)
    longest_run = int(np.clip(min(pixels.shape) // 128, 1, 4))  # longer runs of one label are plain areas
    ways = [_crossings(lines, longest_run) for lines in (pixels, np.ascontiguousarray(pixels.T))]
    triples = np.concatenate([way.mixed for way in ways])
    steps, lines, mixed = sum(way.steps for way in ways), sum(way.lines for way in ways), len(triples)
    if mixed < FEWEST or mixed < MOST_MIXED * (mixed + steps) or mixed < LEAST_BETWEEN * lines:
        return None
    across, down = (way.plain for way in ways)
    if across.mean() + down.mean() < 2 * LEAST_PLAIN or _is_outline(triples[:, 1], pixels, across & down.T):
        return None
    kinds, counts = np.unique(triples, axis=0, return_counts=True)
    low, middle, high = kinds[counts.argmax()].tolist()
    return (
        f"{mixed / (mixed + steps):.0%} of its boundaries pass through labels in between, such as {middle} between "
        f"{low} and {high}: it was resized with interpolation, smoothed or compressed with loss"
    )


@dataclass(frozen=True)
class _Crossings:
    """Where plain areas follow each other along lines.

    steps: how many of them meet directly; lines: how many have a few other pixels between them; mixed: [n,3] of those,
    lower label, a label in between that lies there, higher label; plain: where the plain areas are.
    """

    steps: int
    lines: int
    mixed: Numbers
    plain: Flags


def _crossings(lines: Numbers, longest_run: int) -> _Crossings:
    """Crossings along the rows of `lines`; runs of up to `longest_run` pixels are no plain area."""
    starts, values, lengths = _runs(lines)
    row = starts // lines.shape[1]
    narrow = lengths <= longest_run
    plain = np.flatnonzero(~narrow)
    before, after = plain[:-1], plain[1:]
    low = np.minimum(values[before], values[after])
    high = np.maximum(values[before], values[after])
    near = starts[after] - starts[before] - lengths[before] <= 8 * longest_run
    counts = (row[before] == row[after]) & (high - low > 1) & near
    steps = int((counts & (after - before == 1)).sum())
    mixed = _between(values, narrow, plain, low, high, counts)
    return _Crossings(
        steps, int(counts.sum()) - steps, mixed, np.repeat(~narrow, lengths).reshape(lines.shape)
    )


def _is_outline(between: Numbers, pixels: Numbers, plain: Flags) -> bool:
    """Whether all mixtures would be of one label, which is plain nowhere but at a few corners of its lines."""
    return bool((between == between[0]).all() and plain[pixels == between[0]].mean() < 0.1)


def _runs(lines: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """Start in the flattened rows, label and length of every run of one label; runs end with their row."""
    change = np.ones(lines.shape, bool)
    change[:, 1:] = lines[:, 1:] != lines[:, :-1]
    starts = np.flatnonzero(change)
    return starts, lines.ravel()[starts], np.diff(np.append(starts, lines.size))


def _between(
    values: Numbers, narrow: Flags, plain: Numbers, low: Numbers, high: Numbers, counts: Flags
) -> Numbers:
    """[n,3] for every crossing that counts and holds a narrow run whose label is strictly between."""
    runs = np.flatnonzero(narrow)
    crossing = np.searchsorted(plain, runs) - 1
    inside = (crossing >= 0) & (crossing < len(low))
    runs, crossing = runs[inside], crossing[inside]
    mixes = counts[crossing] & (values[runs] > low[crossing]) & (values[runs] < high[crossing])
    runs, crossing = runs[mixes], crossing[mixes]
    crossing, first = np.unique(crossing, return_index=True)
    return np.stack([low[crossing], values[runs[first]], high[crossing]], axis=1)
