"""Masks and label maps of another size than the photo, brought to it with a notice; and what their values may mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from ..chunky_core.segments.fitting import fit_labels, fit_mask
from ..chunky_core.segments.incoming import check_not_black
from ..chunky_core.segments.masks import without_noise
from ..chunky_core.segments.odd_levels import odd_levels
from ..chunky_core.wording import in_pixels
from .notices import show_notice

NOISY_BLACK, FAINT_RIM = 10.5 / 255, 64  # of a mask beside which the photo stays: its black may be noisier
MOST_PAINTED = 0.5  # of the picture; more than that is the surroundings of something cut out
EDITOR = "the mask editor paints with an opacity of 0.7 at first"


def fitted_mask(mask: Tensor, size: tuple[int, int], what: str = "the mask") -> Tensor:
    """A mask [...,H,W] in the photo's (height, width), as `fit_mask` makes it; says so where it changes."""
    fitted = fit_mask(mask, size, what)
    if fitted is not mask:
        say_resized(mask, size, what)
    return fitted


def fitted_labels(labels: Tensor, size: tuple[int, int], what: str = "the label map") -> Tensor:
    """A label map [...,H,W] in the photo's (height, width), as `fit_labels` makes it; says so where it changes."""
    fitted = fit_labels(labels, size, what)
    if fitted is not labels:
        say_resized(labels, size, what)
    return fitted


def fitted_masks(masks: Mapping[str, Tensor], size: tuple[int, int]) -> dict[str, Tensor]:
    """Masks by name, as `fitted_mask`; one notice for all."""
    fitted = {name: fit_mask(mask, size, f"the mask of {name!r}") for name, mask in masks.items()}
    resized = [name for name, mask in masks.items() if fitted[name] is not mask]
    if resized:
        say_resized(masks[resized[0]], size, of_names(resized))
    return fitted


def chosen_mask(mask: Tensor, size: tuple[int, int], what: str = "the mask") -> Tensor:
    """Masks [B,1,H,W] that say where a node works on photos, as `fitted_mask`, with a true 0 where black is noisy.

    Says what is odd about their levels. Raises InvalidInputError for one that is nearly black.
    """
    fitted = fitted_mask(mask, size, what)
    for one in fitted:
        check_not_black(what, one)
    clean = torch.stack([without_noise(one, NOISY_BLACK, FAINT_RIM) for one in fitted])
    say_odd_levels({"": clean})
    return clean


def say_resized(given: Tensor, size: tuple[int, int], what: str) -> None:
    was = "were" if what.startswith("the masks") else "was"
    show_notice(f"{what} {was} resized from {in_pixels(given)} to the photo's {size[1]}x{size[0]}")


def say_odd_levels(masks: Mapping[str, Tensor]) -> None:
    """Say of which masks white isn't 1 or black isn't 0, which is seldom meant."""
    odd = odd_levels(masks)
    if odd.faint:
        show_notice(
            f"{of_names(odd.faint)}: nothing is above {odd.highest:.2g}, so that the photo shows through; {EDITOR}: "
            "paint with 1 if that isn't meant"
        )
    if odd.gray:
        show_notice(
            f"{of_names(odd.gray)}: nothing is below {odd.lowest:.2g}, so that all of the photo may change; make "
            "black 0 if that isn't meant"
        )


def say_painted(transparent: Tensor) -> None:
    """Say so where transparency [B,H,W] looks like strokes of the mask editor, which would become static: a spot inside
    the picture, or nowhere quite transparent.
    """
    for plane in transparent:
        there = plane > 0.5
        rim = torch.cat([there[0], there[-1], there[:, 0], there[:, -1]])
        share = there.float().mean().item()
        if 0 < share < MOST_PAINTED and not rim.any():
            show_notice(
                f"alpha: {share:.0%} of the picture, away from its border, is transparent and stays as it is; "
                "'subject' is all the rest. If you painted this in the mask editor, connect it to masks, with a name"
            )
            return


def of_names(names: Sequence[str]) -> str:
    """ "the mask of 'mouth'", "the masks of 'mouth' and 3 others"."""
    if list(names) == [""]:
        return "the mask"
    if len(names) == 1:
        return f"the mask of {names[0]!r}"
    return f"the masks of {names[0]!r} and {len(names) - 1} other{'s' * (len(names) > 2)}"
