"""A mask that lies over some segments and below all others, as a fringe lies over the skin and below nothing else."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor

from ..errors import InvalidInputError
from .patches import normalized, patch_of
from .relayer import check_left
from .segment_masks import SegmentMasks


def cover_segments(
    segments: SegmentMasks,
    name: str,
    mask: Tensor,
    covered: Collection[str],
    *,
    extend: bool = True,
    enter_static: bool = True,
) -> SegmentMasks:
    """The segments with `name` added, or changed, where it takes its pixels from certain ones only.

    mask: [H,W] in [0,1]. covered: names of segments that it lies on top of; all others lie above it. The static part is
    below it, too, unless enter_static is False. extend: what the segment has already stays; otherwise what it loses
    becomes static. Raises InvalidInputError if nothing of the mask can be seen, and for a segment of which nothing is
    left.
    """
    masks = {key: plane.cpu().double() for key, plane in segments.planes().items()}
    static = segments.static[0, 0].cpu().double()
    below = [key for key in masks if key in covered and key != name]
    own = masks.get(name, torch.zeros_like(static))
    room = sum((masks[key] for key in below), static if enter_static else torch.zeros_like(static))
    wanted = mask.cpu().double()
    made = torch.minimum(torch.maximum(wanted, own) if extend else wanted, own + room)
    if not made.any():
        raise InvalidInputError(
            f"nothing of the mask of {name!r} can be seen below {', '.join(key for key in masks if key not in below)}; "
            "name in covers what it lies on top of"
        )
    keep = 1 - ((made - own).clamp(min=0) / room.clamp(min=1e-12)).clamp(max=1)
    masks.update({key: masks[key] * keep for key in below} | {name: made})
    planes = list(normalized([patch_of(plane) for plane in masks.values()], segments.size))
    before = [segments.planes().get(key, own) for key in masks]
    layers = torch.stack(
        [torch.where(made == own, old, new) for old, new in zip([*before, static], planes, strict=True)]
    ).to(segments.masks)
    check_left(tuple(masks), layers)
    return SegmentMasks(tuple(masks), layers[:-1, None], layers[None, -1:])
