"""Segments of a photo: named soft masks that add up to one together with a static rest."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ..errors import InvalidInputError
from ..wording import in_pixels
from .masks import SMALLEST_WEIGHT, fill_from_nearest, normalise, stack_by_area
from .masks import feather as feathered
from .masks import grow as grown
from .names import resolve_names, roles

Gaps = Literal["static", "nearest"]

WIDEST = 1000  # pixels of feather: sigmas beyond any picture's size only take time


@dataclass(frozen=True, eq=False)
class Segments:
    """The division of a photo (P2 eq. 3; S^X is `static`, and S_i is already multiplied by 1 - S^X).

    names: N different names; masks: [N,1,H,W]; static: [1,1,H,W], where the photo itself stays. All weights
    are >= 0 and add up to one at every pixel within 1e-6, and no mask is empty.
    Raises InvalidInputError, naming the mask, if they are not so.
    """

    names: tuple[str, ...]
    masks: Tensor
    static: Tensor

    def __post_init__(self) -> None:
        _check_shapes(self.names, self.masks, self.static)
        for name, mask in zip((*self.names, "static"), torch.cat([self.masks, self.static]), strict=True):
            _check_values(name, mask)
        for name, mask in zip(self.names, self.masks, strict=True):
            _check_not_empty(name, mask)
        total = self.masks.sum(dim=0, dtype=torch.float64) + self.static[0]
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

    masks: name -> [H,W] in [0,1] (or bool), all of one size.
    static: the names among them that are no segments but parts of the photo to keep. They lie on top, and
        `grow` does not enter them.
    size: (height, width) of the photo, checked if given.
    grow: radius in pixels of a disc that every segment is dilated by. Where segments then overlap, the one
        that was smaller before lies on top.
    feather: sigma in pixels of a Gaussian that softens every boundary, also that toward static parts; it
        reaches three sigma.
    gaps: pixels of no segment stay as in the photo ("static") or go to the nearest segment ("nearest").
    only: the names among the others that become segments; empty = all. What is left out stays as in the photo,
        whatever `gaps` says, but `grow` may enter it.

    Names in `static` and `only` are what `resolve_names` takes. Weights under 1/512, which cannot be seen in
    8 bits, become 0. Masks come out as float32 on the device of the first one; the segments keep the order of
    `masks`. Raises InvalidInputError, naming the mask, for NaN, values outside 0..1, another size, an empty
    mask (one that is left out may be empty), and a segment that vanishes below others or below the static part.
    """
    _check_options(grow, feather, gaps)
    parts = roles(tuple(masks), static, only)
    _check_masks(masks, size, may_be_empty=parts.left_out)
    layers = {name: mask.detach().to("cpu", torch.float64) for name, mask in masks.items()}
    originals, kept, others = (
        _stacked(layers, names) for names in (parts.chosen, parts.static, parts.left_out)
    )
    kept = kept.amax(dim=0)
    larger = torch.stack([grown(mask, grow) for mask in _clear_of(others, originals)])
    weights = stack_by_area(larger, originals.sum(dim=(1, 2)), kept)
    _check_visible(parts.chosen, weights, "lies wholly below the static part or smaller areas")
    if gaps == "nearest":
        stays = torch.minimum(others.amax(dim=0), 1 - weights.sum(dim=0))
        weights = fill_from_nearest(weights, torch.maximum(kept, stays))
    weights = torch.stack([feathered(weight, feather) for weight in weights])
    made, rest = normalise(weights[:, None])
    _check_visible(parts.chosen, made, f"is too thin for a feather of {feather:g} pixels")
    device = next(iter(masks.values())).device
    return Segments(parts.chosen, made.to(torch.float32).to(device), rest.to(torch.float32).to(device))


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


def _stacked(layers: Mapping[str, Tensor], names: Sequence[str]) -> Tensor:
    """The layers of some names [N,H,W]; one of zeros if there are none."""
    empty = torch.zeros_like(next(iter(layers.values())))
    return torch.stack([layers[name] for name in names] or [empty])


def _clear_of(others: Tensor, masks: Tensor) -> Tensor:
    """Masks [N,H,W] without what those of `others` [M,H,W] that are smaller cover of them."""
    areas = others.sum(dim=(1, 2))
    above = [others[areas < mask.sum()].sum(dim=0) for mask in masks]
    return torch.stack(
        [torch.minimum(mask, (1 - top).clamp(min=0)) for mask, top in zip(masks, above, strict=True)]
    )


def _check_options(grow: int, feather: float, gaps: str) -> None:
    if grow < 0 or not 0 <= feather <= WIDEST:
        raise InvalidInputError(
            f"grow is {grow} and feather {feather:g}; expected pixels, at least 0 and a feather of at most {WIDEST}"
        )
    if gaps not in ("static", "nearest"):
        raise InvalidInputError(f'gaps is {gaps!r}; expected "static" or "nearest"')


def _check_masks(
    masks: Mapping[str, Tensor], size: tuple[int, int] | None, may_be_empty: Collection[str]
) -> None:
    owner = "the photo"
    for name, mask in masks.items():
        if mask.ndim != 2:
            raise InvalidInputError(
                f"the mask of {name!r} has the shape {list(mask.shape)}; expected one mask [H,W]"
            )
        if size is None and not _is_placeholder(mask):
            owner, size = f"the mask of {name!r}", (mask.shape[0], mask.shape[1])
    for name, mask in masks.items():
        if size is not None and mask.shape != size:
            _raise_size(name, mask, owner, size)
        _check_values(name, mask)
        if name not in may_be_empty:
            _check_not_empty(name, mask)


def _is_placeholder(mask: Tensor) -> bool:
    """Whether this is the constant 64x64 mask that hosts hand out for a picture without transparency."""
    return mask.shape == (64, 64) and bool((mask == mask[0, 0]).all())


def _raise_size(name: str, mask: Tensor, owner: str, size: tuple[int, int]) -> None:
    if _is_placeholder(mask):
        raise InvalidInputError(
            f"the mask of {name!r} is a constant 64x64 placeholder, as a picture without transparency gives; "
            f"expected a real mask of {size[1]}x{size[0]}"
        )
    raise InvalidInputError(
        f"the mask of {name!r} is {mask.shape[1]}x{mask.shape[0]}, {owner} is {size[1]}x{size[0]}; "
        "resize one of them"
    )


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


def _check_values(name: str, mask: Tensor) -> None:
    if mask.isnan().any():
        raise InvalidInputError(f"the mask of {name!r} contains NaN; expected numbers in 0..1")
    low, high = mask.min().item(), mask.max().item()
    if low < 0 or high > 1 + 1e-6:
        raise InvalidInputError(
            f"the mask of {name!r} has values in {low:g}..{high:g}, expected 0..1; clip or divide them"
        )


def _check_not_empty(name: str, mask: Tensor) -> None:
    if not mask.any():
        raise InvalidInputError(
            f"the mask of {name!r} is empty; expected at least one pixel above 0, or leave it out"
        )


def _check_visible(names: tuple[str, ...], weights: Tensor, reason: str) -> None:
    visible = weights.flatten(1).amax(dim=1) >= SMALLEST_WEIGHT
    lost = [name for name, seen in zip(names, visible.tolist(), strict=True) if not seen]
    if lost:
        raise InvalidInputError(
            f"nothing is left of the segment {', '.join(map(repr, lost))}: it {reason}; "
            "change the masks or leave it out"
        )
