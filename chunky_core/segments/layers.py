"""New masks laid on top of segments that already divide a photo, so that all still add up to one."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

from ..errors import InvalidInputError
from .masks import fill_from_nearest, mask_box, normalise, stack_by_area
from .segments import Segments

Freed = Literal["nearest", "static"]
_CONTEXT = 32  # pixels
_UNTOUCHED = 1e-6  # a weight that moves by less was not changed but rounded


def restacked(
    segments: Segments,
    changed: Mapping[str, Tensor],
    *,
    dropped: Collection[str] = (),
    freed: Freed = "nearest",
    enter_static: bool = False,
) -> Segments:
    """The segments with some masks replaced or added; these lie on top, and the others share what is left.

    changed: name -> [H,W] in [0,1]. Where several of them overlap, the one that was smaller lies on top. Names
        that are new are appended.
    dropped: segments to leave out.
    freed: what becomes of pixels that nothing covers any more: they go to the nearest of the other segments
        and the static part (looked for up to 32 pixels around what changes), or all to the static part.
    enter_static: whether the new masks may cover static pixels; otherwise they end there.

    Pixels where no mask changes keep their weights bit for bit. Raises InvalidInputError, naming it, for a
    segment of which nothing is left.
    """
    old = dict(zip(segments.names, segments.masks[:, 0], strict=True))
    new = {name: mask.to(segments.masks) for name, mask in changed.items()}
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
        areas = {name: old.get(name, mask).sum() for name, mask in new.items()}
        pieces = {name: mask[window].cpu().double() for name, mask in new.items()}
        made = _partition(names, layers[window].cpu().double(), pieces, areas, freed, enter_static)
        layers[window] = torch.where(moved[window], made.to(layers), layers[window])
    _check_left(names, layers)
    return Segments(names, layers[:-1, None], layers[None, -1:])


def _moved(old: Mapping[str, Tensor], new: Mapping[str, Tensor], dropped: Collection[str]) -> Tensor:
    """Where any mask is to change, bool [H,W]."""
    moved = torch.zeros_like(next(iter(old.values())), dtype=torch.bool)
    for name, mask in new.items():
        moved |= (mask - old[name]).abs() > _UNTOUCHED if name in old else mask > 0
    for name in dropped:
        moved |= old[name] > 0
    return moved


def _partition(
    names: Sequence[str],
    layers: Tensor,
    changed: Mapping[str, Tensor],
    areas: Mapping[str, Tensor],
    freed: Freed,
    enter_static: bool,
) -> Tensor:
    """The new layers [N+1,h,w], the static one last, all of them adding up to one.

    layers: as they are now, possibly with gaps; changed: name -> [h,w], to lie on top; areas: of whole segments.
    """
    below = [index for index, name in enumerate(names) if name not in changed]
    top = layers[:0]
    if changed:
        kept = 0 * layers[-1] if enter_static else layers[-1]
        top = stack_by_area(
            torch.stack(list(changed.values())), torch.stack([areas[name] for name in changed]), kept
        )
    under = _under(layers[[*below, -1]], top.sum(dim=0), freed, enter_static)
    masks = torch.empty_like(layers[:-1])
    masks[below] = under[:-1]
    masks[[names.index(name) for name in changed]] = top
    return torch.cat(normalise(masks[:, None]))[:, 0]


def _under(below: Tensor, covered: Tensor, freed: Freed, enter_static: bool) -> Tensor:
    """What is left of the other layers [N,H,W], the static one last, below masks with the sum `covered` [H,W]."""
    shrinking = below if enter_static else below[:-1]
    room = (1 - covered - below.sum(dim=0) + shrinking.sum(dim=0)).clamp(min=0)
    result = below.clone()
    result[: len(shrinking)] *= (room / shrinking.sum(dim=0).clamp(min=1e-12)).clamp(max=1)
    gap = (1 - covered - result.sum(dim=0)).clamp(min=0)
    if freed == "nearest" and (gap > _UNTOUCHED).any() and (result > _UNTOUCHED).any():
        return fill_from_nearest(result, covered)
    result[-1] += gap
    return result


def _check_left(names: Sequence[str], layers: Tensor) -> None:
    lost = [name for name, mask in zip(names, layers, strict=False) if not mask.any()]
    if lost:
        raise InvalidInputError(
            f"nothing is left of the segment {', '.join(map(repr, lost))}: it shrank away, or others or the static "
            "part cover it; use fewer pixels, or remove it first"
        )
