"""Which boxes to make in one batched pass, by an estimate of the time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from ..boxes import AnyBox, Box, check_box, full_box
from .region_plan import block_cost, plan_region

if TYPE_CHECKING:
    from .stylegan2 import SynthesisNetwork

# In multiply-adds that take as long, forward and backward, chosen after one CPU thread: a convolution and what
# goes with it at any size, a weight read, a feature value made, and one that no longer fits the cache.
_CALL = 20_000_000
_WEIGHT = 80
_ACTIVATION = 60
_LARGE = 240
_CACHED = 2**20  # feature values of one resolution


class Batch(NamedTuple):
    """members: places in the given sequence; boxes: for each a box that holds the given one, all of one size."""

    members: tuple[int, ...]
    boxes: tuple[Box, ...]


Estimate = Callable[[int, int, int], float]


def work(network: SynthesisNetwork, resolution: int, box: Box, samples: int = 1) -> float:
    """The estimated time of making `box` of some samples in one pass, in multiply-adds that take as long."""
    down, across = _sides(resolution, box.top, box.bottom), _sides(resolution, box.left, box.right)
    total = 0
    for shape, heights, widths in zip(network.block_shapes, down, across, strict=False):
        features_in, conv0, conv1 = (height * width for height, width in zip(heights, widths, strict=True))
        block = block_cost(shape, features_in, conv0, conv1)
        values = samples * block.activations
        total += _CALL * block.calls + _WEIGHT * block.weights + samples * block.macs
        total += _ACTIVATION * values + _LARGE * max(values - _CACHED, 0)
    return total


@lru_cache(maxsize=2**14)
def _sides(resolution: int, first: int, end: int) -> tuple[tuple[int, int, int], ...]:
    """How many rows (or columns) of features_in, conv0 and conv1 those of the output depend on, per block."""
    plan = plan_region(resolution, Box(first, first, end, end))
    return tuple(
        (boxes.features_in.height if boxes.features_in else 0, boxes.conv0.height, boxes.conv1.height)
        for boxes in plan
    )


def effort(network: SynthesisNetwork, resolution: int, box: AnyBox) -> float:
    """The estimated time of making `box`, with what a pass takes at any size; 1 = the whole picture."""
    whole = work(network, resolution, full_box(resolution))
    return work(network, resolution, check_box(box, resolution)) / whole


def batches(boxes: Sequence[AnyBox], resolution: int, network: SynthesisNetwork) -> tuple[Batch, ...]:
    """Groups boxes such that making each group in one pass takes the least estimated time in all.

    Small boxes are enlarged to their group's size, inside the image. Starting from single boxes, the two
    groups whose union saves most are united, until none saves anything. Every box is in one group.
    Raises InvalidInputError for an empty box or one that leaves the image.
    """
    checked = [check_box(box, resolution) for box in boxes]
    estimate = _remembered(network, resolution)
    groups = [[index] for index in range(len(checked))]
    while union := _best_union(groups, checked, estimate):
        first, second = union
        groups[first] += groups.pop(second)
    return tuple(_batch(sorted(group), checked, resolution) for group in groups)


def _remembered(network: SynthesisNetwork, resolution: int) -> Estimate:
    known: dict[tuple[int, int, int], float] = {}

    def estimate(height: int, width: int, samples: int) -> float:
        key = (height, width, samples)
        if key not in known:  # in the middle, where the halo is largest
            middle = Box(resolution // 2, resolution // 2, resolution // 2, resolution // 2)
            known[key] = work(network, resolution, middle.resized(height, width, resolution), samples)
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


def _batch(group: list[int], boxes: list[Box], resolution: int) -> Batch:
    height, width = _size(group, boxes)
    return Batch(tuple(group), tuple(boxes[index].resized(height, width, resolution) for index in group))
