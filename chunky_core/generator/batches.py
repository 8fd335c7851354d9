"""Which boxes to make in one batched pass, by an estimate of the time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from ..boxes import AnyBox, AnySize, Box, as_size, check_box
from ..deprecated import old_names
from .cost import BlockShape, estimated_time
from .region_plan import CONST_SIZE


class Batch(NamedTuple):
    """members: places in the given sequence; boxes: for each a box that holds the given one, all of one size."""

    members: tuple[int, ...]
    boxes: tuple[Box, ...]


Estimate = Callable[[int, int, int], float]


def batches(
    boxes: Sequence[AnyBox],
    size: AnySize,
    block_shapes: Sequence[BlockShape],
    const_size: AnySize = CONST_SIZE,
) -> tuple[Batch, ...]:
    """Groups boxes such that making each group in one pass takes the least estimated time in all.

    Small boxes are enlarged to their group's size, inside the image. Starting from single boxes, the two
    groups whose union saves most are united, until none saves anything. Every box is in one group.
    Raises InvalidInputError for an empty box or one that leaves the image.
    """
    checked = [check_box(box, size) for box in boxes]
    estimate = _remembered(block_shapes, size, const_size)
    groups = [[index] for index in range(len(checked))]
    while union := _best_union(groups, checked, estimate):
        first, second = union
        groups[first] += groups.pop(second)
    return tuple(_batch(sorted(group), checked, size) for group in groups)


def _remembered(block_shapes: Sequence[BlockShape], size: AnySize, const_size: AnySize) -> Estimate:
    image = as_size(size)
    known: dict[tuple[int, int, int], float] = {}

    def estimate(height: int, width: int, samples: int) -> float:
        key = (height, width, samples)
        if key not in known:  # in the middle, where the halo is largest
            middle = Box(*image.half, *image.half)
            box = middle.resized(height, width, image)
            known[key] = estimated_time(block_shapes, image, box, samples, const_size)
        return known[key]

    return estimate


def _best_union(groups: list[list[int]], boxes: list[Box], estimate: Estimate) -> tuple[int, int] | None:
    alone = [_estimated(group, boxes, estimate) for group in groups]
    best, most = None, 0.0
    for second in range(len(groups)):
        for first in range(second):
            together = _estimated(groups[first] + groups[second], boxes, estimate)
            saved = alone[first] + alone[second] - together
            if saved > most:
                best, most = (first, second), saved
    return best


def _size(group: list[int], boxes: list[Box]) -> tuple[int, int]:
    return max(boxes[index].height for index in group), max(boxes[index].width for index in group)


def _estimated(group: list[int], boxes: list[Box], estimate: Estimate) -> float:
    return estimate(*_size(group, boxes), len(group))


def _batch(group: list[int], boxes: list[Box], size: AnySize) -> Batch:
    height, width = _size(group, boxes)
    return Batch(tuple(group), tuple(boxes[index].resized(height, width, size) for index in group))


__getattr__ = old_names(__name__)
