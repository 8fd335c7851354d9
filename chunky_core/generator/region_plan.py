"""Which pixels of every layer a box of the output depends on: integers only.

After the constant (4x4 mostly) everything in StyleGAN2's synthesis is local (demodulation depends on weights and
styles only), so a box of output pixels needs, at each layer, that box plus a halo. Zero padding happens only
at true image borders. Boxes of equal size are planned together, so that one batched pass makes them all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ..boxes import AnyBox, AnySize, Box, Boxes, BoxOrBoxes, Size, as_size, check_region, full_box, within
from ..deprecated import old_names

CONST_SIZE = (4, 4)  # of the learnt constant, in NVlabs' networks


class Overlap(NamedTuple):
    """The part of a window that lies in the tensor read: in the tensor's coordinates and in the window's."""

    inside: Box
    place: Box


class Window(NamedTuple):
    """The pixels that an operation reads of its input, in the input's coordinates; zeros lie beyond the input.

    box: one for all samples, or Boxes, one per sample; these have `overlaps`.
    """

    box: BoxOrBoxes
    overlaps: tuple[Overlap, ...] = ()


class BlockPlan(NamedTuple):
    """The boxes of one resolution, in that resolution's pixels.

    size: of the resolution's whole image; features_in: of the previous resolution, what the up-sampling convolution
    reads (None at the constant's);
    conv0: its output, which the second convolution reads; conv1: the second convolution's output;
    rgb: the part of the RGB image that is needed.
    """

    size: Size
    features_in: BoxOrBoxes | None
    conv0: BoxOrBoxes
    conv1: BoxOrBoxes
    rgb: BoxOrBoxes

    @property
    def resolution(self) -> int:
        """The longer side."""
        return max(self.size)


RegionPlan = tuple[BlockPlan, ...]


class BlockWindows(NamedTuple):
    """What the operations of one resolution read.

    conv0: of the doubled features, conv1: of conv0's output, shortcut: of the doubled residual path, rgb: of the
    image that toRGB makes of the features, rgb_below: of the doubled image of the resolution before; at_conv0,
    at_conv1: the pixels of these layers' outputs in a map of the whole resolution, such as the noise.
    None at the constant's resolution where there is nothing below.
    """

    conv0: Window | None
    conv1: Window
    shortcut: Window | None
    rgb: Window
    rgb_below: Window | None
    at_conv0: Window
    at_conv1: Window


@dataclass(frozen=True, eq=False)
class SynthesisPlan:
    """Everything about one pass of synthesis that depends on its boxes alone, to be made once for many passes.

    resolution: longer side of the output; boxes: its pixels that are made; blocks, windows: of every resolution from
    the constant's up, () for a network whose boxes are cut from whole images.
    """

    resolution: int
    boxes: BoxOrBoxes
    blocks: RegionPlan = ()
    windows: tuple[BlockWindows, ...] = ()


def plan_synthesis(
    size: AnySize, box: BoxOrBoxes | AnyBox | None, const_size: AnySize = CONST_SIZE
) -> SynthesisPlan:
    """The plan of a pass that makes output pixels `box` (None: all); see `plan_region`."""
    checked = full_box(size) if box is None else check_region(box, size)
    blocks = plan_region(size, checked, const_size)
    below = (None, *blocks[:-1])
    return SynthesisPlan(max(as_size(size)), checked, blocks, tuple(map(_windows, blocks, below)))


def plan_region(size: AnySize, box: BoxOrBoxes | AnyBox, const_size: AnySize = CONST_SIZE) -> RegionPlan:
    """The boxes of every layer, from the constant's `const_size` up to `size`, that output pixels `box` depend on.

    size: that of the constant, doubled any number of times; box: (top, left, bottom, right), half-open, inside the
    image; or Boxes, one per sample. Raises InvalidInputError for an empty box or one that leaves the image.
    """
    several = isinstance(box, Boxes)
    conv1 = rgb = check_region(box, size)
    blocks = []
    size, first = as_size(size), as_size(const_size)
    while size.height > first.height:
        conv0 = conv1.grow(1, 1).clip(size)
        # what a stride-2 transposed 3x3 convolution followed by the 4-tap FIR reads
        features_in = conv0.halved(2, 1).clip(size.half)
        blocks.append(BlockPlan(size, features_in, conv0, conv1, rgb))
        # what zero-stuffing, then the 4-tap FIR reads; of several boxes all, so that their sizes are equal
        conv1, rgb = features_in, features_in if several else rgb.halved(1, 0).clip(size.half)
        size = size.half
    blocks.append(BlockPlan(first, None, conv1.grow(1, 1).clip(first), conv1, rgb))
    return tuple(reversed(blocks))


def _windows(block: BlockPlan, below: BlockPlan | None) -> BlockWindows:
    """On rows [lo, hi) the transposed convolution covers [2 lo, 2 hi + 1); its outermost entries are complete
    only at the image's border, and nothing but the border's lie within the FIR's reach of conv0's pixels.
    """
    whole = full_box(block.size)
    conv0 = shortcut = rgb_below = None
    if block.features_in is not None and below is not None:
        conv0 = window(block.conv0.grow(1, 2), block.features_in.doubled(after=1))
        shortcut = window(block.conv1, block.features_in.doubled())
        rgb_below = window(block.rgb, below.rgb.doubled())
    return BlockWindows(
        conv0,
        window(block.conv1.grow(1, 1), block.conv0),
        shortcut,
        window(block.rgb, block.conv1),
        rgb_below,
        window(block.conv0, whole),
        window(block.conv1, whole),
    )


def window(target: BoxOrBoxes, source: BoxOrBoxes) -> Window:
    """The pixels `target` in a tensor that holds the pixels `source`."""
    box = within(target, source)
    if isinstance(box, Box):
        return Window(box)
    overlaps = []
    for own in box:
        inside = Box(
            max(own.top, 0), max(own.left, 0), min(own.bottom, source.height), min(own.right, source.width)
        )
        overlaps.append(Overlap(inside, inside.within(own)))
    return Window(box, tuple(overlaps))


__getattr__ = old_names(__name__)
