"""How far a picture may change where it is set into a photo: everywhere, at the seam, or in its colours only."""

from __future__ import annotations

from typing import Literal, get_args

from torch import Tensor

from ..errors import InvalidInputError
from .color_shift import colour_shift
from .poisson import Rim, check_band, poisson_composite

Mode = Literal["full", "seam only", "colour shift only"]
MODES: tuple[Mode, ...] = get_args(Mode)


def set_in(
    picture: Tensor,
    photo: Tensor,
    mask: Tensor,
    *,
    mode: Mode = "full",
    mixed: bool = False,
    band: int = 16,
    rim: Rim = "picture",
) -> Tensor:
    """The picture in the photo without a seam, inside the mask: `poisson_composite` or `colour_shift`.

    mode: "full" solves for the whole region; "seam only" within `band` pixels of its border; "colour shift only"
    adds a smooth offset and keeps every detail, so that mixed has no meaning. The rest, and what is raised: see
    those two; also InvalidInputError for an unknown mode.
    """
    check_mode(mode, band)
    if mode == "colour shift only":
        return colour_shift(picture, photo, mask, rim=rim)
    reach = band if mode == "seam only" else None
    return poisson_composite(picture, photo, mask, mixed=mixed, rim=rim, band=reach)


def check_mode(mode: str, band: int) -> None:
    """Raise InvalidInputError for an unknown mode and a band that isn't a whole number of at least 1."""
    if mode not in MODES:
        raise InvalidInputError(f"mode is {mode!r}; expected one of {', '.join(MODES)}")
    check_band(band)
