"""Where in an original photo the aligned crop lies that was projected."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ..errors import InvalidInputError

Point = tuple[float, float]


@dataclass(frozen=True)
class Alignment:
    """quad: the crop's corners (x, y) in pixels of the original photo, in the order top left, bottom left,
    bottom right, top right; they may lie outside it. original_size: (height, width) of the original in pixels.

    Raises InvalidInputError for anything else than four finite points and two positive whole numbers.
    """

    quad: tuple[Point, Point, Point, Point]
    original_size: tuple[int, int]

    def __post_init__(self) -> None:
        if _count(self.quad) != 4 or not all(_is_point(point) for point in self.quad):
            raise InvalidInputError(
                f"the alignment's quad is {_short(self.quad)}; expected four finite points (x, y)"
            )
        size = self.original_size
        if _count(size) != 2 or not all(_is_length(side) for side in size):
            raise InvalidInputError(
                f"the original photo's size is {_short(self.original_size)}; expected (height, width) in "
                "whole pixels"
            )


def _is_point(point: Point) -> bool:
    return _count(point) == 2 and all(isinstance(x, int | float) and math.isfinite(x) for x in point)


def _is_length(side: int) -> bool:
    return isinstance(side, int) and not isinstance(side, bool) and side > 0


def _count(values: Any) -> int:
    """How many there are; -1 where they can't be counted."""
    try:
        return len(values)
    except TypeError:
        return -1


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:100]}..."
