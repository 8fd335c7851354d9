"""Masks from outside: checked in plain words, and rid of what isn't meant."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from ..errors import InvalidInputError
from ..images.levels import whole_levels
from ..images.mask_files import DARKEST
from .fitting import is_placeholder
from .masks import BLACK, without_noise
from .patches import Patch, patch_of, total_of


def check_masks(
    masks: Mapping[str, Tensor], size: tuple[int, int] | None, may_be_empty: Collection[str] = ()
) -> None:
    """Raise InvalidInputError, naming it, for a mask that isn't [H,W] in 0..1 of that size, or of one size where none
    is given, and for one that selects nothing unless it may be empty.
    """
    owner = "the photo"
    for name, mask in masks.items():
        if mask.ndim != 2 or not mask.numel():
            raise InvalidInputError(
                f"the mask of {name!r} has the shape {list(mask.shape)}; expected one mask [H,W]"
            )
        if size is None and not is_placeholder(mask):
            owner, size = f"the mask of {name!r}", (mask.shape[0], mask.shape[1])
    for name, mask in masks.items():
        if size is not None and mask.shape != size:
            _raise_size(name, mask, owner, size)
        check_values(name, mask)
        if name not in may_be_empty:
            _check_selects(name, mask)


def check_values(name: str, mask: Tensor) -> None:
    """Raise InvalidInputError for NaN and values outside 0..1."""
    low, high = (
        bound.item() for bound in torch.aminmax(mask if mask.dtype != torch.bool else mask.to(torch.uint8))
    )
    if low != low:
        raise InvalidInputError(f"the mask of {name!r} contains NaN; expected numbers in 0..1")
    if low < 0 or high > 1 + 1e-6:
        raise InvalidInputError(
            f"the mask of {name!r} has values in {low:g}..{high:g}, expected 0..1; clip or divide them"
        )


def cleaned(masks: Mapping[str, Tensor]) -> dict[str, Patch]:
    """The masks [H,W] as float64 on the CPU, their black made 0 (see `without_noise`).

    Where all of them and what they leave added up to 1, they do so afterwards: what noise is taken away, as of a
    segmenter's soft output, goes to the others in proportion.
    """
    clean = {name: without_noise(mask) for name, mask in masks.items()}
    patches = {name: patch_of(mask) for name, mask in clean.items()}
    if all(clean[name] is mask for name, mask in masks.items()):
        return patches
    factor = _made_up_for(masks.values(), patches)
    return {
        name: replace(one, values=(one.values * factor[one.window]).clamp(max=1))
        for name, one in patches.items()
    }


def _made_up_for(masks: Iterable[Tensor], patches: Mapping[str, Patch]) -> Tensor:
    """By how much [H,W] the weights that are left have to be multiplied."""
    size = next(iter(patches.values())).size
    before = total_of(map(patch_of, masks), size)
    rest = (1 - before).clamp(min=0)
    left = total_of(patches.values(), size) + torch.where(rest > BLACK, rest, 0)
    shared = (before <= 1 + 1e-6) & (left > 0)
    return torch.where(shared, before.clamp(min=1) / left.clamp(min=1e-12), 1.0)


def _raise_size(name: str, mask: Tensor, owner: str, size: tuple[int, int]) -> None:
    if is_placeholder(mask):
        raise InvalidInputError(
            f"the mask of {name!r} is a constant 64x64 placeholder, as a picture without transparency gives; "
            f"expected a real mask of {size[1]}x{size[0]}"
        )
    raise InvalidInputError(
        f"the mask of {name!r} is {mask.shape[1]}x{mask.shape[0]}, {owner} is {size[1]}x{size[0]}; "
        "resize one of them"
    )


def _check_selects(name: str, mask: Tensor) -> None:
    highest = mask.max().item() * 255
    if not highest:
        shown = " (Load Image gives such a mask for a picture without transparency)" * is_placeholder(mask)
        raise InvalidInputError(
            f"the mask of {name!r} is empty{shown}; expected at least one pixel above 0, or leave it out"
        )
    check_not_black(f"the mask of {name!r}", mask)


def check_not_black(what: str, mask: Tensor) -> None:
    """Raise InvalidInputError for a mask whose brightest pixel can't mean white; an empty one passes.

    what: the mask in the words of the error.
    """
    highest = mask.max().item() * 255 if mask.numel() else 0
    if not 0 < highest < DARKEST:
        return
    if highest <= BLACK * 255 or whole_levels(mask, strict=True) is not None:
        raise InvalidInputError(
            f"{what} is black, its brightest pixel is {highest:.3g} of 255; expected white = selected. A "
            "picture whose grey levels are numbers is a label map and not a mask: read it as one, or save white as 255"
        )
