"""Masks held by the box in which they are not 0: many small ones of one large image fit into memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..boxes import Box
from ..deprecated import old_names
from .masks import SMALLEST_WEIGHT, mask_box

Size = tuple[int, int]


@dataclass(frozen=True, eq=False)
class Patch:
    """A mask of an image of `size`, (height, width), which is 0 outside `box`; values: float64 [h,w] on the CPU."""

    size: Size
    box: Box
    values: Tensor

    @property
    def area(self) -> float:
        """The sum of all weights, in pixels."""
        return self.values.sum().item()

    @property
    def highest(self) -> float:
        """The largest weight."""
        return self.values.max().item() if self.values.numel() else 0.0

    @property
    def window(self) -> tuple[slice, slice]:
        """The index of the box in a plane [H,W]."""
        return slice(self.box.top, self.box.bottom), slice(self.box.left, self.box.right)

    def widened(self, margin: int) -> Patch:
        """The same mask in a box with a margin of zeros, as far as the image goes."""
        height, width = self.size
        box = Box(
            max(self.box.top - margin, 0),
            max(self.box.left - margin, 0),
            min(self.box.bottom + margin, height),
            min(self.box.right + margin, width),
        )
        values = self.values.new_zeros(box.height, box.width)
        top, left = self.box.top - box.top, self.box.left - box.left
        values[top : top + self.box.height, left : left + self.box.width] = self.values
        return Patch(self.size, box, values)

    def plane(self) -> Tensor:
        """The whole mask, float64 [H,W]."""
        result = torch.zeros(self.size, dtype=torch.float64)
        result[self.window] = self.values
        return result


def patch_of(mask: Tensor) -> Patch:
    """A mask [H,W] in [0,1], or bool, as a patch; an empty one has an empty box."""
    size = (mask.shape[0], mask.shape[1])
    there = mask.detach() > 0
    box = mask_box(there) if there.any() else Box(0, 0, 0, 0)
    part = mask.detach()[box.top : box.bottom, box.left : box.right]
    return Patch(size, box, part.to("cpu", torch.float64, copy=True))


def total_of(patches: Iterable[Patch], size: Size) -> Tensor:
    """The sum of masks, float64 [H,W]."""
    total = torch.zeros(size, dtype=torch.float64)
    for one in patches:
        total[one.window] += one.values
    return total


def maximum_of(patches: Iterable[Patch], size: Size) -> Tensor:
    """The maximum of masks, float64 [H,W]."""
    result = torch.zeros(size, dtype=torch.float64)
    for one in patches:
        result[one.window] = torch.maximum(result[one.window], one.values)
    return result


def clipped_to(patch: Patch, room: Tensor) -> Patch:
    """The mask cut down to the `room` [H,W] that there is."""
    return replace(patch, values=torch.minimum(patch.values, room[patch.window]))


def stack_by_area(patches: Sequence[Patch], areas: Sequence[float], static: Tensor) -> list[Patch]:
    """Resolves overlaps: static first, then smaller segments before larger ones, each takes what is left.

    areas: of each mask, which may be from before they were grown; static: float64 [H,W]. In the result the masks and
    static add up to at most 1. Masks that do already stay as they are.
    """
    left = 1 - static
    result = list(patches)
    for i in sorted(range(len(patches)), key=lambda i: areas[i]):
        result[i] = clipped_to(patches[i], left)
        left[result[i].window] -= result[i].values
    return result


def fill_from_nearest(patches: Sequence[Patch], static: Tensor) -> list[Patch]:
    """Gives what neither a mask nor `static`, float64 [H,W], holds to the masks of the nearest such pixel.

    Masks and static add up to at most 1, and to 1 in the result.
    """
    from scipy.ndimage import distance_transform_edt

    size = (static.shape[0], static.shape[1])
    total = total_of(patches, size)
    free = (total <= SMALLEST_WEIGHT).numpy()
    rows, columns = distance_transform_edt(free, return_distances=False, return_indices=True)
    missing = (1 - static - total).clamp(min=0)
    gap = missing > 0
    source = tuple(torch.from_numpy(one)[gap].long() for one in (rows, columns))
    there = total[source].clamp(min=SMALLEST_WEIGHT)
    filled = []
    for one in patches:
        plane = one.plane()
        plane[gap] += missing[gap] * (plane[source] / there)
        filled.append(patch_of(plane))
    return filled


def normalized(patches: Sequence[Patch], size: Size) -> Iterator[Tensor]:
    """Segments and static rest that add up to one (P2 eq. 3), one float64 [H,W] after the other, the static one last.

    patches: >= 0, sum at most about 1. The static mask is what the segments leave, weights too small to be seen
    become exactly 0, and where no segment is left the static mask is exactly 1.
    """
    smallest = min(SMALLEST_WEIGHT, 0.5 / (len(patches) + 1))  # so the largest weight of a pixel always stays

    def seen(weights: Tensor) -> Tensor:
        return torch.where(weights < smallest, 0, weights)

    rest = seen((1 - total_of(patches, size)).clamp(min=0))
    total = total_of((replace(one, values=seen(one.values)) for one in patches), size) + rest
    for one in patches:
        plane = torch.zeros(size, dtype=torch.float64)
        plane[one.window] = seen(one.values) / total[one.window]
        yield plane
    yield rest / total


__getattr__ = old_names(__name__)
