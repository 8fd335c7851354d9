"""A few boxes instead of one: a mask that fills little of its bounding box is cheaper to draw in parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..boxes import Box
from .masks import mask_box

_CELLS = 64  # cuts lie between this many rows and columns of the image, or between its pixels
_DEPTH = 3  # cuts one inside the other; at most 2**_DEPTH boxes

RelativeCost = Callable[[Box], float]
Cells: TypeAlias = NDArray[np.bool_]


def tile_mask(mask: Tensor, relative_cost: RelativeCost, *, gain: float = 0.1) -> tuple[Box, ...]:
    """Disjoint boxes that hold every pixel > 0 of a mask, found by cutting its bounding box again and again.

    mask: [...,H,W].
    relative_cost: what a box costs, in any unit, including what it costs at any size.
    gain: 0 to 1, the share of a box's cost that its parts must spare.
    Each part is trimmed to its pixels. Where no cut pays, the result is the bounding box alone. Raises
    InvalidInputError for an empty mask.
    """
    height, width = mask.shape[-2:]
    selected = (mask.detach() > 0).reshape(-1, height, width).any(dim=0).cpu().numpy()
    outer = mask_box(torch.from_numpy(selected))
    least = relative_cost(Box(outer.top, outer.left, outer.top + 1, outer.left + 1))
    return _Cutter(selected, relative_cost, gain, least).best(outer, _DEPTH)[1]


class _Cutter:
    """Recursive guillotine cuts. least: the cost of a single pixel, which every part has too."""

    def __init__(self, selected: Cells, relative_cost: RelativeCost, gain: float, least: float) -> None:
        self.selected, self.relative_cost, self.gain, self.least = selected, relative_cost, gain, least
        self.step = max(1, -(-max(selected.shape) // _CELLS))
        self.cells = _pooled(selected, self.step)

    def best(self, box: Box, depth: int) -> tuple[float, tuple[Box, ...]]:
        """The least cost found for the pixels of a trimmed box, and the boxes that have it."""
        alone = self.relative_cost(box)
        boxes: tuple[Box, ...] = (box,)
        lowest = alone * (1 - self.gain)
        if depth == 0 or 2 * self.least >= lowest:
            return alone, boxes
        found = alone
        for first, second in self._cuts(box):
            left, right = self.best(first, depth - 1), self.best(second, depth - 1)
            if left[0] + right[0] < lowest:
                found = lowest = left[0] + right[0]
                boxes = left[1] + right[1]
        return found, boxes

    def _cuts(self, box: Box) -> list[tuple[Box, Box]]:
        """The most promising cuts through the rows and through the columns, as trimmed halves."""
        step = self.step
        top, left, bottom, right = (
            box.top // step,
            box.left // step,
            -(-box.bottom // step),
            -(-box.right // step),
        )
        cells = self.cells[top:bottom, left:right]
        halves = []
        for row in _promising(cells) if len(cells) > 1 else ():
            edge = (top + row) * step
            halves.append((box._replace(bottom=edge), box._replace(top=edge)))
        for column in _promising(cells.T) if cells.shape[1] > 1 else ():
            edge = (left + column) * step
            halves.append((box._replace(right=edge), box._replace(left=edge)))
        return [(_bounds(self.selected, first), _bounds(self.selected, second)) for first, second in halves]


def _bounds(selected: Cells, box: Box) -> Box:
    """The smallest box around the selected pixels of [H,W] that lie in `box`; there must be one."""
    part = selected[box.top : box.bottom, box.left : box.right]
    rows, columns = np.flatnonzero(part.any(axis=1)), np.flatnonzero(part.any(axis=0))
    return Box(
        box.top + int(rows[0]),
        box.left + int(columns[0]),
        box.top + int(rows[-1]) + 1,
        box.left + int(columns[-1]) + 1,
    )


def _promising(cells: Cells) -> set[int]:
    """The rows of cells [h,w] before which a cut may pay.

    The one leaves the least area of occupied rows times occupied columns. Where no cut spares any by itself, as with
    a ring, the other is where the rows change most, so that the next cut can part what it leaves.
    """
    area = _occupied_area(cells)[:-1] + _occupied_area(cells[::-1])[:-1][::-1]
    change = (cells[1:] != cells[:-1]).sum(axis=1)
    return {int(area.argmin()) + 1, int(change.argmax()) + 1}


def _occupied_area(cells: Cells) -> NDArray[np.int64]:
    """Occupied rows times occupied columns of the first 1, 2, ... rows."""
    rows = cells.any(axis=1).cumsum()
    columns = np.logical_or.accumulate(cells, axis=0).sum(axis=1)
    return rows * columns


def _pooled(selected: Cells, step: int) -> Cells:
    """Whether anything is selected in each cell of step x step pixels."""
    height, width = selected.shape
    padded = np.pad(selected, ((0, -height % step), (0, -width % step)))
    cells = padded.reshape(padded.shape[0] // step, step, -1, step)
    return np.logical_or.reduce(cells, axis=(1, 3))
