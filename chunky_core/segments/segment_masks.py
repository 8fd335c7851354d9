"""Segments of a photo: named soft masks that add up to one together with a static rest."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from ..devices import float64_device
from ..errors import InvalidInputError
from ..wording import in_pixels
from .incoming import check_masks, check_values, cleaned
from .masks import FEATHER_REACH, SMALLEST_WEIGHT, check_reach
from .masks import feather as feathered
from .masks import grow as grown
from .names import check_name, resolve_names, roles
from .patches import (
    Patch,
    below,
    fill_from_nearest,
    normalised,
    stack_by_area,
    strongest_of,
    total_of,
)

Gaps = Literal["static", "nearest"]


@dataclass(frozen=True, eq=False)
class Segments:
    """The division of a photo (P2 eq. 3; S^X is `static`, and S_i is already multiplied by 1 - S^X).

    names: N different names; masks: [N,1,H,W]; static: [1,1,H,W], where the photo itself stays. All weights
    are >= 0 and add up to one at every pixel within 1e-6, and no mask is empty.
    Raises InvalidInputError, naming the mask, if they are not so, and for a name that is no valid Unicode.
    """

    names: tuple[str, ...]
    masks: Tensor
    static: Tensor

    def __post_init__(self) -> None:
        _check_shapes(self.names, self.masks, self.static)
        for name in self.names:
            check_name(name)
        place = float64_device(self.static.device)
        total = self.static[0].to(place, torch.float64, copy=True)
        check_values("static", self.static)
        for name, mask in zip(self.names, self.masks, strict=True):
            check_values(name, mask)
            if not mask.any():
                raise InvalidInputError(
                    f"the mask of {name!r} is empty; expected at least one pixel above 0, or leave it out"
                )
            total += mask.to(place)
        worst = (total - 1).abs().max().item()
        if worst > 1e-6:
            raise InvalidInputError(
                f"the masks and the static mask add up to 1 only within {worst:.2g}, expected 1e-6; build "
                "them with segments_from_masks"
            )

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        height, width = self.static.shape[-2:]
        return height, width

    def resolve(self, wanted: str | Sequence[str]) -> tuple[str, ...]:
        """The segments that `wanted` means, each once, in its order: names in any case, plurals such as "eyes", or
        "all" (see `resolve_names`). Raises InvalidInputError for an entry that is unknown or ambiguous.
        """
        return resolve_names(wanted, self.names)

    def check_photo(self, photo: Tensor) -> None:
        """Raise InvalidInputError for a photo [...,H,W] of another size."""
        if photo.shape[-2:] != self.static.shape[-2:]:
            raise InvalidInputError(
                f"the photo is {in_pixels(photo)}, the segments are for {in_pixels(self.static)}; use the photo that "
                "they were made for (after Align Face, if that cut it out)"
            )


def single(size: tuple[int, int], device: torch.device | str = "cpu") -> Segments:
    """One segment "all" that covers a photo of (height, width) pixels: a projection by it is a global one."""
    return Segments(("all",), torch.ones(1, 1, *size, device=device), torch.zeros(1, 1, *size, device=device))


def segments_from_masks(
    masks: Mapping[str, Tensor],
    *,
    static: Collection[str] = (),
    size: tuple[int, int] | None = None,
    grow: int = 0,
    feather: float = 0.0,
    gaps: Gaps = "static",
    only: Collection[str] = (),
) -> Segments:
    """Segments from masks that may overlap and leave gaps.

    masks: name -> [H,W] in [0,1] (or bool), all of one size. A black of up to 2.5/255 counts as 0 where it is all
        over the place (see `without_noise`).
    static: the names among them that are no segments but parts of the photo to keep. They lie on top, and
        `grow` does not enter them.
    size: (height, width) of the photo, checked if given.
    grow: radius in pixels of a disc that every segment is dilated by. Where segments then overlap, the one
        that was smaller before lies on top.
    feather: sigma in pixels of a Gaussian that softens every boundary, also that toward static parts; it
        reaches three sigma. It and grow are at most half the photo's shorter side (`check_reach`).
    gaps: pixels of no segment stay as in the photo ("static") or go to the nearest segment ("nearest").
    only: the names among the others that become segments; empty = all. What is left out stays as in the photo,
        whatever `gaps` says, but `grow` may enter it.

    Names in `static` and `only` are what `resolve_names` takes. Weights under 1/512, which cannot be seen in
    8 bits, become 0. Masks come out as float32 on the device of the first one; the segments keep the order of
    `masks`. Raises InvalidInputError, naming the mask, for NaN, values outside 0..1, another size, an empty
    mask (one that is left out may be empty), and a segment that vanishes below others or below the static part.
    """
    _check_options(grow, gaps)
    parts = roles(tuple(masks), static, only)
    check_masks(masks, size, may_be_empty=parts.left_out)
    first = next(iter(masks.values()))
    size = (first.shape[0], first.shape[1])
    check_reach(grow, size, "grow")
    check_reach(feather, size, "feather")
    layers = cleaned(masks)
    originals, kept, others = (
        [layers[name] for name in names] for names in (parts.chosen, parts.static, parts.left_out)
    )
    fixed = strongest_of(kept, size)
    larger = [_grown(mask, grow) for mask in _clear_of(others, originals)]
    weights = stack_by_area(larger, [mask.area for mask in originals], fixed)
    _check_visible(
        parts.chosen, [mask.highest for mask in weights], "lies wholly below the static part or smaller areas"
    )
    if gaps == "nearest":
        stays = torch.minimum(strongest_of(others, size), 1 - total_of(weights, size))
        weights = fill_from_nearest(weights, torch.maximum(fixed, stays))
    weights = [_feathered(mask, feather) for mask in weights]
    made, rest = torch.empty(len(weights), 1, *size), torch.empty(1, 1, *size)
    for target, plane in zip((*made, *rest), normalised(weights, size), strict=True):
        target[0] = plane
    highest = made.flatten(1).amax(dim=1).tolist()
    _check_visible(parts.chosen, highest, f"is too thin for a feather of {feather:g} pixels")
    return Segments(parts.chosen, made.to(first.device), rest.to(first.device))


def segments_from_label_map(
    labels: Tensor,
    names: Mapping[int, str],
    *,
    static: Collection[str] = (),
    grow: int = 0,
    feather: float = 0.0,
    gaps: Gaps = "static",
    only: Collection[str] = (),
) -> Segments:
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
        clear.append(below(mask, (1 - total_of(above, mask.size)).clamp(min=0)) if above else mask)
    return clear


def _grown(mask: Patch, radius: int) -> Patch:
    wide = mask.widened(radius)
    return replace(wide, values=grown(wide.values, radius))


def _feathered(mask: Patch, sigma: float) -> Patch:
    wide = mask.widened(math.ceil(FEATHER_REACH * sigma) + 1) if sigma > 0 else mask
    return replace(wide, values=feathered(wide.values, sigma))


def _check_options(grow: int, gaps: str) -> None:
    if gaps not in ("static", "nearest"):
        raise InvalidInputError(f'gaps is {gaps!r}; expected "static" or "nearest"')
    if not isinstance(grow, int):
        raise InvalidInputError(f"grow is {grow!r}; expected a whole number of pixels")


def _check_shapes(names: tuple[str, ...], masks: Tensor, static: Tensor) -> None:
    if masks.ndim != 4 or masks.shape[1] != 1 or static.shape != (1, 1, *masks.shape[2:]):
        raise InvalidInputError(
            f"masks are {list(masks.shape)} and the static mask {list(static.shape)}; expected [N,1,H,W] and "
            "[1,1,H,W] of one size"
        )
    if not names or len(set(names)) != len(names) or len(names) != len(masks):
        raise InvalidInputError(
            f"{len(masks)} masks have the names {list(names)}; expected a different one for each"
        )


def _check_visible(names: Sequence[str], weights: Iterable[float], reason: str) -> None:
    """weights: the largest of each segment."""
    lost = [name for name, weight in zip(names, weights, strict=True) if weight < SMALLEST_WEIGHT]
    if lost:
        raise InvalidInputError(
            f"nothing is left of the segment {', '.join(map(repr, lost))}: it {reason}; "
            "change the masks or leave it out"
        )
