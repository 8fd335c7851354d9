"""How far a rendering may change where it is set into a photo: everywhere, at the seam, in its colours, as needed."""

from __future__ import annotations

from typing import Literal, get_args

from torch import Tensor

from ..deprecated import old_names
from ..errors import InvalidInputError
from .color_shift import shift_colors
from .poisson import BoundaryGuidance, check_band, poisson_blend
from .screened_blend import blend_as_needed

__getattr__ = old_names(__name__)

CloneMode = Literal["full", "seam only", "colour shift only", "as needed"]
CLONE_MODES: tuple[CloneMode, ...] = get_args(CloneMode)


def seamless_clone(
    photo: Tensor,
    rendering: Tensor,
    mask: Tensor,
    *,
    mode: CloneMode = "full",
    mixed: bool = False,
    band: int = 16,
    boundary: BoundaryGuidance = "picture",
) -> Tensor:
    """The rendering in the photo without a seam, inside the mask: `poisson_blend`, `shift_colors`, `blend_as_needed`.

    mode: "full" solves for the whole region; "seam only" within `band` pixels of its boundary; "colour shift only"
    adds a smooth offset and keeps every detail, so that mixed has no meaning; "as needed" adds as much of that
    offset as the inside confirms, and corrects the rest next to the boundary. The rest, and what is raised: see those
    three; also InvalidInputError for an unknown mode.
    """
    check_mode(mode, band)
    if mode == "as needed":
        return blend_as_needed(photo, rendering, mask, mixed=mixed, boundary=boundary)
    if mode == "colour shift only":
        return shift_colors(photo, rendering, mask, boundary=boundary)
    width = band if mode == "seam only" else None
    return poisson_blend(photo, rendering, mask, mixed=mixed, boundary=boundary, band=width)


def check_mode(mode: str, band: int) -> None:
    """Raise InvalidInputError for an unknown mode and a band that isn't a whole number of at least 1."""
    if mode not in CLONE_MODES:
        raise InvalidInputError(f"mode is {mode!r}; expected one of {', '.join(CLONE_MODES)}")
    check_band(band)
