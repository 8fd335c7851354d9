"""Which pixels of every layer a box of the output depends on: integers only.

After the 4x4 constant everything in StyleGAN2's synthesis is local (demodulation depends on weights and
styles only), so a box of output pixels needs, at each layer, that box plus a halo. Zero padding happens only
at true image borders.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ..errors import InvalidInputError

if TYPE_CHECKING:
    from .stylegan2 import SynthesisNetwork


class Box(NamedTuple):
    """Half-open rectangle of pixels: rows [top, bottom), columns [left, right)."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def height(self) -> int:
        return self.bottom - self.top

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def area(self) -> int:
        return self.height * self.width

    def grow(self, before: int, after: int) -> Box:
        """The box with `before` more pixels above and left of it and `after` more below and right of it."""
        return Box(self.top - before, self.left - before, self.bottom + after, self.right + after)

    def clip(self, size: int) -> Box:
        """The part of the box that lies in a square image of `size` pixels."""
        return Box(max(self.top, 0), max(self.left, 0), min(self.bottom, size), min(self.right, size))

    def within(self, outer: Box) -> Box:
        """The same box in the coordinates of `outer`."""
        return Box(
            self.top - outer.top, self.left - outer.left, self.bottom - outer.top, self.right - outer.left
        )


class BlockPlan(NamedTuple):
    """The boxes of one resolution, in that resolution's pixels.

    features_in: of the previous resolution, what the up-sampling convolution reads (None at 4x4);
    conv0: its output, which the second convolution reads; conv1: the second convolution's output;
    rgb: the part of the RGB image that is needed.
    """

    resolution: int
    features_in: Box | None
    conv0: Box
    conv1: Box
    rgb: Box


class Cost(NamedTuple):
    """macs: multiply-adds of the convolutions; activations: feature values, kept for a backward pass."""

    macs: int
    activations: int


RegionPlan = tuple[BlockPlan, ...]


def full_box(size: int) -> Box:
    """The box of a whole square image of `size` pixels."""
    return Box(0, 0, size, size)


def plan_region(resolution: int, box: Box | tuple[int, int, int, int]) -> RegionPlan:
    """The boxes of every layer, from 4x4 up to `resolution`, that output pixels `box` depend on.

    resolution: a power of two, at least 4; box: (top, left, bottom, right), half-open, inside the image.
    Raises InvalidInputError for an empty box or one that leaves the image.
    """
    box = check_box(box, resolution)
    conv1 = rgb = box
    blocks = []
    size = resolution
    while size > 4:
        conv0 = conv1.grow(1, 1).clip(size)
        features_in = _upsampling_conv_input(conv0, size // 2)
        blocks.append(BlockPlan(size, features_in, conv0, conv1, rgb))
        conv1, rgb = features_in, _rgb_skip_input(rgb, size // 2)
        size //= 2
    blocks.append(BlockPlan(4, None, conv1.grow(1, 1).clip(4), conv1, rgb))
    return tuple(reversed(blocks))


def check_box(box: Box | tuple[int, int, int, int], resolution: int) -> Box:
    """`box` as a Box of Python integers. Raises InvalidInputError if it is empty or leaves the image."""
    try:
        box = Box(*(int(edge) for edge in box))
    except (TypeError, ValueError) as error:
        message = f"a box is {box!r}; expected four integers (top, left, bottom, right)"
        raise InvalidInputError(message) from error
    if box.height < 1 or box.width < 1:
        raise InvalidInputError(f"the box {tuple(box)} is empty; expected top < bottom and left < right")
    if min(box) < 0 or max(box.bottom, box.right) > resolution:
        raise InvalidInputError(
            f"the box {tuple(box)} leaves the {resolution}x{resolution} image; clip it to 0..{resolution}"
        )
    return box


def cost(network: SynthesisNetwork, box: Box | tuple[int, int, int, int] | None = None) -> Cost:
    """Multiply-adds and feature values of making `box` (None: everything) of one sample, forward only."""
    resolution = network.img_resolution
    plan = plan_region(resolution, full_box(resolution) if box is None else box)
    macs = activations = 0
    for block, boxes in zip(network.blocks(), plan, strict=True):
        out_channels = block.conv1.out_channels
        if boxes.features_in is not None:
            macs += 9 * block.conv0.in_channels * out_channels * boxes.features_in.area
            macs += 16 * out_channels * boxes.conv0.area
            if block.skip is not None:
                macs += block.conv0.in_channels * out_channels * boxes.features_in.area
                macs += 4 * out_channels * boxes.conv1.area
            activations += out_channels * boxes.conv0.area
        macs += 9 * out_channels**2 * boxes.conv1.area
        if block.torgb is not None:
            macs += network.img_channels * out_channels * boxes.conv1.area
        activations += out_channels * boxes.conv1.area
    return Cost(macs, activations)


def _upsampling_conv_input(box: Box, size: int) -> Box:
    """What a stride-2 transposed 3x3 convolution followed by the 4-tap FIR reads to make `box`."""
    top, left, bottom, right = box
    return Box((top - 2) // 2, (left - 2) // 2, (bottom + 1) // 2 + 1, (right + 1) // 2 + 1).clip(size)


def _rgb_skip_input(box: Box, size: int) -> Box:
    """What the up-sampling of the RGB image (zero-stuffing, then the 4-tap FIR) reads to make `box`."""
    top, left, bottom, right = box
    return Box((top - 1) // 2, (left - 1) // 2, bottom // 2 + 1, right // 2 + 1).clip(size)
