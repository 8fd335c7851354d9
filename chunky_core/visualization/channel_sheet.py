"""What style channels do to a segment, as pictures: each channel down and up, side by side."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ..boxes import Box, crop
from ..callbacks import Callback
from ..compositing import Renderings, composite
from ..editing.channels import SegmentChannel, channel_direction
from ..errors import InvalidInputError
from ..generator.generator import Generator
from ..inversion import Edit, Inversion
from ..segments.masks import mask_box
from .sheets import contact_sheet

CELL_WIDTH = 320  # pixels of a cell, of both its pictures
COLUMNS = 3
_MARGIN = 0.25  # of the longer side of a segment's box, around it


def common_views(inversions: Sequence[Inversion], segments: str | Sequence[str]) -> list[Box]:
    """For each inversion the box in which some segments are shown: theirs with some of the photo around, at most twice
    as long as wide, all of one size.

    Raises InvalidInputError for an unknown segment, and for photos of several sizes.
    """
    sizes = {inversion.masks.size for inversion in inversions}
    if len(sizes) != 1:
        found = ", ".join(f"{width}x{height}" for height, width in sorted(sizes))
        raise InvalidInputError(f"the photos are {found}; expected photos of one size, do the others in turn")
    (size,) = sizes
    views = [_segment_view(inversion, segments) for inversion in inversions]
    height = max(max(view.height, view.width // 2) for view in views)
    width = max(max(view.width, view.height // 2) for view in views)
    return [view.resized(min(height, size[0]), min(width, size[1]), size) for view in views]


def _segment_view(inversion: Inversion, segments: str | Sequence[str]) -> Box:
    masks = inversion.masks
    box = mask_box(torch.cat([masks[name] for name in masks.resolve(segments)]))
    margin = round(_MARGIN * max(box.height, box.width))
    return box.grow(margin, margin).clip(masks.size)


def channel_cells(
    generator: Generator,
    inversion: Inversion,
    segments: str | Sequence[str],
    channels: Sequence[SegmentChannel],
    *,
    view: Box | None = None,
    callback: Callback | None = None,
) -> list[Tensor]:
    """For each channel a picture [1,3,h,CELL_WIDTH]: the photo around the segments with the channel moved down, and
    beside it up, by the standard deviations at which it was measured; edited as `composite` does, softly blended.

    view: what of the photo is shown, None = as `common_views` chooses it; callback(done, count, cell): after each.
    Raises what `composite` raises.
    """
    names = inversion.masks.resolve(segments)
    (view,) = common_views([inversion], names) if view is None else (view,)
    height = max(1, round(CELL_WIDTH / 2 * view.height / view.width))
    kept = Renderings(generator)  # of the unedited segments, for all cells
    cells: list[Tensor] = []
    for channel in channels:
        direction = channel_direction(generator, channel)
        pair = []
        for strength in (-channel.sigma, channel.sigma):
            edited = inversion.with_edits(Edit(direction, strength, names))
            shown = crop(composite(generator, edited, mode="soft blend", kept=kept), view)
            pair.append(F.interpolate(shown, (height, CELL_WIDTH // 2), mode="bicubic", antialias=True))
        cells.append(torch.cat(pair, dim=3).clamp(-1, 1).cpu())
        if callback is not None:
            callback(len(cells), len(channels), cells[-1])
    return cells


def channel_sheet(channels: Sequence[SegmentChannel], cells: Sequence[Tensor]) -> Tensor:
    """The cells of `channel_cells` on one sheet [1,3,H,W], numbered by rank from 1 and named."""
    titles = [f"{rank}: {channel}" for rank, channel in enumerate(channels, start=1)]
    return contact_sheet(list(zip(titles, cells, strict=True)), min(COLUMNS, len(cells)))
