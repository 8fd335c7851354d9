"""Rectangles of pixels, one or one per sample of a batch: integers only."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, SupportsIndex, TypeAlias

from .errors import InvalidInputError


class Size(NamedTuple):
    """Pixels of an image: height and width."""

    height: int
    width: int

    @property
    def area(self) -> int:
        return self.height * self.width

    @property
    def half(self) -> Size:
        return Size(self.height // 2, self.width // 2)

    def __str__(self) -> str:
        """As people write it: width x height."""
        return f"{self.width}x{self.height}"


AnySize: TypeAlias = int | tuple[int, int]  # of a square image, or (height, width)


def as_size(size: AnySize) -> Size:
    """A size in either form as height and width. Raises InvalidInputError for anything else."""
    try:
        sides = [size, size] if isinstance(size, SupportsIndex) else [*size]
        height, width = (side.__index__() for side in sides)
    except (AttributeError, TypeError, ValueError) as error:
        raise InvalidInputError(
            f"the size is {size!r:.60}; expected whole pixels: the side of a square, or (height, width)"
        ) from error
    return Size(height, width)


# From this share of a resolution on, all of it is made: samples at the same place need no gathering.
_NEARLY_ALL = 0.7


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

    def clip(self, size: AnySize) -> Box:
        """The part of the box that lies in an image of `size`."""
        height, width = as_size(size)
        return Box(max(self.top, 0), max(self.left, 0), min(self.bottom, height), min(self.right, width))

    def within(self, outer: Box) -> Box:
        """The same box in the coordinates of `outer`."""
        return Box(
            self.top - outer.top, self.left - outer.left, self.bottom - outer.top, self.right - outer.left
        )

    def halved(self, before: int, after: int) -> Box:
        """The pixels of half the resolution under this box, with some of this resolution's pixels around."""
        return Box(
            (self.top - before) // 2,
            (self.left - before) // 2,
            (self.bottom + after) // 2 + 1,
            (self.right + after) // 2 + 1,
        )

    def doubled(self, after: int = 0) -> Box:
        """The pixels of the doubled resolution over this box, and `after` more below and right of them."""
        return Box(2 * self.top, 2 * self.left, 2 * self.bottom + after, 2 * self.right + after)

    def resized(self, height: int, width: int, size: AnySize) -> Box:
        """A box of at least this box's height and width that holds it, in an image of `size`."""
        image = as_size(size)
        top = min(max(self.top - (height - self.height) // 2, 0), image.height - height)
        left = min(max(self.left - (width - self.width) // 2, 0), image.width - width)
        return Box(top, left, top + height, left + width)


class Boxes(tuple[Box, ...]):
    """One box per sample of a batch, all of one size; the methods do for each what a Box's do."""

    @property
    def height(self) -> int:
        return self[0].height

    @property
    def width(self) -> int:
        return self[0].width

    @property
    def area(self) -> int:
        return self[0].area

    def each(self, change: Callable[[Box], Box]) -> Boxes:
        return Boxes(change(box) for box in self)

    def grow(self, before: int, after: int) -> Boxes:
        return self.each(lambda box: box.grow(before, after))

    def halved(self, before: int, after: int) -> Boxes:
        return self.each(lambda box: box.halved(before, after))

    def doubled(self, after: int = 0) -> Boxes:
        return self.each(lambda box: box.doubled(after))

    def clip(self, size: AnySize) -> Boxes:
        """Boxes of one size that hold the parts inside an image of `size`, and stay inside it."""
        parts = [box.clip(size) for box in self]
        height, width = max(part.height for part in parts), max(part.width for part in parts)
        if height * width > _NEARLY_ALL * as_size(size).area:
            height, width = as_size(size)
        return Boxes(part.resized(height, width, size) for part in parts)


BoxOrBoxes: TypeAlias = Box | Boxes
AnyBox: TypeAlias = Box | tuple[int, int, int, int]


def within(region: BoxOrBoxes, outer: BoxOrBoxes) -> BoxOrBoxes:
    """The region in the coordinates of `outer`; a single Box where that is the same for all samples."""
    if isinstance(region, Box) and isinstance(outer, Box):
        return region.within(outer)
    samples = len(region) if isinstance(region, Boxes) else len(outer)
    pairs = zip(_per_sample(region, samples), _per_sample(outer, samples), strict=True)
    inner = Boxes(box.within(other) for box, other in pairs)
    return inner[0] if len(set(inner)) == 1 else inner


def _per_sample(region: BoxOrBoxes, samples: int) -> Boxes:
    return region if isinstance(region, Boxes) else Boxes([region] * samples)


def check_region(box: BoxOrBoxes | AnyBox, size: AnySize) -> BoxOrBoxes:
    """`box` as a Box, or Boxes of one size. Raises InvalidInputError if one is empty or leaves an image of `size`."""
    return check_boxes(box, size) if isinstance(box, Boxes) else check_box(box, size)


def full_box(size: AnySize) -> Box:
    """The box of a whole image of `size`."""
    return Box(0, 0, *as_size(size))


def crop(image: Any, box: Box) -> Any:
    """The pixels `box` of an image [...,H,W], a tensor or an array: a view, or `image` itself where that is all.

    The box lies inside the image.
    """
    if (box.height, box.width) == tuple(image.shape[-2:]):
        return image
    return image[..., box.top : box.bottom, box.left : box.right]


def check_box(box: AnyBox, size: AnySize) -> Box:
    """`box` as a Box of Python integers. Raises InvalidInputError if it is empty or leaves an image of `size`."""
    try:
        box = Box(*(int(edge) for edge in box))
    except (TypeError, ValueError) as error:
        message = f"a box is {box!r}; expected four integers (top, left, bottom, right)"
        raise InvalidInputError(message) from error
    if box.height < 1 or box.width < 1:
        raise InvalidInputError(f"the box {tuple(box)} is empty; expected top < bottom and left < right")
    image = as_size(size)
    if min(box) < 0 or box.bottom > image.height or box.right > image.width:
        raise InvalidInputError(
            f"the box {tuple(box)} leaves the {image} image (width x height); clip its rows to 0..{image.height}, its "
            f"columns to 0..{image.width}"
        )
    return box


def check_boxes(boxes: Iterable[AnyBox], size: AnySize) -> Boxes:
    """`boxes` of an image of `size` as Boxes. Raises InvalidInputError if one is bad, there is none, or their sizes
    differ.
    """
    checked = Boxes(check_box(box, size) for box in boxes)
    sizes = sorted({(box.height, box.width) for box in checked})
    if len(sizes) != 1:
        found = ", ".join(f"{height}x{width}" for height, width in sizes) or "no box at all"
        raise InvalidInputError(
            f"the boxes of one pass are {found}; expected one size, group them by `batches`"
        )
    return checked
