"""A photo divided into segments: masks that may overlap and leave gaps, or a label map, made to add up to one."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from ..errors import InvalidInputError
from ..mask_shapes import as_plane
from .incoming import check_masks, cleaned
from .masks import FEATHER_SIGMAS, SMALLEST_WEIGHT, check_extent
from .masks import feather as feathered
from .masks import grow as grown
from .names import Roles, roles
from .patches import (
    Patch,
    clipped_to,
    fill_from_nearest,
    maximum_of,
    normalized,
    stack_by_area,
    total_of,
)
from .segment_masks import SegmentMasks

Gaps = Literal["static", "nearest"]


def segments_from_masks(
    masks: Mapping[str, Tensor],
    *,
    static: Collection[str] = (),
    size: tuple[int, int] | None = None,
    grow: int = 0,
    feather: float = 0.0,
    gaps: Gaps = "static",
    only: Collection[str] = (),
) -> SegmentMasks:
    """Segments from masks that may overlap and leave gaps.

    masks: name -> [H,W] or [1,1,H,W] in [0,1] (or bool), all of one size. A black of up to 2.5/255 counts as 0 where
        it is all over the place (see `without_noise`).
    static: the names among them that are no segments but parts of the photo to keep. They lie on top, and
        `grow` does not enter them.
    size: (height, width) of the photo, checked if given.
    grow: radius in pixels of a disc that every segment is dilated by. Where segments then overlap, the one
        that was smaller before lies on top.
    feather: sigma in pixels of a Gaussian that softens every boundary, also that toward static parts; it
        reaches three sigma. It and grow are at most half the photo's shorter side (`check_extent`).
    gaps: pixels of no segment stay as in the photo ("static") or go to the nearest segment ("nearest").
    only: the names among the others that become segments; empty = all. What is left out stays as in the photo,
        whatever `gaps` says, but `grow` may enter it.

    Names in `static` and `only` are what `resolve_names` takes. Weights under 1/512, which cannot be seen in
    8 bits, become 0. Masks come out as float32 on the device of the first one; the segments keep the order of
    `masks`. Raises InvalidInputError, naming the mask, for NaN, values outside 0..1, another size, an empty
    mask (one that is left out may be empty), and a segment that vanishes below others or below the static part.
    """
    _check_options(grow, gaps)
    masks = {name: as_plane(mask) for name, mask in masks.items()}
    parts = roles(tuple(masks), static, only)
    check_masks(masks, size, may_be_empty=parts.left_out)
    first = next(iter(masks.values()))
    size = (first.shape[0], first.shape[1])
    check_extent(grow, size, "grow")
    check_extent(feather, size, "feather")
    weights = [_feathered(mask, feather) for mask in _disjoint(cleaned(masks), parts, size, grow, gaps)]
    made, rest = torch.empty(len(weights), 1, *size), torch.empty(1, 1, *size)
    for target, plane in zip((*made, *rest), normalized(weights, size), strict=True):
        target[0] = plane
    highest = made.flatten(1).amax(dim=1).tolist()
    _check_visible(parts.chosen, highest, f"is too thin for a feather of {feather:g} pixels")
    return SegmentMasks(parts.chosen, made.to(first.device), rest.to(first.device))


def _disjoint(
    masks: Mapping[str, Patch], parts: Roles, size: tuple[int, int], grow: int, gaps: Gaps
) -> list[Patch]:
    """The weights of the chosen segments, grown, their overlaps resolved and the gaps filled."""
    originals, kept, others = (
        [masks[name] for name in names] for names in (parts.chosen, parts.static, parts.left_out)
    )
    fixed = maximum_of(kept, size)
    larger = [_grown(mask, grow) for mask in _clear_of(others, originals)]
    weights = stack_by_area(larger, [mask.area for mask in originals], fixed)
    highest = [mask.highest for mask in weights]
    _check_visible(parts.chosen, highest, "lies wholly below the static part or smaller areas")
    if gaps == "static":
        return weights
    stays = torch.minimum(maximum_of(others, size), 1 - total_of(weights, size))
    return fill_from_nearest(weights, torch.maximum(fixed, stays))


def segments_from_label_map(
    labels: Tensor,
    names: Mapping[int, str],
    *,
    static: Collection[str] = (),
    grow: int = 0,
    feather: float = 0.0,
    gaps: Gaps = "static",
    only: Collection[str] = (),
) -> SegmentMasks:
    """Segments from a map that holds one label per pixel.

    labels: whole numbers [H,W].
    names: label -> name of its segment. Labels of one name make one segment, names without pixels are left
        out, labels without a name are gaps, which `grow` may enter.
    static: names of parts that must stay as in the photo; `grow` does not enter them.
    grow, feather, gaps, only: as in `segments_from_masks`.

    Raises InvalidInputError for another shape or type, for names in `static` and `only` that are not in `names`,
    and if no segment is left.
    """
    if labels.dtype in (torch.uint16, torch.uint32):  # torch compares few numbers of these types
        labels = labels.long()
    if labels.ndim != 2 or labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        kind = str(labels.dtype).removeprefix("torch.")
        raise InvalidInputError(f"a label map is {kind} {list(labels.shape)}; expected whole numbers [H,W]")
    parts = roles(tuple(dict.fromkeys(names.values())), static, only)
    present = set(labels.unique().tolist())
    masks: dict[str, Tensor] = {}
    for label, name in names.items():
        if label in present:
            masks[name] = masks.get(name, torch.zeros_like(labels, dtype=torch.bool)) | (labels == label)
    chosen, kept = ([name for name in some if name in masks] for some in (parts.chosen, parts.static))
    if not chosen:
        raise InvalidInputError(
            f"the label map has the labels {sorted(present)} and leaves no segment; expected at least one of "
            f"{sorted(label for label, name in names.items() if name in parts.chosen)}"
        )
    return segments_from_masks(masks, static=kept, grow=grow, feather=feather, gaps=gaps, only=chosen)


def _clear_of(others: Sequence[Patch], masks: Sequence[Patch]) -> list[Patch]:
    """Masks without what those of `others` that are smaller cover of them."""
    areas = [other.area for other in others]
    clear = []
    for mask in masks:
        above = [other for other, area in zip(others, areas, strict=True) if area < mask.area]
        clear.append(clipped_to(mask, (1 - total_of(above, mask.size)).clamp(min=0)) if above else mask)
    return clear


def _grown(mask: Patch, radius: int) -> Patch:
    wide = mask.widened(radius)
    return replace(wide, values=grown(wide.values, radius))


def _feathered(mask: Patch, sigma: float) -> Patch:
    wide = mask.widened(math.ceil(FEATHER_SIGMAS * sigma) + 1) if sigma > 0 else mask
    return replace(wide, values=feathered(wide.values, sigma))


def _check_options(grow: int, gaps: str) -> None:
    if not isinstance(gaps, str) or gaps not in ("static", "nearest"):
        raise InvalidInputError(f'gaps is {gaps!r}; expected "static" or "nearest"')
    if not isinstance(grow, int):
        raise InvalidInputError(f"grow is {grow!r}; expected a whole number of pixels")


def _check_visible(names: Sequence[str], weights: Iterable[float], reason: str) -> None:
    """weights: the largest of each segment."""
    lost = [name for name, weight in zip(names, weights, strict=True) if weight < SMALLEST_WEIGHT]
    if lost:
        raise InvalidInputError(
            f"nothing is left of the segment {', '.join(map(repr, lost))}: it {reason}; "
            "change the masks or leave it out"
        )
