"""New masks laid on top of segments that already divide a photo, so that all still add up to one."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from ..errors import InvalidInputError
from ..mask_shapes import as_plane
from .masks import mask_box
from .patches import Patch, Size, fill_from_nearest, normalized, patch_of, stack_by_area, total_of
from .segment_masks import SegmentMasks

Freed = Literal["nearest", "static"]
_CONTEXT = 32  # pixels
_UNTOUCHED = 1e-6  # a weight that moves by less was not changed but rounded


def relayer(
    segments: SegmentMasks,
    changed: Mapping[str, Tensor],
    *,
    dropped: Collection[str] = (),
    freed: Freed = "nearest",
    enter_static: bool = False,
) -> SegmentMasks:
    """The segments with some masks replaced or added; these lie on top, and the others share what is left.

    changed: name -> [H,W] or [1,1,H,W] in [0,1]. Where several of them overlap, the one that was smaller lies on top.
        Names that are new are appended.
    dropped: segments to leave out.
    freed: what becomes of pixels that nothing covers any more: they go to the nearest of the other segments
        and the static part (looked for up to 32 pixels around what changes), or all to the static part.
    enter_static: whether the new masks may cover static pixels; otherwise they end there.

    Pixels where no mask changes keep their weights bit for bit. Raises InvalidInputError, naming it, for a
    segment of which nothing is left.
    """
    old = segments.planes()
    new = {name: as_plane(mask).to(segments.masks) for name, mask in changed.items()}
    names = tuple(name for name in dict.fromkeys((*old, *new)) if name not in dropped)
    if not names:
        raise InvalidInputError(
            f"removing {', '.join(dropped)} leaves no segment; keep at least one of {', '.join(old)}"
        )
    static = segments.static[0, 0]
    empty = torch.zeros_like(static)
    layers = torch.stack([*(old.get(name, empty) for name in names), static])
    moved = _moved(old, new, dropped)
    if moved.any():
        top, left, bottom, right = mask_box(moved, _CONTEXT)
        window = (..., slice(top, bottom), slice(left, right))
        patches = {name: patch_of(mask[window]) for name, mask in new.items()}
        areas = [old.get(name, mask).sum().item() for name, mask in new.items()]
        made = _relayered(names, layers[window], patches, areas, freed, enter_static)
        for layer, plane in zip(layers, made, strict=True):
            layer[window] = torch.where(moved[window], plane.to(layers), layer[window])
    check_left(names, layers)
    return SegmentMasks(names, layers[:-1, None], layers[None, -1:])


def _moved(old: Mapping[str, Tensor], new: Mapping[str, Tensor], dropped: Collection[str]) -> Tensor:
    """Where any mask is to change, bool [H,W]."""
    moved = torch.zeros_like(next(iter(old.values())), dtype=torch.bool)
    for name, mask in new.items():
        moved |= (mask - old[name]).abs() > _UNTOUCHED if name in old else mask > 0
    for name in dropped:
        moved |= old[name] > 0
    return moved


def _relayered(
    names: Sequence[str],
    layers: Tensor,
    changed: Mapping[str, Patch],
    areas: Sequence[float],
    freed: Freed,
    enter_static: bool,
) -> Iterator[Tensor]:
    """The new layers, float64 [h,w] one by one, the static one last, all of them adding up to one.

    layers: [N+1,h,w], as they are now, possibly with gaps; changed: by name, to lie on top; areas: of the whole
    segments that change.
    """
    size = (layers.shape[-2], layers.shape[-1])
    static = layers[-1].cpu().double()
    kept = torch.zeros_like(static) if enter_static else static
    tops = dict(zip(changed, stack_by_area(list(changed.values()), areas, kept), strict=True))
    lower = {name: patch_of(layer) for name, layer in zip(names, layers, strict=False) if name not in changed}
    left = _lower_layers(
        list(lower.values()), patch_of(static), total_of(tops.values(), size), freed, enter_static
    )
    made = tops | dict(zip(lower, left, strict=True))
    return normalized([made[name] for name in names], size)


def _lower_layers(
    lower: Sequence[Patch], static: Patch, covered: Tensor, freed: Freed, enter_static: bool
) -> Sequence[Patch]:
    """What is left of the other layers below masks with the sum `covered` [H,W]; of the static one only so that it
    counts as a neighbor.
    """
    size: Size = static.size
    everything = total_of([*lower, static], size)
    shrinking = everything if enter_static else total_of(lower, size)
    room = (1 - covered - everything + shrinking).clamp(min=0)
    share = (room / shrinking.clamp(min=1e-12)).clamp(max=1)
    left = [replace(one, values=one.values * share[one.window]) for one in lower]
    left.append(replace(static, values=static.values * share[static.window]) if enter_static else static)
    total = total_of(left, size)
    gap = (1 - covered - total).clamp(min=0)
    if freed == "nearest" and (gap > _UNTOUCHED).any() and (total > _UNTOUCHED).any():
        left = fill_from_nearest(left, covered)
    return left[:-1]


def check_left(names: Sequence[str], layers: Tensor) -> None:
    """Raise InvalidInputError, naming it, for a segment of which nothing is left. layers: [N or more,H,W]."""
    lost = [name for name, mask in zip(names, layers, strict=False) if not mask.any()]
    if lost:
        raise InvalidInputError(
            f"nothing is left of the segment {', '.join(map(repr, lost))}: it shrank away, or others or the static "
            "part cover it; use fewer pixels, or remove it first"
        )
