"""At which resolution pictures are drawn that are only looked at."""

from __future__ import annotations

from ...generator.generator import Generator

LEAST_RESOLUTION = 256  # pixels of the longer side, where the generator can stop early
PIXELS_AT_ONCE = 1 << 18  # of the pictures of one pass, which bounds memory and the wait for an interruption


def viewing_resolution(generator: Generator, least: int = LEAST_RESOLUTION) -> int:
    """The lowest resolution of at least `least` that the generator can stop at, else its own."""
    sizes = (size for size in generator.out_resolutions if size >= least)
    return min(sizes, default=generator.img_resolution)


def pictures_at_once(generator: Generator, resolution: int) -> int:
    """How many pictures of a resolution are drawn in one pass."""
    return max(1, PIXELS_AT_ONCE // generator.size_at(resolution).area)
