"""Which pixels of every layer a box of the output depends on: integers only.

After the 4x4 constant everything in StyleGAN2's synthesis is local (demodulation depends on weights and
styles only), so a box of output pixels needs, at each layer, that box plus a halo. Zero padding happens only
at true image borders. Boxes of equal size are planned together, so that one batched pass makes them all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ..boxes import Box, Boxes, BoxOrBoxes, check_box, check_region, full_box

__all__ = [
    "BlockCost",
    "BlockPlan",
    "BlockShape",
    "Box",
    "Boxes",
    "Cost",
    "BoxOrBoxes",
    "RegionPlan",
    "block_cost",
    "check_box",
    "cost",
    "full_box",
    "plan_region",
]

if TYPE_CHECKING:
    from .stylegan2 import SynthesisNetwork


class BlockPlan(NamedTuple):
    """The boxes of one resolution, in that resolution's pixels.

    features_in: of the previous resolution, what the up-sampling convolution reads (None at 4x4);
    conv0: its output, which the second convolution reads; conv1: the second convolution's output;
    rgb: the part of the RGB image that is needed.
    """

    resolution: int
    features_in: BoxOrBoxes | None
    conv0: BoxOrBoxes
    conv1: BoxOrBoxes
    rgb: BoxOrBoxes


class Cost(NamedTuple):
    """macs: multiply-adds of the convolutions; activations: feature values, kept for a backward pass."""

    macs: int
    activations: int


class BlockShape(NamedTuple):
    """The channels of one resolution: of the features below (0 at 4x4), of its own, of its RGB output (0: none).

    skip: whether it has a residual block's other way.
    """

    below: int
    channels: int
    rgb: int
    skip: bool


class BlockCost(NamedTuple):
    """What the layers of one resolution take: multiply-adds, feature values, weights and convolutions."""

    macs: int
    activations: int
    weights: int
    calls: int


RegionPlan = tuple[BlockPlan, ...]


def plan_region(resolution: int, box: BoxOrBoxes | tuple[int, int, int, int]) -> RegionPlan:
    """The boxes of every layer, from 4x4 up to `resolution`, that output pixels `box` depend on.

    resolution: a power of two, at least 4; box: (top, left, bottom, right), half-open, inside the image; or
    Boxes, one per sample. Raises InvalidInputError for an empty box or one that leaves the image.
    """
    several = isinstance(box, Boxes)
    conv1 = rgb = check_region(box, resolution)
    blocks = []
    size = resolution
    while size > 4:
        conv0 = conv1.grow(1, 1).clip(size)
        # what a stride-2 transposed 3x3 convolution followed by the 4-tap FIR reads
        features_in = conv0.halved(2, 1).clip(size // 2)
        blocks.append(BlockPlan(size, features_in, conv0, conv1, rgb))
        # what zero-stuffing, then the 4-tap FIR reads; of several boxes all, so that their sizes are equal
        conv1, rgb = features_in, features_in if several else rgb.halved(1, 0).clip(size // 2)
        size //= 2
    blocks.append(BlockPlan(4, None, conv1.grow(1, 1).clip(4), conv1, rgb))
    return tuple(reversed(blocks))


def cost(
    network: SynthesisNetwork,
    box: Box | tuple[int, int, int, int] | None = None,
    out_resolution: int | None = None,
) -> Cost:
    """Multiply-adds and feature values of making `box` (None: everything) of one sample, forward only.

    out_resolution: where synthesis stops (None: at the image's); `box` counts its pixels.
    """
    resolution = network.img_resolution if out_resolution is None else out_resolution
    plan = plan_region(resolution, full_box(resolution) if box is None else box)
    found = [
        block_cost(
            shape, boxes.features_in.area if boxes.features_in else 0, boxes.conv0.area, boxes.conv1.area
        )
        for shape, boxes in zip(network.block_shapes, plan, strict=False)
    ]
    return Cost(sum(block.macs for block in found), sum(block.activations for block in found))


def block_cost(shape: BlockShape, features_in: int, conv0: int, conv1: int) -> BlockCost:
    """What one resolution's layers take, forward only, for one sample; the numbers of pixels as in BlockPlan."""
    below, channels = shape.below, shape.channels
    macs = (9 * channels + shape.rgb) * channels * conv1
    if not below:
        return BlockCost(macs, channels * conv1, 9 * channels**2, 1)
    macs += 9 * below * channels * features_in + 16 * channels * conv0
    if shape.skip:
        macs += below * channels * features_in + 4 * channels * conv1
    return BlockCost(macs, channels * (conv0 + conv1), 9 * channels * (channels + below), 2)
