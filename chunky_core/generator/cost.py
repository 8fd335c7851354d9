"""What making a box takes: counted in multiply-adds and feature values, and estimated in time."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from ..boxes import AnyBox, AnySize, Box, as_size, check_box, full_box
from .region_plan import CONST_SIZE, plan_region

# In multiply-adds that take as long, forward and backward, chosen after one CPU thread: a convolution and what
# goes with it at any size, a weight read, a feature value made, and one that no longer fits the cache.
_CALL = 20_000_000
_WEIGHT = 80
_ACTIVATION = 60
_LARGE = 240
_CACHED = 2**20  # feature values of one resolution


class BlockShape(NamedTuple):
    """The channels of one resolution: of the features below (0: none), of its own, of its RGB output (0: none).

    skip: whether it has a residual block's other way; bilinear: whether its first convolution comes after doubling.
    """

    below: int
    channels: int
    rgb: int
    skip: bool
    bilinear: bool = False


class Cost(NamedTuple):
    """macs: multiply-adds of the convolutions; activations: feature values, kept for a backward pass."""

    macs: int
    activations: int


class BlockCost(NamedTuple):
    """What the layers of one resolution take: multiply-adds, feature values, weights and convolutions."""

    macs: int
    activations: int
    weights: int
    calls: int


def synthesis_cost(
    block_shapes: Sequence[BlockShape],
    size: AnySize,
    box: AnyBox | None = None,
    const_size: AnySize = CONST_SIZE,
    first_layer: int = 0,
) -> Cost:
    """Multiply-adds and feature values of making `box` (None: everything) of one sample, forward only.

    size: of the output, in whose pixels `box` is; const_size: of the constant; first_layer: the first of the styled
    layers that counts. Raises InvalidInputError for a bad box.
    """
    plan = plan_region(size, full_box(size) if box is None else box, const_size)
    layers = [
        layer
        for shape, boxes in zip(block_shapes, plan, strict=False)
        for layer in layer_costs(
            shape, boxes.features_in.area if boxes.features_in else 0, boxes.conv0.area, boxes.conv1.area
        )
    ][first_layer:]
    return Cost(sum(layer.macs for layer in layers), sum(layer.activations for layer in layers))


def block_cost(shape: BlockShape, features_in: int, conv0: int, conv1: int) -> BlockCost:
    """What one resolution's layers take, forward only, for one sample; the numbers of pixels as in BlockPlan."""
    layers = layer_costs(shape, features_in, conv0, conv1)
    return BlockCost(
        sum(layer.macs for layer in layers),
        sum(layer.activations for layer in layers),
        9 * shape.channels * (shape.channels + shape.below),
        2 if shape.below else 1,
    )


def layer_costs(shape: BlockShape, features_in: int, conv0: int, conv1: int) -> list[Cost]:
    """The same for each of a block's styled layers, in the order of synthesis."""
    below, channels = shape.below, shape.channels
    layers = [Cost(9 * channels**2 * conv1, channels * conv1)]
    if below:
        if shape.bilinear:
            macs = 9 * below * channels * conv0 + 4 * below * conv0
        else:
            macs = 9 * below * channels * features_in + 16 * channels * conv0
        if shape.skip:
            macs += below * channels * features_in + 4 * channels * conv1
        layers.insert(0, Cost(macs, channels * conv0))
    return layers + [Cost(shape.rgb * channels * conv1, 0)] * (shape.rgb > 0)


def estimated_time(
    block_shapes: Sequence[BlockShape],
    size: AnySize,
    box: Box,
    samples: int = 1,
    const_size: AnySize = CONST_SIZE,
) -> float:
    """The time of making `box` of some samples in one pass, in multiply-adds that take as long."""
    image, const = as_size(size), as_size(const_size)
    down = _sides(image.height, box.top, box.bottom, const.height)
    across = _sides(image.width, box.left, box.right, const.width)
    total = 0
    for shape, heights, widths in zip(block_shapes, down, across, strict=False):
        features_in, conv0, conv1 = (height * width for height, width in zip(heights, widths, strict=True))
        block = block_cost(shape, features_in, conv0, conv1)
        values = samples * block.activations
        total += _CALL * block.calls + _WEIGHT * block.weights + samples * block.macs
        total += _ACTIVATION * values + _LARGE * max(values - _CACHED, 0)
    return total


def relative_cost(
    block_shapes: Sequence[BlockShape], size: AnySize, box: AnyBox, const_size: AnySize = CONST_SIZE
) -> float:
    """The estimated time of making `box`, with what a pass takes at any size; 1 = the whole image.

    Raises InvalidInputError for a bad box.
    """
    whole = estimated_time(block_shapes, size, full_box(size), const_size=const_size)
    return estimated_time(block_shapes, size, check_box(box, size), const_size=const_size) / whole


@lru_cache(maxsize=2**14)
def _sides(length: int, first: int, end: int, const_length: int) -> tuple[tuple[int, int, int], ...]:
    """How many rows (or columns) of features_in, conv0 and conv1 those of the output depend on, per block."""
    plan = plan_region(length, Box(first, first, end, end), const_length)
    return tuple(
        (boxes.features_in.height if boxes.features_in else 0, boxes.conv0.height, boxes.conv1.height)
        for boxes in plan
    )
